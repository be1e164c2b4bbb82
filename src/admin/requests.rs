//! Requests across keys, newest first: listed, read, and deleted.

use std::collections::BTreeMap;

use serde::Serialize;

use super::audit_trail::AuditTrail;
use super::json_response::json;
use super::models::{SourceView, source};
use super::query::{Query, invalid};
use super::report_query::{read_key, read_moment, read_tags};
use super::report_store::{ask_store, unavailable};
use super::token_view::TokenView;
use crate::config::{Millis, Nanos};
use crate::error::{Error, Result};
use crate::gateway::{Bridge, Platform, Response, source_of_bill};
use crate::reports::{IndexedRequest, ReportCommand, ReportResponse, RequestFilter, RequestPage, StatusRange};
use crate::telemetry::{AttemptSummary, BillLine, RequestSummary};
use crate::wire::date::write_time;
use crate::wire::dollars::dollars_of_picos;

/// The parameters of [`list`].
pub const PARAMETERS: &[&str] = &[
    "from",
    "to",
    "request_id",
    "key",
    "owner",
    "provider",
    "model",
    "route",
    "status",
    "outcome",
    "class",
    "stream",
    "tags",
    "limit",
    "before",
];
/// The parameters of [`delete`].
pub const DELETE_PARAMETERS: &[&str] = &["key", "owner", "tags", "before"];

/// The default and the maximum number of requests on a page.
const PAGE_SIZE: u64 = 50;
const MAX_PAGE_SIZE: u64 = 1_000;
/// The largest number that JSON carries exactly in every client: 2^53 − 1.
const MAX_NUMBER: u64 = (1 << 53) - 1;
/// How often the store is asked to search on, or to delete on. A request may make 50 calls on the free plan.
const MAX_COMMANDS: usize = 20;

/// A request as JSON.
#[derive(Serialize)]
pub struct RequestView<'r> {
    /// `None` before it is stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<u64>,
    request_id: &'r str,
    key_id: &'r str,
    owner: Option<&'r str>,
    provider: &'r str,
    model: &'r str,
    model_served: Option<&'r str>,
    route: &'r str,
    stream: bool,
    status: u16,
    outcome: &'r str,
    class: Option<&'r str>,
    started_at: String,
    ended_at: String,
    ttft_ms: Option<Millis>,
    duration_ms: Millis,
    gateway_ms: Millis,
    tokens: Option<TokenView>,
    estimated: bool,
    cost_nanos: Option<Nanos>,
    tags: BTreeMap<&'r str, &'r str>,
    /// What the provider's format could not hold.
    dropped: Option<&'r str>,
    attempts: Vec<AttemptView<'r>>,
}

#[derive(Serialize)]
struct AttemptView<'r> {
    provider: &'r str,
    model: &'r str,
    /// `None` if the attempt did not fail.
    failure: Option<&'r str>,
    started_at: String,
    duration_ms: Millis,
    cost_nanos: Option<Nanos>,
    bill: Vec<BillLineView<'r>>,
    /// Where the prices of `bill` come from, in the response for one request: `None` if they are not those
    /// that the gateway knows for the time of the attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    price_source: Option<Option<SourceView>>,
}

/// What an attempt cost, line by line.
#[derive(Serialize)]
struct BillLineView<'r> {
    kind: &'r str,
    count: u64,
    /// For one, in dollars.
    price: String,
    amount_nanos: Nanos,
}

#[derive(Serialize)]
struct RequestList<'r> {
    object: &'static str,
    data: Vec<RequestView<'r>>,
    has_more: bool,
    next_before: Option<u64>,
}

#[derive(Serialize)]
struct Deletion {
    object: &'static str,
    deleted: u64,
    /// `false`: the call has to be repeated, with `next_before` as `before`.
    is_complete: bool,
    /// Requests with lower numbers are not searched yet. `None` if it is complete, or has to begin anew.
    next_before: Option<u64>,
}

/// A page of requests, newest first.
///
/// # Errors
/// 400 with the name of the invalid parameter, 503 if the store cannot be reached.
pub async fn list<P: Platform>(bridge: &Bridge, platform: &P, query: &Query) -> Result<Response<P>> {
    let filter = read_filter(bridge, platform, query)?;
    let limit = query.count("limit", MAX_PAGE_SIZE)?.unwrap_or(PAGE_SIZE);
    let before = query.count("before", MAX_NUMBER)?;
    let page = search(platform, filter, before, usize::try_from(limit).unwrap_or(usize::MAX)).await?;
    let data = page.requests.iter().map(view).collect();
    Ok(json(200, &RequestList { object: "list", data, has_more: page.next.is_some(), next_before: page.next }))
}

/// The newest request with this id, with the sources of its prices.
///
/// # Errors
/// 404 if there is none.
pub async fn read<P: Platform>(bridge: &Bridge, platform: &P, id: &str) -> Result<Response<P>> {
    let filter = RequestFilter { request_id: Some(id.to_owned()), ..RequestFilter::default() };
    let page = search(platform, filter, None, 1).await?;
    let Some(request) = page.requests.first() else { return Err(not_found(id, page.next)) };
    let mut view = view(request);
    for (view, attempt) in view.attempts.iter_mut().zip(&request.summary.attempts) {
        view.price_source = Some(source_of_bill(bridge, attempt).map(|found| source(&found)));
    }
    Ok(json(200, &view))
}

/// The error of an id that was not found. `unread`: requests with lower numbers were not searched.
fn not_found(id: &str, unread: Option<u64>) -> Error {
    let shown: String = id.chars().take(64).collect();
    let message = match unread {
        None => format!("There is no request `{shown}`. Requests are listed some seconds after their end."),
        Some(before) => format!(
            "Request `{shown}` is not among the newest. Older ones were not searched: search on with \
             GET /admin/api/requests?request_id=…&before={before}."
        ),
    };
    Error::caller(404, "request_not_found", message)
}

/// Deletes the requests of a key or of an owner, or with some tags, and takes the owner and the values of
/// these tags from the sums. The sums of a key keep its id. What one call cannot search is left to the next.
///
/// # Errors
/// 400 without `key`, `owner` and `tags`, 503 if the store cannot be reached.
pub async fn delete<P: Platform>(platform: &P, trail: &AuditTrail, query: &Query) -> Result<Response<P>> {
    let (key_id, tags) = (read_key(query)?, read_tags(query)?);
    let owner = query.text("owner").map(str::to_owned);
    let filter = RequestFilter { key_id, owner, tags, ..RequestFilter::default() };
    if filter == RequestFilter::default() {
        let message = "`key`, `owner` or `tags` is required. Pass the id of a key, its owner, or tags such as user=42.";
        return Err(Error::caller(400, "missing_required_parameter", message).at("key"));
    }
    let key = filter.key_id.clone().unwrap_or_default();
    let (mut deleted, mut before, mut is_searched) = (0u64, query.count("before", MAX_NUMBER)?, true);
    for _ in 0..MAX_COMMANDS {
        let command = ReportCommand::Delete { filter: filter.clone(), before };
        let ReportResponse::Deleted { requests, next, waiting } = ask_store(platform, &command).await? else {
            return Err(unavailable());
        };
        deleted = deleted.saturating_add(requests);
        is_searched &= !waiting;
        trail.changed(&key, &serde_json::json!({ "requests": deleted, "of": filter }), &());
        before = next;
        if next.is_none() {
            break;
        }
    }
    let is_complete = before.is_none() && is_searched;
    // What could not be searched is the newest.
    let next_before = before.filter(|_| is_searched);
    Ok(json(200, &Deletion { object: "deletion", deleted, is_complete, next_before }))
}

/// Searches until the page is full, or nothing is left to search.
async fn search<P: Platform>(
    platform: &P,
    filter: RequestFilter,
    mut before: Option<u64>,
    limit: usize,
) -> Result<RequestPage> {
    let mut page = RequestPage::default();
    for _ in 0..MAX_COMMANDS {
        let room = limit.saturating_sub(page.requests.len());
        let command = ReportCommand::Requests { filter: filter.clone(), before, limit: room };
        let ReportResponse::Requests(found) = ask_store(platform, &command).await? else { return Err(unavailable()) };
        page.requests.extend(found.requests);
        page.next = found.next;
        before = found.next;
        if page.requests.len() >= limit || before.is_none() {
            break;
        }
    }
    Ok(page)
}

fn read_filter<P: Platform>(bridge: &Bridge, platform: &P, query: &Query) -> Result<RequestFilter> {
    let text = |name: &str| query.text(name).map(str::to_owned);
    let moment = |name, is_end| read_moment(platform, bridge.reporting(), (name, query.text(name)), is_end);
    Ok(RequestFilter {
        from: moment("from", false)?,
        to: moment("to", true)?,
        request_id: text("request_id"),
        key_id: read_key(query)?,
        owner: text("owner"),
        provider: text("provider"),
        model: text("model"),
        route: text("route"),
        status: query.text("status").map(read_status).transpose()?,
        outcome: text("outcome"),
        class: text("class"),
        stream: query.text("stream").map(read_flag).transpose()?,
        tags: read_tags(query)?,
    })
}

fn read_status(text: &str) -> Result<StatusRange> {
    StatusRange::read(text).ok_or_else(|| invalid("status", "be a status such as 429, or 4xx for all from 400 to 499"))
}

fn read_flag(text: &str) -> Result<bool> {
    text.parse().map_err(|_| invalid("stream", "be true or false"))
}

fn view(IndexedRequest { number, summary }: &IndexedRequest) -> RequestView<'_> {
    RequestView { number: Some(*number), ..view_summary(summary) }
}

/// A request that is not stored yet.
pub fn view_summary(summary: &RequestSummary) -> RequestView<'_> {
    let RequestSummary { at, started, tokens, tags, attempts, class, cost, .. } = summary;
    // What the only attempt took is what the request took.
    let own_cost = if attempts.len() == 1 { *cost } else { None };
    RequestView {
        number: None,
        request_id: &summary.request_id,
        key_id: &summary.key_id,
        owner: filled(&summary.owner),
        provider: &summary.provider,
        model: &summary.model,
        model_served: summary.served.as_deref(),
        route: &summary.route,
        stream: summary.stream,
        status: summary.status,
        outcome: &summary.outcome,
        class: filled(class),
        started_at: write_time(*started),
        ended_at: write_time(*at),
        ttft_ms: summary.ttft,
        duration_ms: summary.duration,
        gateway_ms: summary.gateway_time,
        tokens: tokens.as_ref().map(TokenView::from),
        estimated: summary.estimated,
        cost_nanos: *cost,
        tags: tags.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
        dropped: filled(&summary.dropped),
        attempts: attempts.iter().map(|attempt| view_attempt(attempt, own_cost)).collect(),
    }
}

fn view_attempt(attempt: &AttemptSummary, own_cost: Option<Nanos>) -> AttemptView<'_> {
    AttemptView {
        provider: &attempt.provider,
        model: &attempt.model,
        failure: filled(&attempt.class),
        started_at: write_time(attempt.started),
        duration_ms: attempt.duration(),
        cost_nanos: attempt.cost.or(own_cost),
        bill: attempt.bill.iter().map(view_line).collect(),
        price_source: None,
    }
}

fn view_line(BillLine(kind, count, rate): &BillLine) -> BillLineView<'_> {
    let picos = u128::from(*count) * u128::from(*rate);
    let amount_nanos = Nanos::try_from((picos + 500) / 1_000).unwrap_or(Nanos::MAX);
    BillLineView { kind, count: *count, price: dollars_of_picos(*rate), amount_nanos }
}

fn filled(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

//! The receipts of a key, newest first.

use serde::Serialize;

use super::account::{account_of, must_exist};
use super::json_response::json;
use super::query::Query;
use super::token_view::TokenView;
use crate::config::{Millis, Nanos};
use crate::error::{Error, Result};
use crate::gateway::{self, Bridge, Platform, Response};
use crate::ids::AccountId;
use crate::ledger::{AccountCommand, AccountResponse, AttemptEntry, Receipt};
use crate::wire::date::write_time;

/// The default and the maximum number of receipts on a page.
const PAGE_SIZE: u64 = 50;
const MAX_PAGE_SIZE: u64 = 1000;

/// The largest number that JSON carries exactly in every client: 2^53 − 1.
const MAX_NUMBER: u64 = (1 << 53) - 1;

/// A receipt as JSON.
#[derive(Serialize)]
pub struct ReceiptView<'a> {
    number: u64,
    id: &'a str,
    request_id: &'a str,
    key_id: &'a str,
    provider: &'a str,
    model: &'a str,
    model_served: Option<&'a str>,
    stream: bool,
    status: u16,
    outcome: &'a str,
    started_at: String,
    ended_at: String,
    ttft_ms: Option<Millis>,
    duration_ms: Millis,
    tokens: Option<TokenView>,
    estimated: bool,
    cost_nanos: Option<Nanos>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attempts: Vec<AttemptView<'a>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    recovered: &'a str,
}

/// One of several attempts, as JSON.
#[derive(Serialize)]
struct AttemptView<'a> {
    provider: &'a str,
    model: &'a str,
    key: usize,
    /// `None` if the attempt served the request.
    failure: Option<&'a str>,
    started_at: String,
    duration_ms: Millis,
    tokens: Option<TokenView>,
    estimated: bool,
    cost_nanos: Option<Nanos>,
}

#[derive(Serialize)]
struct ReceiptList<'a> {
    object: &'static str,
    data: Vec<ReceiptView<'a>>,
    has_more: bool,
    next_before: Option<u64>,
}

/// A page of receipts, newest first.
pub struct ReceiptPage {
    /// Each receipt, and its number in the account.
    pub receipts: Vec<(u64, Receipt)>,
    /// The `before` of the next page, if there is one.
    pub next_before: Option<u64>,
}

/// Renders a receipt and its number in the account.
pub fn view((number, receipt): &(u64, Receipt)) -> ReceiptView<'_> {
    ReceiptView {
        number: *number,
        id: &receipt.id,
        request_id: &receipt.request_id,
        key_id: receipt.key_id.as_str(),
        provider: &receipt.provider,
        model: &receipt.model,
        model_served: receipt.served.as_deref(),
        stream: receipt.stream,
        status: receipt.status,
        outcome: &receipt.outcome,
        started_at: write_time(receipt.started),
        ended_at: write_time(receipt.ended),
        ttft_ms: receipt.ttft_ms,
        duration_ms: receipt.ended.saturating_sub(receipt.started),
        tokens: receipt.tokens.as_ref().map(TokenView::from),
        estimated: receipt.estimated,
        cost_nanos: receipt.cost,
        attempts: receipt.attempts.iter().map(view_attempt).collect(),
        recovered: &receipt.recovered,
    }
}

fn view_attempt(attempt: &AttemptEntry) -> AttemptView<'_> {
    AttemptView {
        provider: &attempt.provider,
        model: &attempt.model,
        key: attempt.key,
        failure: Some(attempt.failure.as_str()).filter(|failure| !failure.is_empty()),
        started_at: write_time(attempt.started),
        duration_ms: attempt.ended.saturating_sub(attempt.started),
        tokens: attempt.tokens.as_ref().map(TokenView::from),
        estimated: attempt.estimated,
        cost_nanos: attempt.cost,
    }
}

impl ReceiptView<'_> {
    /// The names of the columns in a CSV file.
    pub fn columns() -> Vec<&'static str> {
        let request = ["number", "id", "request_id", "key_id", "provider", "model", "model_served", "stream", "status"];
        let times = ["outcome", "started_at", "ended_at", "ttft_ms", "duration_ms"];
        [&request[..], &times, &TokenView::COLUMNS, &["estimated", "cost_nanos"]].concat()
    }

    /// The cells of these columns; an unknown value is an empty cell.
    pub fn cells(&self) -> Vec<String> {
        let text = |text: &str| text.to_owned();
        let optional = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
        let mut cells = vec![self.number.to_string()];
        cells.extend([self.id, self.request_id, self.key_id, self.provider, self.model].map(text));
        cells.push(text(self.model_served.unwrap_or_default()));
        cells.extend([self.stream.to_string(), self.status.to_string(), text(self.outcome)]);
        cells.extend([text(&self.started_at), text(&self.ended_at)]);
        cells.extend([optional(self.ttft_ms), self.duration_ms.to_string()]);
        cells.extend(self.tokens.as_ref().map(TokenView::cells).unwrap_or_default());
        cells.extend([self.estimated.to_string(), optional(self.cost_nanos)]);
        cells
    }
}

/// Lists the receipts of a key, given by its id or its `key_id`.
///
/// # Errors
/// 400 for an invalid parameter, 404 if the key neither exists nor has receipts.
pub async fn list<P: Platform>(bridge: &Bridge, platform: &P, key: &str, query: &Query) -> Result<Response<P>> {
    let page = read_page(bridge, platform, &account_of(key)?, query, PAGE_SIZE).await?;
    let data = page.receipts.iter().map(view).collect();
    let next_before = page.next_before;
    Ok(json(200, &ReceiptList { object: "list", data, has_more: next_before.is_some(), next_before }))
}

/// Reads the page that the parameters `limit` (default: `default_limit`) and `before` select.
///
/// # Errors
/// As [`list`].
pub async fn read_page<P: Platform>(
    bridge: &Bridge,
    platform: &P,
    account: &AccountId,
    query: &Query,
    default_limit: u64,
) -> Result<ReceiptPage> {
    let limit = query.count("limit", MAX_PAGE_SIZE)?.unwrap_or(default_limit);
    let before = query.count("before", MAX_NUMBER)?;
    // One more than the page holds shows whether there is a next page.
    let command = AccountCommand::Receipts { before, limit: limit + 1 };
    let AccountResponse::Receipts(mut receipts) = gateway::ask_account(platform, account, &command).await? else {
        let message = "The account of this key returned no receipts. Retry shortly.";
        return Err(Error::gateway(503, "accounts_unavailable", message));
    };
    if receipts.is_empty() {
        must_exist(bridge, platform, account).await?;
    }
    let has_more = receipts.len() as u64 > limit;
    receipts.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    // A lost request that was admitted without a draft of its receipt has no `key_id`.
    for (_, receipt) in receipts.iter_mut().filter(|(_, receipt)| receipt.key_id.as_str().is_empty()) {
        account.clone_into(&mut receipt.key_id);
    }
    let next_before = if has_more { receipts.last().map(|(number, _)| *number) } else { None };
    Ok(ReceiptPage { receipts, next_before })
}

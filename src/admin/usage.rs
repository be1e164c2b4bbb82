//! Usage reports: the totals of accounts, grouped by key, provider, model and day of the operator's zone.

use std::collections::BTreeMap;

use futures::future::join_all;
use serde::Serialize;

use super::account::{account_of, must_exist};
use super::json_response::json;
use super::keys;
use super::query::{Query, invalid};
use super::report_query::today;
use super::token_view::TokenView;
use super::usage_query::UsageQuery;
use crate::config::Nanos;
use crate::error::{Error, Result};
use crate::gateway::{self, Bridge, Platform, Response};
use crate::ids::AccountId;
use crate::ledger::{AccountCommand, AccountResponse, ApiKey, Totals, UsageReport};
use crate::wire::date::write_day;

/// The parameters of [`list`].
pub const PARAMETERS: &[&str] = &["from", "to", "key", "group_by", "limit", "after"];
/// The parameters of [`list_own`].
const OWN_PARAMETERS: &[&str] = &["from", "to", "group_by"];

/// The default and the maximum number of keys on a page.
const MAX_KEYS: u64 = 500;
/// The number of accounts that are asked at the same time.
const CONCURRENT_ACCOUNTS: usize = 20;
const MAX_ROWS: usize = 20_000;

/// Identifies a row of a report. A field is `None` if the report is not grouped by it.
#[derive(Default, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    key: Option<AccountId>,
    provider: Option<String>,
    model: Option<String>,
    day: Option<u64>,
}

/// The usage of some accounts.
pub struct GroupedUsage {
    query: UsageQuery,
    /// The zone of its days.
    timezone: String,
    rows: BTreeMap<Group, Totals>,
    totals: Totals,
    /// The `after` of the next page, if there is one.
    pub next_after: Option<String>,
}

/// A row of a report as JSON.
#[derive(Serialize)]
pub struct UsageRow<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    day: Option<String>,
    requests: u64,
    failures: &'a BTreeMap<String, u64>,
    tokens: TokenView,
    cost_nanos: Nanos,
    unpriced_requests: u64,
    estimated_requests: u64,
}

#[derive(Serialize)]
struct UsageList<'a> {
    object: &'static str,
    from: String,
    to: String,
    timezone: &'a str,
    data: Vec<UsageRow<'a>>,
    totals: UsageRow<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    has_more: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_after: Option<&'a str>,
}

/// Lists the usage of one key, or of a page of all keys.
///
/// # Errors
/// 400 with the name of the invalid parameter, 404 if there is no such key, 503 if an account cannot be
/// reached.
pub async fn list<P: Platform>(bridge: &Bridge, platform: &P, query: &Query) -> Result<Response<P>> {
    let report = read_report(bridge, platform, query).await?;
    Ok(json(200, &report.list(Some(report.next_after.is_some()))))
}

/// Lists the usage of the caller's own key.
///
/// # Errors
/// As `list`.
pub async fn list_own<P: Platform>(
    bridge: &Bridge,
    platform: &P,
    key_id: &AccountId,
    query: &str,
) -> Result<Response<P>> {
    let query = Query::read(query, OWN_PARAMETERS)?;
    let mut report = GroupedUsage::begin(bridge, platform, &query, false)?;
    report.collect(platform, std::slice::from_ref(key_id)).await?;
    Ok(json(200, &report.list(None)))
}

/// Reads the report that the parameters select.
///
/// # Errors
/// As `list`.
pub async fn read_report<P: Platform>(bridge: &Bridge, platform: &P, query: &Query) -> Result<GroupedUsage> {
    let mut report = GroupedUsage::begin(bridge, platform, query, true)?;
    let Some(key) = query.text("key") else {
        let (accounts, next_after) = accounts(bridge, platform, query).await?;
        report.collect(platform, &accounts).await?;
        return Ok(GroupedUsage { next_after, ..report });
    };
    if let Some(other) = ["limit", "after"].into_iter().find(|other| query.text(other).is_some()) {
        return Err(invalid(other, "not be combined with `key`"));
    }
    let account = account_of(key)?;
    report.collect(platform, std::slice::from_ref(&account)).await?;
    if report.rows.is_empty() {
        must_exist(bridge, platform, &account).await?;
    }
    Ok(report)
}

/// A page of accounts, those of deleted keys included, and the `after` of the next page. The first page also
/// has the accounts of the keys in the gateway's variables.
async fn accounts<P: Platform>(
    bridge: &Bridge,
    platform: &P,
    query: &Query,
) -> Result<(Vec<AccountId>, Option<String>)> {
    let limit = query.count("limit", MAX_KEYS)?.unwrap_or(MAX_KEYS);
    let after = query.text("after");
    let mut accounts = Vec::new();
    if after.is_none() {
        accounts.extend(bridge.fixed_accounts());
    }
    let (records, has_more) = keys::page(platform, after, limit, true).await?;
    accounts.extend(records.iter().map(ApiKey::account));
    let next_after = if has_more { records.last().map(|record| record.id.clone()) } else { None };
    Ok((accounts, next_after))
}

impl Group {
    fn of(query: &UsageQuery, account: &AccountId, report: &UsageReport) -> Self {
        Self {
            key: query.by_key.then(|| account.clone()),
            provider: query.by_provider.then(|| report.provider.clone()),
            model: query.by_model.then(|| report.model.clone()),
            day: query.by_day.then_some(report.day),
        }
    }

    fn row<'a>(&'a self, totals: &'a Totals) -> UsageRow<'a> {
        UsageRow {
            key_id: self.key.as_ref().map(AccountId::as_str),
            provider: self.provider.as_deref(),
            model: self.model.as_deref(),
            ..UsageRow::of_all(totals, self.day)
        }
    }
}

impl GroupedUsage {
    /// An empty report about the days that the parameters select.
    fn begin<P: Platform>(bridge: &Bridge, platform: &P, query: &Query, many_keys: bool) -> Result<Self> {
        let settings = bridge.reporting();
        let query = UsageQuery::read(query, today(platform, settings)?, many_keys)?;
        let timezone = settings.timezone.clone();
        Ok(Self { query, timezone, rows: BTreeMap::new(), totals: Totals::default(), next_after: None })
    }

    /// Adds the usage of accounts.
    async fn collect<P: Platform>(&mut self, platform: &P, accounts: &[AccountId]) -> Result<()> {
        let command = AccountCommand::Usage { from: self.query.from, to: self.query.to };
        for chunk in accounts.chunks(CONCURRENT_ACCOUNTS) {
            let responses =
                join_all(chunk.iter().map(|account| gateway::ask_account(platform, account, &command))).await;
            for (account, response) in chunk.iter().zip(responses) {
                let AccountResponse::Usage(reports) = response? else {
                    let message = "An account returned no usage. Retry shortly.";
                    return Err(Error::gateway(503, "accounts_unavailable", message));
                };
                self.add(account, &reports);
            }
            if self.rows.len() > MAX_ROWS {
                return Err(too_many_rows());
            }
        }
        Ok(())
    }

    fn add(&mut self, account: &AccountId, reports: &[UsageReport]) {
        for report in reports {
            self.rows.entry(Group::of(&self.query, account, report)).or_default().add(&report.totals);
            self.totals.add(&report.totals);
        }
    }

    fn list(&self, has_more: Option<bool>) -> UsageList<'_> {
        UsageList {
            object: "list",
            from: write_day(self.query.from),
            to: write_day(self.query.to),
            timezone: &self.timezone,
            data: self.rows().collect(),
            totals: UsageRow::of_all(&self.totals, None),
            has_more,
            next_after: self.next_after.as_deref(),
        }
    }

    /// The rows, in the order of key, provider, model and day.
    pub fn rows(&self) -> impl Iterator<Item = UsageRow<'_>> {
        self.rows.iter().map(|(group, totals)| group.row(totals))
    }
}

fn too_many_rows() -> Error {
    let message =
        format!("The report has more than {MAX_ROWS} rows. Ask for fewer days or keys, or fewer fields in `group_by`.");
    Error::caller(400, "too_many_rows", message).at("group_by")
}

impl<'a> UsageRow<'a> {
    /// The totals of all keys, providers and models.
    fn of_all(totals: &'a Totals, day: Option<u64>) -> Self {
        Self {
            key_id: None,
            provider: None,
            model: None,
            day: day.map(write_day),
            requests: totals.requests,
            failures: &totals.failures,
            tokens: TokenView::from(&totals.tokens),
            cost_nanos: totals.cost,
            unpriced_requests: totals.unpriced,
            estimated_requests: totals.estimated,
        }
    }

    /// The names of the columns in a CSV file.
    pub fn columns() -> Vec<&'static str> {
        let group = ["key_id", "provider", "model", "day", "requests", "failed_requests"];
        [&group[..], &TokenView::COLUMNS, &["cost_nanos", "unpriced_requests", "estimated_requests"]].concat()
    }

    /// The cells of these columns; the cell of a field that the report is not grouped by is empty.
    pub fn cells(&self) -> Vec<String> {
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let failed = self.failures.values().fold(0u64, |sum, count| sum.saturating_add(*count));
        let mut cells: Vec<String> = [self.key_id, self.provider, self.model, self.day.as_deref()].map(text).into();
        cells.extend([self.requests, failed].map(|count| count.to_string()));
        cells.extend(self.tokens.cells());
        cells.extend([self.cost_nanos, self.unpriced_requests, self.estimated_requests].map(|count| count.to_string()));
        cells
    }
}

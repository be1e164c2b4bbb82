//! What was used: the sums of accounts, put together by key, provider, model and day.

use std::collections::BTreeMap;

use futures::future::join_all;
use serde::Serialize;

use super::query::{Query, invalid};
use super::receipts::{Tokens, account, must_exist};
use super::{json, keys};
use crate::config::Nanos;
use crate::error::{Error, Result};
use crate::gateway::{self, Bridge, Platform, Response};
use crate::ledger::{AccountCommand, AccountResponse, ApiKey, Totals, UsageReport, day_of};
use crate::wire::date::write_day;

/// Parameters of the sums of many keys.
pub const PARAMETERS: &[&str] = &["from", "to", "key", "group_by", "limit", "after"];
/// Parameters of the sums of one's own key.
pub const OWN_PARAMETERS: &[&str] = &["from", "to", "group_by"];

/// Keys on one page.
const MOST_KEYS: u64 = 500;
/// Accounts asked at one time.
const AT_ONCE: usize = 20;
/// Days that are looked at when none are named, and at most.
const USUAL_DAYS: u64 = 30;
const MOST_DAYS: u64 = 400;
/// Rows of one answer.
const MOST_ROWS: usize = 20_000;

/// By what sums are told apart: key, provider, model, day.
type Place = (Option<String>, Option<String>, Option<String>, Option<u64>);

/// Which days, and by what they are told apart.
#[derive(Clone, Copy)]
pub struct Question {
    from: u64,
    to: u64,
    key: bool,
    provider: bool,
    model: bool,
    day: bool,
}

/// Sums of some accounts.
pub struct Answer {
    question: Question,
    rows: BTreeMap<Place, Totals>,
    totals: Totals,
    /// The last key of the page, if others follow.
    pub next_after: Option<String>,
}

/// One row as JSON.
#[derive(Serialize)]
pub struct View<'a> {
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
    tokens: Tokens,
    cost_nanos: Nanos,
    unpriced_requests: u64,
    estimated_requests: u64,
}

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    from: String,
    to: String,
    data: Vec<View<'a>>,
    totals: View<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    has_more: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_after: Option<&'a str>,
}

/// The sums of one key, or of a page of all keys.
///
/// # Errors
/// 400 naming the parameter at fault; 503 if an account cannot be reached.
pub async fn all<H: Platform>(bridge: &Bridge, host: &H, query: &Query) -> Result<Response<H>> {
    let answer = ask(bridge, host, query).await?;
    Ok(json(200, &answer.list(Some(answer.next_after.is_some()))))
}

/// The sums of the caller's own key.
///
/// # Errors
/// As [`all`].
pub async fn own<H: Platform>(host: &H, key_id: &str, query: &str) -> Result<Response<H>> {
    let query = Query::read(query, OWN_PARAMETERS)?;
    let question = Question::read(&query, host.now(), false)?;
    let answer = Answer::gather(host, &[key_id.to_owned()], question).await?;
    Ok(json(200, &answer.list(None)))
}

/// The sums that a query asks for.
///
/// # Errors
/// As [`all`].
pub async fn ask<H: Platform>(bridge: &Bridge, host: &H, query: &Query) -> Result<Answer> {
    let question = Question::read(query, host.now(), true)?;
    let Some(name) = query.text("key") else {
        let (accounts, next_after) = accounts(bridge, host, query).await?;
        return Ok(Answer { next_after, ..Answer::gather(host, &accounts, question).await? });
    };
    if let Some(other) = ["limit", "after"].into_iter().find(|other| query.text(other).is_some()) {
        return Err(invalid(other, "not stand beside `key`"));
    }
    let account = account(name)?;
    let answer = Answer::gather(host, std::slice::from_ref(&account), question).await?;
    if answer.rows.is_empty() {
        must_exist(bridge, host, &account).await?;
    }
    Ok(answer)
}

/// A page of accounts, with those of keys that are gone: on the first, those of the keys that stand in the gateway's own variables.
async fn accounts<H: Platform>(bridge: &Bridge, host: &H, query: &Query) -> Result<(Vec<String>, Option<String>)> {
    let limit = query.count("limit", MOST_KEYS)?.unwrap_or(MOST_KEYS);
    let after = query.text("after");
    let mut accounts = Vec::new();
    if after.is_none() {
        accounts.extend(bridge.fixed_accounts().map(str::to_owned));
    }
    let (records, more) = keys::page(host, after, limit, true).await?;
    let next = records.last().filter(|_| more).map(|record| record.id.clone());
    accounts.extend(records.iter().map(ApiKey::account));
    Ok((accounts, next))
}

impl Question {
    fn read(query: &Query, now: u64, by_key: bool) -> Result<Self> {
        let to = query.day("to")?.unwrap_or_else(|| day_of(now));
        let from = query.day("from")?.unwrap_or_else(|| to.saturating_sub(USUAL_DAYS - 1));
        if from > to {
            return Err(invalid("from", "not be after `to`"));
        }
        if to - from >= MOST_DAYS {
            return Err(invalid("from", &format!("be at most {MOST_DAYS} days before `to`")));
        }
        let Some(text) = query.text("group_by") else {
            return Ok(Self { from, to, key: by_key, provider: true, model: true, day: true });
        };
        let mut question = Self { from, to, key: false, provider: false, model: false, day: false };
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            match word {
                "key" if by_key => question.key = true,
                "provider" => question.provider = true,
                "model" => question.model = true,
                "day" => question.day = true,
                _ if by_key => return Err(invalid("group_by", "be some of key, provider, model and day, with commas")),
                _ => return Err(invalid("group_by", "be some of provider, model and day, with commas")),
            }
        }
        Ok(question)
    }

    fn place(&self, account: &str, report: &UsageReport) -> Place {
        (
            self.key.then(|| account.to_owned()),
            self.provider.then(|| report.provider.clone()),
            self.model.then(|| report.model.clone()),
            self.day.then_some(report.day),
        )
    }
}

impl Answer {
    async fn gather<H: Platform>(host: &H, accounts: &[String], question: Question) -> Result<Self> {
        let mut answer = Self { question, rows: BTreeMap::new(), totals: Totals::default(), next_after: None };
        let order = AccountCommand::Usage { from: question.from, to: question.to };
        for some in accounts.chunks(AT_ONCE) {
            let replies = join_all(some.iter().map(|account| gateway::ask_account(host, account, &order))).await;
            for (account, reply) in some.iter().zip(replies) {
                let AccountResponse::Usage(reports) = reply? else {
                    return Err(Error::gateway(503, "accounts_unavailable", "The books of a key gave no sums."));
                };
                for report in &reports {
                    answer.rows.entry(question.place(account, report)).or_default().add(&report.totals);
                    answer.totals.add(&report.totals);
                }
            }
            if answer.rows.len() > MOST_ROWS {
                let message = format!(
                    "That is more than {MOST_ROWS} rows. Ask for fewer days or keys, or set `group_by` to fewer words."
                );
                return Err(Error::caller(400, "too_many_rows", message).at("group_by"));
            }
        }
        Ok(answer)
    }

    fn list(&self, has_more: Option<bool>) -> List<'_> {
        List {
            object: "list",
            from: write_day(self.question.from),
            to: write_day(self.question.to),
            data: self.views().collect(),
            totals: view(&(None, None, None, None), &self.totals),
            has_more,
            next_after: self.next_after.as_deref(),
        }
    }

    /// The rows.
    pub fn views(&self) -> impl Iterator<Item = View<'_>> {
        self.rows.iter().map(|(place, totals)| view(place, totals))
    }
}

fn view<'a>((key, provider, model, day): &'a Place, totals: &'a Totals) -> View<'a> {
    View {
        key_id: key.as_deref(),
        provider: provider.as_deref(),
        model: model.as_deref(),
        day: day.map(write_day),
        requests: totals.requests,
        failures: &totals.failures,
        tokens: Tokens::from(&totals.tokens),
        cost_nanos: totals.cost,
        unpriced_requests: totals.unpriced,
        estimated_requests: totals.estimated,
    }
}

impl View<'_> {
    /// The columns of a table.
    pub fn columns() -> Vec<&'static str> {
        let before = ["key_id", "provider", "model", "day", "requests", "failed_requests"];
        [&before[..], &Tokens::COLUMNS, &["cost_nanos", "unpriced_requests", "estimated_requests"]].concat()
    }

    /// The cells of a table; what was not asked for is empty.
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

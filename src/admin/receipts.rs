//! The newest receipts of a key, as its account wrote them down.

use serde::Serialize;

use super::query::{Query, invalid};
use super::{json, keys};
use crate::config::{Millis, Nanos};
use crate::error::{Error, Result};
use crate::gateway::{self, Bridge, Platform, Response};
use crate::ledger::{self, AccountCommand, AccountResponse, Receipt, id_of, key_text};
use crate::wire::date::write_time;

/// Receipts on one page.
const PAGE: u64 = 50;
const MOST: u64 = 1000;

/// A receipt as JSON.
#[derive(Serialize)]
pub struct View<'a> {
    pub number: u64,
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
    tokens: Option<Tokens>,
    estimated: bool,
    cost_nanos: Option<Nanos>,
}

/// Tokens as JSON.
#[derive(Serialize)]
pub struct Tokens {
    prompt: u64,
    fresh: u64,
    cache_read: u64,
    cache_write: u64,
    cache_write_1h: u64,
    completion: u64,
    reasoning: u64,
}

#[derive(Serialize)]
struct Page<'a> {
    object: &'static str,
    data: Vec<View<'a>>,
    has_more: bool,
    next_before: Option<u64>,
}

impl From<&ledger::TokenCounts> for Tokens {
    fn from(tokens: &ledger::TokenCounts) -> Self {
        let ledger::TokenCounts { uncached_input: fresh, cache_read, cache_write, cache_write_1h, output, reasoning } =
            *tokens;
        let prompt = fresh.saturating_add(cache_read).saturating_add(cache_write);
        Self { prompt, fresh, cache_read, cache_write, cache_write_1h, completion: output, reasoning }
    }
}

impl Tokens {
    /// The columns of a table.
    pub const COLUMNS: [&str; 7] = [
        "prompt_tokens",
        "fresh_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
        "cache_write_1h_tokens",
        "completion_tokens",
        "reasoning_tokens",
    ];

    /// The cells of a table.
    pub fn cells(&self) -> [String; 7] {
        let prompt = [self.prompt, self.fresh, self.cache_read, self.cache_write, self.cache_write_1h];
        let [prompt, fresh, read, write, hour] = prompt.map(|count| count.to_string());
        [prompt, fresh, read, write, hour, self.completion.to_string(), self.reasoning.to_string()]
    }
}

/// A receipt and its number in its account's books.
pub fn view((number, entry): &(u64, Receipt)) -> View<'_> {
    View {
        number: *number,
        id: &entry.id,
        request_id: &entry.request_id,
        key_id: &entry.key_id,
        provider: &entry.provider,
        model: &entry.model,
        model_served: entry.served.as_deref(),
        stream: entry.stream,
        status: entry.status,
        outcome: &entry.outcome,
        started_at: write_time(entry.started),
        ended_at: write_time(entry.ended),
        ttft_ms: entry.ttft_ms,
        duration_ms: entry.ended.saturating_sub(entry.started),
        tokens: entry.tokens.as_ref().map(Tokens::from),
        estimated: entry.estimated,
        cost_nanos: entry.cost,
    }
}

impl View<'_> {
    /// The columns of a table.
    pub fn columns() -> Vec<&'static str> {
        let before = ["number", "id", "request_id", "key_id", "provider", "model", "model_served", "stream", "status"];
        let times = ["outcome", "started_at", "ended_at", "ttft_ms", "duration_ms"];
        [&before[..], &times, &Tokens::COLUMNS, &["estimated", "cost_nanos"]].concat()
    }

    /// The cells of a table; what is not known is empty.
    pub fn cells(&self) -> Vec<String> {
        let text = |text: &str| text.to_owned();
        let known = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
        let mut cells = vec![self.number.to_string()];
        cells.extend([self.id, self.request_id, self.key_id, self.provider, self.model].map(text));
        cells.push(text(self.model_served.unwrap_or_default()));
        cells.extend([self.stream.to_string(), self.status.to_string(), text(self.outcome)]);
        cells.extend([text(&self.started_at), text(&self.ended_at), known(self.ttft_ms), self.duration_ms.to_string()]);
        cells.extend(self.tokens.as_ref().map(Tokens::cells).unwrap_or_default());
        cells.extend([self.estimated.to_string(), known(self.cost_nanos)]);
        cells
    }
}

/// A page of receipts, newest first.
///
/// # Errors
/// 400 for a page that cannot be, 404 if there is no such key and never was.
pub async fn list<H: Platform>(bridge: &Bridge, host: &H, id: &str, query: &Query) -> Result<Response<H>> {
    let account = account(id)?;
    let (entries, next_before) = page(bridge, host, &account, query, PAGE).await?;
    let data = entries.iter().map(view).collect();
    Ok(json(200, &Page { object: "list", data, has_more: next_before.is_some(), next_before }))
}

/// Receipts before a number, newest first; and the number before which the next page lies.
///
/// # Errors
/// As [`list`].
pub async fn page<H: Platform>(
    bridge: &Bridge,
    host: &H,
    account: &str,
    query: &Query,
    usual: u64,
) -> Result<(Vec<(u64, Receipt)>, Option<u64>)> {
    let limit = query.count("limit", MOST)?.unwrap_or(usual);
    let before = query.count("before", (1 << 53) - 1)?;
    let AccountResponse::Receipts(mut entries) =
        gateway::ask_account(host, account, &AccountCommand::Receipts { before, limit: limit + 1 }).await?
    else {
        return Err(Error::gateway(503, "accounts_unavailable", "The books of this key gave no receipts."));
    };
    if entries.is_empty() {
        must_exist(bridge, host, account).await?;
    }
    let more = entries.len() as u64 > limit;
    entries.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    // The books do not know it of a request that was admitted without a draft of its receipt, and lost.
    for (_, entry) in entries.iter_mut().filter(|(_, entry)| entry.key_id.is_empty()) {
        account.clone_into(&mut entry.key_id);
    }
    let next = entries.last().filter(|_| more).map(|(number, _)| *number);
    Ok((entries, next))
}

/// The account of a key of any kind, by its id or its `key_id`.
///
/// # Errors
/// 404 for what is no id.
pub fn account(name: &str) -> Result<String> {
    if name == "anonymous" || name.starts_with("key_") {
        return Ok(name.to_owned());
    }
    let id = id_of(name);
    if key_text::is_id(id) { Ok(key_text::account(id)) } else { Err(invalid("key", "be the id of a key")) }
}

/// Whether there is a key with this account.
///
/// # Errors
/// 404 if not.
pub async fn must_exist<H: Platform>(bridge: &Bridge, host: &H, account: &str) -> Result<()> {
    if let Some(id) = account.strip_prefix("vk_") {
        return keys::must_exist(host, id).await;
    }
    if bridge.fixed_accounts().any(|known| known == account) {
        return Ok(());
    }
    let shown: String = account.chars().take(64).collect();
    Err(Error::caller(404, "key_not_found", format!("There is no key `{shown}`.")))
}

//! Admission: a key's account is asked for the most that a request may take. It knows no limits itself; it relies on the terms of a key for
//! a few seconds.

use std::cell::RefCell;
use std::collections::HashMap;

use super::Bridge;
use super::estimate::CostEstimate;
use super::lease::LeaseRenewal;
use super::platform::{ObjectAddress, Platform};
use crate::config::{Millis, Nanos, OnDisconnect};
use crate::error::{Error, Result};
use crate::ledger::{
    AccountCommand, AccountResponse, AdmissionRefusal, AdmissionRequest, KeyLimits, RateLimit, RateLimitStatus,
};

/// For so long the terms of a key are relied on without asking: what is changed has effect everywhere after this time.
const RELIED_ON: Millis = 4_000;
/// Keys whose terms are remembered; if there are more, all are forgotten.
const REMEMBERED: usize = 10_000;

/// The response header that tells the limit of the answer, in tokens, that the gateway set because the budget allowed no more.
const LIMIT: &str = "x-llm-bridge-max-tokens";
/// The response header of a refusal that tells the largest limit with which the request would fit into the budget.
const LARGEST: &str = "x-llm-bridge-largest-max-tokens";

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The id of the key, which is the name of its account.
    pub key_id: String,
    /// The fingerprint of a key that was made at run time ([`crate::ledger::secret::SignedKey::hash`]): its account has yet to say whether it is good.
    pub hash: Option<String>,
}

/// What accounts said of keys, by the keys' fingerprints: their terms, or that they are not good.
#[derive(Default)]
pub struct AdmissionCache(RefCell<HashMap<String, (Millis, Heard)>>);

type Heard = std::result::Result<KeyLimits, AdmissionRefusal>;

impl AdmissionCache {
    fn find(&self, hash: &str, now: Millis) -> Option<Heard> {
        let known = self.0.borrow();
        known.get(hash).filter(|(until, _)| now < *until).map(|(_, heard)| heard.clone())
    }

    /// Its terms, if they were heard a moment ago.
    pub(super) fn terms(&self, hash: &str, now: Millis) -> Option<KeyLimits> {
        self.find(hash, now).and_then(std::result::Result::ok)
    }

    pub(super) fn learn(&self, hash: &str, heard: Heard, now: Millis) {
        let mut known = self.0.borrow_mut();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(hash.to_owned(), (now.saturating_add(RELIED_ON), heard));
    }

    /// What was heard of a key does not hold any more.
    pub(super) fn forget(&self, hash: &str) {
        self.0.borrow_mut().remove(hash);
    }
}

/// The leave to go on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admission {
    /// The gateway's own id of the request, under which it is settled.
    pub id: String,
    /// The accounts in whose books it goes: the key's, and that of the key above it.
    pub accounts: Vec<String>,
    /// Something was promised, which is kept back until the request is settled.
    pub limited: bool,
    /// What is left of the key's limits.
    pub gauges: RateLimitStatus,
    /// The most that it can cost, in nano-dollars, where that was reserved of a budget.
    pub reserved: Option<Nanos>,
    /// The longest answer that fits into the budget, in tokens, where that is less than was asked for.
    pub limit: Option<u64>,
    /// What becomes of the answer if the client leaves; none: what the provider's row says.
    pub on_disconnect: Option<OnDisconnect>,
}

impl Admission {
    /// The response headers that tell what is left, as OpenAI names them
    /// (<https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers>).
    ///
    /// And the header `x-llm-bridge-max-tokens`, where the gateway has set one.
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = headers(&self.gauges);
        headers.extend(self.limit.map(|limit| (LIMIT, limit.to_string())));
        headers
    }
}

impl Admission {
    /// An account has granted what was asked, or, `limit`, so long an answer: whoever is asked next is asked for no more. `budget`: it keeps
    /// the cost back.
    fn take(&mut self, ask: &mut AdmissionRequest, limit: Option<u64>, budget: bool) {
        if let Some(limit) = limit {
            ask.shorten(limit);
            self.limit = Some(limit);
        }
        self.reserved = ask.cost.filter(|_| budget || self.reserved.is_some());
    }
}

/// Refuses a caller whose key is known here to be no good. Nobody is asked, so that the keys that were taken back cost no more than
/// those that never were.
///
/// # Errors
/// 401 if an account has said so in the last 4 s.
pub fn recall<H: Platform>(bridge: &Bridge, host: &H, caller: &Caller) -> Result<()> {
    let now = host.now();
    match caller.hash.as_ref().and_then(|hash| bridge.known.find(hash, now)) {
        Some(Err(refusal)) => Err(apology(&refusal, None)),
        Some(Ok(terms)) if !terms.are_valid(now) => Err(apology(&AdmissionRefusal::Ended, None)),
        Some(Ok(_)) | None => Ok(()),
    }
}

/// Whether a caller's key is good, where nothing is taken.
///
/// # Errors
/// 401 if it is not; 503 if its account cannot be reached.
pub async fn check<H: Platform>(bridge: &Bridge, host: &H, caller: &Caller) -> Result<()> {
    let Some(hash) = &caller.hash else { return Ok(()) };
    recall(bridge, host, caller)?;
    let terms = match bridge.known.terms(hash, host.now()) {
        Some(terms) => terms,
        None => match order(host, &caller.key_id, &AccountCommand::Look(hash.clone())).await? {
            AccountResponse::Granted { terms, .. } => {
                bridge.known.learn(hash, Ok(terms.clone()), host.now());
                terms
            }
            reply => return Err(refused(bridge, host, hash, reply, None)),
        },
    };
    // A parent that is no good has effect on its members at once, as it has on their chats.
    let Some(parent) = terms.parent else { return Ok(()) };
    match order(host, &parent, &AccountCommand::Parent).await? {
        AccountResponse::Granted { .. } => Ok(()),
        reply => Err(refused(bridge, host, hash, reply, None)),
    }
}

/// Asks for leave. A key without limits, whose terms were heard a moment ago, is not asked about again.
///
/// # Errors
/// 401, 403, 413 or 429 as its account says; 503 if that cannot be reached.
pub async fn admit<H: Platform>(
    bridge: &Bridge,
    host: &H,
    caller: &Caller,
    need: impl FnOnce() -> CostEstimate,
) -> Result<Admission> {
    let id = format!("{:032x}", host.random_u128());
    let accounts = if bridge.config.accounting.receipts { vec![caller.key_id.clone()] } else { Vec::new() };
    let mut permit = Admission { id, accounts, ..Admission::default() };
    let Some(hash) = &caller.hash else { return Ok(permit) };
    let (now, need) = (host.now(), need());
    let free = |terms: &KeyLimits| !terms.are_limited() && terms.parent.is_none();
    if let Some(terms) = bridge.known.terms(hash, now).filter(free) {
        permit.on_disconnect = terms.on_disconnect;
        return allowed(&terms, &need, now).map(|()| permit).map_err(|refusal| apology(&refusal, None));
    }
    let guess = need.guess();
    let mut ask = need.ask(&permit.id, hash, &guess);
    let tier = guess.tier.as_deref();
    let reply = order(host, &caller.key_id, &AccountCommand::Admit(ask.clone())).await;
    if reply.is_err() {
        release(host, &[&caller.key_id], &permit.id).await;
    }
    let terms = match reply? {
        AccountResponse::Granted { terms, gauges, limit } => {
            (permit.gauges, permit.limited) = (gauges, !free(&terms));
            permit.on_disconnect = terms.on_disconnect;
            permit.take(&mut ask, limit, terms.budget.is_some());
            if permit.limited {
                permit.accounts = vec![caller.key_id.clone()];
            }
            bridge.known.learn(hash, Ok(terms.clone()), now);
            terms
        }
        reply => return Err(refused(bridge, host, hash, reply, tier)),
    };
    if let Some(parent) = terms.parent {
        (ask.hash, ask.fit) = (None, terms.budget.is_some_and(|budget| budget.fit));
        ask.draft.iter_mut().for_each(|draft| draft.member = true);
        let reply = order(host, &parent, &AccountCommand::Admit(ask.clone())).await;
        let Ok(AccountResponse::Granted { limit, terms, .. }) = reply else {
            let granted = [caller.key_id.as_str(), &parent];
            release(host, granted.get(..if reply.is_ok() { 1 } else { 2 }).unwrap_or_default(), &permit.id).await;
            return Err(reply.map_or_else(|error| error, |reply| refused(bridge, host, hash, reply, tier)));
        };
        permit.take(&mut ask, limit, terms.budget.is_some());
        permit.on_disconnect = permit.on_disconnect.or(terms.on_disconnect);
        permit.accounts.push(parent);
    }
    if permit.limited && ask.draft.is_some() {
        host.hold(LeaseRenewal::new(&permit, guess, now));
    }
    Ok(permit)
}

/// Gives back what accounts have promised to a request that does not go on; or may have, if their answer was lost. If even that fails, its
/// lease ends.
async fn release<H: Platform>(host: &H, accounts: &[&str], id: &str) {
    let release = AccountCommand::Release(id.to_owned());
    for account in accounts {
        let _ = order(host, account, &release).await;
    }
}

/// What an account would say without counting anything.
fn allowed(terms: &KeyLimits, need: &CostEstimate, now: Millis) -> std::result::Result<(), AdmissionRefusal> {
    let models: Vec<&str> = need.models.iter().map(String::as_str).collect();
    if !terms.are_valid(now) {
        return Err(AdmissionRefusal::Ended);
    }
    if !terms.allow_model(&models) {
        return Err(AdmissionRefusal::Model);
    }
    if let Some(name) = need.astray.as_ref().filter(|_| terms.are_bound()) {
        return Err(AdmissionRefusal::Astray { name: name.clone() });
    }
    terms
        .max_body_bytes
        .filter(|limit| need.body > *limit)
        .map_or(Ok(()), |limit| Err(AdmissionRefusal::Body { limit }))
}

/// Asks an account.
///
/// # Errors
/// 503 if it cannot be reached, or does not understand.
pub async fn order<H: Platform>(host: &H, account: &str, order: &AccountCommand) -> Result<AccountResponse> {
    let unreachable = || {
        Error::gateway(503, "accounts_unavailable", "The books of this key cannot be reached now. Try again shortly.")
            .with_header("retry-after", "1")
    };
    let order = serde_json::to_string(order).map_err(|_| unreachable())?;
    let reply = host.ask_object(ObjectAddress::Account(account), order).await.map_err(|_| unreachable())?;
    match serde_json::from_str(&reply) {
        Ok(AccountResponse::Confused) | Err(_) => Err(unreachable()),
        Ok(reply) => Ok(reply),
    }
}

/// The answer of an account that grants nothing, as an error. That a key is no good is remembered. `tier`: as of [`apology`].
pub(super) fn refused<H: Platform>(
    bridge: &Bridge,
    host: &H,
    hash: &str,
    reply: AccountResponse,
    tier: Option<&str>,
) -> Error {
    let AccountResponse::Refused { refusal, gauges } = reply else { return apology(&AdmissionRefusal::Unknown, None) };
    if matches!(refusal, AdmissionRefusal::Unknown | AdmissionRefusal::Ended) {
        bridge.known.learn(hash, Err(refusal.clone()), host.now());
    }
    headers(&gauges).into_iter().fold(apology(&refusal, tier), |error, (name, value)| error.with_header(name, value))
}

/// The key is none of ours.
pub fn unknown() -> Error {
    apology(&AdmissionRefusal::Unknown, None)
}

/// The key was good once, and has to be given a new text.
pub fn outdated(id: &str) -> Error {
    let message = format!(
        "This API key has to be rotated: the secret that signs keys has changed since it was made. The operator of this gateway gives it a new text by POST /admin/api/keys/{id}/rotate."
    );
    unauthorized(message)
}

fn unauthorized(message: impl Into<String>) -> Error {
    Error::caller(401, "invalid_api_key", message).with_header("www-authenticate", "Bearer realm=\"llm-bridge\"")
}

/// A field could lead the provider to another model or another reading than this gateway's.
pub fn astray(name: &str) -> Error {
    let name: String = name.chars().take(64).collect();
    let message = format!(
        "`{name}` is not taken here: it could lead the provider past a limit of this API key or model. Leave it out, or write the name of the \
         field that you mean in lower case."
    );
    Error::caller(400, "unsupported_parameter", message).at(name)
}

/// A refusal in words. `tier`: in which the request was to be served, if not in the usual one.
pub(super) fn apology(refusal: &AdmissionRefusal, tier: Option<&str>) -> Error {
    let busy = |message: String, wait: Millis| {
        Error::caller(429, "rate_limit_exceeded", message)
            .with_header("retry-after", wait.div_ceil(1000).max(1).to_string())
            .with_header("retry-after-ms", wait.max(1).to_string())
    };
    match refusal {
        AdmissionRefusal::Unknown => unauthorized("The API key given is not one of this gateway's."),
        AdmissionRefusal::Ended => {
            unauthorized("This API key, or the one above it, was switched off, or is past its end.")
        }
        AdmissionRefusal::Model => {
            Error::caller(403, "model_not_allowed", "This API key may not call this model.").at("model")
        }
        AdmissionRefusal::Body { limit } => {
            let message = format!("The body is longer than this API key may send ({limit} bytes).");
            Error::caller(413, "request_too_large", message)
        }
        AdmissionRefusal::Concurrent { limit } => {
            busy(format!("This API key may have {limit} requests under way at one time, and has."), 1_000)
        }
        AdmissionRefusal::Requests { wait } => busy("This API key has used its requests of this minute.".to_owned(), *wait),
        AdmissionRefusal::Counts { wait } => busy(
            "This API key has used its counts of this minute: it has ten for each request that it may make.".to_owned(),
            *wait,
        ),
        AdmissionRefusal::Tokens { wait } => busy(
            "This request could take more tokens than this API key has left in this minute. A smaller `max_tokens` asks for less."
                .to_owned(),
            *wait,
        ),
        AdmissionRefusal::Budget { needed, left, promised, largest, unsettable } => {
            over_budget((*needed, *left, *promised), *largest, *unsettable)
        }
        AdmissionRefusal::Price => unpriced(tier),
        AdmissionRefusal::Astray { name } => astray(name),
    }
}

fn unpriced(tier: Option<&str>) -> Error {
    let Some(tier) = tier else {
        let message = "This API key has a budget, and what this model costs is not known here: its operator can set `price` (and `context`) \
                       in the model's row.";
        return Error::caller(403, "price_unknown", message).at("model");
    };
    let tier: String = tier.chars().take(64).collect();
    let message = format!(
        "This API key has a budget, and what this model costs in the tier, speed or region that was asked for (`{tier}`) is not known here. \
         Leave that field out."
    );
    Error::caller(403, "price_unknown", message).at("service_tier")
}

/// `largest`: the longest answer that would fit, in tokens; none if no limit makes it fit. `unsettable`: the gateway knows no name under which
/// to set it.
fn over_budget((needed, left, promised): (Nanos, Nanos, Nanos), largest: Option<u64>, unsettable: bool) -> Error {
    let (needed_usd, left_usd) = (dollars(needed), dollars(left));
    let advice = match largest {
        Some(largest) => format!("With a `max_tokens` of at most {largest} it would fit."),
        None => "No `max_tokens` makes it fit.".to_owned(),
    };
    let unset = if unsettable {
        " The gateway sets no limit itself, for it knows no name of the limit that this model's provider honours: its operator can set `limit_fields` \
         in the model's row."
    } else {
        ""
    };
    let message = format!(
        "This request could cost up to ${needed_usd}, and this API key has ${left_usd} of its budget left. {advice}{unset}"
    );
    let error = Error::caller(429, "insufficient_quota", message).typed("insufficient_quota");
    let error = largest.into_iter().fold(error, |error, largest| error.with_header(LARGEST, largest.to_string()));
    // Requests under way may give back most of what they were promised.
    if needed <= left.saturating_add(promised) {
        error.with_header("retry-after", "1")
    } else {
        error.with_header("x-should-retry", "false")
    }
}

/// Nano-dollars as dollars, exactly: `0.00001275`.
pub fn dollars(nanos: Nanos) -> String {
    let (whole, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    let text = format!("{whole}.{rest:09}");
    let text = text.trim_end_matches('0');
    text.strip_suffix('.').unwrap_or(text).to_owned()
}

fn headers(gauges: &RateLimitStatus) -> Vec<(&'static str, String)> {
    let names = [
        ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"],
        ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"],
    ];
    let rows = names.into_iter().zip([gauges.requests, gauges.tokens]);
    let row = |(names, gauge): ([&'static str; 3], Option<RateLimit>)| {
        let gauge = gauge?;
        let values = [gauge.limit.to_string(), gauge.left.to_string(), duration(gauge.reset)];
        Some(names.into_iter().zip(values))
    };
    rows.filter_map(row).flatten().collect()
}

/// A duration as OpenAI writes it: `1m0.25s`, `250ms`.
fn duration(millis: Millis) -> String {
    let (minutes, rest) = (millis / 60_000, millis % 60_000);
    let seconds = format!("{}.{:03}", rest / 1000, rest % 1000);
    let seconds = seconds.trim_end_matches('0').trim_end_matches('.');
    match (minutes, rest) {
        (0, 0) => "0s".to_owned(),
        (0, 1..1000) => format!("{rest}ms"),
        (0, _) => format!("{seconds}s"),
        _ => format!("{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_written_exactly() {
        for (nanos, text) in
            [(0, "0"), (1, "0.000000001"), (12_750, "0.00001275"), (5_000_000_000, "5"), (10_500_000_000, "10.5")]
        {
            assert_eq!(dollars(nanos), text);
        }
    }

    #[test]
    fn durations_read_like_openais() {
        for (millis, text) in
            [(0, "0s"), (250, "250ms"), (1_000, "1s"), (59_250, "59.25s"), (60_000, "1m0s"), (60_250, "1m0.25s")]
        {
            assert_eq!(duration(millis), text);
        }
    }
}

//! Admission: a key's account is asked for the most that a request may take. It knows no limits itself; it relies on the terms of a key for
//! a few seconds.

use std::cell::RefCell;
use std::collections::HashMap;

use super::Bridge;
use super::estimate::CostEstimate;
use super::lease::LeaseRenewal;
use super::platform::{ObjectAddress, Platform};
use super::refusal::{rate_limit_headers, refusal_error};
use crate::config::{Millis, Nanos, OnDisconnect};
use crate::error::{Error, Result};
use crate::ids::{AccountId, KeyHash};
use crate::ledger::{AccountCommand, AccountResponse, AdmissionRefusal, AdmissionRequest, KeyLimits, RateLimitStatus};

/// For so long the terms of a key are relied on without asking: what is changed has effect everywhere after this time.
const RELIED_ON: Millis = 4_000;
/// Keys whose terms are remembered; if there are more, all are forgotten.
const REMEMBERED: usize = 10_000;

/// The response header that tells the limit of the answer, in tokens, that the gateway set because the budget allowed no more.
const LIMIT: &str = "x-llm-bridge-max-tokens";

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The id of the key, which is the name of its account.
    pub key_id: AccountId,
    /// The fingerprint of a key that was made at run time ([`crate::ledger::key_text::SignedKey::hash`]): its account has yet to say whether it is good.
    pub hash: Option<KeyHash>,
}

/// What accounts said of keys, by the keys' fingerprints: their terms, or that they are not good.
#[derive(Default)]
pub struct AdmissionCache(RefCell<HashMap<KeyHash, (Millis, Heard)>>);

type Heard = std::result::Result<KeyLimits, AdmissionRefusal>;

impl AdmissionCache {
    fn find(&self, hash: &KeyHash, now: Millis) -> Option<Heard> {
        let known = self.0.borrow();
        known.get(hash).filter(|(until, _)| now < *until).map(|(_, heard)| heard.clone())
    }

    /// Its terms, if they were heard a moment ago.
    pub(super) fn terms(&self, hash: &KeyHash, now: Millis) -> Option<KeyLimits> {
        self.find(hash, now).and_then(std::result::Result::ok)
    }

    pub(super) fn learn(&self, hash: &KeyHash, heard: Heard, now: Millis) {
        let mut known = self.0.borrow_mut();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(hash.clone(), (now.saturating_add(RELIED_ON), heard));
    }

    /// What was heard of a key does not hold any more.
    pub(super) fn forget(&self, hash: &KeyHash) {
        self.0.borrow_mut().remove(hash);
    }
}

/// The leave to go on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admission {
    /// The gateway's own id of the request, under which it is settled.
    pub id: String,
    /// The accounts in whose books it goes: the key's, and that of the key above it.
    pub accounts: Vec<AccountId>,
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
        let mut headers = rate_limit_headers(&self.gauges);
        headers.extend(self.limit.map(|limit| (LIMIT, limit.to_string())));
        headers
    }
}

impl Admission {
    /// Takes over what the key's account has granted, apart from the limit of the output.
    fn accept(&mut self, key_id: &AccountId, limits: &KeyLimits, rate_limits: RateLimitStatus) {
        (self.gauges, self.limited) = (rate_limits, !is_unlimited(limits));
        self.on_disconnect = limits.on_disconnect;
        if self.limited {
            self.accounts = vec![key_id.clone()];
        }
    }

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
        Some(Err(refusal)) => Err(refusal_error(&refusal, None)),
        Some(Ok(terms)) if !terms.are_valid(now) => Err(refusal_error(&AdmissionRefusal::Inactive, None)),
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
        None => match ask_account(host, &caller.key_id, &AccountCommand::CheckKey(hash.clone())).await? {
            AccountResponse::Granted { limits: terms, .. } => {
                bridge.known.learn(hash, Ok(terms.clone()), host.now());
                terms
            }
            reply => return Err(refused(bridge, host, hash, reply, None)),
        },
    };
    // A parent that is no good has effect on its members at once, as it has on their chats.
    let Some(parent) = terms.parent else { return Ok(()) };
    match ask_account(host, &parent, &AccountCommand::CheckParent).await? {
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
    if let Some(terms) = bridge.known.terms(hash, now).filter(is_unlimited) {
        permit.on_disconnect = terms.on_disconnect;
        return allowed(&terms, &need, now).map(|()| permit).map_err(|refusal| refusal_error(&refusal, None));
    }
    let guess = need.guess();
    let mut ask = need.ask(&permit.id, hash, &guess);
    let tier = guess.tier.as_deref();
    let reply = ask_account(host, &caller.key_id, &AccountCommand::Admit(ask.clone())).await;
    if reply.is_err() {
        release(host, &[&caller.key_id], &permit.id).await;
    }
    let terms = match reply? {
        AccountResponse::Granted { limits: terms, rate_limits: gauges, limit } => {
            permit.accept(&caller.key_id, &terms, gauges);
            permit.take(&mut ask, limit, terms.budget.is_some());
            bridge.known.learn(hash, Ok(terms.clone()), now);
            terms
        }
        reply => return Err(refused(bridge, host, hash, reply, tier)),
    };
    if let Some(parent) = terms.parent {
        (ask.hash, ask.fit) = (None, terms.budget.is_some_and(|budget| budget.fit));
        ask.draft.iter_mut().for_each(|draft| draft.member = true);
        let reply = ask_account(host, &parent, &AccountCommand::Admit(ask.clone())).await;
        let Ok(AccountResponse::Granted { limit, limits: terms, .. }) = reply else {
            let granted = [&caller.key_id, &parent];
            release(host, granted.get(..if reply.is_ok() { 1 } else { 2 }).unwrap_or_default(), &permit.id).await;
            return Err(reply.map_or_else(|error| error, |reply| refused(bridge, host, hash, reply, tier)));
        };
        permit.take(&mut ask, limit, terms.budget.is_some());
        permit.on_disconnect = permit.on_disconnect.or(terms.on_disconnect);
        permit.accounts.push(parent);
    }
    if permit.limited && ask.draft.is_some() {
        host.state().lease.replace(Some(LeaseRenewal::new(&permit, guess, now)));
    }
    Ok(permit)
}

/// Whether neither a key nor a parent has limits, so that its account need not be asked for each request.
fn is_unlimited(terms: &KeyLimits) -> bool {
    !terms.are_limited() && terms.parent.is_none()
}

/// Gives back what accounts have promised to a request that does not go on; or may have, if their answer was lost. If even that fails, its
/// lease ends.
async fn release<H: Platform>(host: &H, accounts: &[&AccountId], id: &str) {
    let release = AccountCommand::Release(id.to_owned());
    for account in accounts {
        let _ = ask_account(host, account, &release).await;
    }
}

/// What an account would say without counting anything.
fn allowed(terms: &KeyLimits, need: &CostEstimate, now: Millis) -> std::result::Result<(), AdmissionRefusal> {
    let models: Vec<&str> = need.models.iter().map(String::as_str).collect();
    if !terms.are_valid(now) {
        return Err(AdmissionRefusal::Inactive);
    }
    if !terms.allow_model(&models) {
        return Err(AdmissionRefusal::Model);
    }
    if let Some(name) = need.astray.as_ref().filter(|_| terms.are_bound()) {
        return Err(AdmissionRefusal::StrayField { name: name.clone() });
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
pub async fn ask_account<H: Platform>(
    host: &H,
    account: &AccountId,
    order: &AccountCommand,
) -> Result<AccountResponse> {
    let unreachable = || {
        Error::gateway(503, "accounts_unavailable", "The books of this key cannot be reached now. Try again shortly.")
            .with_header("retry-after", "1")
    };
    let order = serde_json::to_string(order).map_err(|_| unreachable())?;
    let reply = host.ask_object(ObjectAddress::Account(account.as_str()), order).await.map_err(|_| unreachable())?;
    match serde_json::from_str(&reply) {
        Ok(AccountResponse::Malformed) | Err(_) => Err(unreachable()),
        Ok(reply) => Ok(reply),
    }
}

/// The answer of an account that grants nothing, as an error. That a key is no good is remembered. `tier`: as of [`refusal_error`].
pub(super) fn refused<H: Platform>(
    bridge: &Bridge,
    host: &H,
    hash: &KeyHash,
    reply: AccountResponse,
    tier: Option<&str>,
) -> Error {
    let AccountResponse::Refused { refusal, rate_limits: gauges } = reply else {
        return refusal_error(&AdmissionRefusal::Unknown, None);
    };
    if matches!(refusal, AdmissionRefusal::Unknown | AdmissionRefusal::Inactive) {
        bridge.known.learn(hash, Err(refusal.clone()), host.now());
    }
    rate_limit_headers(&gauges)
        .into_iter()
        .fold(refusal_error(&refusal, tier), |error, (name, value)| error.with_header(name, value))
}

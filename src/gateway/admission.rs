//! What a key's accounts grant a request.

use super::refusal::rate_limit_headers;
use crate::config::{Nanos, OnDisconnect};
use crate::ids::{AccountId, KeyHash};
use crate::ledger::{AdmissionRequest, KeyLimits, RateLimitStatus};

/// The response header with the limit of the response, in tokens, that the gateway set because the budget
/// allowed no more.
const LIMIT: &str = "x-llm-bridge-max-tokens";

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The id of the key, which is the name of its account.
    pub key_id: AccountId,
    /// The hash of a managed key ([`crate::ledger::key_text::SignedKey::hash`]): its account has yet to say
    /// whether it is valid.
    pub hash: Option<KeyHash>,
}

/// What a key's accounts have granted a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admission {
    /// The gateway's own id of the request, under which it is settled.
    pub id: String,
    /// The accounts that get its receipt: the key's, and that of its parent.
    pub accounts: Vec<AccountId>,
    /// Something is reserved until the request is settled.
    pub limited: bool,
    /// What is left of the key's limits.
    pub rate_limits: RateLimitStatus,
    /// The most that the request can cost, in nano-dollars, where that is reserved of a budget.
    pub reserved: Option<Nanos>,
    /// The longest response that fits into the budget, in tokens, where that is less than was asked for.
    pub limit: Option<u64>,
    /// What happens to the response when the client disconnects; `None`: what the provider's row says.
    pub on_disconnect: Option<OnDisconnect>,
    /// Whether the response says which targets were tried.
    pub show_attempts: bool,
    /// Whether its responses are never kept for later requests.
    pub never_stores: bool,
    /// The owner of the key.
    pub owner: Option<String>,
}

impl Admission {
    /// The response headers that tell what is left, as OpenAI names them
    /// (<https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers>), and the limit that the
    /// gateway has set.
    pub(super) fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = rate_limit_headers(&self.rate_limits);
        headers.extend(self.limit.map(|limit| (LIMIT, limit.to_string())));
        headers
    }

    /// Adds what the key's account has granted, apart from the limit of the response.
    pub(super) fn accept(&mut self, key_id: &AccountId, limits: &KeyLimits, rate_limits: RateLimitStatus) {
        (self.rate_limits, self.limited) = (rate_limits, !is_unlimited(limits));
        self.adopt(limits);
        if self.limited {
            self.accounts = vec![key_id.clone()];
        }
    }

    /// Adds what is set for the key.
    pub(super) fn adopt(&mut self, limits: &KeyLimits) {
        (self.on_disconnect, self.show_attempts) = (limits.on_disconnect, limits.show_attempts);
        self.never_stores = limits.never_stores;
        self.owner.clone_from(&limits.owner);
    }

    /// Adds the limit of the response that an account has granted instead of a larger one; the next account
    /// is asked for no more. `has_budget`: the account reserves the cost.
    pub(super) fn shorten(&mut self, request: &mut AdmissionRequest, limit: Option<u64>, has_budget: bool) {
        if let Some(limit) = limit {
            request.shorten(limit);
            self.limit = Some(limit);
        }
        self.reserved = if has_budget || self.reserved.is_some() { request.cost } else { None };
    }
}

/// Whether neither a key nor a parent has limits, so that its account need not be asked for each request.
pub(super) fn is_unlimited(limits: &KeyLimits) -> bool {
    !limits.are_limited() && limits.parent.is_none()
}

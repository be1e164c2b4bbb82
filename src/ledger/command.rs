//! Commands to an account and its responses, as JSON. Both sides belong to the gateway; names on the wire
//! never change, since an older isolate may call a newer object.

use serde::{Deserialize, Serialize};

use super::admission::{AdmissionRefusal, AdmissionRequest, CountRequest, RateLimitStatus};
use super::limits::KeyLimits;
use super::receipt::Receipt;
use super::token_counts::TokenCounts;
use super::totals::UsageReport;
use crate::config::Nanos;
use crate::ids::{AccountId, KeyHash};
use crate::wire::record;

/// A command to an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccountCommand {
    /// Admits a request, if the limits allow it.
    Admit(AdmissionRequest),
    /// Admits a token count.
    Count(CountRequest),
    /// Ends a token count; the gateway's id of it.
    #[serde(rename = "Counted")]
    EndCount(String),
    /// Checks the hash of a key. Nothing is taken.
    #[serde(rename = "Look")]
    CheckKey(KeyHash),
    /// Checks the account as the parent of a key that is valid. Nothing is taken.
    #[serde(rename = "Parent")]
    CheckParent,
    /// Ends requests with their receipts.
    Settle(Vec<Receipt>),
    /// Ends a request that is not made after all: its reservation is void, and it counts for nothing.
    Release(String),
    /// Renews the lease of a request under way.
    Renew {
        /// The gateway's id of the request.
        id: String,
        /// The tokens used so far, estimated.
        tokens: TokenCounts,
        /// The cost so far, in nano-dollars; none if the price is unknown.
        cost: Option<Nanos>,
    },
    /// Raises what is reserved for a request under way, because it goes on to a further attempt.
    Raise {
        /// The gateway's id of the request.
        id: String,
        /// The most that all of its attempts can cost together, in nano-dollars.
        cost: Nanos,
    },
    /// Replaces the hash of the key and its limits.
    #[serde(rename = "Post")]
    SetLimits {
        /// The fingerprint of the key ([`super::key_text::SignedKey::hash`]).
        hash: KeyHash,
        /// The new limits.
        #[serde(rename = "terms")]
        limits: KeyLimits,
        /// The version of the limits. A lower one than the account has changes nothing.
        version: u64,
    },
    /// Reads the sums of days, counted from 1970-01-01.
    Usage {
        /// The first day.
        from: u64,
        /// The last day, included.
        to: u64,
    },
    /// Reads what is used of the limits. Nothing is taken.
    Standing,
    /// Reads the newest receipts, newest first.
    #[serde(rename = "Entries")]
    Receipts {
        /// Only receipts with a lower number.
        before: Option<u64>,
        /// How many at most.
        limit: u64,
    },
    /// Takes the request ids out of receipts, the newest first. Everything else stays.
    Anonymize {
        /// Only receipts of this key; `None` for all of the account.
        key: Option<AccountId>,
        /// Only rows with a lower number.
        before: Option<u64>,
    },
}

impl AccountCommand {
    /// The command by which receipts are sent, as JSON.
    ///
    /// # Errors
    /// JSON cannot be made of it.
    pub fn settle(receipts: Vec<Receipt>) -> serde_json::Result<String> {
        record::to_string(&Self::Settle(receipts))
    }

    /// The receipts in the JSON of a command, as JSON, if it is written as [`AccountCommand::settle`] does.
    pub(super) fn receipts_in(json: &str) -> Option<&str> {
        json.strip_prefix(r#"{"Settle":"#)?.strip_suffix('}')
    }
}

/// What is used of the limits of an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitStanding {
    /// Spent in the present period of the budget, in nano-dollars; `None` without a budget.
    pub spent: Option<Nanos>,
    /// Set aside for requests under way, in nano-dollars.
    pub reserved: Nanos,
    /// Requests under way.
    pub running: u64,
    /// Requests in the last minute.
    pub requests: u64,
    /// Tokens in the last minute, those set aside for requests under way included.
    pub tokens: u64,
}

/// The response of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccountResponse {
    /// The request is admitted, or the key is valid.
    Granted {
        /// The limits, valid for a few seconds.
        #[serde(rename = "terms")]
        limits: KeyLimits,
        /// What is left of the rate limits.
        #[serde(rename = "gauges")]
        rate_limits: RateLimitStatus,
        /// The output limit granted, in tokens, if it is lower than the one asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<u64>,
    },
    /// The request is refused.
    Refused {
        /// The reason.
        refusal: AdmissionRefusal,
        /// What is left of the rate limits.
        #[serde(rename = "gauges")]
        rate_limits: RateLimitStatus,
    },
    /// The command is carried out.
    Done,
    /// Sums by day, provider and model.
    Usage(Vec<UsageReport>),
    /// What is used of the limits.
    Standing(LimitStanding),
    /// Receipts with their numbers.
    #[serde(rename = "Entries")]
    Receipts(Vec<(u64, Receipt)>),
    /// Request ids were taken out of receipts.
    Anonymized {
        /// Of how many receipts.
        receipts: u64,
        /// The `before` of the next command, unless everything is done.
        next: Option<u64>,
    },
    /// The command could not be parsed.
    #[serde(rename = "Confused")]
    Malformed,
}

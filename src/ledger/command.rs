//! What the gateway asks of an account, and what it answers. Both sides are ours; they speak JSON.

use serde::{Deserialize, Serialize};

use super::admission::{AdmissionRefusal, AdmissionRequest, CountRequest, RateLimitStatus};
use super::limits::KeyLimits;
use super::receipt::Receipt;
use super::token_counts::TokenCounts;
use super::totals::UsageReport;
use crate::config::Nanos;

/// What is asked of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccountCommand {
    /// May this request go on?
    Admit(AdmissionRequest),
    /// May these tokens be counted?
    Count(CountRequest),
    /// They have been; the gateway's own id of the question.
    Counted(String),
    /// Is this key good? Nothing is taken.
    Look(String),
    /// Is this key good, as the parent of one that is? Nothing is taken.
    Parent,
    /// These requests have come to their ends.
    Settle(Vec<Receipt>),
    /// This request does not go on after all: what was promised to it is void, and it counts for nothing.
    Release(String),
    /// This request goes on. Its lease begins anew.
    Renew {
        /// The gateway's own id of it.
        id: String,
        /// What it has taken so far, at a guess.
        tokens: TokenCounts,
        /// What that costs; none if the model's price is not known.
        cost: Option<Nanos>,
    },
    /// From now on, these are the terms.
    Post {
        /// The fingerprint of the key ([`super::key_text::SignedKey::hash`]).
        hash: String,
        /// What it may do.
        terms: KeyLimits,
        /// Which of two orders is the newer: one that comes late changes nothing.
        version: u64,
    },
    /// Sums of these days, counted from 1970-01-01, both included.
    Usage {
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
    /// The newest entries before a number, newest first.
    Entries {
        /// Where the last page ended.
        before: Option<u64>,
        /// How many.
        limit: u64,
    },
}

/// The answer of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccountResponse {
    /// It may go on.
    Granted {
        /// The terms, to be relied on for a short while.
        terms: KeyLimits,
        /// What is left.
        gauges: RateLimitStatus,
        /// The longest answer, in tokens, if it may have only a shorter one than it asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<u64>,
    },
    /// It may not.
    Refused {
        /// Why.
        refusal: AdmissionRefusal,
        /// What is left.
        gauges: RateLimitStatus,
    },
    /// It is written down.
    Done,
    /// Sums.
    Usage(Vec<UsageReport>),
    /// Entries with their numbers.
    Entries(Vec<(u64, Receipt)>),
    /// The order was not understood.
    Confused,
}

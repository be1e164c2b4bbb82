//! What the gateway asks of an account, and what it answers. Both sides are ours; they speak JSON.

use serde::{Deserialize, Serialize};

use super::entry::{Entry, Totals};
use super::terms::Terms;
use crate::config::{Millis, Nanos};

/// What is asked of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// May this request go on?
    Admit(Ask),
    /// Is this key good? Nothing is taken.
    Look(String),
    /// These requests have come to their ends.
    Settle(Vec<Entry>),
    /// This request does not go on after all: what was promised to it is void, and it counts for nothing.
    Release(String),
    /// From now on, these are the terms.
    Post {
        /// The fingerprint of the key ([`super::secret::Signed::hash`]).
        hash: String,
        /// What it may do.
        terms: Terms,
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

/// A request that wants to be admitted: the most that it may take.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// The gateway's own id of the request.
    pub id: String,
    /// The fingerprint of the key presented; none where a member's account has been asked already.
    pub hash: Option<String>,
    /// The names of the model called: as the caller wrote it, and in full.
    pub models: Vec<String>,
    /// The length of its body in bytes.
    pub body: u64,
    /// The most tokens that it can take, prompt and answer.
    pub tokens: u64,
    /// The most that it can cost; none if the model's price is not known.
    pub cost: Option<Nanos>,
    /// After so long it is taken for lost, and its promise is void; but not within the minute that its limits count.
    pub life: Millis,
}

/// The answer of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// It may go on.
    Granted {
        /// The terms, to be relied on for a short while.
        terms: Terms,
        /// What is left.
        gauges: Gauges,
    },
    /// It may not.
    Refused {
        /// Why.
        refusal: Refusal,
        /// What is left.
        gauges: Gauges,
    },
    /// It is written down.
    Done,
    /// Sums.
    Usage(Vec<Report>),
    /// Entries with their numbers.
    Entries(Vec<(u64, Entry)>),
    /// The order was not understood.
    Confused,
}

/// The sums of one day, provider and model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Counted from 1970-01-01.
    pub day: u64,
    /// The provider.
    pub provider: String,
    /// The model, as the provider names it.
    pub model: String,
    /// The sums.
    pub totals: Totals,
}

/// Why a request may not go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// There is no such key.
    Unknown,
    /// It was switched off, or is past its end.
    Ended,
    /// It may not call this model.
    Model,
    /// Its bodies may not be so long.
    Body {
        /// The longest, in bytes.
        limit: u64,
    },
    /// Too many at one time.
    Concurrent {
        /// How many may be.
        limit: u64,
    },
    /// Too many requests in a minute.
    Requests {
        /// When to come again, in milliseconds.
        wait: Millis,
    },
    /// Too many tokens in a minute.
    Tokens {
        /// When to come again, in milliseconds.
        wait: Millis,
    },
    /// The request could cost more than is left.
    Budget {
        /// The most that it could cost.
        needed: Nanos,
        /// What is neither spent nor promised.
        left: Nanos,
        /// What is promised to requests under way.
        promised: Nanos,
    },
    /// Whether it keeps within the budget cannot be said.
    Price,
}

/// What is left of the limits that a key has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gauges {
    /// Requests in a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<Gauge>,
    /// Tokens in a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Gauge>,
}

/// One limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gauge {
    /// What may be taken in a minute.
    pub limit: u64,
    /// What is left of it.
    pub left: u64,
    /// When all of it is there again, in milliseconds.
    pub reset: Millis,
}

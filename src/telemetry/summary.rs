//! What one request was, in the numbers and names that reports, metrics, traces and alerts are made of. It
//! holds nothing of a conversation.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::config::{Millis, Nanos};
use crate::ledger::TokenCounts;

/// One request that has ended, whatever the end. Times are milliseconds since 1970; durations are
/// milliseconds. As JSON, one summary takes about 500 bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestSummary {
    /// When it ended.
    pub at: Millis,
    /// When it arrived.
    pub started: Millis,
    /// From its arrival to its end.
    pub duration: Millis,
    /// From its arrival to the first byte of the response that the client got; `None` if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttft: Option<Millis>,
    /// The part of `duration` in which no provider was being called: the gateway's own work, and its waiting
    /// between attempts.
    pub gateway_time: Millis,
    /// The id that the caller sees. The caller may choose it, so it is not unique.
    pub request_id: String,
    /// The id of the caller's key; empty if the caller was not known.
    pub key_id: String,
    /// The owner that the key had when the request was admitted; empty if it had none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub owner: String,
    /// The provider called last, by its name in the configuration; empty if none was chosen.
    pub provider: String,
    /// The model called last, as its provider names it; empty if none was chosen. Callers may invent it.
    pub model: String,
    /// The model that the provider says it used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served: Option<String>,
    /// The model or route, as the caller named it; empty if the request could not be read.
    pub route: String,
    /// The HTTP status that the client got.
    pub status: u16,
    /// How it ended, by the name in receipts: `complete`, or what failed.
    pub outcome: String,
    /// What went wrong, by the name of its class; empty if nothing did, or the client left.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub class: String,
    /// The tokens of all attempts by kind; `None` if none were reported or estimated, which is not 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<TokenCounts>,
    /// The tokens or the cost are an estimate.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub estimated: bool,
    /// The cost of all attempts in nano-dollars; `None` if a price is not known, which is not 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Nanos>,
    /// The calls of providers, in their order; empty if none was called.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<AttemptSummary>,
    /// Whether a streamed response was asked for.
    pub stream: bool,
    /// The declared tags, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<(String, String)>,
    /// What its provider's format could not hold: the names of fields, with a comma between them. Empty if
    /// nothing was left out.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub dropped: String,
    /// The id by which watchers know it; empty if nobody watched when it was running.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub run: String,
}

/// One call of a provider.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptSummary {
    /// The provider, by its name in the configuration.
    pub provider: String,
    /// The model, as the provider names it.
    pub model: String,
    /// What went wrong, by the name of its class; empty if nothing did.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub class: String,
    /// When the provider was called.
    pub started: Millis,
    /// When its response ended, or the attempt failed.
    pub ended: Millis,
    /// Its cost in nano-dollars; `None` if that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Nanos>,
    /// What its cost is the sum of. Empty if the cost is not known, or is not that of tokens at a price.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bill: Vec<BillLine>,
}

/// A line of a bill: what is counted, how many, and the price of one in pico-dollars.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillLine(pub Cow<'static, str>, pub u64, pub u64);

impl AttemptSummary {
    /// How long it took.
    pub fn duration(&self) -> Millis {
        self.ended.saturating_sub(self.started)
    }
}

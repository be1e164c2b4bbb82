//! What is written down of one request, and the sums of many.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::reservation::Reservation;
use crate::canonical::Usage;
use crate::config::{Millis, Nanos};

/// The outcome of a request of which nothing more was heard.
pub const LOST: &str = "lost";

/// One request in the books, made once; only the receipt of a request that was taken for lost gives way to the truth. The sums are made
/// of these.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The gateway's own id of it, never the caller's.
    pub id: String,
    /// The id that the caller knows; it may have given it itself, and twice.
    pub request_id: String,
    /// The key's id.
    pub key_id: String,
    /// The provider that was called.
    pub provider: String,
    /// The model called, as the provider names it.
    pub model: String,
    /// The model that the provider says it used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served: Option<String>,
    /// Whether the answer was to be streamed.
    pub stream: bool,
    /// The status of the response.
    pub status: u16,
    /// How it ended: `complete`, or what went wrong.
    pub outcome: String,
    /// When it came.
    pub started: Millis,
    /// When it ended.
    pub ended: Millis,
    /// From the request to the first byte of the answer, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttft_ms: Option<Millis>,
    /// The tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<TokenCounts>,
    /// The tokens are the gateway's estimate: the provider reported none, or not all.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub estimated: bool,
    /// It is a member's: it counts against limits here, and in that key's sums.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub member: bool,
    /// What it cost in nano-dollars; nothing if the model's price is not known.
    pub cost: Option<Nanos>,
    /// What had been promised to it. The account says this, not who settles: with it a book that is opened again knows what it knew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promise: Option<Reservation>,
}

impl Receipt {
    /// What a budget is charged with: what was promised, where the truth is not known.
    pub fn charge(&self) -> Nanos {
        self.cost.or(self.promise.as_ref().map(|promise| promise.cost)).unwrap_or(0)
    }
}

/// Tokens by what they were for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenCounts {
    /// Of the prompt, read anew.
    pub fresh: u64,
    /// Of the prompt, from the provider's cache.
    pub cache_read: u64,
    /// Of the prompt, written to the provider's cache.
    pub cache_write: u64,
    /// Those of them that are kept there for an hour. Older books do not know them.
    #[serde(default)]
    pub cache_write_1h: u64,
    /// Of the answer.
    pub output: u64,
    /// Those of the answer that were reasoning.
    pub reasoning: u64,
}

impl From<Usage> for TokenCounts {
    fn from(usage: Usage) -> Self {
        let Usage { uncached_input: fresh, cache_read, cache_write, cache_write_1h, output, reasoning } = usage;
        Self { fresh, cache_read, cache_write, cache_write_1h, output, reasoning }
    }
}

impl TokenCounts {
    /// All of them.
    pub fn sum(&self) -> u64 {
        [self.cache_read, self.cache_write, self.output].into_iter().fold(self.fresh, u64::saturating_add)
    }

    fn add(&mut self, more: &Self) {
        self.fresh = self.fresh.saturating_add(more.fresh);
        self.cache_read = self.cache_read.saturating_add(more.cache_read);
        self.cache_write = self.cache_write.saturating_add(more.cache_write);
        self.cache_write_1h = self.cache_write_1h.saturating_add(more.cache_write_1h);
        self.output = self.output.saturating_add(more.output);
        self.reasoning = self.reasoning.saturating_add(more.reasoning);
    }

    fn subtract(&mut self, less: &Self) {
        self.fresh = self.fresh.saturating_sub(less.fresh);
        self.cache_read = self.cache_read.saturating_sub(less.cache_read);
        self.cache_write = self.cache_write.saturating_sub(less.cache_write);
        self.cache_write_1h = self.cache_write_1h.saturating_sub(less.cache_write_1h);
        self.output = self.output.saturating_sub(less.output);
        self.reasoning = self.reasoning.saturating_sub(less.reasoning);
    }
}

/// The sum of entries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// How many.
    pub requests: u64,
    /// Those that did not end well, by how they ended.
    pub failures: BTreeMap<String, u64>,
    /// Their tokens.
    pub tokens: TokenCounts,
    /// Those whose tokens were estimated.
    pub estimated: u64,
    /// What they cost in nano-dollars, as far as prices are known.
    pub cost: Nanos,
    /// Those whose cost is not known.
    pub unpriced: u64,
}

impl Totals {
    /// Adds one entry.
    pub fn count(&mut self, entry: &Receipt) {
        self.requests += 1;
        if entry.outcome != "complete" {
            *self.failures.entry(entry.outcome.clone()).or_default() += 1;
        }
        self.tokens.add(&entry.tokens.unwrap_or_default());
        self.estimated += u64::from(entry.estimated);
        self.cost = self.cost.saturating_add(entry.cost.unwrap_or(0));
        self.unpriced += u64::from(entry.cost.is_none());
    }

    /// Takes back one entry that was added.
    pub fn uncount(&mut self, entry: &Receipt) {
        self.requests = self.requests.saturating_sub(1);
        if let Some(count) = self.failures.get_mut(&entry.outcome) {
            *count = count.saturating_sub(1);
        }
        self.failures.retain(|_, count| *count > 0);
        self.tokens.subtract(&entry.tokens.unwrap_or_default());
        self.estimated = self.estimated.saturating_sub(u64::from(entry.estimated));
        self.cost = self.cost.saturating_sub(entry.cost.unwrap_or(0));
        self.unpriced = self.unpriced.saturating_sub(u64::from(entry.cost.is_none()));
    }

    /// Adds other sums.
    pub fn add(&mut self, more: &Self) {
        self.requests = self.requests.saturating_add(more.requests);
        for (outcome, count) in &more.failures {
            let sum = self.failures.entry(outcome.clone()).or_default();
            *sum = sum.saturating_add(*count);
        }
        self.tokens.add(&more.tokens);
        self.estimated = self.estimated.saturating_add(more.estimated);
        self.cost = self.cost.saturating_add(more.cost);
        self.unpriced = self.unpriced.saturating_add(more.unpriced);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn books_from_before_the_hour_was_told_apart_are_read() {
        let old = r#"{"fresh":1,"cache_read":2,"cache_write":3,"output":4,"reasoning":0}"#;
        let tokens: TokenCounts = serde_json::from_str(old).unwrap();
        assert_eq!((tokens.cache_write, tokens.cache_write_1h, tokens.sum()), (3, 0, 10));
        let new = TokenCounts { cache_write_1h: 2, ..tokens };
        assert_eq!(serde_json::from_str::<TokenCounts>(&serde_json::to_string(&new).unwrap()).unwrap(), new);
        let mut totals = Totals::default();
        for _ in 0..2 {
            totals.count(&Receipt { tokens: Some(new), ..Receipt::default() });
        }
        // A part of the writes adds nothing to the sum.
        assert_eq!((totals.tokens.cache_write_1h, totals.tokens.sum()), (4, 20));
    }
}

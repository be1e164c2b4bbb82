//! Sums of receipts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::receipt::Receipt;
use super::token_counts::TokenCounts;
use crate::config::Nanos;

/// The sum of receipts.
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
    /// Adds one receipt.
    pub fn count(&mut self, receipt: &Receipt) {
        self.requests += 1;
        if receipt.outcome != "complete" {
            *self.failures.entry(receipt.outcome.clone()).or_default() += 1;
        }
        self.tokens.add(&receipt.tokens.unwrap_or_default());
        self.estimated += u64::from(receipt.estimated);
        self.cost = self.cost.saturating_add(receipt.cost.unwrap_or(0));
        self.unpriced += u64::from(receipt.cost.is_none());
    }

    /// Takes back one receipt that was added.
    pub fn uncount(&mut self, receipt: &Receipt) {
        self.requests = self.requests.saturating_sub(1);
        if let Some(count) = self.failures.get_mut(&receipt.outcome) {
            *count = count.saturating_sub(1);
        }
        self.failures.retain(|_, count| *count > 0);
        self.tokens.subtract(&receipt.tokens.unwrap_or_default());
        self.estimated = self.estimated.saturating_sub(u64::from(receipt.estimated));
        self.cost = self.cost.saturating_sub(receipt.cost.unwrap_or(0));
        self.unpriced = self.unpriced.saturating_sub(u64::from(receipt.cost.is_none()));
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

/// The sums of one day, provider and model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageReport {
    /// Counted from 1970-01-01.
    pub day: u64,
    /// The provider.
    pub provider: String,
    /// The model, as the provider names it.
    pub model: String,
    /// The sums.
    pub totals: Totals,
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

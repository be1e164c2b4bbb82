//! Totals of receipts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::receipt::Receipt;
use super::token_counts::TokenCounts;
use crate::config::Nanos;

/// The sum of receipts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// The number of requests.
    pub requests: u64,
    /// The number of failed requests, by outcome.
    pub failures: BTreeMap<String, u64>,
    /// Their tokens.
    pub tokens: TokenCounts,
    /// The number of requests with estimated tokens.
    pub estimated: u64,
    /// The cost in nano-dollars of the requests with a known price.
    pub cost: Nanos,
    /// The number of requests without a known price.
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

    /// Subtracts a receipt that was added.
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

    /// Adds other totals.
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

/// The usage of one day, provider and model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageReport {
    /// The day, counted from 1970-01-01.
    pub day: u64,
    /// The provider.
    pub provider: String,
    /// The model, as the provider names it.
    pub model: String,
    /// The totals.
    pub totals: Totals,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_stored_without_cache_write_1h_are_read() {
        let old = r#"{"fresh":1,"cache_read":2,"cache_write":3,"output":4,"reasoning":0}"#;
        let tokens: TokenCounts = serde_json::from_str(old).unwrap();
        assert_eq!(tokens.cache_write, 3);
        assert_eq!(tokens.cache_write_1h, 0);
        assert_eq!(tokens.sum(), 10);
        let new = TokenCounts { cache_write_1h: 2, ..tokens };
        assert_eq!(serde_json::from_str::<TokenCounts>(&serde_json::to_string(&new).unwrap()).unwrap(), new);
        let mut totals = Totals::default();
        for _ in 0..2 {
            totals.count(&Receipt { tokens: Some(new), ..Receipt::default() });
        }
        // A part of the writes adds nothing to the sum.
        assert_eq!(totals.tokens.cache_write_1h, 4);
        assert_eq!(totals.tokens.sum(), 20);
    }
}

//! The attempts of a request that failed before the request went on to another one, and what all attempts
//! took together.

use crate::canonical::Usage;
use crate::config::{Millis, Nanos};
use crate::ledger::{AttemptEntry, TokenCounts};
use crate::telemetry::BillLine;

/// Where an attempt goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttemptTarget {
    /// The provider's name.
    pub provider: String,
    /// The model, as the provider names it.
    pub model: String,
    /// Which of the provider's keys it uses, counted from 0.
    pub key: usize,
}

/// An attempt that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EndedAttempt {
    pub(super) target: AttemptTarget,
    /// What went wrong, by the name of its class; empty if nothing did.
    pub(super) class: &'static str,
    pub(super) started: Millis,
    pub(super) ended: Millis,
    pub(super) charge: AttemptCharge,
    /// What its cost is the sum of; empty if that is not known.
    pub(super) bill: Vec<BillLine>,
}

/// What an attempt took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct AttemptCharge {
    pub(super) usage: Option<Usage>,
    /// The tokens are an estimate.
    pub(super) estimated: bool,
    /// In nano-dollars; `None` if the price is not known.
    pub(super) cost: Option<Nanos>,
}

impl AttemptCharge {
    /// Both together. The cost of both is known only if that of each is.
    pub(super) fn plus(self, other: &Self) -> Self {
        Self {
            usage: match (self.usage, other.usage) {
                (Some(one), Some(other)) => Some(one.with_tokens_of(&other)),
                (one, other) => one.or(other),
            },
            estimated: self.estimated || other.estimated,
            cost: self.cost.zip(other.cost).map(|(one, other)| one.saturating_add(other)),
        }
    }
}

impl EndedAttempt {
    /// The entry in the request's receipt.
    pub(super) fn entry(&self) -> AttemptEntry {
        let AttemptTarget { provider, model, key } = self.target.clone();
        AttemptEntry {
            provider,
            model,
            key,
            failure: self.class.to_owned(),
            started: self.started,
            ended: self.ended,
            tokens: self.charge.usage.map(TokenCounts::from),
            estimated: self.charge.estimated,
            cost: self.charge.cost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn charge(output: Option<u64>, cost: Option<Nanos>) -> AttemptCharge {
        let usage = output.map(|output| Usage { output, ..Usage::default() });
        AttemptCharge { usage, estimated: false, cost }
    }

    #[test]
    fn attempts_are_added_up() {
        let refused = charge(None, Some(0));
        let served = charge(Some(5), Some(7));
        assert_eq!(refused.plus(&served), served);
        assert_eq!(served.plus(&charge(Some(2), Some(1))), charge(Some(7), Some(8)));
    }

    #[test]
    fn a_sum_with_an_unknown_cost_is_unknown() {
        assert_eq!(charge(Some(1), None).plus(&charge(Some(1), Some(1))).cost, None);
    }

    #[test]
    fn a_sum_with_an_estimate_is_an_estimate() {
        let estimate = AttemptCharge { estimated: true, ..charge(Some(1), Some(1)) };
        assert!(charge(None, Some(0)).plus(&estimate).estimated);
    }
}

//! The lease of an admitted request: when it has to be renewed, and the command that renews it.

use std::cell::Cell;

use super::admission::Admission;
use crate::canonical::Usage;
use crate::catalogue::price::ModelPrice;
use crate::config::{Millis, Nanos};
use crate::ids::AccountId;
use crate::ledger::{AccountCommand, Receipt, TokenCounts};
use crate::policy::tokens;

/// The time from a request's admission to the first renewal of its lease: most requests are over by then.
const FIRST_RENEWAL: Millis = 60_000;
/// The time between two renewals.
const RENEWAL_INTERVAL: Millis = 30_000;

/// An estimate of what a request has used, before its provider reports it.
#[derive(Clone, Debug, Default)]
pub struct UsageEstimate {
    /// The price of its model, if known.
    pub price: Option<ModelPrice>,
    /// The requested service tier; `None` for the usual one.
    pub tier: Option<String>,
    /// Tokens of the prompt.
    pub prompt: u64,
}

impl UsageEstimate {
    /// The tokens of the prompt and of `output`, and their cost in nano-dollars, in the requested or the
    /// usual tier, whichever costs more. The cost is `None` if either tier has no known price.
    fn with_output(&self, output: u64) -> (TokenCounts, Option<Nanos>) {
        let usage = Usage { uncached_input: self.prompt, output, ..Usage::default() };
        let cost = |tier| self.price.and_then(|price| price.cost(&usage, tier));
        let cost = match self.tier.as_deref() {
            Some(tier) => cost(Some(tier)).zip(cost(None)).map(|(requested, usual)| requested.max(usual)),
            None => cost(None),
        };
        (usage.into(), cost)
    }

    /// Completes the draft of a receipt for a request whose response has not begun.
    pub(super) fn entry(&self, draft: Receipt) -> Receipt {
        let (tokens, cost) = self.with_output(0);
        Receipt { tokens: Some(tokens), cost, ..draft }
    }
}

/// The lease of one request.
#[derive(Debug)]
pub struct LeaseRenewal {
    id: String,
    accounts: Vec<AccountId>,
    estimate: UsageEstimate,
    /// The bytes of the response that have been received.
    received: Cell<u64>,
    /// The time of the next renewal.
    due: Cell<Millis>,
}

impl LeaseRenewal {
    /// The lease of a request that was admitted at `now`.
    pub(super) fn new(admission: &Admission, estimate: UsageEstimate, now: Millis) -> Self {
        let (id, accounts, due) =
            (admission.id.clone(), admission.accounts.clone(), Cell::new(now.saturating_add(FIRST_RENEWAL)));
        Self { id, accounts, estimate, received: Cell::new(0), due }
    }

    /// The time until the next renewal, in milliseconds.
    pub fn wait(&self, now: Millis) -> Millis {
        self.due.get().saturating_sub(now)
    }

    /// Notes that `bytes` bytes of the response have been received.
    pub fn note_received(&self, bytes: u64) {
        self.received.set(bytes);
    }

    /// The command that renews the lease, and the accounts that it goes to; `None` if no renewal is due.
    pub fn renewal(&self, now: Millis) -> Option<(AccountCommand, &[AccountId])> {
        if self.wait(now) > 0 {
            return None;
        }
        self.due.set(now.saturating_add(RENEWAL_INTERVAL));
        let (tokens, cost) = self.estimate.with_output(tokens::estimate_from_bytes(self.received.get()));
        Some((AccountCommand::Renew { id: self.id.clone(), tokens, cost }, &self.accounts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_renewed_after_a_minute_and_then_twice_a_minute() {
        let estimate = UsageEstimate { prompt: 5, ..UsageEstimate::default() };
        let lease = LeaseRenewal::new(&Admission { id: "r".into(), ..Admission::default() }, estimate, 1_000);
        assert_eq!((lease.wait(1_000), lease.renewal(60_999)), (60_000, None));
        lease.note_received(9);
        let tokens = Usage { uncached_input: 5, output: 3, ..Usage::default() }.into();
        let command = AccountCommand::Renew { id: "r".into(), tokens, cost: None };
        assert_eq!(lease.renewal(61_000).map(|(command, _)| command), Some(command));
        assert_eq!((lease.wait(61_000), lease.renewal(90_999)), (30_000, None));
        // Missed renewals are not made up for.
        assert!(lease.renewal(200_000).is_some() && lease.wait(200_000) == 30_000);
    }
}

//! The lease on what a request was promised: when it has to be renewed, and in what words. It waits for
//! nothing.

use std::cell::Cell;

use super::admission::Admission;
use crate::canonical::Usage;
use crate::catalogue::price::ModelPrice;
use crate::config::{Millis, Nanos};
use crate::ids::AccountId;
use crate::ledger::{AccountCommand, Receipt, TokenCounts};
use crate::policy::tokens;

/// A lease is renewed for the first time so long after its request was admitted: most requests are over by
/// then.
const FIRST: Millis = 60_000;
/// Then again each so often.
const EACH: Millis = 30_000;

/// What a request may have taken, while nobody has said it.
#[derive(Clone, Debug, Default)]
pub struct UsageEstimate {
    /// What its model costs, if that is known.
    pub price: Option<ModelPrice>,
    /// The tier that was asked for, if not the usual one.
    pub tier: Option<String>,
    /// Tokens of the prompt.
    pub prompt: u64,
}

impl UsageEstimate {
    /// The tokens with so many of an answer, and what they cost, in nano-dollars: in the dearer of the tier
    /// that was asked for and the usual one. No cost if one of these has no price that is known.
    fn taken(&self, output: u64) -> (TokenCounts, Option<Nanos>) {
        let usage = Usage { uncached_input: self.prompt, output, ..Usage::default() };
        let cost = |tier| self.price.and_then(|price| price.cost(&usage, tier));
        let cost = match self.tier.as_deref() {
            Some(tier) => cost(Some(tier)).zip(cost(None)).map(|(asked, usual)| asked.max(usual)),
            None => cost(None),
        };
        (usage.into(), cost)
    }

    /// The receipt of a request whose answer has not begun.
    pub(super) fn entry(&self, draft: Receipt) -> Receipt {
        let (tokens, cost) = self.taken(0);
        Receipt { tokens: Some(tokens), cost, ..draft }
    }
}

/// The lease of one request.
#[derive(Debug)]
pub struct LeaseRenewal {
    id: String,
    accounts: Vec<AccountId>,
    guess: UsageEstimate,
    /// Bytes of the answer that have been heard.
    heard: Cell<u64>,
    /// When it is to be renewed next.
    due: Cell<Millis>,
}

impl LeaseRenewal {
    /// The lease of a request that was admitted at `now`.
    pub(super) fn new(permit: &Admission, guess: UsageEstimate, now: Millis) -> Self {
        let (id, accounts, due) = (permit.id.clone(), permit.accounts.clone(), Cell::new(now.saturating_add(FIRST)));
        Self { id, accounts, guess, heard: Cell::new(0), due }
    }

    /// So long, in milliseconds, until it is to be renewed.
    pub fn wait(&self, now: Millis) -> Millis {
        self.due.get().saturating_sub(now)
    }

    /// So many bytes of the answer have been heard.
    pub fn hear(&self, bytes: u64) {
        self.heard.set(bytes);
    }

    /// The order that renews it, and the accounts that want it; nothing if it is not due.
    pub fn renewal(&self, now: Millis) -> Option<(AccountCommand, &[AccountId])> {
        if self.wait(now) > 0 {
            return None;
        }
        self.due.set(now.saturating_add(EACH));
        let (tokens, cost) = self.guess.taken(tokens::estimate_from_bytes(self.heard.get()));
        Some((AccountCommand::Renew { id: self.id.clone(), tokens, cost }, &self.accounts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_renewed_after_a_minute_and_then_twice_a_minute() {
        let guess = UsageEstimate { prompt: 5, ..UsageEstimate::default() };
        let lease = LeaseRenewal::new(&Admission { id: "r".into(), ..Admission::default() }, guess, 1_000);
        assert_eq!((lease.wait(1_000), lease.renewal(60_999)), (60_000, None));
        lease.hear(9);
        let tokens = Usage { uncached_input: 5, output: 3, ..Usage::default() }.into();
        let order = AccountCommand::Renew { id: "r".into(), tokens, cost: None };
        assert_eq!(lease.renewal(61_000).map(|(order, _)| order), Some(order));
        assert_eq!((lease.wait(61_000), lease.renewal(90_999)), (30_000, None));
        // Late is late: it does not catch up.
        assert!(lease.renewal(200_000).is_some() && lease.wait(200_000) == 30_000);
    }
}

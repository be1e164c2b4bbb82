//! Two ledgers of one account, what they stored, and a slow and simple model of what must be true.

mod admission;
mod ends;

use std::collections::{BTreeMap, HashSet};

use llm_bridge::ledger::{
    AccountCommand, AccountLedger, AccountResponse, KeyLimits, LEASE, Period, Receipt, Reservation,
};
use llm_bridge::wire::zone::Zone;

use crate::store::{Store, USAGE};
use crate::zones::period;
use crate::{EVE, REMEMBERED};

/// What happens to a command.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    Well,
    /// The ledger is reopened before it.
    Crash,
    /// Its writes are stored, but the response is lost; it is repeated.
    LostReply,
    /// Its writes are not stored; it is repeated.
    LostWrites,
}

#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all steps are commands")]
pub enum Step {
    Order(AccountCommand, Fate),
    Pass(u64),
    Back(u64),
}

/// A request that was admitted, in the model.
#[derive(Clone, Debug)]
struct Grant {
    id: String,
    promise: Reservation,
    /// Its tokens, once they are known.
    truth: Option<u64>,
}

/// A reservation in the model: of a request that is not settled, or that was settled after it had been lost.
#[derive(Clone, Debug)]
struct Under {
    promise: Reservation,
    draft: Receipt,
    /// The maximum cost, whether or not a budget reserved it.
    most: Option<u64>,
    /// The end of its lease as stored, and the extension when the ledger was opened.
    lease: u64,
    grace: u64,
    extended: bool,
    /// Its provisional receipt: the time of its row, and the receipt.
    lost: Option<(u64, Receipt)>,
    /// When that row was written.
    found: u64,
    settled: Option<u64>,
    live: bool,
}

impl Under {
    fn lapses(&self) -> u64 {
        self.promise.until.min(self.lease.max(self.grace))
    }

    fn held(&self, time: u64) -> u64 {
        match &self.lost {
            _ if self.settled.is_some() => 0,
            None => self.promise.cost,
            Some(_) if self.promise.until <= time => 0,
            Some((_, entry)) => self.promise.cost.saturating_sub(entry.cost.unwrap_or(self.promise.cost)),
        }
    }

    /// When a lost request is forgotten.
    fn forgotten(&self) -> u64 {
        self.settled.unwrap_or(self.promise.until.max(self.found)) + REMEMBERED + 1
    }

    /// Its receipt, if it is lost.
    fn receipt(&self, ended: u64) -> Receipt {
        let draft = self.draft.clone();
        let cost = draft.cost.map(|cost| cost.min(self.most.unwrap_or(u64::MAX)));
        let promise = Some(Reservation { lease: None, ..self.promise.clone() });
        Receipt { id: draft.id.clone(), ended, cost, reservation: promise, ..draft }
    }
}

/// Two ledgers and the model.
pub struct World {
    zone: Zone,
    alive: AccountLedger,
    crashing: AccountLedger,
    store: Store,
    now: u64,
    /// The time of the last write.
    latest: u64,
    terms: Option<KeyLimits>,
    grants: Vec<Grant>,
    open: BTreeMap<String, Under>,
    settled: BTreeMap<String, u64>,
    /// Requests that were lost and forgotten without being settled.
    gone: HashSet<String>,
    /// When and how much, by request: of receipts whose reservation counted against this budget until the
    /// end.
    honest: BTreeMap<String, (u64, u64)>,
    /// Requests that were admitted under another budget.
    older: HashSet<String>,
}

impl World {
    /// An account whose budget's periods begin by the clocks of this zone.
    pub fn new(zone: Zone) -> Self {
        let mut alive = AccountLedger::default();
        alive.set_zone(zone.clone());
        Self {
            crashing: Store::default().open(0, &zone),
            alive,
            store: Store::default(),
            now: EVE.saturating_add_signed(-zone.offset_at(EVE) * 1_000),
            zone,
            latest: 0,
            terms: None,
            grants: Vec::new(),
            open: BTreeMap::new(),
            settled: BTreeMap::new(),
            gone: HashSet::new(),
            honest: BTreeMap::new(),
            older: HashSet::new(),
        }
    }

    pub fn step(&mut self, step: &Step) {
        match step {
            Step::Pass(millis) => self.now += millis,
            Step::Back(millis) => self.now -= millis,
            Step::Order(order, fate) => {
                // The gateway makes the ids: none is used again after the ledger has forgotten it.
                let ids: Vec<&str> = match order {
                    AccountCommand::Admit(ask) => vec![ask.id.as_str()],
                    AccountCommand::Settle(entries) => entries.iter().map(|entry| entry.id.as_str()).collect(),
                    _ => Vec::new(),
                };
                let forgotten = |id: &&str| {
                    let fades = |under: &Under| under.lost.is_some() && under.forgotten() <= self.time();
                    self.gone.contains(*id)
                        || self.open.get(*id).is_some_and(fades)
                        || self.settled.get(*id).is_some_and(|at| at + REMEMBERED < self.time())
                };
                if ids.iter().any(forgotten) {
                    return;
                }
                self.order(order, *fate);
                if matches!(fate, Fate::LostReply) {
                    self.reopen();
                    self.order(order, Fate::Well);
                }
                self.check();
            }
        }
    }

    /// Reopens one ledger; the other one extends its leases in the same way.
    fn reopen(&mut self) {
        self.crashing = self.store.open(self.now, &self.zone);
        self.alive.extend(self.now);
        let time = self.time();
        for under in self.open.values_mut().filter(|under| under.live && under.lost.is_none()) {
            under.grace = 0;
            if under.extended {
                continue;
            }
            if under.lease > time {
                under.grace = time + LEASE;
            } else {
                (under.lease, under.extended) = (time + LEASE, true);
            }
        }
    }

    /// Whether two times are in one period.
    fn is_same(&self, per: Period, one: u64, other: u64) -> bool {
        period(per, &self.zone, one) == period(per, &self.zone, other)
    }

    /// The time of the ledgers.
    fn time(&self) -> u64 {
        self.now.max(self.latest)
    }

    fn order(&mut self, order: &AccountCommand, fate: Fate) -> AccountResponse {
        if matches!(fate, Fate::LostWrites) {
            self.crashing.handle(order.clone(), self.now, &mut Vec::new());
        }
        if matches!(fate, Fate::LostWrites | Fate::Crash) {
            self.reopen();
        }
        let (mut writes, mut others) = (Vec::new(), Vec::new());
        let reply = self.alive.handle(order.clone(), self.now, &mut writes);
        let other = self.crashing.handle(order.clone(), self.now, &mut others);
        assert_eq!(reply, other, "{order:?}");
        assert_eq!(writes, others, "{order:?}");
        let time = self.time();
        self.store.write(&writes);
        self.lose(order, &writes, time);
        match order {
            AccountCommand::Admit(ask) => self.admitted(ask, &reply, &writes, time),
            AccountCommand::Settle(entries) => self.settled(entries, &writes, time),
            AccountCommand::Renew { id, tokens, cost } => self.renewed(id, (*tokens, *cost), time),
            AccountCommand::Release(id) => self.released(id, time),
            AccountCommand::SetLimits { limits: terms, .. } => {
                // When the budget is lowered or replaced, the cost reserved under the old one no longer
                // counts.
                let kept = |old: &KeyLimits| match (old.budget, terms.budget) {
                    (Some(old), Some(new)) => old.per == new.per && old.nanos <= new.nanos,
                    _ => false,
                };
                if !self.terms.as_ref().is_some_and(kept) {
                    self.honest.clear();
                    self.older = self.open.keys().cloned().collect();
                }
                self.terms = Some(terms.clone());
            }
            _ => {}
        }
        reply
    }

    /// What must be true at any time.
    fn check(&mut self) {
        let usage = self.order(&USAGE, Fate::Well);
        assert_eq!(self.store.with_days(usage), self.store.sums(&self.zone));
        let time = self.time();
        let ids: HashSet<_> = self.store.entries().map(|(_, entry)| entry.id).collect();
        let lost = self.open.values().filter(|under| under.lost.is_some() && under.settled.is_none()).count();
        assert!(ids.len() == self.store.entries().count(), "one entry for each id");
        assert_eq!(ids.len(), self.settled.len() + lost + self.gone.len(), "one entry for each request");
        assert!(self.store.promises.keys().eq(self.open.keys()));
        if let Some(budget) = self.terms.as_ref().and_then(|terms| terms.budget) {
            let here = self.honest.values().filter(|(at, _)| self.is_same(budget.per, *at, time));
            let open = self.open.iter().filter(|(id, _)| !self.older.contains(*id)).map(|(_, under)| under.held(time));
            assert!(here.map(|(_, cost)| cost).sum::<u64>() + open.sum::<u64>() <= budget.nanos);
        }
    }
}

//! The world in which the books of one account are kept: two books, what they wrote, and a third bookkeeper, who is slow and simple, says
//! what must be true.

mod admission;
mod ends;

use std::collections::{BTreeMap, HashSet};

use llm_bridge::ledger::{
    AccountCommand, AccountLedger, AccountResponse, KeyLimits, LEASE, Period, Receipt, Reservation, day_of,
};
use llm_bridge::wire::date;

use crate::store::{Store, USAGE};
use crate::{EVE, REMEMBERED};

/// What becomes of an order.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    Well,
    /// The book is opened again before it.
    Crash,
    /// What it gave was written, but nobody learns that; it is repeated.
    LostReply,
    /// What it gave was not written; it is repeated.
    LostWrites,
}

#[derive(Clone, Debug)]
pub enum Step {
    Order(AccountCommand, Fate),
    Pass(u64),
    Back(u64),
}

/// A request that was granted, as the third bookkeeper remembers it.
#[derive(Clone, Debug)]
struct Grant {
    id: String,
    promise: Reservation,
    /// Its tokens, when they are known.
    truth: Option<u64>,
}

/// A request that was granted and is not settled, or was settled when it had been taken for lost.
#[derive(Clone, Debug)]
struct Under {
    promise: Reservation,
    draft: Receipt,
    /// The most that it can cost, whether or not a budget held that.
    most: Option<u64>,
    /// The end of its lease, as written, and what was added when the books were opened.
    lease: u64,
    grace: u64,
    extended: bool,
    /// Its receipt: when it was entered, and how it stands.
    lost: Option<(u64, Receipt)>,
    /// When that was entered, whatever time it has.
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

    /// When nothing is left of it, once it is lost.
    fn forgotten(&self) -> u64 {
        self.settled.unwrap_or(self.promise.until.max(self.found)) + REMEMBERED + 1
    }

    /// The receipt of it, if it is lost.
    fn receipt(&self, ended: u64) -> Receipt {
        let draft = self.draft.clone();
        let cost = draft.cost.map(|cost| cost.min(self.most.unwrap_or(u64::MAX)));
        let promise = Some(Reservation { lease: None, ..self.promise.clone() });
        Receipt { id: draft.id.clone(), ended, cost, reservation: promise, ..draft }
    }
}

/// The world in which the books are kept.
pub struct World {
    alive: AccountLedger,
    crashing: AccountLedger,
    store: Store,
    now: u64,
    /// The time of the last thing written.
    latest: u64,
    terms: Option<KeyLimits>,
    grants: Vec<Grant>,
    open: BTreeMap<String, Under>,
    settled: BTreeMap<String, u64>,
    /// Lost, and forgotten without a truth.
    gone: HashSet<String>,
    /// When and how much, by request: of entries whose promise held this budget's money until the end.
    honest: BTreeMap<String, (u64, u64)>,
    /// Admitted when there was another budget.
    older: HashSet<String>,
}

pub fn period(per: Period, at: u64) -> u64 {
    let day = day_of(at);
    let date = date::date(day);
    match per {
        Period::Day => day,
        Period::Week => (day + 3) / 7,
        Period::Month => date.year * 12 + date.month,
        Period::Total => 0,
    }
}

impl World {
    pub fn new() -> Self {
        Self {
            alive: AccountLedger::default(),
            crashing: AccountLedger::default(),
            store: Store::default(),
            now: EVE,
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
                // Ids are the gateway's own: none comes again when the book has forgotten it.
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

    /// One book is opened again; the other, which is not, grants its requests the same.
    fn reopen(&mut self) {
        self.crashing = self.store.open(self.now);
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

    /// The time of the books.
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
                // Where a budget shrinks or becomes another, the old one's money is nobody's promise.
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

    /// What is true at any time.
    fn check(&mut self) {
        let usage = self.order(&USAGE, Fate::Well);
        assert_eq!(self.store.with_days(usage), self.store.sums());
        let time = self.time();
        let ids: HashSet<_> = self.store.entries().map(|(_, entry)| entry.id).collect();
        let lost = self.open.values().filter(|under| under.lost.is_some() && under.settled.is_none()).count();
        assert!(ids.len() == self.store.entries().count(), "one entry for each id");
        assert_eq!(ids.len(), self.settled.len() + lost + self.gone.len(), "one entry for each request");
        assert!(self.store.promises.keys().eq(self.open.keys()));
        if let Some(budget) = self.terms.as_ref().and_then(|terms| terms.budget) {
            let here = self.honest.values().filter(|(at, _)| period(budget.per, *at) == period(budget.per, time));
            let open = self.open.iter().filter(|(id, _)| !self.older.contains(*id)).map(|(_, under)| under.held(time));
            assert!(here.map(|(_, cost)| cost).sum::<u64>() + open.sum::<u64>() <= budget.nanos);
        }
    }
}

//! The book of one account. Everything in it can be made anew from what it told to write down.

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::config::{Millis, Nanos};
use crate::ledger::admission::{AdmissionRefusal, AdmissionRequest, RateLimit, RateLimitStatus};
use crate::ledger::command::{AccountCommand, AccountResponse};
use crate::ledger::count_quota::CountQuota;
use crate::ledger::limits::KeyLimits;
use crate::ledger::receipt::{LEASE, Receipt, Reservation, ReservationLease};
use crate::ledger::reservations::{REMEMBERED, Reservations};
use crate::ledger::sliding_window::{MEMORY, SPAN, SlidingWindow};
use crate::ledger::snapshot::ReceiptRow;
use crate::ledger::spend::day_of;
use crate::ledger::sums::UsageTotals;
use crate::ledger::totals::UsageReport;
use crate::ledger::unreadable::UnreadableRecord;
use crate::ledger::write::{AccountWrite, written};

/// The sums stand in every so many entries, so that no more have to be read to have them again.
const CHECKPOINT: u64 = 50;
/// The book of one account.
#[derive(Debug, Default)]
pub struct AccountLedger {
    /// The SHA-256 of the key, in hex; none for a key that stands in the gateway's own variables.
    pub(super) hash: Option<String>,
    pub(super) terms: KeyLimits,
    pub(super) version: u64,
    /// The time of the last promise or entry: for what is written down, time never runs backwards.
    pub(super) latest: Millis,
    pub(super) open: Reservations,
    pub(super) requests: SlidingWindow,
    pub(super) tokens: SlidingWindow,
    pub(super) counting: CountQuota,
    pub(super) sums: UsageTotals,
    /// The number of the last entry, and when that was written.
    pub(super) last: u64,
    pub(super) last_at: Millis,
    /// Requests whose lease was granted anew when the book was opened, which is not written yet.
    pub(super) extended: Vec<String>,
    pub(super) settled: HashMap<String, Millis>,
    pub(super) settled_at: VecDeque<(Millis, String)>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Posted {
    pub(super) hash: String,
    pub(super) terms: KeyLimits,
    pub(super) version: u64,
}

impl AccountLedger {
    /// Carries out an order. What is to be written goes to `writes`; an answer counts only when it has been written.
    pub fn handle(&mut self, order: AccountCommand, now: Millis, writes: &mut Vec<AccountWrite>) -> AccountResponse {
        let now = now.max(self.latest);
        self.expire_leases(&order, now, writes);
        let reply = self.dispatch(order, now, writes);
        for id in std::mem::take(&mut self.extended) {
            writes.extend(self.open.find(&id).map(|promise| written(&id, promise)));
        }
        reply
    }

    fn dispatch(&mut self, order: AccountCommand, now: Millis, writes: &mut Vec<AccountWrite>) -> AccountResponse {
        match order {
            AccountCommand::Admit(ask) => self.admit(&ask, now, writes),
            AccountCommand::Count(question) => match self.check_key(question.hash.as_deref(), now) {
                AccountResponse::Granted { .. } => {
                    self.counting.admit(&question, &self.terms, self.open.count(), now, writes)
                }
                refused => refused,
            },
            AccountCommand::Counted(id) => self.counting.end(&id, writes),
            AccountCommand::Look(hash) => self.check_key(Some(&hash), now),
            AccountCommand::Parent => self.check_key(None, now),
            AccountCommand::Settle(entries) => self.settle(entries, now, writes),
            AccountCommand::Release(id) => self.release(&id, now, writes),
            AccountCommand::Renew { id, tokens, cost } => self.renew(&id, (tokens, cost), now, writes),
            AccountCommand::Post { hash, terms, version } => self.post(Posted { hash, terms, version }, writes),
            AccountCommand::Usage { from, to } => AccountResponse::Usage(self.usage(from, to)),
            AccountCommand::Entries { .. } => AccountResponse::Confused,
        }
    }

    fn post(&mut self, posted: Posted, writes: &mut Vec<AccountWrite>) -> AccountResponse {
        if posted.version >= self.version {
            writes.push(AccountWrite::Terms(serde_json::to_string(&posted).unwrap_or_default()));
            (self.hash, self.terms, self.version) = (Some(posted.hash), posted.terms, posted.version);
        }
        AccountResponse::Done
    }

    fn admit(&mut self, ask: &AdmissionRequest, now: Millis, writes: &mut Vec<AccountWrite>) -> AccountResponse {
        // An order that is repeated, because its answer was lost, is answered as it was; even if it comes when all is over.
        if self.open.find(&ask.id).is_some() || self.is_settled(&ask.id, now) {
            let limit = self.open.find(&ask.id).and_then(|promise| promise.limit);
            return AccountResponse::Granted { terms: self.terms.clone(), gauges: self.rate_limit_status(now), limit };
        }
        let shorter = self.budget_left(now).and_then(|left| ask.shortened(left, self.terms.budget?.fit));
        let limit = shorter.as_ref().and_then(|ask| ask.answer.as_ref()).map(|answer| answer.limit);
        let ask = shorter.as_ref().unwrap_or(ask);
        match self.refusal(ask, now) {
            Err(refusal) => AccountResponse::Refused { refusal, gauges: self.rate_limit_status(now) },
            Ok(tokens) => {
                self.reserve(ask, (tokens, limit), now, writes);
                AccountResponse::Granted { terms: self.terms.clone(), gauges: self.rate_limit_status(now), limit }
            }
        }
    }

    /// What neither was spent of the budget nor is promised, in nano-dollars; none without a budget.
    fn budget_left(&self, now: Millis) -> Option<Nanos> {
        let budget = self.terms.budget?;
        Some(budget.nanos.saturating_sub(self.sums.spent.of(budget.per, now)).saturating_sub(self.open.cost()))
    }

    /// The tokens to be promised, if nothing speaks against it.
    fn refusal(&self, ask: &AdmissionRequest, now: Millis) -> Result<u64, AdmissionRefusal> {
        let known = self.hash.is_some() && ask.hash.as_ref().is_none_or(|hash| Some(hash) == self.hash.as_ref());
        if !known {
            return Err(AdmissionRefusal::Unknown);
        }
        self.terms.refuse(&ask.models, ask.body, now)?;
        if let Some(name) = ask.astray.clone().filter(|_| self.terms.are_bound()) {
            return Err(AdmissionRefusal::Astray { name });
        }
        let under_way = self.open.count().saturating_add(self.counting.under_way(now));
        if let Some(limit) = self.terms.concurrent.filter(|limit| under_way >= *limit) {
            return Err(AdmissionRefusal::Concurrent { limit });
        }
        if let Some(limit) = self.terms.requests_per_minute {
            match self.requests.wait(now, 1, limit) {
                Some(0) => {}
                wait => return Err(AdmissionRefusal::Requests { wait: wait.unwrap_or(SPAN) }),
            }
        }
        self.refuse_cost(ask, now)?;
        // A request that could take more than a whole minute's tokens may run when it has the minute to itself.
        let tokens = self.terms.tokens_per_minute.map_or(ask.tokens, |limit| ask.tokens.min(limit));
        if let Some(limit) = self.terms.tokens_per_minute {
            match self.tokens.wait(now, tokens, limit) {
                // Not even such a minute has room for one where no token is allowed.
                Some(0) if limit > 0 => {}
                wait => return Err(AdmissionRefusal::Tokens { wait: wait.filter(|wait| *wait > 0).unwrap_or(SPAN) }),
            }
        }
        Ok(tokens)
    }

    fn refuse_cost(&self, ask: &AdmissionRequest, now: Millis) -> Result<(), AdmissionRefusal> {
        let Some(left) = self.budget_left(now) else { return Ok(()) };
        ask.refuse_cost(left, self.open.cost(), self.terms.budget.is_some_and(|budget| budget.fit))
    }

    fn reserve(
        &mut self,
        ask: &AdmissionRequest,
        (tokens, limit): (u64, Option<u64>),
        now: Millis,
        writes: &mut Vec<AccountWrite>,
    ) {
        if !self.terms.are_limited() {
            return;
        }
        // What a key without a budget costs needs no promise.
        let cost = self.terms.budget.and(ask.cost).unwrap_or(0);
        // None ends while the windows count it: without it, a book that is opened again would know less.
        let until = now.saturating_add(ask.life.max(MEMORY));
        let lease = match ask.draft.clone() {
            Some(draft) => {
                let draft = Box::new(Receipt { id: ask.id.clone(), promise: None, ..*draft });
                ReservationLease {
                    until: now.saturating_add(LEASE),
                    extended: false,
                    most: ask.cost,
                    draft,
                    lost: None,
                }
            }
            None => ReservationLease::unrenewed(&ask.id, now, until),
        };
        let promise = Reservation { at: now, until, tokens, cost, limit, lease: Some(lease) };
        self.charge_windows(now, tokens);
        writes.push(written(&ask.id, &promise));
        self.open.make(&ask.id, promise);
    }

    pub(super) fn charge_windows(&mut self, at: Millis, tokens: u64) {
        self.latest = self.latest.max(at);
        self.requests.take(at, 1);
        self.tokens.take(at, tokens);
    }

    /// Without a hash, any key of this account will do.
    fn check_key(&self, hash: Option<&str>, now: Millis) -> AccountResponse {
        let known = self.hash.as_deref().is_some_and(|own| hash.is_none_or(|hash| hash == own));
        match (known, self.terms.are_valid(now)) {
            (true, true) => {
                AccountResponse::Granted { terms: self.terms.clone(), gauges: self.rate_limit_status(now), limit: None }
            }
            (true, false) => {
                AccountResponse::Refused { refusal: AdmissionRefusal::Ended, gauges: RateLimitStatus::default() }
            }
            (false, _) => {
                AccountResponse::Refused { refusal: AdmissionRefusal::Unknown, gauges: RateLimitStatus::default() }
            }
        }
    }

    pub(super) fn append_receipts(&mut self, entries: &[Receipt], now: Millis, writes: &mut Vec<AccountWrite>) {
        // With the first entry of a day stand the sums of all before it, too: older entries may go.
        let first = day_of(now) > self.sums.day;
        if let Some((day, sums)) = self.sums.roll(now) {
            writes.push(AccountWrite::Day(day, sums));
        }
        entries.iter().for_each(|entry| self.sums.count(now, entry));
        let before = self.last;
        (self.last, self.last_at) = (before.saturating_add(entries.len() as u64), now);
        let sums = first || self.last / CHECKPOINT > before / CHECKPOINT;
        let sums = sums.then(|| serde_json::to_string(&self.sums).unwrap_or_default());
        let entries = serde_json::to_string(entries).unwrap_or_default();
        writes.push(AccountWrite::Entries(ReceiptRow { number: self.last, at: now, entries, sums }));
        self.latest = self.latest.max(now);
    }

    /// The sums of the current day; those before it are kept as they were written.
    fn usage(&self, from: u64, to: u64) -> Vec<UsageReport> {
        if (from..=to).contains(&self.sums.day) { self.sums.reports() } else { Vec::new() }
    }

    /// The stored sums of a day, row by row.
    ///
    /// # Errors
    /// The sums cannot be read.
    pub fn usage_of_day(day: u64, sums: &str) -> Result<Vec<UsageReport>, UnreadableRecord> {
        Ok(stored_totals(day, sums)?.reports())
    }

    /// The stored sums of a day that is over, with one receipt in the place of what it was.
    ///
    /// # Errors
    /// The sums cannot be read.
    pub fn amended(day: u64, sums: &str, was: &Receipt, is: &Receipt) -> Result<String, UnreadableRecord> {
        let mut sums = stored_totals(day, sums)?;
        sums.replace(was, is);
        Ok(serde_json::to_string(&sums).unwrap_or_default())
    }

    pub(super) fn is_settled(&self, id: &str, now: Millis) -> bool {
        let replaced = self.open.find(id).and_then(Reservation::lost).is_some_and(|lost| lost.settled.is_some());
        replaced || self.settled.get(id).is_some_and(|at| at.saturating_add(REMEMBERED) >= now)
    }

    /// Remembers an id that was settled, and lets go of those that nobody settles again.
    pub(super) fn remember(&mut self, at: Millis, id: String) {
        while self.settled_at.front().is_some_and(|(then, _)| then.saturating_add(REMEMBERED) < at) {
            if let Some((_, id)) = self.settled_at.pop_front() {
                self.settled.remove(&id);
            }
        }
        self.settled.insert(id.clone(), at);
        self.settled_at.push_back((at, id));
    }

    fn rate_limit_status(&self, now: Millis) -> RateLimitStatus {
        let gauge = |window: &SlidingWindow, limit: Option<u64>| {
            let limit = limit?;
            Some(RateLimit { limit, left: limit.saturating_sub(window.taken(now)), reset: window.reset(now) })
        };
        RateLimitStatus {
            requests: gauge(&self.requests, self.terms.requests_per_minute),
            tokens: gauge(&self.tokens, self.terms.tokens_per_minute),
        }
    }
}

fn stored_totals(day: u64, sums: &str) -> Result<UsageTotals, UnreadableRecord> {
    serde_json::from_str(sums).map_err(|error| UnreadableRecord::new("days", day, &error))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;

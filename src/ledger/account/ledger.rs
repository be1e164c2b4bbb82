//! The ledger of one account. Everything in it can be made anew from what it told to write down.

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
use crate::ledger::write::{AccountWrite, reservation_write};

/// The sums stand in every so many receipts, so that no more have to be read to have them again.
const CHECKPOINT: u64 = 50;
/// The ledger of one account.
#[derive(Debug, Default)]
pub struct AccountLedger {
    /// The SHA-256 of the key, in hex; none for a key that stands in the gateway's own variables.
    pub(super) hash: Option<String>,
    pub(super) limits: KeyLimits,
    pub(super) version: u64,
    /// The time of the last reservation or receipt: for what is written down, time never runs backwards.
    pub(super) latest: Millis,
    pub(super) reservations: Reservations,
    pub(super) request_window: SlidingWindow,
    pub(super) token_window: SlidingWindow,
    pub(super) count_quota: CountQuota,
    pub(super) sums: UsageTotals,
    /// The number of the last receipt, and when that was written.
    pub(super) last_number: u64,
    pub(super) last_at: Millis,
    /// Requests whose lease was granted anew when the ledger was opened, which is not written yet.
    pub(super) extended: Vec<String>,
    pub(super) settled: HashMap<String, Millis>,
    pub(super) settled_at: VecDeque<(Millis, String)>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Posted {
    pub(super) hash: String,
    #[serde(rename = "terms")]
    pub(super) limits: KeyLimits,
    pub(super) version: u64,
}

impl AccountLedger {
    /// Carries out a command. What is to be written goes to `writes`; an answer counts only when it has been written.
    pub fn handle(&mut self, command: AccountCommand, now: Millis, writes: &mut Vec<AccountWrite>) -> AccountResponse {
        let now = now.max(self.latest);
        self.expire_leases(&command, now, writes);
        let reply = self.dispatch(command, now, writes);
        for id in std::mem::take(&mut self.extended) {
            writes.extend(self.reservations.find(&id).map(|reservation| reservation_write(&id, reservation)));
        }
        reply
    }

    fn dispatch(&mut self, command: AccountCommand, now: Millis, writes: &mut Vec<AccountWrite>) -> AccountResponse {
        match command {
            AccountCommand::Admit(request) => self.admit(&request, now, writes),
            AccountCommand::Count(question) => match self.check_key(question.hash.as_deref(), now) {
                AccountResponse::Granted { .. } => {
                    self.count_quota.admit(&question, &self.limits, self.reservations.count(), now, writes)
                }
                refused => refused,
            },
            AccountCommand::EndCount(id) => self.count_quota.end(&id, writes),
            AccountCommand::CheckKey(hash) => self.check_key(Some(&hash), now),
            AccountCommand::CheckParent => self.check_key(None, now),
            AccountCommand::Settle(receipts) => self.settle(receipts, now, writes),
            AccountCommand::Release(id) => self.release(&id, now, writes),
            AccountCommand::Renew { id, tokens, cost } => self.renew(&id, (tokens, cost), now, writes),
            AccountCommand::SetLimits { hash, limits, version } => self.post(Posted { hash, limits, version }, writes),
            AccountCommand::Usage { from, to } => AccountResponse::Usage(self.usage(from, to)),
            AccountCommand::Receipts { .. } => AccountResponse::Malformed,
        }
    }

    fn post(&mut self, posted: Posted, writes: &mut Vec<AccountWrite>) -> AccountResponse {
        if posted.version >= self.version {
            writes.push(AccountWrite::Limits(serde_json::to_string(&posted).unwrap_or_default()));
            (self.hash, self.limits, self.version) = (Some(posted.hash), posted.limits, posted.version);
        }
        AccountResponse::Done
    }

    fn admit(&mut self, request: &AdmissionRequest, now: Millis, writes: &mut Vec<AccountWrite>) -> AccountResponse {
        // A command that is repeated, because its answer was lost, is answered as it was; even if it comes when all is over.
        if self.reservations.find(&request.id).is_some() || self.is_settled(&request.id, now) {
            let limit = self.reservations.find(&request.id).and_then(|reservation| reservation.limit);
            return AccountResponse::Granted {
                limits: self.limits.clone(),
                rate_limits: self.rate_limit_status(now),
                limit,
            };
        }
        let shorter = self.budget_left(now).and_then(|left| request.shortened(left, self.limits.budget?.fit));
        let limit = shorter.as_ref().and_then(|request| request.output.as_ref()).map(|answer| answer.limit);
        let request = shorter.as_ref().unwrap_or(request);
        match self.refusal(request, now) {
            Err(refusal) => AccountResponse::Refused { refusal, rate_limits: self.rate_limit_status(now) },
            Ok(tokens) => {
                self.reserve(request, (tokens, limit), now, writes);
                AccountResponse::Granted {
                    limits: self.limits.clone(),
                    rate_limits: self.rate_limit_status(now),
                    limit,
                }
            }
        }
    }

    /// What neither was spent of the budget nor is promised, in nano-dollars; none without a budget.
    fn budget_left(&self, now: Millis) -> Option<Nanos> {
        let budget = self.limits.budget?;
        Some(budget.nanos.saturating_sub(self.sums.spent.of(budget.per, now)).saturating_sub(self.reservations.cost()))
    }

    /// The tokens to be promised, if nothing speaks against it.
    fn refusal(&self, request: &AdmissionRequest, now: Millis) -> Result<u64, AdmissionRefusal> {
        let known = self.hash.is_some() && request.hash.as_ref().is_none_or(|hash| Some(hash) == self.hash.as_ref());
        if !known {
            return Err(AdmissionRefusal::Unknown);
        }
        self.limits.refuse(&request.models, request.body, now)?;
        if let Some(name) = request.stray_field.clone().filter(|_| self.limits.are_bound()) {
            return Err(AdmissionRefusal::StrayField { name });
        }
        let under_way = self.reservations.count().saturating_add(self.count_quota.under_way(now));
        if let Some(limit) = self.limits.concurrent.filter(|limit| under_way >= *limit) {
            return Err(AdmissionRefusal::Concurrent { limit });
        }
        if let Some(limit) = self.limits.requests_per_minute {
            match self.request_window.wait(now, 1, limit) {
                Some(0) => {}
                wait => return Err(AdmissionRefusal::Requests { wait: wait.unwrap_or(SPAN) }),
            }
        }
        self.refuse_cost(request, now)?;
        // A request that could take more than a whole minute's tokens may run when it has the minute to itself.
        let tokens = self.limits.tokens_per_minute.map_or(request.tokens, |limit| request.tokens.min(limit));
        if let Some(limit) = self.limits.tokens_per_minute {
            match self.token_window.wait(now, tokens, limit) {
                // Not even such a minute has room for one where no token is allowed.
                Some(0) if limit > 0 => {}
                wait => return Err(AdmissionRefusal::Tokens { wait: wait.filter(|wait| *wait > 0).unwrap_or(SPAN) }),
            }
        }
        Ok(tokens)
    }

    fn refuse_cost(&self, request: &AdmissionRequest, now: Millis) -> Result<(), AdmissionRefusal> {
        let Some(left) = self.budget_left(now) else { return Ok(()) };
        request.refuse_cost(left, self.reservations.cost(), self.limits.budget.is_some_and(|budget| budget.fit))
    }

    fn reserve(
        &mut self,
        request: &AdmissionRequest,
        (tokens, limit): (u64, Option<u64>),
        now: Millis,
        writes: &mut Vec<AccountWrite>,
    ) {
        if !self.limits.are_limited() {
            return;
        }
        // What a key without a budget costs needs no reservation.
        let cost = self.limits.budget.and(request.cost).unwrap_or(0);
        // None ends while the windows count it: without it, a ledger that is opened again would know less.
        let until = now.saturating_add(request.lifetime.max(MEMORY));
        let lease = match request.draft.clone() {
            Some(draft) => {
                let draft = Box::new(Receipt { id: request.id.clone(), reservation: None, ..*draft });
                ReservationLease {
                    until: now.saturating_add(LEASE),
                    extended: false,
                    most: request.cost,
                    draft,
                    lost: None,
                }
            }
            None => ReservationLease::unrenewed(&request.id, now, until),
        };
        let reservation = Reservation { at: now, until, tokens, cost, limit, lease: Some(lease) };
        self.charge_windows(now, tokens);
        writes.push(reservation_write(&request.id, &reservation));
        self.reservations.make(&request.id, reservation);
    }

    pub(super) fn charge_windows(&mut self, at: Millis, tokens: u64) {
        self.latest = self.latest.max(at);
        self.request_window.take(at, 1);
        self.token_window.take(at, tokens);
    }

    /// Without a hash, any key of this account will do.
    fn check_key(&self, hash: Option<&str>, now: Millis) -> AccountResponse {
        let known = self.hash.as_deref().is_some_and(|own| hash.is_none_or(|hash| hash == own));
        match (known, self.limits.are_valid(now)) {
            (true, true) => AccountResponse::Granted {
                limits: self.limits.clone(),
                rate_limits: self.rate_limit_status(now),
                limit: None,
            },
            (true, false) => AccountResponse::Refused {
                refusal: AdmissionRefusal::Inactive,
                rate_limits: RateLimitStatus::default(),
            },
            (false, _) => {
                AccountResponse::Refused { refusal: AdmissionRefusal::Unknown, rate_limits: RateLimitStatus::default() }
            }
        }
    }

    pub(super) fn append_receipts(&mut self, receipts: &[Receipt], now: Millis, writes: &mut Vec<AccountWrite>) {
        // With the first receipt of a day stand the sums of all before it, too: older receipts may go.
        let first = day_of(now) > self.sums.day;
        if let Some((day, sums)) = self.sums.roll(now) {
            writes.push(AccountWrite::DaySums(day, sums));
        }
        receipts.iter().for_each(|receipt| self.sums.count(now, receipt));
        let before = self.last_number;
        (self.last_number, self.last_at) = (before.saturating_add(receipts.len() as u64), now);
        let sums = first || self.last_number / CHECKPOINT > before / CHECKPOINT;
        let sums = sums.then(|| serde_json::to_string(&self.sums).unwrap_or_default());
        let receipts = serde_json::to_string(receipts).unwrap_or_default();
        writes.push(AccountWrite::Receipts(ReceiptRow { number: self.last_number, at: now, receipts, sums }));
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
    pub fn amended_sums(day: u64, sums: &str, was: &Receipt, is: &Receipt) -> Result<String, UnreadableRecord> {
        let mut sums = stored_totals(day, sums)?;
        sums.replace(was, is);
        Ok(serde_json::to_string(&sums).unwrap_or_default())
    }

    pub(super) fn is_settled(&self, id: &str, now: Millis) -> bool {
        let replaced =
            self.reservations.find(id).and_then(Reservation::lost).is_some_and(|lost| lost.settled.is_some());
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
        let rate_limit = |window: &SlidingWindow, limit: Option<u64>| {
            let limit = limit?;
            Some(RateLimit { limit, left: limit.saturating_sub(window.taken(now)), reset: window.reset(now) })
        };
        RateLimitStatus {
            requests: rate_limit(&self.request_window, self.limits.requests_per_minute),
            tokens: rate_limit(&self.token_window, self.limits.tokens_per_minute),
        }
    }
}

fn stored_totals(day: u64, sums: &str) -> Result<UsageTotals, UnreadableRecord> {
    serde_json::from_str(sums).map_err(|error| UnreadableRecord::new("days", day, &error))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;

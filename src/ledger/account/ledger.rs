//! The ledger of one account. All of its state can be restored from its writes.

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::config::{Millis, Nanos};
use crate::ids::KeyHash;
use crate::ledger::admission::{AdmissionRefusal, AdmissionRequest, RateLimit, RateLimitStatus};
use crate::ledger::command::{AccountCommand, AccountResponse, LimitStanding};
use crate::ledger::count_quota::{AccountLoad, CountQuota};
use crate::ledger::limits::KeyLimits;
use crate::ledger::receipt::{LEASE, Receipt, Reservation, ReservationLease};
use crate::ledger::reservations::{Reservations, SETTLED_RETENTION};
use crate::ledger::sliding_window::{RETENTION, SPAN, SlidingWindow};
use crate::ledger::snapshot::ReceiptRow;
use crate::ledger::spend::{BudgetSpend, day_of};
use crate::ledger::token_counts::TokenCounts;
use crate::ledger::totals::UsageReport;
use crate::ledger::unreadable::UnreadableRecord;
use crate::ledger::usage_totals::UsageTotals;
use crate::ledger::write::{AccountWrite, reservation_write};
use crate::wire::record;
use crate::wire::zone::Zone;

/// The totals are stored with every 50th receipt, so that opening the ledger reads at most this many
/// receipts.
const CHECKPOINT_INTERVAL: u64 = 50;

/// The ledger of one account.
#[derive(Debug, Default)]
pub struct AccountLedger {
    /// The fingerprint of the key; `None` if the account has no key.
    pub(super) hash: Option<KeyHash>,
    pub(super) limits: KeyLimits,
    pub(super) version: u64,
    /// The time of the last reservation or receipt. Later records are never dated before it.
    pub(super) latest: Millis,
    pub(super) reservations: Reservations,
    pub(super) request_window: SlidingWindow,
    pub(super) token_window: SlidingWindow,
    pub(super) count_quota: CountQuota,
    pub(super) sums: UsageTotals,
    /// The zone by which days and periods of budgets begin.
    pub(super) zone: Zone,
    /// The number of the last receipt, and the time at which it was written.
    pub(super) last_number: u64,
    pub(super) last_at: Millis,
    /// Requests whose lease was extended when the ledger was opened; the extension is not stored yet.
    pub(super) extended: Vec<String>,
    /// Settled requests and when they were settled, to ignore repeated settlements.
    pub(super) settled: HashMap<String, Millis>,
    /// The same, oldest first.
    pub(super) settled_at: VecDeque<(Millis, String)>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct StoredLimits {
    pub(super) hash: KeyHash,
    #[serde(rename = "terms")]
    pub(super) limits: KeyLimits,
    pub(super) version: u64,
}

/// What a reservation is made for.
struct Grant {
    tokens: u64,
    /// The output limit granted, if it is lower than the one asked for.
    limit: Option<u64>,
}

/// What a request has used so far.
#[derive(Clone, Copy)]
pub(super) struct Progress {
    pub(super) tokens: TokenCounts,
    pub(super) cost: Option<Nanos>,
}

impl AccountLedger {
    /// Lets days and periods of budgets begin by the clocks of a zone, those of UTC by default. The offsets
    /// are needed for the month that follows the time of a command, and back to when a request may have been
    /// lost. A period that has begun ends as it began, and days that have begun stay as they are.
    pub fn set_zone(&mut self, zone: Zone) {
        self.zone = zone;
    }

    /// Carries out a command, and appends what must be stored to `writes`. The response must not be sent
    /// before the writes are stored.
    pub fn handle(&mut self, command: AccountCommand, now: Millis, writes: &mut Vec<AccountWrite>) -> AccountResponse {
        self.handle_received(command, None, now, writes)
    }

    /// As [`AccountLedger::handle`], with the JSON of the command: receipts that are stored as they came are
    /// not written again.
    pub fn handle_received(
        &mut self,
        command: AccountCommand,
        json: Option<&str>,
        now: Millis,
        writes: &mut Vec<AccountWrite>,
    ) -> AccountResponse {
        let now = now.max(self.latest);
        self.expire_leases(&command, now, writes);
        let response = match command {
            AccountCommand::Settle(receipts) => {
                self.settle(receipts, json.and_then(AccountCommand::receipts_in), now, writes)
            }
            command => self.dispatch(command, now, writes),
        };
        for id in std::mem::take(&mut self.extended) {
            writes.extend(self.reservations.find(&id).map(|reservation| reservation_write(&id, reservation)));
        }
        response
    }

    fn dispatch(&mut self, command: AccountCommand, now: Millis, writes: &mut Vec<AccountWrite>) -> AccountResponse {
        match command {
            AccountCommand::Admit(request) => self.admit(&request, now, writes),
            AccountCommand::Count(request) => match self.check_key(request.hash.as_ref(), now) {
                AccountResponse::Granted { .. } => {
                    let load = AccountLoad { now, requests: self.reservations.count() };
                    self.count_quota.admit(&request, &self.limits, load, writes)
                }
                refused => refused,
            },
            AccountCommand::EndCount(id) => self.count_quota.end(&id, writes),
            AccountCommand::CheckKey(hash) => self.check_key(Some(&hash), now),
            AccountCommand::CheckParent => self.check_key(None, now),
            AccountCommand::Settle(receipts) => self.settle(receipts, None, now, writes),
            AccountCommand::Release(id) => self.release(&id, now, writes),
            AccountCommand::Raise { id, cost } => self.raise(&id, cost, now, writes),
            AccountCommand::Renew { id, tokens, cost } => self.renew(&id, Progress { tokens, cost }, now, writes),
            AccountCommand::SetLimits { hash, limits, version } => {
                self.set_limits(StoredLimits { hash, limits, version }, writes)
            }
            AccountCommand::Usage { from, to } => AccountResponse::Usage(self.usage(from, to)),
            AccountCommand::Standing => AccountResponse::Standing(self.standing(now)),
            // The object reads and writes its tables itself.
            AccountCommand::Receipts { .. } | AccountCommand::Anonymize { .. } => AccountResponse::Malformed,
        }
    }

    fn set_limits(&mut self, new: StoredLimits, writes: &mut Vec<AccountWrite>) -> AccountResponse {
        if new.version >= self.version {
            writes.push(AccountWrite::Limits(serde_json::to_string(&new).unwrap_or_default()));
            (self.hash, self.limits, self.version) = (Some(new.hash), new.limits, new.version);
        }
        AccountResponse::Done
    }

    fn admit(&mut self, request: &AdmissionRequest, now: Millis, writes: &mut Vec<AccountWrite>) -> AccountResponse {
        // A command is repeated when its response was lost. It gets the same response, even after the request
        // has ended.
        let reservation = self.reservations.find(&request.id);
        if reservation.is_some() || self.is_settled(&request.id, now) {
            return self.granted(reservation.and_then(|reservation| reservation.limit), now);
        }
        let shortened = self.budget_left(now).and_then(|left| request.shortened(left, self.limits.budget?.fit));
        let limit = shortened.as_ref().and_then(|request| request.output.as_ref()).map(|output| output.limit);
        let request = shortened.as_ref().unwrap_or(request);
        match self.check_limits(request, now) {
            Err(refusal) => self.refused(refusal, now),
            Ok(tokens) => {
                self.reserve(request, Grant { tokens, limit }, now, writes);
                self.granted(limit, now)
            }
        }
    }

    pub(super) fn granted(&self, limit: Option<u64>, now: Millis) -> AccountResponse {
        AccountResponse::Granted { limits: self.limits.clone(), rate_limits: self.rate_limit_status(now), limit }
    }

    pub(super) fn refused(&self, refusal: AdmissionRefusal, now: Millis) -> AccountResponse {
        AccountResponse::Refused { refusal, rate_limits: self.rate_limit_status(now) }
    }

    /// The part of the budget that is neither spent nor reserved, in nano-dollars; `None` without a budget.
    pub(super) fn budget_left(&self, now: Millis) -> Option<Nanos> {
        let budget = self.limits.budget?;
        Some(
            budget
                .nanos
                .saturating_sub(self.sums.spent.in_period(budget.per, now))
                .saturating_sub(self.reservations.cost()),
        )
    }

    /// What is used of the limits.
    fn standing(&self, now: Millis) -> LimitStanding {
        LimitStanding {
            spent: self.limits.budget.map(|budget| self.sums.spent.in_period(budget.per, now)),
            reserved: self.reservations.cost(),
            running: self.reservations.count(),
            requests: self.request_window.taken(now),
            tokens: self.token_window.taken(now),
        }
    }

    /// What has been spent of the budget; `None` without one.
    pub fn budget_spend(&self) -> Option<BudgetSpend> {
        self.limits.budget.map(|budget| self.sums.spent.of_budget(budget))
    }

    /// The key's own thresholds of alerts about its budget, in percent.
    pub fn budget_alerts(&self) -> Option<&[u32]> {
        self.limits.budget_alerts.as_deref()
    }

    /// Checks a request against all limits. Returns the tokens to reserve.
    fn check_limits(&self, request: &AdmissionRequest, now: Millis) -> Result<u64, AdmissionRefusal> {
        let known = self.hash.is_some() && request.hash.as_ref().is_none_or(|hash| Some(hash) == self.hash.as_ref());
        if !known {
            return Err(AdmissionRefusal::Unknown);
        }
        self.limits.check(&request.models, request.body, now)?;
        self.limits.check_others(&request.other_models)?;
        if self.limits.are_bound()
            && let Some(name) = request.stray_field.clone()
        {
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
        self.check_cost(request, now)?;
        // A request that could use more tokens than the limit is admitted when nothing else counts in the
        // window.
        let tokens = self.limits.tokens_per_minute.map_or(request.tokens, |limit| request.tokens.min(limit));
        if let Some(limit) = self.limits.tokens_per_minute {
            match self.token_window.wait(now, tokens, limit) {
                // With a limit of 0 it is not.
                Some(0) if limit > 0 => {}
                wait => return Err(AdmissionRefusal::Tokens { wait: wait.filter(|wait| *wait > 0).unwrap_or(SPAN) }),
            }
        }
        Ok(tokens)
    }

    fn check_cost(&self, request: &AdmissionRequest, now: Millis) -> Result<(), AdmissionRefusal> {
        let Some(left) = self.budget_left(now) else { return Ok(()) };
        request.check_cost(left, self.reservations.cost(), self.limits.budget.is_some_and(|budget| budget.fit))
    }

    fn reserve(
        &mut self,
        request: &AdmissionRequest,
        Grant { tokens, limit }: Grant,
        now: Millis,
        writes: &mut Vec<AccountWrite>,
    ) {
        if !self.limits.are_limited() {
            return;
        }
        let cost = self.limits.budget.and(request.cost).unwrap_or(0);
        // A reservation is kept while the rate limits count it, so that a reopened ledger can restore the
        // windows.
        let until = now.saturating_add(request.lifetime.max(RETENTION));
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
        self.reservations.insert(&request.id, reservation);
    }

    pub(super) fn charge_windows(&mut self, at: Millis, tokens: u64) {
        self.latest = self.latest.max(at);
        self.request_window.take(at, 1);
        self.token_window.take(at, tokens);
    }

    /// Checks that the key of this fingerprint is valid; without one, that the account has a valid key.
    fn check_key(&self, hash: Option<&KeyHash>, now: Millis) -> AccountResponse {
        let known = self.hash.as_ref().is_some_and(|own| hash.is_none_or(|hash| hash == own));
        let refusal = if !known {
            AdmissionRefusal::Unknown
        } else if !self.limits.are_valid(now) {
            AdmissionRefusal::Inactive
        } else {
            return self.granted(None, now);
        };
        AccountResponse::Refused { refusal, rate_limits: RateLimitStatus::default() }
    }

    /// `json`: the JSON of the receipts, if there is one.
    pub(super) fn append_receipts(
        &mut self,
        receipts: &[Receipt],
        json: Option<&str>,
        now: Millis,
        writes: &mut Vec<AccountWrite>,
    ) {
        // The first receipt of a day is stored with totals, too, so that the receipts of earlier days can be
        // deleted, and later ones count in this day again when the ledger is opened. So is the first one of a
        // day of UTC, for earlier builds, which know no other days.
        let day = self.zone.day_at(now);
        let is_first_of_day = day > self.sums.day || day_of(now) > day_of(self.last_at);
        if let Some((day, sums)) = self.sums.begin_day(day) {
            writes.push(AccountWrite::DaySums(day, sums));
        }
        let begins = receipts.iter().fold(false, |begins, receipt| begins | self.sums.count(now, receipt, &self.zone));
        let before = self.last_number;
        (self.last_number, self.last_at) = (before.saturating_add(receipts.len() as u64), now);
        let is_checkpoint =
            is_first_of_day || begins || self.last_number / CHECKPOINT_INTERVAL > before / CHECKPOINT_INTERVAL;
        let sums = is_checkpoint.then(|| serde_json::to_string(&self.sums).unwrap_or_default());
        let receipts = json.map_or_else(|| record::to_string(&receipts).unwrap_or_default(), str::to_owned);
        writes.push(AccountWrite::Receipts(ReceiptRow { number: self.last_number, at: now, receipts, sums }));
        self.latest = self.latest.max(now);
    }

    /// The totals of the current day, if it is asked for. Those of earlier days are stored rows.
    fn usage(&self, from: u64, to: u64) -> Vec<UsageReport> {
        if (from..=to).contains(&self.sums.day) { self.sums.reports() } else { Vec::new() }
    }

    /// The rows of a stored day.
    ///
    /// # Errors
    /// The stored totals cannot be read.
    pub fn usage_of_day(day: u64, sums: &str) -> Result<Vec<UsageReport>, UnreadableRecord> {
        Ok(stored_totals(day, sums)?.reports())
    }

    /// The stored totals of a past day, after the receipt `old` was replaced by `new`.
    ///
    /// # Errors
    /// The stored totals cannot be read.
    pub fn amend_day(day: u64, sums: &str, old: &Receipt, new: &Receipt) -> Result<String, UnreadableRecord> {
        let mut sums = stored_totals(day, sums)?;
        sums.replace(old, new);
        Ok(serde_json::to_string(&sums).unwrap_or_default())
    }

    pub(super) fn is_settled(&self, id: &str, now: Millis) -> bool {
        let replaced =
            self.reservations.find(id).and_then(Reservation::lost_request).is_some_and(|lost| lost.settled.is_some());
        replaced || self.settled.get(id).is_some_and(|at| at.saturating_add(SETTLED_RETENTION) >= now)
    }

    /// Remembers a settled request, and forgets those that are not settled again.
    pub(super) fn remember_settled(&mut self, at: Millis, id: String) {
        while self.settled_at.front().is_some_and(|(then, _)| then.saturating_add(SETTLED_RETENTION) < at) {
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

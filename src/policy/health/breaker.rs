//! The breaker of a target or a host: closed, open, half-open with one probe.

use super::availability::Availability;
use super::jitter::jitter;
use crate::config::Millis;
use crate::policy::failure::FailureClass;

/// Failures in a row that open a breaker. An unreachable host counts as two.
const MAX_STREAK: u32 = 3;
/// The failures within the window that open a breaker if they are more than the successes.
const MIN_WINDOW_FAILURES: u32 = 5;
/// The window's slots, and the length of each: 30 s in all, of which the oldest slot is partly over.
const SLOTS: usize = 6;
const SLOT: Millis = 5_000;
/// How long a breaker is open the first time. Each failed probe doubles it.
const FIRST_OPEN: Millis = 5_000;
/// The longest that it is open without a hint of the provider.
const MAX_OPEN: Millis = 60_000;
/// The longest that it is open because the provider says so. A probe costs one request.
const MAX_HINTED_OPEN: Millis = 300_000;
/// A breaker that opens again so soon after it was closed is open for longer than before.
const FLAP: Millis = 60_000;
/// How long a probe keeps others away. A probe whose outcome is never reported ends by itself.
pub(super) const PROBE_LEASE: Millis = 30_000;

/// The state of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Requests pass, and are counted.
    Closed,
    /// Requests go elsewhere. From `until` on it is half-open: one request at a time is the probe.
    Open {
        /// When it becomes half-open.
        until: Millis,
    },
}

/// Counts the failures of a target or a host, and opens when there are too many: three in a row (an
/// unreachable host counts as two), or five within 30 s that are more than the successes.
///
/// It opens for 5 s, and after each failed probe for twice as long, up to 60 s; or for as long as the
/// provider asks for, up to five minutes. Attempts that began before its last change say nothing about its
/// present state, and do not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breaker {
    state: BreakerState,
    /// When it was last opened or closed.
    changed: Millis,
    /// Why it was last opened, or what failed last.
    reason: FailureClass,
    /// Failures without a success in between.
    streak: u32,
    window: [Slot; SLOTS],
    /// How often the open time has been doubled.
    level: u32,
    /// When an attempt last succeeded.
    succeeded: Option<Millis>,
    /// Whether it has ever been open.
    has_opened: bool,
    /// Until when a probe keeps others away.
    lease: Option<Millis>,
}

/// The outcomes of some seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Slot {
    number: u64,
    succeeded: u32,
    failed: u32,
}

/// A failed attempt, as a breaker or a rest sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failed {
    pub(super) class: FailureClass,
    /// How long the provider asks to wait.
    pub(super) wait: Option<Millis>,
    /// When the attempt began.
    pub(super) began: Millis,
    /// Whether it was a probe, of this or of another subject.
    pub(super) is_probe: bool,
    /// Random bits, for the jitter.
    pub(super) random: u64,
}

impl Breaker {
    /// A closed breaker.
    pub(super) fn closed(now: Millis) -> Self {
        Self {
            state: BreakerState::Closed,
            changed: now,
            reason: FailureClass::Overload,
            streak: 0,
            window: [Slot::default(); SLOTS],
            level: 0,
            succeeded: None,
            has_opened: false,
            lease: None,
        }
    }

    /// The same breaker, as another isolate opened it.
    pub(super) fn opened_elsewhere(&self, reason: FailureClass, since: Millis, until: Millis) -> Self {
        let until = until.min(since.saturating_add(MAX_HINTED_OPEN + MAX_HINTED_OPEN / 5));
        let empty = Self { level: self.level, ..Self::closed(since) };
        Self { state: BreakerState::Open { until }, reason, has_opened: true, ..empty }
    }

    /// Makes a probe due, because another isolate's was good.
    pub(super) fn end_early(&mut self, now: Millis) {
        if let BreakerState::Open { until } = &mut self.state {
            *until = now.min(*until);
        }
    }

    /// Its state.
    pub fn state(&self) -> BreakerState {
        self.state
    }

    /// When it was last opened or closed, in milliseconds since 1970.
    pub fn changed(&self) -> Millis {
        self.changed
    }

    /// What failed last.
    pub fn reason(&self) -> FailureClass {
        self.reason
    }

    /// Whether it is closed, and an attempt has succeeded since a time.
    pub(super) fn has_succeeded_since(&self, time: Millis) -> bool {
        self.state == BreakerState::Closed && self.succeeded.is_some_and(|succeeded| time <= succeeded)
    }

    /// Whether an attempt may begin.
    pub fn availability(&self, now: Millis) -> Availability {
        let BreakerState::Open { until } = self.state else { return Availability::Ready };
        let reason = self.reason;
        match self.lease.filter(|lease| now < *lease) {
            _ if now < until => Availability::Open { reason, until },
            Some(lease) => Availability::Open { reason, until: lease },
            None => Availability::ProbeDue,
        }
    }

    /// Makes an attempt the probe, if one is due. Returns whether it is.
    pub(super) fn lease(&mut self, now: Millis) -> bool {
        let is_due = self.availability(now) == Availability::ProbeDue;
        if is_due {
            self.lease = Some(now.saturating_add(PROBE_LEASE));
        }
        is_due
    }

    /// Ends the lease of a probe without an outcome.
    pub(super) fn release(&mut self) {
        self.lease = None;
    }

    /// Counts a success. Returns whether the breaker closes.
    pub(super) fn succeed(&mut self, began: Millis, now: Millis) -> bool {
        if began < self.changed {
            return false;
        }
        (self.streak, self.succeeded) = (0, Some(now));
        if self.state == BreakerState::Closed {
            let slot = self.slot(now);
            slot.succeeded = slot.succeeded.saturating_add(1);
            return false;
        }
        (self.state, self.changed, self.lease) = (BreakerState::Closed, now, None);
        self.window = [Slot::default(); SLOTS];
        true
    }

    /// Counts a failure. Returns whether the breaker opens, or opens anew.
    pub(super) fn fail(&mut self, failed: Failed, now: Millis) -> bool {
        if failed.is_probe && self.lease.is_some() {
            self.reason = failed.class;
            self.open(self.level.saturating_add(1), failed, now);
            return true;
        }
        // While it is open, only the probe makes it last longer: other attempts had no better choice.
        if failed.began < self.changed || self.state != BreakerState::Closed {
            return false;
        }
        self.reason = failed.class;
        self.streak = self.streak.saturating_add(if failed.class == FailureClass::Unreachable { 2 } else { 1 });
        let slot = self.slot(now);
        slot.failed = slot.failed.saturating_add(1);
        if self.streak < MAX_STREAK && !self.mostly_fails(now) {
            return false;
        }
        let flaps = self.has_opened && now < self.changed.saturating_add(FLAP);
        let level = if flaps { self.level.saturating_add(1) } else { 0 };
        self.open(level, failed, now);
        true
    }

    fn open(&mut self, level: u32, failed: Failed, now: Millis) {
        let own = FIRST_OPEN.checked_shl(level).map_or(MAX_OPEN, |time| time.min(MAX_OPEN));
        let time = own.max(failed.wait.unwrap_or(0).min(MAX_HINTED_OPEN));
        let until = now.saturating_add(time).saturating_add(jitter(time, failed.random));
        // Doubling beyond the longest time changes nothing.
        self.level = level.min(8);
        (self.state, self.changed, self.lease) = (BreakerState::Open { until }, now, None);
        (self.streak, self.window, self.has_opened) = (0, [Slot::default(); SLOTS], true);
    }

    /// The slot of the present, emptied if it held an older one.
    fn slot(&mut self, now: Millis) -> &mut Slot {
        let number = now / SLOT;
        // Of the slots, the one that held this number last, or the oldest.
        let [first, rest @ ..] = &mut self.window;
        let slot = rest.iter_mut().fold(first, |best, slot| {
            let is_better = best.number != number && (slot.number == number || slot.number < best.number);
            if is_better { slot } else { best }
        });
        if slot.number != number {
            *slot = Slot { number, ..Slot::default() };
        }
        slot
    }

    /// Whether there are enough failures in the window, and more of them than successes.
    fn mostly_fails(&self, now: Millis) -> bool {
        let present = now / SLOT;
        let recent = self.window.iter().filter(|slot| present.saturating_sub(slot.number) < SLOTS as u64);
        let (succeeded, failed) = recent.fold((0_u32, 0_u32), |(succeeded, failed), slot| {
            (succeeded.saturating_add(slot.succeeded), failed.saturating_add(slot.failed))
        });
        failed >= MIN_WINDOW_FAILURES && failed > succeeded
    }
}

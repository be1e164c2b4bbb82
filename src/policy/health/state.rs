//! The health of everything that an isolate has used.

use super::availability::Availability;
use super::breaker::{Breaker, BreakerState, Failed};
use super::record::{HealthChange, HealthEvidence, HealthRecord, Origin, RecordState};
use super::rest::Rest;
use super::subject::{Place, Subject};
use crate::config::Millis;
use crate::policy::failure::{FailureClass, FailureScope};

/// The most subjects of which something is kept. When there are more, the one that was written longest ago is
/// forgotten. Healthy places take no room.
pub const MAX_RECORDS: usize = 256;
/// The longest name of a model of which something is kept, in bytes.
const MAX_MODEL_BYTES: usize = 200;
/// An isolate that has used a place with success so recently does not believe others that it is out.
const TRUST: Millis = 30_000;
/// A closed breaker is forgotten after so long without a failure or a success.
const IDLE: Millis = 600_000;

/// The breakers and rests that one isolate knows, its own and those of others.
#[derive(Clone, Debug, Default)]
pub struct Health {
    records: Vec<HealthRecord>,
}

/// An attempt that has begun. Its outcome is reported with it: [`Health::succeed`], [`Health::fail`] or
/// [`Health::abandon`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunningAttempt<'m> {
    /// Where it goes.
    pub place: Place<'m>,
    /// When it began.
    pub began: Millis,
    /// Whether others wait for its outcome.
    pub is_probe: bool,
}

/// How an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptFailure {
    /// What went wrong.
    pub class: FailureClass,
    /// What fails with it.
    pub scope: FailureScope,
    /// How long the provider asks to wait.
    pub wait: Option<Millis>,
}

impl Health {
    /// Whether an attempt may go to a place.
    pub fn availability(&self, place: Place<'_>, now: Millis) -> Availability {
        let covering = self.records.iter().filter(|record| record.subject.covers(place));
        covering.map(|record| record.availability(now)).fold(Availability::Ready, Availability::worse)
    }

    /// Notes that an attempt begins. If a probe is due, it is the probe, and has the lease.
    pub fn begin<'m>(&mut self, place: Place<'m>, now: Millis) -> RunningAttempt<'m> {
        let mut is_probe = false;
        for record in self.records.iter_mut().filter(|record| record.subject.covers(place)) {
            is_probe |= match &mut record.state {
                RecordState::Breaker(breaker) => breaker.lease(now),
                RecordState::Rest(rest) => rest.lease(now),
            };
        }
        RunningAttempt { place, began: now, is_probe }
    }

    /// Notes that an attempt brought content. Returns what others should know.
    pub fn succeed(&mut self, attempt: RunningAttempt<'_>, now: Millis) -> Vec<HealthChange> {
        let mut changes = Vec::new();
        self.records.retain_mut(|record| {
            if !record.subject.covers(attempt.place) {
                return true;
            }
            let (is_kept, is_back) = match &mut record.state {
                RecordState::Breaker(breaker) => (true, breaker.succeed(attempt.began, now)),
                RecordState::Rest(rest) => {
                    let ends = rest.ends_by_success(attempt.began);
                    (!ends, ends)
                }
            };
            if is_back {
                let was_shared = record.origin != Origin::Own;
                record.origin = Origin::Own;
                changes.push(HealthChange::Back { subject: record.subject.clone(), was_shared });
            }
            record.touched = now;
            is_kept
        });
        changes.retain(HealthChange::is_shared);
        changes
    }

    /// Notes that an attempt failed. `random`: random bits. Returns what others should know.
    pub fn fail(
        &mut self,
        attempt: RunningAttempt<'_>,
        failure: AttemptFailure,
        now: Millis,
        random: u64,
    ) -> Vec<HealthChange> {
        let AttemptFailure { class, scope, wait } = failure;
        let subject = Subject::of_failure(class, scope, attempt.place);
        self.end_leases(attempt, subject.as_ref());
        let Some(subject) = subject.filter(|_| attempt.place.model.len() <= MAX_MODEL_BYTES) else { return Vec::new() };
        let is_shared = subject.is_shared();
        let failed = Failed { class, wait, began: attempt.began, is_probe: attempt.is_probe, random };
        let changed = self.note_failure(subject, failed, now);
        changed.filter(|_| is_shared).map(HealthChange::Out).into_iter().collect()
    }

    /// Notes that an attempt ended without telling anything about its place: the client has left, or the
    /// fault was the caller's.
    pub fn abandon(&mut self, attempt: RunningAttempt<'_>) {
        self.end_leases(attempt, None);
    }

    /// Ends the leases of a probe, other than that of the subject that has failed.
    fn end_leases(&mut self, attempt: RunningAttempt<'_>, except: Option<&Subject>) {
        if !attempt.is_probe {
            return;
        }
        let others = |record: &&mut HealthRecord| {
            record.subject.covers(attempt.place) && except.is_none_or(|subject| record.subject != *subject)
        };
        for record in self.records.iter_mut().filter(others) {
            match &mut record.state {
                RecordState::Breaker(breaker) => breaker.release(),
                RecordState::Rest(rest) => rest.release(),
            }
        }
    }

    fn note_failure(&mut self, subject: Subject, failed: Failed, now: Millis) -> Option<HealthEvidence> {
        let has_breaker = subject.has_breaker();
        let found = self.records.iter_mut().find(|record| record.subject == subject);
        let record = match found {
            Some(record) => record,
            None if has_breaker => self.insert(subject, RecordState::Breaker(Breaker::closed(failed.began)), now),
            None => {
                let record = self.insert(subject, RecordState::Rest(Rest::begin(failed, now)), now);
                return record.evidence();
            }
        };
        record.touched = now;
        let changes = match &mut record.state {
            RecordState::Breaker(breaker) => breaker.fail(failed, now),
            RecordState::Rest(rest) => rest.fail(failed, now),
        };
        if changes {
            record.origin = Origin::Own;
        }
        record.evidence().filter(|_| changes)
    }

    /// Whether a provider refuses calls that leave directly from where this isolate runs.
    pub fn is_refused_here(&self, provider: usize, now: Millis) -> bool {
        let here = Subject::Here { provider, region: None };
        self.records.iter().any(|record| record.subject == here && !record.availability(now).is_usable())
    }

    /// Notes that a provider has served a direct call, which began then. Returns what others should know.
    pub fn serve_here(&mut self, provider: usize, began: Millis) -> Option<HealthChange> {
        let here = Subject::Here { provider, region: None };
        let ends = |record: &HealthRecord| match &record.state {
            RecordState::Rest(rest) => record.subject == here && rest.ends_by_success(began),
            RecordState::Breaker(_) => false,
        };
        let index = self.records.iter().position(ends)?;
        let HealthRecord { subject, origin, .. } = self.records.swap_remove(index);
        Some(HealthChange::Back { subject, was_shared: origin != Origin::Own })
    }

    /// What is known, in no particular order.
    pub fn records(&self) -> &[HealthRecord] {
        &self.records
    }

    /// Takes over what all isolates together know: `shared` is all of it. What others have found is used
    /// until one of them takes it back. Of what this isolate has told them, a rest ends with that: keys and
    /// accounts are the same everywhere. A breaker becomes half-open: a host may be unreachable from here
    /// only.
    pub fn adopt(&mut self, shared: &[HealthEvidence], now: Millis) {
        self.records.retain_mut(|record| {
            let is_back = shared.iter().all(|evidence| evidence.subject != record.subject);
            match (&mut record.state, record.origin) {
                (_, Origin::Foreign) | (RecordState::Rest(_), Origin::Shared) => !is_back,
                (RecordState::Breaker(breaker), Origin::Shared) => {
                    if is_back {
                        breaker.end_early(now);
                        record.origin = Origin::Own;
                    }
                    true
                }
                (_, Origin::Own) => true,
            }
        });
        shared.iter().filter(|evidence| evidence.subject.is_shared()).for_each(|evidence| self.learn(evidence, now));
    }

    /// Takes over one state.
    fn learn(&mut self, evidence: &HealthEvidence, now: Millis) {
        let HealthEvidence { subject, reason, since, until } = evidence;
        let (reason, since, until) = (*reason, *since, *until);
        let known = self.records.iter_mut().find(|record| record.subject == *subject);
        let record = match known {
            Some(record) => record,
            None => {
                let state = if subject.has_breaker() {
                    RecordState::Breaker(Breaker::closed(0).opened_elsewhere(reason, since, until))
                } else {
                    RecordState::Rest(Rest::begun_elsewhere(reason, since, until))
                };
                self.insert(subject.clone(), state, now).origin = Origin::Foreign;
                return;
            }
        };
        let is_newer = record.since() < since;
        match &mut record.state {
            RecordState::Breaker(breaker) => {
                let is_closed = breaker.state() == BreakerState::Closed;
                let is_trusted = breaker.has_succeeded_since(now.saturating_sub(TRUST));
                if is_newer && !is_trusted && (is_closed || record.origin == Origin::Foreign) {
                    *breaker = breaker.opened_elsewhere(reason, since, until);
                    record.origin = Origin::Foreign;
                }
            }
            RecordState::Rest(rest) => {
                if is_newer && rest.until() < until {
                    *rest = Rest::begun_elsewhere(reason, since, until);
                    record.origin = Origin::Foreign;
                }
            }
        }
        if record.origin == Origin::Own && record.evidence().is_some() {
            record.origin = Origin::Shared;
        }
    }

    /// Forgets what is known of a subject, or of all, that was found by then.
    pub fn reset(&mut self, subject: Option<&Subject>, by: Millis) {
        self.records.retain(|record| {
            let is_meant = subject.is_none_or(|subject| record.subject == *subject);
            !is_meant || record.since() > by
        });
    }

    /// Adds a record. Makes room for it if need be.
    fn insert(&mut self, subject: Subject, state: RecordState, now: Millis) -> &mut HealthRecord {
        let is_idle = |record: &HealthRecord| {
            record.availability(now) == Availability::Ready && record.touched.saturating_add(IDLE) <= now
        };
        if self.records.len() >= MAX_RECORDS {
            self.records.retain(|record| !is_idle(record));
        }
        if self.records.len() >= MAX_RECORDS {
            let oldest = self.records.iter().enumerate().min_by_key(|(_, record)| record.touched);
            if let Some(index) = oldest.map(|(index, _)| index) {
                self.records.swap_remove(index);
            }
        }
        let index = self.records.len();
        self.records.push(HealthRecord { subject, state, origin: Origin::Own, touched: now });
        // Just pushed.
        #[expect(clippy::indexing_slicing, reason = "the index of the record that was just added")]
        &mut self.records[index]
    }
}

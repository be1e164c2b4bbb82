//! What is known of one subject, and what other isolates are told of it.

use super::availability::Availability;
use super::breaker::{Breaker, BreakerState};
use super::rest::Rest;
use super::subject::Subject;
use crate::config::Millis;
use crate::policy::failure::FailureClass;

/// What is known of one subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthRecord {
    /// What it is about.
    pub subject: Subject,
    /// What is known.
    pub state: RecordState,
    /// Where it was found.
    pub(super) origin: Origin,
    /// When it was last written.
    pub(super) touched: Millis,
}

/// Where the state of a subject was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// In this isolate.
    Own,
    /// In this isolate, and all others can know it.
    Shared,
    /// In another isolate.
    Foreign,
}

/// The state of a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordState {
    /// Of a host or a target.
    Breaker(Breaker),
    /// Of a key or an account, or of a host as seen from here.
    Rest(Rest),
}

/// That a subject is open or rests, as isolates tell each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthEvidence {
    /// What it is about. [`Subject::Host`] and [`Subject::Target`] are open; the others rest.
    pub subject: Subject,
    /// What failed.
    pub reason: FailureClass,
    /// Since when, in milliseconds since 1970.
    pub since: Millis,
    /// Until when. After that, the next request is a probe.
    pub until: Millis,
}

/// A change that other isolates should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HealthChange {
    /// A breaker opened, or a rest began or became longer.
    Out(HealthEvidence),
    /// A breaker closed, or a rest ended by a success.
    Back {
        /// What serves again.
        subject: Subject,
        /// Whether others are known to think that it is out.
        was_shared: bool,
    },
}

impl HealthRecord {
    /// Whether an attempt may begin, as far as this subject is concerned.
    pub fn availability(&self, now: Millis) -> Availability {
        match &self.state {
            RecordState::Breaker(breaker) => breaker.availability(now),
            RecordState::Rest(rest) => rest.availability(now),
        }
    }

    /// When its state last changed, in milliseconds since 1970.
    pub(super) fn since(&self) -> Millis {
        match &self.state {
            RecordState::Breaker(breaker) => breaker.changed(),
            RecordState::Rest(rest) => rest.since(),
        }
    }

    /// What other isolates would be told; `None` for a closed breaker.
    pub fn evidence(&self) -> Option<HealthEvidence> {
        let (reason, since, until) = match &self.state {
            RecordState::Breaker(breaker) => match breaker.state() {
                BreakerState::Closed => return None,
                BreakerState::Open { until } => (breaker.reason(), breaker.changed(), until),
            },
            RecordState::Rest(rest) => (rest.reason(), rest.since(), rest.until()),
        };
        Some(HealthEvidence { subject: self.subject.clone(), reason, since, until })
    }
}

impl HealthChange {
    /// What it is about.
    pub fn subject(&self) -> &Subject {
        match self {
            Self::Out(evidence) => &evidence.subject,
            Self::Back { subject, .. } => subject,
        }
    }

    /// Whether others are told.
    pub(super) fn is_shared(&self) -> bool {
        self.subject().is_shared()
    }
}

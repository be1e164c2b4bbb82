//! Whether something can be used at the moment.

use crate::config::Millis;
use crate::policy::failure::FailureClass;

/// Whether an attempt may go to a place at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// Nothing is against it.
    Ready,
    /// It failed before, and the time is over. The next attempt is the probe; while that runs, others see
    /// [`Availability::Open`] or [`Availability::Resting`].
    ProbeDue,
    /// Its breaker is open, or its probe runs.
    Open {
        /// What the last failure was.
        reason: FailureClass,
        /// When the breaker is half-open, or the probe's lease ends.
        until: Millis,
    },
    /// Its limit, its money or its credential is used up, or its probe runs.
    Resting {
        /// What the last failure was.
        reason: FailureClass,
        /// When the rest ends, or the probe's lease.
        until: Millis,
    },
}

impl Availability {
    /// Whether an attempt may begin.
    pub fn is_usable(self) -> bool {
        matches!(self, Self::Ready | Self::ProbeDue)
    }

    /// When an attempt may begin, if not now.
    pub fn until(self) -> Option<Millis> {
        match self {
            Self::Ready | Self::ProbeDue => None,
            Self::Open { until, .. } | Self::Resting { until, .. } => Some(until),
        }
    }

    /// Of two subjects on which a place depends, the state that keeps it longer.
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        let rank = |state: Self| match state {
            Self::Ready => (0, 0),
            Self::ProbeDue => (1, 0),
            Self::Open { until, .. } | Self::Resting { until, .. } => (2, until),
        };
        if rank(other) > rank(self) { other } else { self }
    }
}

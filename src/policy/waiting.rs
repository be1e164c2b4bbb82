//! How long a provider asks to wait.

use crate::config::Millis;

/// A longer wait is a rest, in milliseconds: a day.
pub const LONGEST_WAIT: Millis = 24 * 60 * 60 * 1000;

/// How long a provider asks to wait before the next try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// So many milliseconds at least; 0 is now. A jitter belongs on top.
    For(Millis),
    /// So many milliseconds, which is longer than [`LONGEST_WAIT`]. What has failed rests for that long at
    /// most; then one request probes it.
    Rest(Millis),
}

impl Wait {
    /// The wait of so many milliseconds.
    pub fn of(millis: Millis) -> Self {
        if millis > LONGEST_WAIT { Self::Rest(millis) } else { Self::For(millis) }
    }

    /// The whole of it as the provider stated it, in milliseconds.
    pub fn stated(self) -> Millis {
        match self {
            Self::For(millis) | Self::Rest(millis) => millis,
        }
    }

    /// The time until something may be tried again, in milliseconds: [`LONGEST_WAIT`] at most.
    pub fn until_next_try(self) -> Millis {
        self.stated().min(LONGEST_WAIT)
    }
}

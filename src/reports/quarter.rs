//! Quarters of an hour, the smallest period that sums are kept for. Every UTC offset in use today is a
//! multiple of one, so that each hour and each day of a zone consists of whole quarters.

use serde::{Deserialize, Serialize};

use crate::config::Millis;
use crate::wire::date::DAY;

/// The milliseconds of a quarter of an hour.
const LENGTH: Millis = 900_000;
/// The quarters of a day of UTC.
pub(super) const PER_DAY: u64 = DAY / LENGTH;

/// A quarter of an hour, counted from 1970-01-01T00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Quarter(pub u64);

impl Quarter {
    /// The quarter of a time.
    pub fn of(time: Millis) -> Self {
        Self(time / LENGTH)
    }

    /// When it begins.
    pub fn start(self) -> Millis {
        self.0.saturating_mul(LENGTH)
    }
}

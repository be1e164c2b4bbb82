//! Spreads the ends of waits, so that isolates do not come back in the same moment.

use crate::config::Millis;

/// The least span over which the ends of waits are spread.
const MIN_SPREAD: Millis = 250;
/// The greatest.
const MAX_SPREAD: Millis = 30_000;

/// Something on top of a wait: up to a fifth of it, at least up to 250 ms and at most up to 30 s. `random`:
/// random bits.
pub fn jitter(wait: Millis, random: u64) -> Millis {
    let spread = (wait / 5).clamp(MIN_SPREAD, MAX_SPREAD);
    // The high bits: the low ones of a poor source repeat.
    (random >> 20) % (spread + 1)
}

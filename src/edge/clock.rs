//! The clock of the runtime, and timers.

use std::pin::Pin;
use std::time::Duration;

use worker::Delay;

use crate::config::Millis;

/// Milliseconds since 1970.
pub(super) fn now() -> Millis {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a date after 1970")]
    let now = js_sys::Date::now() as Millis;
    now
}

/// A timer that can be polled by reference; dropping it cancels it.
pub(super) type Timer = Pin<Box<Delay>>;

/// A timer that completes after `wait`.
pub(super) fn timer(wait: Millis) -> Timer {
    Box::pin(Delay::from(Duration::from_millis(wait)))
}

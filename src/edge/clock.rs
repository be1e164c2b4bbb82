//! The clock of the runtime.

use std::cell::Cell;

use crate::config::Millis;

thread_local! {
    /// Whether the time is read once only, and what has been read.
    static HELD: Cell<(bool, Option<Millis>)> = const { Cell::new((false, None)) };
}

/// Milliseconds since 1970.
pub(super) fn now() -> Millis {
    match HELD.get() {
        (true, Some(now)) => now,
        (is_held, _) => {
            let now = read();
            HELD.set((is_held, Some(now)));
            now
        }
    }
}

fn read() -> Millis {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a date after 1970")]
    let now = js_sys::Date::now() as Millis;
    now
}

/// From here on, the time is read once. The runtime's clock stands still while code runs
/// (<https://developers.cloudflare.com/workers/reference/security-model/#step-1-disallow-timers-and-multi-threading>).
pub(super) fn hold() {
    HELD.set((true, None));
}

/// From here on, the time is read again.
pub(super) fn release() {
    HELD.set((false, None));
}

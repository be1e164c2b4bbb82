//! The clock of the runtime.

use crate::config::Millis;

/// Milliseconds since 1970.
pub(super) fn now() -> Millis {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a date after 1970")]
    let now = js_sys::Date::now() as Millis;
    now
}

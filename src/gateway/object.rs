//! Commands to Durable Objects that a response waits for.

use std::pin::pin;

use futures::future::{Either, select};

use super::platform::{CallError, ObjectAddress, Platform};
use crate::config::Millis;

/// A response waits so long at most for an object that it can do without.
const PATIENCE: Millis = 2_000;

/// Asks an object that the request can do without, or cannot wait for: 2 s at most.
///
/// # Errors
/// It cannot be reached, or takes longer.
pub(super) async fn ask_soon<P: Platform>(
    platform: &P,
    address: ObjectAddress<'_>,
    command: String,
) -> Result<String, CallError> {
    match select(pin!(platform.ask_object(address, command)), platform.timer(PATIENCE)).await {
        Either::Left((response, _)) => response,
        Either::Right(_) => Err(CallError::TimedOut),
    }
}

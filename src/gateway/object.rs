//! Calls to Durable Objects with a short time limit.

use std::pin::pin;

use futures::future::{Either, select};

use super::platform::{ObjectAddress, ObjectError, Platform};
use crate::config::Millis;

/// The longest that a response waits for a Durable Object that it does not depend on.
const TIMEOUT: Millis = 2_000;

/// Sends a command to a Durable Object and waits at most 2 s for the response.
///
/// # Errors
/// The object cannot be reached, or takes longer.
pub async fn ask_soon<P: Platform>(
    platform: &P,
    address: ObjectAddress<'_>,
    command: String,
) -> Result<String, ObjectError> {
    match select(pin!(platform.ask_object(address, command)), platform.timer(TIMEOUT)).await {
        Either::Left((response, _)) => response,
        Either::Right(_) => Err(ObjectError::Unreachable),
    }
}

//! Calls to Durable Objects with a time limit.

use std::pin::pin;

use futures::future::{Either, select};

use super::platform::{ObjectAddress, ObjectError, Platform};
use crate::config::Millis;

/// The longest that a response waits for a Durable Object that it does not depend on.
const TIMEOUT: Millis = 2_000;
/// The longest that an admin waits for one. Log files have 30 s for their bucket alone.
const PATIENCE: Millis = 40_000;

/// Sends a command to a Durable Object and waits at most 2 s for the response.
///
/// # Errors
/// The object cannot be reached, or takes longer.
pub async fn ask_soon<P: Platform>(
    platform: &P,
    address: ObjectAddress<'_>,
    command: String,
) -> Result<String, ObjectError> {
    ask_within(platform, address, command, TIMEOUT).await
}

/// Sends a command of an admin to a Durable Object and waits at most 40 s for the response.
///
/// # Errors
/// The object cannot be reached, or takes longer.
pub async fn ask_patiently<P: Platform>(
    platform: &P,
    address: ObjectAddress<'_>,
    command: String,
) -> Result<String, ObjectError> {
    ask_within(platform, address, command, PATIENCE).await
}

async fn ask_within<P: Platform>(
    platform: &P,
    address: ObjectAddress<'_>,
    command: String,
    limit: Millis,
) -> Result<String, ObjectError> {
    match select(pin!(platform.ask_object(address, command)), platform.timer(limit)).await {
        Either::Left((response, _)) => response,
        Either::Right(_) => Err(ObjectError::Unreachable),
    }
}

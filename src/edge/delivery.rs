//! The delivery of a batch to an object, once.

use std::pin::pin;

use futures::future::{Either, select};
use worker::Env;

use super::js;
use super::objects::call;
use super::slots::Timer;
use crate::gateway::platform::ObjectAddress;
use crate::operations::TIME_LIMIT;

/// The response of an object to a batch; `None` if there is none in time.
pub(super) async fn in_time(env: &Env, address: ObjectAddress<'_>, batch: String) -> Option<String> {
    let timer = pin!(Timer::new(TIME_LIMIT));
    match select(pin!(call::ask(env, address, batch)), timer).await {
        Either::Left((response, _)) => response.ok(),
        Either::Right(_) => None,
    }
}

/// The id of a batch.
pub(super) fn random_id() -> u64 {
    js::random().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

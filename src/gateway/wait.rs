//! Waiting inside a request: no longer than allowed, no longer than a request may go on without its client,
//! and with its lease renewed meanwhile.

use std::future::{Future, pending};
use std::pin::pin;

use futures::future::{Either, select};

use super::memory::MemoryReservation;
use super::platform::{Broken, CallError, Platform};
use crate::config::Millis;

/// After its client has disconnected, a request goes on for so long at most: the platform ends it after 30 s,
/// and by then its receipt has to be in the account
/// (<https://developers.cloudflare.com/workers/runtime-apis/context/#waituntil>).
const WITHOUT_CLIENT: Millis = 25_000;
/// A response waits so long at most for room in memory …
const ROOM_WAIT: Millis = 10_000;
/// … and looks for it this often.
const ROOM_POLL_INTERVAL: Millis = 20;

/// The time until the request's lease has to be renewed; without end if it has none.
pub(super) fn until_renewal<P: Platform>(platform: &P) -> Millis {
    platform.state().lease.borrow().as_ref().map_or(Millis::MAX, |lease| lease.wait(platform.now()))
}

/// Notes how much of the response has come, in bytes, for the next renewal.
pub(super) fn note_received<P: Platform>(platform: &P, bytes: u64) {
    platform.state().lease.borrow().iter().for_each(|lease| lease.hear(bytes));
}

/// Renews the request's lease if that is due; nobody waits for it. `received`: how much of the response has
/// come, in bytes, if the caller knows.
pub(super) fn renew_lease<P: Platform>(platform: &P, received: impl FnOnce() -> Option<u64>) {
    let lease = platform.state().lease.borrow();
    let Some(lease) = lease.as_ref().filter(|lease| lease.wait(platform.now()) == 0) else { return };
    received().into_iter().for_each(|bytes| lease.hear(bytes));
    if let Some((command, accounts)) = lease.renewal(platform.now()) {
        platform.notify(accounts, &command);
    }
}

/// Waits, and renews the request's lease meanwhile.
pub(super) async fn sleep<P: Platform>(platform: &P, time: Millis) {
    let end = platform.now().saturating_add(time);
    loop {
        let left = end.saturating_sub(platform.now());
        let step = left.min(until_renewal(platform));
        platform.timer(step).await;
        renew_lease(platform, || None);
        if step == left {
            return;
        }
    }
}

/// Waits for something, `limit` milliseconds at most.
///
/// # Errors
/// It broke, took too long, or the time of a request without a client is over.
pub(super) async fn within<P: Platform, T>(
    platform: &P,
    limit: Millis,
    wait: impl Future<Output = Result<T, Broken>>,
) -> Result<T, CallError> {
    match select(pin!(wait), select(pin!(sleep(platform, limit)), pin!(until_over(platform)))).await {
        Either::Left((result, _)) => Ok(result?),
        Either::Right((Either::Left(_), _)) => Err(CallError::TimedOut),
        Either::Right((Either::Right(_), _)) => Err(CallError::ClientLeft),
    }
}

/// Completes when the client has disconnected.
pub(super) async fn client_left<P: Platform>(platform: &P) {
    platform.state().watches_client.set(true);
    platform.until_client_left().await;
}

/// Completes when a request whose client has disconnected may go on no longer. Never, as long as nothing
/// watches the client: such a request ends with it, and the platform sees to that.
pub(super) async fn until_over<P: Platform>(platform: &P) {
    if !platform.state().watches_client.get() {
        return pending().await;
    }
    let end = platform.until_client_left().await.saturating_add(WITHOUT_CLIENT);
    platform.timer(end.saturating_sub(platform.now())).await;
}

/// Waits for something that only the client can bring about. One that has disconnected never will, and the
/// platform does not always say so: a write to a response that it has not yet taken when the client
/// disconnects waits without end.
pub(super) async fn while_client_stays<P: Platform, T>(
    platform: &P,
    wait: impl Future<Output = Result<T, Broken>>,
) -> Result<T, Broken> {
    match select(pin!(wait), pin!(client_left(platform))).await {
        Either::Left((done, _)) => done,
        Either::Right(_) => Err(Broken),
    }
}

/// Waits until there is room in memory for a response of so many bytes and a copy of it.
///
/// # Errors
/// There is none for 10 s, or the time of a request without a client is over.
pub async fn wait_for_room<P: Platform>(
    platform: &P,
    room: &MemoryReservation,
    length: usize,
) -> Result<(), CallError> {
    let until = platform.now().saturating_add(ROOM_WAIT);
    while !room.hold(length.saturating_mul(2)) {
        if platform.now() >= until {
            return Err(CallError::NoRoom);
        }
        let wait = within(platform, ROOM_POLL_INTERVAL, pending::<Result<(), Broken>>()).await;
        if wait == Err(CallError::ClientLeft) {
            return Err(CallError::ClientLeft);
        }
    }
    Ok(())
}

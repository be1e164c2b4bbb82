//! Waiting inside a request: no longer than allowed, no longer than a request may go on without its client,
//! and with its lease renewed meanwhile.

use std::future::{Future, pending};
use std::pin::pin;

use futures::future::{Either, select};

use super::live::{self, is_ended};
use super::memory::MemoryReservation;
use super::platform::{Broken, CallError, Platform};
use crate::config::Millis;

/// The longest that a request goes on after its client has disconnected: the platform ends it after 30 s, and
/// by then its receipt has to be in the account
/// (<https://developers.cloudflare.com/workers/runtime-apis/context/#waituntil>).
const WITHOUT_CLIENT: Millis = 25_000;
/// The longest that a response waits for memory.
const MEMORY_WAIT: Millis = 10_000;
/// The time between two attempts to reserve memory for a response.
const MEMORY_POLL_INTERVAL: Millis = 20;

/// The time until the next [`check_in`], or the next look whether the request is to end; [`Millis::MAX`] if
/// there is none.
pub(super) fn until_check_in<P: Platform>(platform: &P) -> Millis {
    let look = live::until_look(platform);
    platform.state().lease.borrow().as_ref().map_or(look, |lease| lease.wait(platform.now()).min(look))
}

/// Notes how many bytes of the response have been received, for the next renewal.
pub(super) fn note_received<P: Platform>(platform: &P, bytes: u64) {
    platform.state().lease.borrow().iter().for_each(|lease| lease.note_received(bytes));
}

/// Does what a running request has to do now and then, without waiting for the result: it renews its lease
/// if that is due, and tells watchers of itself. `received`: the bytes of the response that have been
/// received, if the caller knows.
pub(super) fn check_in<P: Platform>(platform: &P, received: impl FnOnce() -> Option<u64>) {
    let now = platform.now();
    live::report_running(platform, now);
    let lease = platform.state().lease.borrow();
    let Some(lease) = lease.as_ref().filter(|lease| lease.wait(now) == 0) else { return };
    received().into_iter().for_each(|bytes| lease.note_received(bytes));
    if let Some((command, accounts)) = lease.renewal(now) {
        platform.notify(accounts, &command);
    }
}

/// Waits, and renews the request's lease meanwhile. It ends early if an admin ends the request.
pub(super) async fn sleep<P: Platform>(platform: &P, time: Millis) {
    let end = platform.now().saturating_add(time);
    loop {
        let left = end.saturating_sub(platform.now());
        let step = left.min(until_check_in(platform));
        platform.timer(step).await;
        check_in(platform, || None);
        if step == left || is_ended(platform) {
            return;
        }
    }
}

/// Waits for a future for at most `limit` milliseconds.
///
/// # Errors
/// The future fails or takes too long, the time of a request without a client is over, or an admin ends the
/// request.
pub(super) async fn within<P: Platform, T, E: Into<CallError>>(
    platform: &P,
    limit: Millis,
    wait: impl Future<Output = Result<T, E>>,
) -> Result<T, CallError> {
    match select(pin!(wait), select(pin!(sleep(platform, limit)), pin!(until_over(platform)))).await {
        Either::Left((result, _)) => result.map_err(Into::into),
        Either::Right((Either::Left(_), _)) if is_ended(platform) => Err(CallError::Ended),
        Either::Right((Either::Left(_), _)) => Err(CallError::TimedOut),
        Either::Right((Either::Right(_), _)) => Err(CallError::ClientLeft),
    }
}

/// Completes when the client has disconnected.
pub(super) async fn client_left<P: Platform>(platform: &P) {
    platform.state().watches_client.set(true);
    platform.until_client_left().await;
}

/// Completes when the time of a request whose client has disconnected is over. It never completes while
/// nothing watches the client: the platform ends such a request when its client disconnects.
pub(super) async fn until_over<P: Platform>(platform: &P) {
    if !platform.state().watches_client.get() {
        return pending().await;
    }
    let end = platform.until_client_left().await.saturating_add(WITHOUT_CLIENT);
    platform.timer(end.saturating_sub(platform.now())).await;
}

/// Waits for a future that depends on the client, until the client disconnects. The platform does not always
/// report a disconnection: a write that is pending at that time never completes.
pub(super) async fn while_client_stays<P: Platform, T>(
    platform: &P,
    wait: impl Future<Output = Result<T, Broken>>,
) -> Result<T, Broken> {
    match select(pin!(wait), pin!(client_left(platform))).await {
        Either::Left((done, _)) => done,
        Either::Right(_) => Err(Broken),
    }
}

/// Waits until memory for a response of `length` bytes and a copy of it is reserved.
///
/// # Errors
/// The memory is not free within 10 s, the time of a request without a client is over, or an admin ends it.
pub async fn wait_for_room<P: Platform>(
    platform: &P,
    reservation: &MemoryReservation,
    length: usize,
) -> Result<(), CallError> {
    let until = platform.now().saturating_add(MEMORY_WAIT);
    while !reservation.hold(length.saturating_mul(2)) {
        if platform.now() >= until {
            return Err(CallError::NoRoom);
        }
        let wait = within(platform, MEMORY_POLL_INTERVAL, pending::<Result<(), Broken>>()).await;
        if let Err(over @ (CallError::ClientLeft | CallError::Ended)) = wait {
            return Err(over);
        }
    }
    Ok(())
}

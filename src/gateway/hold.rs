//! A stream that is held until it is whole, so that another target can begin anew if it fails: nothing of it
//! has left. Meanwhile the client gets signs of life.

use super::call::call_failed;
use super::deadlines::TimerEvent;
use super::drive::Drive;
use super::failure::Failure;
use super::forward::{persist, push};
use super::kept::unkept;
use super::memory::MemoryReservation;
use super::peek::Peeked;
use super::platform::{CallError, Piece as _, Platform};
use super::relay::{Next, Step, StreamEnd, StreamRelay, broken_off};
use super::unfinished::unreadable;
use super::wait::{note_received, within};
use crate::config::Millis;
use crate::error::{Error, Result};
use crate::policy::routing::Target;

/// A stream that is being held.
struct Held<'h, P: Platform> {
    relay: &'h mut StreamRelay,
    peeked: &'h mut Peeked<P>,
    /// When it is let go, if it is not whole by then.
    until: Millis,
    room: &'h MemoryReservation,
}

impl<P: Platform> Drive<'_, P> {
    /// Holds a stream whose content has begun until it is whole, for `longest` milliseconds at most. It is
    /// let go earlier if it becomes too long to be held, or if the request ends. Returns the memory that is
    /// reserved for what is held.
    ///
    /// # Errors
    /// The provider's error; 502 if it broke off or an event cannot be read, 504 if it took too long.
    pub(super) async fn hold(
        &mut self,
        target: &Target<'_>,
        relay: &mut StreamRelay,
        peeked: &mut Peeked<P>,
        longest: Millis,
    ) -> Result<Option<MemoryReservation>, Failure> {
        let now = self.platform.now();
        // Without room, the response is not held.
        let room = self.bridge.memory.reserve(0, now, now.saturating_add(target.clocks.total));
        let Some(room) = room else { return Ok(None) };
        let held = Held { relay, peeked, until: now.saturating_add(longest), room: &room };
        match self.read_held(held).await {
            Ok(()) => Ok(Some(room)),
            Err(error) => {
                self.platform.abort(&peeked.stream);
                Err(relay.fail_held(error, self.platform.now()))
            }
        }
    }

    async fn read_held(&mut self, held: Held<'_, P>) -> Result<()> {
        let Held { relay, peeked, until, room } = held;
        loop {
            check(relay)?;
            let is_over = relay.next() == Next::Done;
            if is_over && !relay.summary().is_complete() {
                return self.close_held(relay, peeked, broken_off(StreamEnd::Closed)).await;
            }
            let now = self.platform.now();
            if is_over || now >= until || !self.may_hold(peeked.beginning.len(), room) {
                return Ok(());
            }
            if relay.wait(now) == 0 && self.note_time(relay).await? {
                return self.close_held(relay, peeked, call_failed(CallError::TimedOut)).await;
            }
            let wait = relay.wait(now).min(until.saturating_sub(now));
            match within(self.platform, wait, self.platform.next(&mut peeked.stream)).await {
                Ok(Some(piece)) => {
                    let bytes = piece.to_vec();
                    let step = push(self.platform, &self.record, relay, &bytes);
                    self.take(step, &mut peeked.beginning).await?;
                    note_received(self.platform, relay.received());
                }
                Err(CallError::TimedOut) => {}
                // What comes next sees it, and ends the response.
                Err(CallError::ClientLeft | CallError::Ended) => return Ok(()),
                Err(_) if self.platform.client_left() => return Ok(()),
                Ok(None) => return self.close_held(relay, peeked, broken_off(StreamEnd::Closed)).await,
                Err(lost) => return self.close_held(relay, peeked, call_failed(lost)).await,
            }
        }
    }

    /// The stream is over, in whatever way: it is whole, or has failed.
    async fn close_held(&mut self, relay: &mut StreamRelay, peeked: &mut Peeked<P>, failure: Error) -> Result<()> {
        let step = relay.close();
        self.take(step, &mut peeked.beginning).await?;
        check(relay)?;
        if relay.summary().is_complete() { Ok(()) } else { Err(failure) }
    }

    /// Adds to what is held, once what belongs to it is stored.
    async fn take(&mut self, step: Step<'_>, beginning: &mut Vec<u8>) -> Result<()> {
        beginning.extend_from_slice(&step.forward);
        if persist(self.platform, step.persist).await { Ok(()) } else { Err(unkept()) }
    }

    /// Whether so many bytes, and a copy of them, can be held.
    fn may_hold(&self, bytes: usize, room: &MemoryReservation) -> bool {
        bytes <= self.bridge.config.max_answer_bytes && room.hold(bytes.saturating_mul(2))
    }

    /// Does what is due. Returns whether the time of the response is over.
    ///
    /// # Errors
    /// The client has left.
    async fn note_time(&mut self, relay: &mut StreamRelay) -> Result<bool> {
        let now = self.platform.now();
        match relay.tick(now) {
            TimerEvent::Over => Ok(true),
            TimerEvent::Nothing => Ok(false),
            TimerEvent::KeepAlive => {
                self.keep_client_waiting(relay.left(now)).await.map_err(|failure| failure.error)?;
                Ok(false)
            }
        }
    }
}

/// Checks that a stream is sound, as far as it has come.
///
/// # Errors
/// The provider's error; 502 for an event that cannot be read.
fn check(relay: &StreamRelay) -> Result<()> {
    let summary = relay.summary();
    summary.check()?;
    if summary.malformed == 0 { Ok(()) } else { Err(unreadable()) }
}

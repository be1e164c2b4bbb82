//! A whole response that is asked for as a stream and assembled from it, so that the gateway can tell a
//! provider that is silent from one that is at work.

use super::call::call_failed;
use super::deadlines::{Deadlines, TimerEvent};
use super::drive::Drive;
use super::failure::{Failure, FailureStage};
use super::memory::{self, MemoryReservation};
use super::platform::{CallError, Piece as _, Platform};
use super::record::Fact;
use super::response_context::ResponseContext;
use super::response_facts::{facts_so_far, reported};
use super::wait::{wait_for_room, within};
use crate::error::{Error, Result};
use crate::formats::{AssembleOptions, Assembler};
use crate::policy::routing::Target;

impl<P: Platform> Drive<'_, P> {
    /// Reads a stream to its end, and returns the whole response that it stands for, in the provider's
    /// format.
    ///
    /// # Errors
    /// The provider's error; 502 if it broke off, holds no response or is too long; 503 if there is no room
    /// for it; 504 if it was silent for too long. The client has got nothing of it.
    pub(super) async fn assemble(
        &mut self,
        target: &Target<'_>,
        context: &ResponseContext,
        answer: P::Answer,
    ) -> Result<Vec<u8>, Failure> {
        let options =
            AssembleOptions { max_bytes: self.bridge.config.max_answer_bytes, choices: context.options.choices };
        let failed = |error| Failure::of(error, FailureStage::BeforeContent);
        let mut assembler = Assembler::new(context.format, options).ok_or_else(|| failed(unassembled()))?;
        let at = self.platform.now();
        let room = self.bridge.memory.reserve(0, at, at.saturating_add(target.clocks.total));
        let room = room.ok_or_else(|| failed(memory::full()))?;
        let mut stream = self.platform.open_answer(answer);
        let read = self.read_into(&mut assembler, target, &mut stream, &room).await;
        let read = read.inspect_err(|_| self.platform.abort(&stream));
        let document = read.and_then(|()| assembler.finish());
        document.map_err(|error| match assembler.summary() {
            // The provider has generated what came.
            summary if summary.has_content => {
                self.failed(target, error, FailureStage::Held).with_response(facts_so_far(summary, self.platform.now()))
            }
            summary => self.failed(target, error, FailureStage::BeforeContent).with_response(reported(summary)),
        })
    }

    async fn read_into(
        &mut self,
        assembler: &mut Assembler,
        target: &Target<'_>,
        stream: &mut P::Stream,
        room: &MemoryReservation,
    ) -> Result<()> {
        let (platform, started, now) = (self.platform, self.record.started(), self.platform.now());
        let mut deadlines = Deadlines::new(target.clocks, 0, started, now);
        deadlines = deadlines.asked_at(self.attempt.as_ref().map_or(started, |attempt| attempt.began));
        loop {
            match within(platform, deadlines.wait(platform.now()), platform.next(stream)).await {
                Ok(Some(piece)) => {
                    let bytes = piece.to_vec();
                    assembler.push(&bytes)?;
                    let held = assembler.length().saturating_add(bytes.len());
                    wait_for_room(platform, room, held).await.map_err(call_failed)?;
                    let now = platform.now();
                    let has_begun = assembler.summary().has_content;
                    if has_begun && !deadlines.has_begun() {
                        self.record.apply(Fact::FirstByte { at: now });
                    }
                    deadlines.received(now, has_begun);
                }
                Ok(None) => return Ok(()),
                Err(CallError::TimedOut) if deadlines.tick(platform.now()) != TimerEvent::Over => {}
                Err(lost) => return Err(call_failed(lost)),
            }
        }
    }
}

fn unassembled() -> Error {
    Error::gateway(500, "invalid_configuration", "Streams of this provider's format cannot be assembled.")
}

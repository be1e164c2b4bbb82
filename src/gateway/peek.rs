//! Reads a stream up to its first content, before the head of the response leaves for the client: until then,
//! a failure can still be reported by its status.

use super::call::call_failed;
use super::deadlines::TimerEvent;
use super::forward::{persist, push};
use super::kept::unkept;
use super::platform::{CallError, Piece as _, Platform};
use super::record::RequestRecord;
use super::relay::{Step, StreamEnd, StreamRelay};
use super::wait::within;
use crate::error::{Error, Result};
use crate::wire::sse::SseReader;

/// The beginning of a stream, as it leaves for the client, and the rest of it.
pub(super) struct Peeked<P: Platform> {
    pub(super) stream: P::Stream,
    pub(super) beginning: Vec<u8>,
}

/// Why reading pauses.
pub(super) enum PeekEnd {
    /// Content has come, or the end, or an event that is too long to be held: the rest can be forwarded.
    Content,
    /// Nothing has been sent to the client for long.
    Silence,
    /// It is a JSON document and no stream, whatever its content type says. This is its beginning.
    Document(Vec<u8>),
}

/// A stream that is read up to its first content. If this is dropped, the platform aborts the provider's call
/// with the request.
pub(super) struct Peek<P: Platform> {
    stream: P::Stream,
    may_be_document: bool,
    held: HeldStream,
}

impl<P: Platform> Peek<P> {
    /// A stream of which nothing has been read.
    pub(super) fn open(platform: &P, may_be_document: bool, answer: P::Answer) -> Self {
        Self { stream: platform.open_answer(answer), may_be_document, held: HeldStream::default() }
    }

    /// Reads on, until content comes or the client has got nothing for too long.
    ///
    /// # Errors
    /// The provider's error; 502 or 504 if no response came.
    pub(super) async fn read(
        &mut self,
        platform: &P,
        record: &RequestRecord,
        relay: &mut StreamRelay,
    ) -> Result<PeekEnd> {
        while !relay.has_begun() {
            match within(platform, relay.wait(platform.now()), platform.next(&mut self.stream)).await {
                Ok(Some(piece)) => {
                    let bytes = piece.to_vec();
                    let is_first = relay.first_byte().is_none();
                    if self.may_be_document && is_first && bytes.trim_ascii_start().starts_with(b"{") {
                        return Ok(PeekEnd::Document(bytes));
                    }
                    let step = push(platform, record, relay, &bytes);
                    self.take(platform, step, relay).await?;
                    if self.held.is_in_long_event() {
                        return Ok(PeekEnd::Content);
                    }
                }
                Ok(None) => {
                    // An event that was cut off is no reason of its own.
                    let broken = relay.error(StreamEnd::Closed);
                    // The end may bring the finish reasons of a response without anything else.
                    let step = relay.close();
                    self.take(platform, step, relay).await?;
                    return if relay.summary().is_complete() { Ok(PeekEnd::Content) } else { Err(broken) };
                }
                Err(CallError::TimedOut) => match relay.tick(platform.now()) {
                    TimerEvent::Over => return Err(call_failed(CallError::TimedOut)),
                    TimerEvent::KeepAlive => return Ok(PeekEnd::Silence),
                    TimerEvent::Nothing => {}
                },
                Err(lost) => return Err(call_failed(lost)),
            }
        }
        Ok(PeekEnd::Content)
    }

    /// Holds what has come, once what belongs to it is stored.
    ///
    /// # Errors
    /// The provider's error, or what is wrong with the beginning of the stream.
    async fn take(&mut self, platform: &P, step: Step<'_>, relay: &StreamRelay) -> Result<()> {
        self.held.push(&step.forward);
        if !persist(platform, step.persist).await {
            return Err(unkept());
        }
        relay.check_beginning().and_then(|()| self.held.check())
    }

    /// Adds a keep-alive to what has been read.
    pub(super) fn keep_alive(&mut self, bytes: &[u8]) {
        self.held.keep_alive(bytes);
    }

    /// What has been read, and the rest.
    pub(super) fn into_peeked(self) -> Peeked<P> {
        Peeked { stream: self.stream, beginning: self.held.into_bytes() }
    }

    /// The rest of it.
    pub(super) fn into_stream(self) -> P::Stream {
        self.stream
    }

    /// Aborts the provider's call.
    pub(super) fn abort(&self, platform: &P) {
        platform.abort(&self.stream);
    }
}

/// The most that is held of events, in bytes.
const MAX_EVENTS: usize = 1 << 20;
/// The most that is held of comments, in bytes: some providers send one at the start.
const MAX_COMMENTS: usize = 4 << 10;

/// What is held of a stream: its events, and no more than the first few comments.
struct HeldStream {
    reader: SseReader,
    events: Vec<u8>,
    /// Bytes of comments so far, and whether the newest one was dropped.
    comments: usize,
    dropped: bool,
    /// The newest piece. Where it brings the first content, all of it passes as it came.
    last: Vec<u8>,
}

impl Default for HeldStream {
    fn default() -> Self {
        Self { reader: SseReader::keeping_raw(), events: Vec::new(), comments: 0, dropped: false, last: Vec::new() }
    }
}

impl HeldStream {
    /// Takes more of the stream.
    fn push(&mut self, bytes: &[u8]) {
        self.sift();
        self.last.extend_from_slice(bytes);
    }

    /// Takes in the newest piece, which has no content, without its comments if there were many.
    fn sift(&mut self) {
        let (events, comments, dropped) = (&mut self.events, &mut self.comments, &mut self.dropped);
        self.reader.push(&self.last, &mut |block| {
            if block.is_comment() {
                *comments = comments.saturating_add(block.raw.len());
            }
            *dropped = block.is_comment() && *comments > MAX_COMMENTS;
            if !*dropped {
                events.extend_from_slice(block.raw);
            }
        });
        self.last.clear();
    }

    /// Adds a keep-alive for a client that has waited for long.
    fn keep_alive(&mut self, bytes: &[u8]) {
        self.sift();
        if self.reader.is_between_events() {
            self.events.extend_from_slice(bytes);
        }
    }

    /// Checks that no more than may be held has come before the first content.
    ///
    /// # Errors
    /// 502 if it is more.
    fn check(&self) -> Result<()> {
        if self.events.len().saturating_sub(self.comments.min(MAX_COMMENTS)) <= MAX_EVENTS {
            return Ok(());
        }
        let message = "The provider sent more than 1 MiB of events before the first content of its answer.";
        Err(Error::upstream(502, "upstream_invalid_response", message))
    }

    /// Whether an event is too long to be held: its beginning has to leave before the event is read.
    fn is_in_long_event(&self) -> bool {
        self.reader.pending().len() > MAX_EVENTS
    }

    /// All that is held.
    fn into_bytes(mut self) -> Vec<u8> {
        // A comment whose beginning was dropped is still one.
        let in_dropped = self.reader.is_passing() && self.dropped;
        self.events.extend_from_slice(if in_dropped { b":" } else { self.reader.pending() });
        self.events.append(&mut self.last);
        self.events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_comments_are_not_held_and_events_are() {
        let mut held = HeldStream::default();
        (0..100_000).for_each(|_| held.push(b": still thinking\n\n"));
        held.push(b"retry: 5\n\n: a\ndata: 1\n\nda");
        held.push(b"ta: 2\n\n: c");
        held.keep_alive(b": keep-alive\n\n");
        assert!(held.check().is_ok() && !held.is_in_long_event() && held.events.len() < 5_000);
        held.push(b"d\n\n: e\n\n");
        let bytes = held.into_bytes();
        assert!(bytes.ends_with(b"thinking\n\nretry: 5\n\ndata: 1\n\ndata: 2\n\n:d\n\n: e\n\n"));
    }

    #[test]
    fn a_few_comments_pass_as_they_came() {
        let mut held = HeldStream::default();
        [": a\n\n", "data: 1\n\n: b", "c\n", "\ndata: 2\n\n"].iter().for_each(|piece| held.push(piece.as_bytes()));
        assert_eq!(held.into_bytes(), b": a\n\ndata: 1\n\n: bc\n\ndata: 2\n\n");
    }

    #[test]
    fn events_have_room_for_one_mebibyte() {
        let mut held = HeldStream::default();
        held.push(&b"data: {}\n\n".repeat(100_000));
        assert!(held.check().is_ok());
        held.push(&b"data: {}\n\n".repeat(5_000));
        held.push(b"");
        assert!(held.check().is_err());
        let mut held = HeldStream::default();
        held.push(&b"data: x".repeat(200_000));
        held.push(b"");
        assert!(held.check().is_ok() && held.is_in_long_event());
        assert_eq!(held.into_bytes().len(), 1_400_000);
    }
}

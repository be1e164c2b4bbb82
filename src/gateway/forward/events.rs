//! A provider's events on their way to the client. Each piece passes through the gateway until the response
//! has begun; from then on the platform pipes the stream and the gateway reads a copy of it
//! ([`super::piped`]), unless events are checked or written anew.

use std::cell::Cell;
use std::future::pending;
use std::pin::pin;

use futures::future::{Either, select};

use super::gather::Gather;
use super::write::{persist, push, write_end};
use crate::config::Millis;
use crate::gateway::deadlines::TimerEvent;
use crate::gateway::failure::Failure;
use crate::gateway::live::is_ended;
use crate::gateway::platform::{Broken, Piece as _, Platform, ReadError};
use crate::gateway::record::RequestRecord;
use crate::gateway::relay::{self, FinishedStream, StreamEnd, StreamRelay};
use crate::gateway::wait::{
    check_in, client_left, note_received, sleep, until_check_in, until_over, while_client_stays,
};
use crate::gateway::writer::ResponseWriter;

/// After the gateway has slept, what has come meanwhile is read within this time, in milliseconds.
pub(super) const READ_GRACE: Millis = 10;
/// Before a stream is piped, so many pieces more may pass through the gateway …
const BURST_PIECES: u8 = 8;
/// … as long as each comes within this time after the last, in milliseconds: a short stream that came at once
/// is over by then, and what stands after its end can be left out. A piece that passes costs as much as four
/// that the platform copies, so streams that are merely fast are piped at once.
const BURST: Millis = 2;
/// Events that are written anew leave at the latest when so many bytes wait.
const FULL: usize = 32 << 10;

/// What happens next.
pub(super) enum Next {
    Bytes(Vec<u8>),
    Closed,
    Broken,
    Timer(TimerEvent),
    /// The client has disconnected. This comes once.
    ClientLeft,
}

/// A provider's events on their way to a client.
pub(in crate::gateway) struct Forward<'r, P: Platform> {
    pub(super) platform: &'r P,
    pub(super) record: &'r RequestRecord,
    pub(super) relay: StreamRelay,
    pub(super) stream: P::Stream,
    pub(super) sink: P::Sink,
    /// Completes when a deadline may be due; every byte that comes only moves that further away.
    timer: Option<P::Timer>,
    /// All that has come has been read.
    pub(super) is_read: bool,
    /// It is known that the client has disconnected.
    has_left: bool,
    /// The provider's stream was broken off because it holds more than is unpacked.
    is_too_large: bool,
    /// What may leave, and waits for more …
    ready: Vec<u8>,
    /// … until this completes.
    flush: Option<P::Timer>,
    /// A copy that still holds something for a client that does not read, after time was up.
    pub(super) stuck: Option<P::Pipe>,
    /// The pieces that may still pass before the stream is piped, and when the last came.
    burst: (u8, Millis),
    /// What reads of a checked stream wait for, if they may.
    pub(super) gather: Option<Gather>,
}

/// A stream that was forwarded to its end, but for its last bytes.
pub(in crate::gateway) struct Forwarded<P: Platform> {
    pub(in crate::gateway) finished: FinishedStream,
    pub(in crate::gateway) first_byte: Option<Millis>,
    pub(in crate::gateway) last: LastBytes<P>,
}

/// A stream that broke off, and that another attempt may go on with.
pub(in crate::gateway) struct Unfinished<P: Platform> {
    pub(in crate::gateway) failure: Failure,
    pub(in crate::gateway) writer: ResponseWriter,
    pub(in crate::gateway) sink: P::Sink,
}

/// The end of a client's stream.
pub(in crate::gateway) struct LastBytes<P: Platform> {
    end: StreamEnd,
    stream: P::Stream,
    sink: P::Sink,
    ready: Vec<u8>,
    stuck: Option<P::Pipe>,
}

impl<P: Platform> LastBytes<P> {
    /// Sends them, and `tail` after them, and ends the stream.
    pub(in crate::gateway) async fn write(mut self, platform: &P, tail: &[u8]) {
        if self.end == StreamEnd::ClientLeft {
            let _ = platform.break_off(&mut self.sink).await;
        } else {
            if let Some(pipe) = self.stuck {
                let _ = while_client_stays(platform, pipe).await;
            }
            self.ready.extend_from_slice(tail);
            write_end(platform, &mut self.sink, &self.ready).await;
        }
        // This may not complete as long as a pipe holds something.
        platform.release(&mut self.stream).await;
    }
}

impl<'r, P: Platform> Forward<'r, P> {
    pub(in crate::gateway) fn new(
        platform: &'r P,
        record: &'r RequestRecord,
        relay: StreamRelay,
        stream: P::Stream,
        sink: P::Sink,
    ) -> Self {
        Self {
            platform,
            record,
            relay,
            stream,
            sink,
            timer: None,
            is_read: false,
            has_left: false,
            is_too_large: false,
            ready: Vec::new(),
            flush: None,
            stuck: None,
            burst: (BURST_PIECES, platform.now()),
            gather: None,
        }
    }

    /// Forwards the stream to its end. `beginning`: what was read of it before the head of the response left.
    ///
    /// # Errors
    /// The stream broke off, and another attempt may go on with it.
    pub(in crate::gateway) async fn run(mut self, beginning: Vec<u8>) -> Result<Forwarded<P>, Unfinished<P>> {
        let end = match self.forward(&beginning).await {
            StreamEnd::TimedOut if is_ended(self.platform) => StreamEnd::Ended,
            end => end,
        };
        drop(beginning);
        let end = if self.relay.is_resumable() { self.close(end).await } else { end };
        if self.may_go_on(end) {
            self.platform.abort(&self.stream);
            let (failure, writer) = self.relay.leave(end, self.platform.now());
            return Err(Unfinished { failure, writer, sink: self.sink });
        }
        if end == StreamEnd::ClientLeft && self.relay.outlives_client() {
            self.read_to_end().await;
        }
        let first_byte = self.relay.first_shown();
        let mut finished = self.relay.finish(end, self.platform.now());
        if !persist(self.platform, finished.persist.take()).await {
            finished.tail.withhold();
        }
        if matches!(end, StreamEnd::ClientLeft | StreamEnd::TimedOut | StreamEnd::Ended) {
            self.platform.abort(&self.stream);
        }
        let last = LastBytes { end, stream: self.stream, sink: self.sink, ready: self.ready, stuck: self.stuck };
        Ok(Forwarded { finished, first_byte, last })
    }

    /// Whether another attempt goes on with a stream that ended so.
    fn may_go_on(&self, end: StreamEnd) -> bool {
        let has_broken = match end {
            StreamEnd::Closed | StreamEnd::Broken | StreamEnd::TooLarge | StreamEnd::TimedOut => true,
            StreamEnd::ClientLeft | StreamEnd::Ended => false,
        };
        has_broken && self.relay.left(self.platform.now()) > 0 && self.relay.may_go_on()
    }

    /// Reads what only the end of a stream tells, and sends all that may leave, as far as another attempt may
    /// have to go on behind it. Returns how it ended.
    async fn close(&mut self, end: StreamEnd) -> StreamEnd {
        if !self.may_go_on(end) {
            return end;
        }
        let step = self.relay.close();
        if !persist(self.platform, step.persist).await {
            return StreamEnd::Broken;
        }
        self.ready.extend_from_slice(&step.forward);
        self.flush().await.err().unwrap_or(end)
    }

    async fn forward(&mut self, beginning: &[u8]) -> StreamEnd {
        if let Err(end) = self.write(beginning).await {
            return end;
        }
        let to_the_end = self.relay.is_checked();
        self.may_gather(to_the_end);
        match self.forward_pieces(to_the_end).await {
            Some(end) => end,
            None => self.forward_piped().await,
        }
    }

    /// Forwards piece by piece; `None` once the response has begun, unless `to_the_end`.
    pub(super) async fn forward_pieces(&mut self, to_the_end: bool) -> Option<StreamEnd> {
        let mut is_reading = false;
        loop {
            let next = self.relay.next();
            // What a client gets of a stream that is about to be piped depends on no clock.
            self.relay.pass_as_piped(!to_the_end && next == relay::Next::MayPipe);
            match next {
                relay::Next::Done => {
                    self.learn_closing(to_the_end).await;
                    self.platform.abort(&self.stream);
                    return Some(StreamEnd::Closed);
                }
                // A read that is under way cannot be handed to the platform.
                relay::Next::MayPipe if !to_the_end && !is_reading && !self.is_in_burst() => return None,
                relay::Next::Continue | relay::Next::MayPipe => {}
            }
            let next = self.next_or_flush().await;
            is_reading = !matches!(next, Some(Next::Bytes(_)));
            let done = match next {
                None => self.flush().await,
                Some(Next::Bytes(bytes)) => self.forward_piece(&bytes).await,
                Some(Next::Timer(TimerEvent::KeepAlive)) => self.keep_alive().await,
                Some(Next::Timer(TimerEvent::Nothing)) => Ok(()),
                Some(Next::Timer(TimerEvent::Over)) => Err(StreamEnd::TimedOut),
                Some(Next::Closed) => Err(StreamEnd::Closed),
                Some(Next::Broken) => Err(self.broken()),
                Some(Next::ClientLeft) => Err(StreamEnd::ClientLeft),
            };
            if let Err(end) = done {
                return Some(end);
            }
        }
    }

    /// Whether the pieces of the stream come at once so far.
    fn is_in_burst(&mut self) -> bool {
        let ((left, last), now) = (self.burst, self.platform.now());
        self.burst = (left.saturating_sub(1), now);
        left > 0 && now.saturating_sub(last) <= BURST
    }

    async fn forward_piece(&mut self, bytes: &[u8]) -> Result<(), StreamEnd> {
        let step = push(self.platform, self.record, &mut self.relay, bytes);
        if !persist(self.platform, step.persist).await {
            return Err(StreamEnd::Broken);
        }
        self.ready.extend_from_slice(&step.forward);
        self.gather(bytes);
        let delay = self.relay.flush_delay(self.platform.now());
        if delay == 0 || self.ready.len() >= FULL {
            return self.flush().await;
        }
        self.flush.get_or_insert_with(|| self.platform.timer(delay));
        Ok(())
    }

    /// What comes next; `None` if, before that, what waits has to leave.
    async fn next_or_flush(&mut self) -> Option<Next> {
        let Some(mut flush) = self.flush.take() else { return Some(self.next().await) };
        let next = match select(pin!(self.next()), &mut flush).await {
            Either::Left((next, _)) => next,
            Either::Right(_) => return None,
        };
        self.flush = Some(flush);
        Some(next)
    }

    /// Writes what waits.
    async fn flush(&mut self) -> Result<(), StreamEnd> {
        self.flush = None;
        let ready = std::mem::take(&mut self.ready);
        self.write(&ready).await
    }

    /// Writes to the client. While it does not read, nothing is read from the provider either, and only the
    /// deadline of the whole runs on.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), StreamEnd> {
        if bytes.is_empty() {
            return Ok(());
        }
        let (platform, relay, given) = (self.platform, &self.relay, Cell::new(0));
        let began = platform.now();
        let mut writing = pin!(while_client_stays(platform, platform.write(&mut self.sink, bytes, &given)));
        let wait = || platform.timer(relay.wait(began).min(until_check_in(platform)));
        let mut written = match select(&mut writing, self.timer.get_or_insert_with(wait)).await {
            Either::Left((written, _)) => Some(written),
            Either::Right(_) => None,
        };
        if written.is_none() {
            self.timer = None;
            note_received(platform, relay.received());
            let left = relay.left(platform.now());
            if let Either::Left((late, _)) = select(writing, pin!(sleep(platform, left))).await {
                written = Some(late);
            }
        }
        let Some(written) = written else {
            // The rest of an event that the client has in part goes before the last bytes.
            let rest = bytes.get(given.get()..).unwrap_or_default();
            self.ready.splice(..0, rest.iter().copied());
            return Err(StreamEnd::TimedOut);
        };
        let now = self.platform.now();
        self.relay.blocked(now.saturating_sub(began));
        self.relay.sent(now);
        written.map_err(|Broken| StreamEnd::ClientLeft)
    }

    /// Reads the rest of a response whose client has disconnected, for its usage.
    async fn read_to_end(&mut self) {
        self.has_left = true;
        let mut over = pin!(until_over(self.platform));
        loop {
            let Either::Left((next, _)) = select(pin!(self.next()), &mut over).await else { return };
            match next {
                Next::Bytes(bytes) => {
                    let step = push(self.platform, self.record, &mut self.relay, &bytes);
                    persist(self.platform, step.persist).await;
                }
                Next::Timer(TimerEvent::KeepAlive | TimerEvent::Nothing) | Next::ClientLeft => {}
                Next::Timer(TimerEvent::Over) | Next::Closed | Next::Broken => return,
            }
        }
    }

    /// What comes next.
    pub(super) async fn next(&mut self) -> Next {
        if is_ended(self.platform) {
            return Next::Timer(TimerEvent::Over);
        }
        // A deadline that the piece that has just come did not move: that of the whole.
        if self.is_read && self.relay.wait(self.platform.now()) == 0 {
            self.is_read = false;
            return Next::Timer(self.relay.tick(self.platform.now()));
        }
        let read = match self.read_or_wait().await {
            Ok(Some(read)) => read,
            Ok(None) => {
                // What came while the gateway slept has not been read yet: it counts before the deadline
                // does.
                self.timer = None;
                check_in(self.platform, || Some(self.relay.received()));
                match select(pin!(self.platform.next(&mut self.stream)), self.platform.timer(READ_GRACE)).await {
                    Either::Left((read, _)) => read.map(|piece| piece.map(|piece| piece.to_vec())),
                    Either::Right(_) => return Next::Timer(self.relay.tick(self.platform.now())),
                }
            }
            Err(next) => return next,
        };
        self.is_read = true;
        match read {
            Ok(Some(bytes)) => Next::Bytes(bytes),
            Ok(None) => Next::Closed,
            Err(error) => self.note_broken(error),
        }
    }

    /// Reads a piece; nothing if a deadline may be due first.
    async fn read_or_wait(&mut self) -> Result<Option<Result<Option<Vec<u8>>, ReadError>>, Next> {
        let (platform, relay, has_left) = (self.platform, &self.relay, self.has_left);
        let wait = || platform.timer(relay.wait(platform.now()).min(until_check_in(platform)));
        let left = async {
            if has_left {
                pending::<()>().await;
            }
            client_left(platform).await;
        };
        let (left, timer) = (pin!(left), self.timer.get_or_insert_with(wait));
        match select(pin!(platform.next(&mut self.stream)), select(left, timer)).await {
            Either::Left((read, _)) => Ok(Some(read.map(|piece| piece.map(|piece| piece.to_vec())))),
            Either::Right((Either::Left(_), _)) => {
                self.has_left = true;
                Err(Next::ClientLeft)
            }
            Either::Right((Either::Right(_), _)) => Ok(None),
        }
    }

    /// How a stream ended that broke.
    pub(super) fn broken(&self) -> StreamEnd {
        match self.platform.client_left() {
            true => StreamEnd::ClientLeft,
            false if self.is_too_large => StreamEnd::TooLarge,
            false => StreamEnd::Broken,
        }
    }

    /// Remembers why the stream broke.
    pub(super) fn note_broken(&mut self, error: ReadError) -> Next {
        self.is_too_large |= error == ReadError::TooLarge;
        Next::Broken
    }
}

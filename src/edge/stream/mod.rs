//! Answers that are streamed. *Overhear*: the runtime pumps the bytes, and a lazily read copy is listened to. *Pass*: each piece comes
//! through our hands, at a pace of its own if it is written anew. *Tell*: the pieces are our own. All end on an identity stream, so that
//! we learn when the client leaves and have the last word.

mod native;

use std::cell::Cell;
use std::future::pending;
use std::pin::pin;

use futures::future::{Either, Fuse, select};
use js_sys::Uint8Array;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, WritableStream, WritableStreamDefaultWriter};

use native::PumpEnd;

use super::body::PIECE;
use super::byte_source::{Source, VIEW};
use super::clock::{Alarm, alarm, now};
use super::context::Edge;
use super::log::log;
use super::platform::Incoming;
use crate::config::Millis;
use crate::gateway::{KEEP_ALIVE, Platform as _, StreamEnd, StreamRelay, TimerEvent};

/// After a nap, what has come in the meantime comes within this time.
const GRACE: Millis = 10;

/// Passes a provider's stream on, and listens.
///
/// # Errors
/// The stream is not there any more. It has its receipt.
pub(super) fn overhear(
    incoming: Incoming,
    held: Vec<u8>,
    relay: StreamRelay,
    writable: WritableStream,
    edge: &Edge,
) -> Result<(), JsValue> {
    let (source, cancel) = incoming.parts();
    let Some(source) = source else {
        cancel.abort();
        abandon(relay, None, edge);
        return Err(JsValue::from_str("the stream is not there any more"));
    };
    let host = edge.clone();
    let (alarm, due, ready) = (None, None, Vec::new());
    let to = writable.clone();
    let flow =
        Flow { relay, source, alarm, fresh: false, left: false, ready, due, writable, pumping: None, cancel, host };
    edge.wait_until_written(&to, async move { flow.run(held).await });
    Ok(())
}

/// Ends a stream that no response could be made of: its provider is let go of, and it has its receipt.
pub(super) fn abandon(mut relay: StreamRelay, incoming: Option<Incoming>, edge: &Edge) {
    if let Some(incoming) = incoming {
        edge.cancel(&incoming);
    }
    relay.finish(StreamEnd::Broken);
    edge.settle(relay.close(StreamEnd::Broken, now()));
}

/// Writes bytes, piece by piece.
pub(super) async fn write(writer: &WritableStreamDefaultWriter, bytes: &[u8]) -> Result<(), JsValue> {
    write_counted(writer, bytes, &Cell::new(0)).await
}

/// The same. `given` counts the bytes that the stream has been given: they reach the client even if this future is dropped.
async fn write_counted(writer: &WritableStreamDefaultWriter, bytes: &[u8], given: &Cell<usize>) -> Result<(), JsValue> {
    // Bytes that wait for the client are copied piece by piece, not as a whole.
    for piece in bytes.chunks(PIECE) {
        let writing = writer.write_with_chunk(&Uint8Array::from(piece));
        given.set(given.get().saturating_add(piece.len()));
        JsFuture::from(writing).await?;
    }
    Ok(())
}

/// What comes next.
enum Next {
    Bytes(Vec<u8>),
    Closed,
    Broken,
    Tick(TimerEvent),
    /// The client has left. It is told once.
    Left,
}

/// A provider's stream on its way to a client.
struct Flow {
    relay: StreamRelay,
    source: Source,
    /// Goes off when a clock may be due; every byte that comes only moves that further away.
    alarm: Option<Alarm>,
    /// All that has come has been heard.
    fresh: bool,
    /// It is known that the client has left.
    left: bool,
    /// What may pass, and waits for more …
    ready: Vec<u8>,
    /// … until this goes off.
    due: Option<Alarm>,
    writable: WritableStream,
    /// What the runtime still has to hand to a client that does not read, after time was up.
    pumping: Option<Fuse<JsFuture>>,
    /// Breaks off the provider's answer.
    cancel: AbortController,
    host: Edge,
}

impl Flow {
    async fn run(mut self, held: Vec<u8>) {
        let end = self.flow(held).await;
        if end == StreamEnd::ClientLeft && self.relay.hears_out() {
            self.hear_out().await;
        }
        let tail = self.relay.finish(end);
        self.keep().await;
        if matches!(end, StreamEnd::ClientLeft | StreamEnd::TimedOut) {
            self.cancel.abort();
        }
        // The books are closed before the last words: a client may take them late, or never.
        self.host.settle(self.relay.close(end, now()));
        if end != StreamEnd::ClientLeft {
            self.ready.extend_from_slice(&tail);
            say(&self.host, self.pumping, &self.writable, &self.ready).await;
        } else if let Ok(writer) = self.writable.get_writer() {
            let _ = JsFuture::from(writer.abort()).await;
        }
        // It may stay unanswered as long as the pump holds something.
        self.source.cancel().await;
    }

    /// First what was held back; then by hand until the answer has begun; then natively, unless each piece has to be checked.
    async fn flow(&mut self, held: Vec<u8>) -> StreamEnd {
        let Ok(writer) = self.writable.get_writer() else { return StreamEnd::ClientLeft };
        if let Err(end) = self.send(&held, &writer).await {
            return end;
        }
        let to_the_end = self.relay.is_checked();
        let passed = self.pass(&writer, to_the_end).await;
        writer.release_lock();
        if let Some(end) = passed {
            return end;
        }
        match self.pump().await {
            PumpEnd::End(end) => end,
            PumpEnd::Silence => self.pass_after_silence().await,
        }
    }

    /// Piece by piece; `None` once the answer has begun, unless it is to be passed to its end.
    async fn pass(&mut self, writer: &WritableStreamDefaultWriter, to_the_end: bool) -> Option<StreamEnd> {
        while to_the_end || !self.relay.has_begun() {
            if self.relay.is_done() {
                self.cancel.abort();
                return Some(StreamEnd::Closed);
            }
            let sent = match self.next_in_pace().await {
                None => self.release(writer).await,
                Some(Next::Bytes(bytes)) => {
                    self.ready.append(&mut pass(&mut self.relay, &bytes));
                    self.keep().await;
                    let rest = self.relay.rest(now());
                    if rest == 0 || self.ready.len() >= VIEW as usize {
                        self.release(writer).await
                    } else {
                        self.due.get_or_insert_with(|| alarm(rest));
                        Ok(())
                    }
                }
                Some(Next::Tick(TimerEvent::KeepAlive)) => self.send(KEEP_ALIVE, writer).await,
                Some(Next::Tick(TimerEvent::Nothing)) => Ok(()),
                Some(Next::Tick(TimerEvent::Over)) => Err(StreamEnd::TimedOut),
                Some(Next::Closed) => Err(StreamEnd::Closed),
                Some(Next::Broken) => Err(self.broken()),
                Some(Next::Left) => Err(StreamEnd::ClientLeft),
            };
            if let Err(end) = sent {
                return Some(end);
            }
        }
        None
    }

    /// What came has to be kept before it is passed on: a client may come back with it at once.
    async fn keep(&mut self) {
        if let Some(keepsake) = self.relay.keepsake() {
            keepsake.keep(&self.host).await;
        }
    }

    /// What comes next; `None` if, before that, what waits is to leave.
    async fn next_in_pace(&mut self) -> Option<Next> {
        let Some(mut due) = self.due.take() else { return Some(self.next().await) };
        let next = match select(pin!(self.next()), &mut due).await {
            Either::Left((next, _)) => next,
            Either::Right(_) => return None,
        };
        self.due = Some(due);
        Some(next)
    }

    /// Lets go of what waits.
    async fn release(&mut self, writer: &WritableStreamDefaultWriter) -> Result<(), StreamEnd> {
        self.due = None;
        let ready = std::mem::take(&mut self.ready);
        self.send(&ready, writer).await
    }

    /// Writes to the client. While it does not read, nothing is read of the provider either, and only the clock of the whole runs on.
    async fn send(&mut self, bytes: &[u8], writer: &WritableStreamDefaultWriter) -> Result<(), StreamEnd> {
        if bytes.is_empty() {
            return Ok(());
        }
        let (began, given) = (now(), Cell::new(0));
        let mut writing = pin!(self.host.while_there(write_counted(writer, bytes, &given)));
        let wait = || alarm(self.relay.wait(began).min(self.host.until_renewal()));
        let mut written = match select(&mut writing, self.alarm.get_or_insert_with(wait)).await {
            Either::Left((written, _)) => Some(written),
            Either::Right(_) => None,
        };
        if written.is_none() {
            self.alarm = None;
            self.host.heard(self.relay.said());
            if let Either::Left((late, _)) = select(writing, pin!(self.host.pause(self.relay.left(now())))).await {
                written = Some(late);
            }
        }
        let Some(written) = written else {
            // The rest of an event that the client has in part goes before the last words.
            let rest = bytes.get(given.get()..).unwrap_or_default();
            self.ready.splice(..0, rest.iter().copied());
            return Err(StreamEnd::TimedOut);
        };
        let now = now();
        self.relay.blocked(now.saturating_sub(began));
        self.relay.sent(now);
        written.map_err(|_| StreamEnd::ClientLeft)
    }

    /// The client has left, but its answer is heard to the end, as long as a request may go on without its client.
    async fn hear_out(&mut self) {
        self.left = true;
        let host = self.host.clone();
        let mut over = pin!(host.over());
        loop {
            let Either::Left((next, _)) = select(pin!(self.next()), &mut over).await else { return };
            match next {
                Next::Bytes(bytes) => drop(pass(&mut self.relay, &bytes)),
                Next::Tick(TimerEvent::KeepAlive | TimerEvent::Nothing) | Next::Left => {}
                Next::Tick(TimerEvent::Over) | Next::Closed | Next::Broken => return,
            }
        }
    }

    async fn next(&mut self) -> Next {
        // A clock that what just came did not move: the whole.
        if self.fresh && self.relay.wait(now()) == 0 {
            self.fresh = false;
            return Next::Tick(self.relay.tick(now()));
        }
        let wait = || alarm(self.relay.wait(now()).min(self.host.until_renewal()));
        let (known, host) = (self.left, &self.host);
        let left = async move { if known { pending().await } else { host.left().await } };
        let (left, clock) = (pin!(left), self.alarm.get_or_insert_with(wait));
        let read = match select(pin!(self.source.next()), select(left, clock)).await {
            Either::Left((read, _)) => Some(read),
            Either::Right((Either::Left(_), _)) => {
                self.left = true;
                return Next::Left;
            }
            Either::Right((Either::Right(_), _)) => None,
        };
        let read = match read {
            Some(read) => read,
            None => {
                // What came while we slept has not been heard yet: it counts before the clock does.
                self.alarm = None;
                self.host.renew(|| Some(self.relay.said()));
                match select(pin!(self.source.next()), alarm(GRACE)).await {
                    Either::Left((read, _)) => read,
                    Either::Right(_) => return Next::Tick(self.relay.tick(now())),
                }
            }
        };
        self.fresh = true;
        match read {
            Ok(Some(bytes)) => Next::Bytes(bytes),
            Ok(None) => Next::Closed,
            Err(_) => Next::Broken,
        }
    }

    fn broken(&self) -> StreamEnd {
        if self.host.client_left() { StreamEnd::ClientLeft } else { StreamEnd::Broken }
    }
}

/// The last words, after what the pump still holds.
async fn say(host: &Edge, pumping: Option<Fuse<JsFuture>>, writable: &WritableStream, bytes: &[u8]) {
    if let Some(pumping) = pumping {
        let _ = host.while_there(pumping).await;
    }
    if let Ok(writer) = writable.get_writer() {
        let _ = host.while_there(write(&writer, bytes)).await;
        let _ = host.while_there(JsFuture::from(writer.close())).await;
    }
}

/// What of these bytes may pass; they are heard, and logged if pieces are logged.
pub(super) fn pass(relay: &mut StreamRelay, bytes: &[u8]) -> Vec<u8> {
    let (passed, line) = relay.pass(bytes, now());
    line.iter().for_each(|line| log(line));
    passed.into_owned()
}

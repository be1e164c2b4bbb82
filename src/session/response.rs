//! Answers on their way to the client: pieces of a stream become frames, each request ends in exactly one word.

use crate::config::Millis;
use crate::error::Error;
use crate::session::connection::Connection;
use crate::session::frame::{self, DONE, StreamItem};
use crate::session::{ActiveRequest, CloseCode, Session, SessionAction, WRONG_KEYS};
use crate::wire::json::quote;
use crate::wire::sse::Block;

/// Whether more of an answer may be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadState {
    /// It may.
    Go,
    /// The client has not taken enough of what is there.
    Wait,
    /// Nobody wants it any more.
    Gone,
}

impl Session {
    /// Whether more of an answer may be read. `queued`: bytes that wait in the connection.
    pub fn reading(&self, number: u64, queued: usize) -> ReadState {
        let has_room = match &self.link {
            Some(Connection { window: Some(window), .. }) => {
                self.replay.bytes() < *window && queued < self.rules.buffer
            }
            // Less than is kept of what was sent, so that a connection that breaks takes nothing along that is not held.
            Some(_) => queued < self.rules.buffer / 4,
            None => self.replay.bytes() < self.rules.buffer,
        };
        match (self.asks.iter().any(|ask| ask.number == number), has_room) {
            (false, _) => ReadState::Gone,
            (true, true) => ReadState::Go,
            (true, false) => ReadState::Wait,
        }
    }

    /// A request is called so in the log.
    pub fn began(&mut self, number: u64, request_id: String) {
        if let Some(ask) = self.ask(number) {
            ask.request_id = request_id;
        }
    }

    /// Bytes of a stream have come.
    pub fn piece(&mut self, number: u64, bytes: &[u8]) -> Vec<SessionAction> {
        self.read(number, Some(bytes))
    }

    /// Reads on, or to the end.
    fn read(&mut self, number: u64, bytes: Option<&[u8]>) -> Vec<SessionAction> {
        let mut out = Vec::new();
        // Taken out while it is read.
        let Some(mut ask) = self.take(number) else { return out };
        let mut reader = std::mem::take(&mut ask.reader);
        let mut each = |block: Block<'_>| {
            if block.oversized {
                self.event(&mut ask, oversized().as_bytes(), &mut out);
            } else if let Some(data) = block.data {
                self.event(&mut ask, data, &mut out);
            }
        };
        match bytes {
            Some(bytes) => reader.push(bytes, &mut each),
            None => reader.finish(&mut each),
        }
        ask.reader = reader;
        self.asks.push(ask);
        out
    }

    fn event(&mut self, ask: &mut ActiveRequest, data: &[u8], out: &mut Vec<SessionAction>) {
        let event = frame::event(data);
        if ask.told {
            return;
        }
        let Some(id) = &ask.id else {
            return match event {
                StreamItem::Done => ask.whole = true,
                StreamItem::Failed(error) => self.send(&bare(&error), out),
                StreamItem::Chunk(json) | StreamItem::Usage(json) => self.send(&frame::data(json), out),
                StreamItem::Odd(text) => self.send(&frame::data(&text), out),
            };
        };
        let id = id.clone();
        match event {
            StreamItem::Done => ask.whole = true,
            StreamItem::Failed(error) => {
                ask.told = true;
                self.send_numbered(&id, "error", &format!("{},\"error\":{error}", ask.mark()), out);
            }
            StreamItem::Chunk(json) => self.send_numbered(&id, "chunk", &format!(",\"data\":{json}"), out),
            StreamItem::Usage(json) => self.send_numbered(&id, "usage", &format!(",\"data\":{json}"), out),
            StreamItem::Odd(text) => self.send_numbered(&id, "chunk", &format!(",\"data\":{}", quote(&text)), out),
        }
    }

    /// A whole answer has come.
    pub fn whole(&mut self, number: u64, body: &str) -> Vec<SessionAction> {
        let mut out = Vec::new();
        let Some(ask) = self.ask(number) else { return out };
        ask.whole = true;
        match ask.id.clone() {
            Some(id) => self.send_numbered(&id, "response", &[",\"data\":", body].concat(), &mut out),
            None => self.send(&frame::data(body), &mut out),
        }
        out
    }

    /// A request was refused, or failed before its answer began. `retry_after`: milliseconds until it may be worth another try.
    pub fn failed(
        &mut self,
        number: u64,
        status: u16,
        body: &str,
        retry_after: Option<&str>,
        now: Millis,
    ) -> Vec<SessionAction> {
        let mut out = Vec::new();
        let Some(ask) = self.ask(number) else { return out };
        ask.told = true;
        let (id, mark, error) = (ask.id.clone(), ask.mark(), frame::refusal(body));
        let wait = retry_after.filter(|wait| wait.parse::<u64>().is_ok());
        let wait = wait.map(|wait| format!(",\"retry_after_ms\":{wait}")).unwrap_or_default();
        match id {
            Some(id) => self.send_numbered(
                &id,
                "error",
                &format!("{mark},\"status\":{status}{wait},\"error\":{error}"),
                &mut out,
            ),
            None => self.send(&bare(&error), &mut out),
        }
        let is_known = self.owner.is_some();
        let Some(link) = self.link.as_mut().filter(|_| !is_known) else { return out };
        if status != 401 {
            link.trusted = true;
        } else if !link.trusted {
            link.wrong_keys += 1;
            if link.wrong_keys >= WRONG_KEYS {
                self.close(CloseCode::Key, now, &mut out);
            }
        }
        out
    }

    /// A whole answer came that cannot be told in a frame, or broke off.
    pub fn unheld(&mut self, number: u64, error: &Error, now: Millis) -> Vec<SessionAction> {
        let body = bare(&frame::error(error));
        self.failed(number, error.status(), &body, None, now)
    }

    /// There is no more of an answer.
    pub fn over(&mut self, number: u64) -> Vec<SessionAction> {
        let mut out = self.read(number, None);
        let Some(ask) = self.take(number) else { return out };
        if ask.whole {
            self.link.iter_mut().for_each(|link| link.trusted = true);
        }
        match &ask.id {
            None => self.send(DONE, &mut out),
            Some(_) if ask.told => {}
            Some(id) if ask.whole => self.send_numbered(id, "done", &ask.mark(), &mut out),
            Some(id) => {
                let message = "The answer broke off before its end.";
                let json = frame::error(&Error::upstream(502, "stream_truncated", message));
                self.send_numbered(id, "error", &format!("{},\"error\":{json}", ask.mark()), &mut out);
            }
        }
        if ask.id.is_none()
            && let Some(start) = self.queue.pop_front()
        {
            self.asks.push(ActiveRequest::new(start.number, None));
            out.push(SessionAction::Start(start));
        }
        self.rest(&mut out);
        out
    }

    /// The last request has ended: without a connection, the object may now sleep.
    pub(super) fn rest(&self, out: &mut Vec<SessionAction>) {
        if self.link.is_none() && self.asks.is_empty() {
            out.push(SessionAction::Keep);
        }
    }
}

/// What is said in place of an event that no frame can carry.
fn oversized() -> String {
    let message = "The provider sent an event that is too large for a frame.";
    bare(&frame::error(&Error::upstream(502, "event_too_large", message)))
}

/// An error for whoever gave no name to the request.
fn bare(error: &str) -> String {
    format!("{{\"error\":{error}}}")
}

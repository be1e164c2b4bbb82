//! Responses to requests: what arrives of a stream becomes frames, and each request ends with exactly one
//! last frame.

use super::action::SessionAction;
use super::active_request::ActiveRequest;
use super::close_code::CloseCode;
use super::limits::MAX_WRONG_KEYS;
use super::server_frame::{self, DONE, StreamItem, bare_error};
use super::state::Session;
use crate::config::Millis;
use crate::error::Error;
use crate::wire::json::quote;
use crate::wire::sse::Block;

/// Whether more of a response may be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadState {
    /// More may be read.
    Ready,
    /// The client has not taken enough of what it was sent.
    Wait,
    /// The request has ended.
    Ended,
}

/// An error response to a request.
#[derive(Clone, Copy, Debug)]
pub struct FailedResponse<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: &'a str,
    /// The header `retry-after-ms`, if there is one.
    pub retry_after_ms: Option<&'a str>,
}

impl Session {
    /// Whether more of a response may be read. `queued`: bytes that wait in the connection.
    pub fn read_state(&self, number: u64, queued: usize) -> ReadState {
        if !self.requests.iter().any(|request| request.number == number) {
            return ReadState::Ended;
        }
        if self.has_room(queued) { ReadState::Ready } else { ReadState::Wait }
    }

    fn has_room(&self, queued: usize) -> bool {
        let Some(connection) = &self.connection else { return self.replay.bytes() < self.limits.buffer };
        let queued = queued + connection.forwarded.as_ref().map_or(0, |flow| flow.bytes());
        match connection.window {
            Some(window) => self.replay.bytes() < window && queued < self.limits.buffer,
            // Half of the buffer holds frames that were sent: less than that may be lost when a connection
            // breaks.
            None => queued < self.limits.buffer / 4,
        }
    }

    /// The response to a request has begun; `request_id` is its id in the log.
    pub fn response_started(&mut self, number: u64, request_id: String) {
        if let Some(request) = self.request(number) {
            request.request_id = request_id;
        }
    }

    /// Bytes of a streamed response have arrived.
    pub fn receive_stream(&mut self, number: u64, bytes: &[u8]) -> Vec<SessionAction> {
        self.read(number, Some(bytes))
    }

    /// Reads bytes of a stream, or its end.
    fn read(&mut self, number: u64, bytes: Option<&[u8]>) -> Vec<SessionAction> {
        let mut out = Vec::new();
        // Taken out while it is read.
        let Some(mut request) = self.take_request(number) else { return out };
        let mut reader = std::mem::take(&mut request.reader);
        let mut each = |block: Block<'_>| {
            if block.oversized {
                self.event(&mut request, oversized_event().as_bytes(), &mut out);
            } else if let Some(data) = block.data {
                self.event(&mut request, data, &mut out);
            }
        };
        match bytes {
            Some(bytes) => reader.push(bytes, &mut each),
            None => reader.finish(&mut each),
        }
        request.reader = reader;
        self.requests.push(request);
        out
    }

    fn event(&mut self, request: &mut ActiveRequest, data: &[u8], out: &mut Vec<SessionAction>) {
        if request.is_reported {
            return;
        }
        let item = StreamItem::read(data);
        if item == StreamItem::Done {
            request.is_complete = true;
            return;
        }
        let Some(id) = request.id.clone() else {
            return match item {
                StreamItem::Done => {}
                StreamItem::Failed(error) => self.send(&bare_error(&error), out),
                StreamItem::Chunk(json) | StreamItem::Usage(json) => self.send(&server_frame::data(json), out),
                StreamItem::NotJson(text) => self.send(&server_frame::data(&text), out),
            };
        };
        match item {
            StreamItem::Done => {}
            StreamItem::Failed(error) => {
                request.is_reported = true;
                let members = format!("{},\"error\":{error}", request.request_id_member());
                self.send_numbered(&id, "error", &members, out);
            }
            StreamItem::Chunk(json) => self.send_numbered(&id, "chunk", &format!(",\"data\":{json}"), out),
            StreamItem::Usage(json) => self.send_numbered(&id, "usage", &format!(",\"data\":{json}"), out),
            StreamItem::NotJson(text) => self.send_numbered(&id, "chunk", &format!(",\"data\":{}", quote(&text)), out),
        }
    }

    /// A complete response that is not a stream has arrived.
    pub fn receive_whole(&mut self, number: u64, body: &str) -> Vec<SessionAction> {
        let mut out = Vec::new();
        let Some(request) = self.request(number) else { return out };
        request.is_complete = true;
        match request.id.clone() {
            Some(id) => self.send_numbered(&id, "response", &[",\"data\":", body].concat(), &mut out),
            None => self.send(&server_frame::data(body), &mut out),
        }
        out
    }

    /// The gateway or the provider responded with an error.
    pub fn request_failed(&mut self, number: u64, response: FailedResponse<'_>, now: Millis) -> Vec<SessionAction> {
        let mut out = Vec::new();
        let Some(request) = self.request(number) else { return out };
        request.is_reported = true;
        let (id, request_id) = (request.id.clone(), request.request_id_member());
        let FailedResponse { status, body, retry_after_ms } = response;
        let error = server_frame::error_of_body(body);
        let wait = retry_after_ms.filter(|wait| wait.parse::<u64>().is_ok());
        let wait = wait.map(|wait| format!(",\"retry_after_ms\":{wait}")).unwrap_or_default();
        if let Some(id) = id {
            let members = format!("{request_id},\"status\":{status}{wait},\"error\":{error}");
            self.send_numbered(&id, "error", &members, &mut out);
        } else {
            self.send(&bare_error(&error), &mut out);
        }
        if self.owner.is_none() {
            self.judge_key(status, now, &mut out);
        }
        out
    }

    /// In a session without a key of its own, the response shows whether the request's key was good.
    fn judge_key(&mut self, status: u16, now: Millis, out: &mut Vec<SessionAction>) {
        let Some(connection) = &mut self.connection else { return };
        if status != 401 {
            connection.trusted = true;
        } else if !connection.trusted {
            connection.wrong_keys += 1;
            if connection.wrong_keys >= MAX_WRONG_KEYS {
                self.close(CloseCode::WrongKey, now, out);
            }
        }
    }

    /// A response that is not a stream is too long for a frame, or ended early.
    pub fn whole_failed(&mut self, number: u64, error: &Error, now: Millis) -> Vec<SessionAction> {
        let body = bare_error(&server_frame::error(error));
        let response = FailedResponse { status: error.status(), body: &body, retry_after_ms: None };
        self.request_failed(number, response, now)
    }

    /// A response has ended.
    pub fn response_ended(&mut self, number: u64) -> Vec<SessionAction> {
        let mut out = self.read(number, None);
        let Some(request) = self.take_request(number) else { return out };
        if request.is_complete
            && let Some(connection) = &mut self.connection
        {
            connection.trusted = true;
        }
        match &request.id {
            None => self.send(DONE, &mut out),
            Some(_) if request.is_reported => {}
            Some(id) if request.is_complete => self.send_numbered(id, "done", &request.request_id_member(), &mut out),
            Some(id) => {
                let message = "The response ended before it was complete.";
                let json = server_frame::error(&Error::upstream(502, "stream_truncated", message));
                let members = format!("{},\"error\":{json}", request.request_id_member());
                self.send_numbered(id, "error", &members, &mut out);
            }
        }
        if request.id.is_none() {
            self.start_next(&mut out);
        }
        self.store_when_idle(&mut out);
        out
    }

    /// Starts the next of the requests without an id.
    fn start_next(&mut self, out: &mut Vec<SessionAction>) {
        if let Some(start) = self.queue.pop_front() {
            self.requests.push(ActiveRequest::new(start.number, None));
            out.push(SessionAction::Start(start));
        }
    }

    /// Stores the session after its last request if no client is connected: the object may sleep from then
    /// on.
    pub(super) fn store_when_idle(&self, out: &mut Vec<SessionAction>) {
        if self.connection.is_none() && self.requests.is_empty() {
            out.push(SessionAction::Store);
        }
    }
}

/// In place of an event that is too large for a frame.
fn oversized_event() -> String {
    let message = "The provider sent an event that is too large for a frame.";
    bare_error(&server_frame::error(&Error::upstream(502, "event_too_large", message)))
}

//! The state of a session, and the frames that it sends.

use std::collections::VecDeque;
use std::rc::Rc;

use super::action::{ChatStart, SessionAction};
use super::active_request::ActiveRequest;
use super::client::{ClientOrigin, SessionOwner};
use super::client_frame::ClientRequestId;
use super::connection::Connection;
use super::limits::SessionLimits;
use super::replay::ReplayBuffer;
use super::server_frame;
use crate::config::Millis;
use crate::error::Error;

/// A WebSocket session. Its methods take an event and return the actions that follow from it.
pub struct Session {
    pub(super) limits: SessionLimits,
    pub(super) id: String,
    pub(super) origin: ClientOrigin,
    pub(super) owner: Option<SessionOwner>,
    /// The numbered frames that may have to be sent again.
    pub(super) replay: ReplayBuffer,
    /// Requests in progress.
    pub(super) requests: Vec<ActiveRequest>,
    /// Requests without an id, which run one after another.
    pub(super) queue: VecDeque<ChatStart>,
    pub(super) connection: Option<Connection>,
    /// How many connections the session has had.
    pub(super) connections: u64,
    pub(super) last_request: u64,
    /// Messages that arrived while a key is being authenticated.
    pub(super) held: Option<Vec<String>>,
    /// When the connection was lost.
    pub(super) disconnected_at: Millis,
}

impl Session {
    /// A new session, without a connection yet.
    pub fn new(limits: SessionLimits, id: String, origin: ClientOrigin, owner: Option<SessionOwner>) -> Self {
        Self {
            limits,
            id,
            origin,
            owner,
            replay: ReplayBuffer::default(),
            requests: Vec::new(),
            queue: VecDeque::new(),
            connection: None,
            connections: 0,
            last_request: 0,
            held: None,
            disconnected_at: 0,
        }
    }

    /// Who showed the session's API key, if anybody did.
    pub fn owner(&self) -> Option<&SessionOwner> {
        self.owner.as_ref()
    }

    /// Where the client connects from.
    pub fn origin(&self) -> &ClientOrigin {
        &self.origin
    }

    /// The number of the connection, if there is one.
    pub fn connection(&self) -> Option<u64> {
        self.connection.as_ref().map(|connection| connection.number)
    }

    /// Bytes of messages and requests that wait: for a key to be authenticated, or for a request before them.
    pub fn waiting_bytes(&self) -> usize {
        let held = self.held.iter().flatten().map(String::len);
        held.chain(self.queue.iter().map(|start| start.body.len())).sum()
    }

    pub(super) fn is_full(&self) -> bool {
        self.requests.len() + self.queue.len() >= self.limits.requests
    }

    pub(super) fn next_request(&mut self) -> u64 {
        self.last_request += 1;
        self.last_request
    }

    pub(super) fn request(&mut self, number: u64) -> Option<&mut ActiveRequest> {
        self.requests.iter_mut().find(|request| request.number == number)
    }

    pub(super) fn take_request(&mut self, number: u64) -> Option<ActiveRequest> {
        let at = self.requests.iter().position(|request| request.number == number);
        at.map(|at| self.requests.swap_remove(at))
    }

    pub(super) fn is_running(&self, id: &ClientRequestId) -> bool {
        self.requests.iter().any(|request| request.id.as_ref() == Some(id))
    }

    pub(super) fn send(&mut self, text: &str, out: &mut Vec<SessionAction>) {
        if self.connection.is_some() {
            self.send_now(text.into(), out);
        }
    }

    fn send_now(&mut self, text: Rc<str>, out: &mut Vec<SessionAction>) {
        if let Some(flow) = self.connection.as_mut().and_then(|connection| connection.forwarded.as_mut()) {
            flow.sent(&text);
        }
        out.push(SessionAction::Send(text));
    }

    /// Sends frames again that the client missed.
    pub(super) fn send_again(&mut self, frames: Vec<Rc<str>>, out: &mut Vec<SessionAction>) {
        frames.into_iter().for_each(|frame| self.send_now(frame, out));
    }

    /// Sends a numbered frame of a request, now or when the client is back.
    pub(super) fn send_numbered(
        &mut self,
        id: &ClientRequestId,
        kind: &str,
        members: &str,
        out: &mut Vec<SessionAction>,
    ) {
        let text: Rc<str> = server_frame::numbered(id, self.replay.next(), kind, members).into();
        self.replay.push(&text);
        let Some(connection) = &self.connection else { return };
        // For a client that acknowledges nothing, half of the buffer holds frames that were sent. The other
        // half is for the time when it is not connected.
        if connection.window.is_none() {
            self.replay.shed(self.limits.buffer / 2);
        }
        self.send_now(text, out);
    }

    /// Reports an error: of the request with this id, or of a message.
    pub(super) fn send_error(&mut self, id: Option<&ClientRequestId>, error: &Error, out: &mut Vec<SessionAction>) {
        if let Some(id) = id {
            let (status, json) = (error.status(), server_frame::error(error));
            return self.send_numbered(id, "error", &format!(",\"status\":{status},\"error\":{json}"), out);
        }
        let typed = self.connection.as_ref().is_some_and(|connection| connection.greeted);
        self.send(&server_frame::connection_error(error, typed), out);
    }
}

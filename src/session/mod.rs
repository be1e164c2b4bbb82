//! A WebSocket session: what is made of a client's frames and of the answers to its requests. Told what happens, it says what is to be
//! done; it knows no sockets, no providers and no keys, only who showed one.

mod close_code;
mod connection;
mod flow_control;
mod frame;
mod pending;
mod replay;
mod response;
mod scan;
mod slots;
mod snapshot;
mod upgrade_params;

use std::collections::VecDeque;
use std::rc::Rc;

pub use close_code::CloseCode;
pub use connection::ConnectionRefusal;
pub use flow_control::FlowControl;
pub use frame::{PING, PONG};
pub use pending::{PendingAction, PendingLimits, PendingSession};
pub use response::ReadState;
pub use slots::{ConnectionSlot, ConnectionSlots};
pub use snapshot::{ClientOrigin, SessionOwner, SessionSnapshot};
pub use upgrade_params::UpgradeParams;

use crate::config::{Config, Millis};
use crate::error::Error;
use crate::wire::json::{Document, quote};
use crate::wire::sse;
use connection::Connection;
use frame::{ClientFrame, ClientRequestId, FrameError};
use replay::ReplayBuffer;

/// Wrong keys that a connection may show before it is closed, if it never showed a good one.
const WRONG_KEYS: u32 = 5;

/// What the operator allows a session.
#[derive(Clone, Copy, Debug)]
pub struct SessionLimits {
    /// A connection on which nothing happens is closed after so long.
    pub idle: Millis,
    /// A session outlives its connection by so long.
    pub resume: Millis,
    /// The most that is held for a client, in bytes.
    pub buffer: usize,
    /// Requests under way.
    pub requests: usize,
    /// The longest message, in bytes.
    pub message: usize,
}

impl SessionLimits {
    /// As the configuration says.
    pub fn of(config: &Config) -> Self {
        let rules = &config.websocket;
        let (idle, resume, buffer, requests) = (rules.idle, rules.resume, rules.buffer_bytes, rules.max_requests);
        Self { idle, resume, buffer, requests, message: config.max_body_bytes }
    }
}

/// A request for the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatStart {
    /// What it is called between the session and whoever runs it.
    pub number: u64,
    /// The key it goes with, if not the session's.
    pub key: Option<String>,
    /// Its body.
    pub body: Vec<u8>,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionAction {
    /// A frame is sent.
    Send(Rc<str>),
    /// The connection is closed.
    Close(CloseCode),
    /// A request begins.
    Start(ChatStart),
    /// A request ends before its answer does.
    Cancel(u64),
    /// It is found out whose key this is, for [`Session::authenticated`].
    Authenticate(String),
    /// What is [`Session::kept`], and the frames, are written down.
    Keep,
    /// The session is over: nothing of it is kept.
    Forget,
}

/// A session.
pub struct Session {
    rules: SessionLimits,
    id: String,
    place: ClientOrigin,
    owner: Option<SessionOwner>,
    /// The frames of requests with names.
    replay: ReplayBuffer,
    /// Requests under way.
    asks: Vec<ActiveRequest>,
    /// Requests without names wait for each other.
    queue: VecDeque<ChatStart>,
    link: Option<Connection>,
    /// Connections so far.
    links: u64,
    next: u64,
    /// Frames that came while it was found out whose key it is.
    held: Option<Vec<String>>,
    /// When the connection was lost.
    lost: Millis,
}

/// A request under way.
#[derive(Default)]
struct ActiveRequest {
    number: u64,
    id: Option<ClientRequestId>,
    request_id: String,
    reader: sse::Reader,
    /// Its answer is whole.
    whole: bool,
    /// Its end has been told.
    told: bool,
}

impl Session {
    /// A new session.
    pub fn new(rules: SessionLimits, id: String, place: ClientOrigin, owner: Option<SessionOwner>) -> Self {
        Self {
            rules,
            id,
            place,
            owner,
            replay: ReplayBuffer::default(),
            asks: Vec::new(),
            queue: VecDeque::new(),
            link: None,
            links: 0,
            next: 0,
            held: None,
            lost: 0,
        }
    }

    /// Who showed the session's key, if anybody did.
    pub fn owner(&self) -> Option<&SessionOwner> {
        self.owner.as_ref()
    }

    /// Where the client is.
    pub fn place(&self) -> &ClientOrigin {
        &self.place
    }

    /// A message has come.
    pub fn receive(&mut self, text: String, now: Millis) -> Vec<SessionAction> {
        let mut out = Vec::new();
        let Some(link) = &mut self.link else { return out };
        link.heard = now;
        if text.len() > self.rules.message {
            let limit = self.rules.message;
            let message = format!("The message is longer than this gateway takes ({limit} bytes).");
            self.send_error(None, &Error::caller(413, "message_too_large", message), &mut out);
            self.close(CloseCode::TooBig, now, &mut out);
            return out;
        }
        let room = self.rules.message;
        if let Some(held) = &mut self.held {
            if held.iter().map(String::len).sum::<usize>() + text.len() > room {
                self.send_error(None, &too_many(self.rules.requests), &mut out);
            } else {
                held.push(text);
            }
            return out;
        }
        if let Err(fault) = frame::read(&text, |frame| self.handle_frame(frame, &mut out)) {
            self.fault(&fault, &mut out);
        }
        out
    }

    fn handle_frame(&mut self, frame: ClientFrame<'_>, out: &mut Vec<SessionAction>) {
        match frame {
            ClientFrame::Chat { id: Some(id), key, payload } => self.start_named(id, key, payload, out),
            ClientFrame::Chat { id: None, key, payload } => self.start_plain(key, payload, out),
            ClientFrame::Cancel(id) => self.cancel(&id, out),
            ClientFrame::Ack(seq) if seq > self.replay.last() => {
                let error = Error::caller(400, "invalid_message", "No frame with this number has been sent yet.");
                self.send_error(None, &error.at("seq"), out);
            }
            ClientFrame::Ack(seq) => {
                self.replay.ack(seq);
                if let Some(link) = &mut self.link {
                    link.window = link.window.or(Some(self.rules.buffer));
                }
            }
            ClientFrame::Auth(_) if self.owner.is_some() => {
                let message = "This session has its key already; another key is another session.";
                self.send_error(None, &Error::caller(409, "already_authenticated", message), out);
            }
            ClientFrame::Auth(key) => {
                self.held = Some(Vec::new());
                out.push(SessionAction::Authenticate(key));
            }
            ClientFrame::Ping => self.send(PONG, out),
        }
    }

    fn start_named(&mut self, id: ClientRequestId, key: Option<String>, payload: &str, out: &mut Vec<SessionAction>) {
        if self.asks.iter().any(|ask| ask.id.as_ref() == Some(&id)) {
            // Without its name: with it, this would be the end of the request that is under way.
            let message = format!("A request with the id {} is under way already.", id.0);
            return self.send_error(None, &Error::caller(409, "duplicate_id", message).at("id"), out);
        }
        self.greet(false, out);
        if self.is_full() {
            return self.send_error(Some(&id), &too_many(self.rules.requests), out);
        }
        let number = self.number();
        self.asks.push(ActiveRequest::new(number, Some(id)));
        out.push(SessionAction::Start(ChatStart { number, key, body: payload.as_bytes().to_vec() }));
    }

    /// One after the other, and always as a stream.
    fn start_plain(&mut self, key: Option<String>, payload: &str, out: &mut Vec<SessionAction>) {
        if self.link.as_ref().is_some_and(|link| link.named) {
            let message = "`id` is missing: on this connection each request has a name.";
            return self.send_error(None, &Error::caller(400, "invalid_message", message).at("id"), out);
        }
        let Ok(mut document) = Document::read(payload.as_bytes()) else { return };
        if document.value("stream") != Some("true") {
            document.set("stream", "true");
        }
        let body = document.render().into_owned();
        let waiting: usize = self.queue.iter().map(|start| start.body.len()).sum();
        if self.is_full() || waiting + body.len() > self.rules.message {
            return self.send_error(None, &too_many(self.rules.requests), out);
        }
        let start = ChatStart { number: self.number(), key, body };
        if self.asks.iter().any(|ask| ask.id.is_none()) {
            self.queue.push_back(start);
        } else {
            self.asks.push(ActiveRequest::new(start.number, None));
            out.push(SessionAction::Start(start));
        }
    }

    /// Bytes of messages and requests that wait: for a key to be checked, or for a request before them.
    pub fn waiting(&self) -> usize {
        let held = self.held.iter().flatten().map(String::len);
        held.chain(self.queue.iter().map(|start| start.body.len())).sum()
    }

    /// There is no room for all that waits: the newest of it is lost, and told so.
    pub fn refuse_newest(&mut self) -> Vec<SessionAction> {
        let mut out = Vec::new();
        let lost = match &mut self.held {
            Some(held) => held.pop().is_some(),
            None => self.queue.pop_back().is_some(),
        };
        if lost {
            self.send_error(None, &ConnectionRefusal::full().error, &mut out);
        }
        out
    }

    fn is_full(&self) -> bool {
        self.asks.len() + self.queue.len() >= self.rules.requests
    }

    fn ask(&mut self, number: u64) -> Option<&mut ActiveRequest> {
        self.asks.iter_mut().find(|ask| ask.number == number)
    }

    fn take(&mut self, number: u64) -> Option<ActiveRequest> {
        self.asks.iter().position(|ask| ask.number == number).map(|at| self.asks.swap_remove(at))
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn cancel(&mut self, id: &ClientRequestId, out: &mut Vec<SessionAction>) {
        let found = self.asks.iter().position(|ask| ask.id.as_ref() == Some(id));
        let Some(ask) = found.map(|at| self.asks.swap_remove(at)) else {
            let message = format!("No request with the id {} is under way.", id.0);
            return self.send_error(None, &Error::caller(404, "unknown_id", message).at("id"), out);
        };
        out.push(SessionAction::Cancel(ask.number));
        if !ask.told {
            self.send_numbered(id, "done", &format!("{},\"cancelled\":true", ask.mark()), out);
        }
        self.rest(out);
    }

    /// It is known whose key it is.
    pub fn authenticated(&mut self, owner: Result<SessionOwner, Error>, now: Millis) -> Vec<SessionAction> {
        let mut out = Vec::new();
        let Some(held) = self.held.take() else { return out };
        match owner {
            Ok(owner) => {
                self.owner = Some(owner);
                self.send("{\"type\":\"authenticated\"}", &mut out);
            }
            Err(error) => {
                self.send_error(None, &error, &mut out);
                if error.status() == 401 {
                    self.close(CloseCode::Key, now, &mut out);
                }
            }
        }
        held.into_iter().for_each(|text| out.extend(self.receive(text, now)));
        out
    }

    /// A frame of bytes has come.
    pub fn receive_bytes(&mut self, now: Millis) -> Vec<SessionAction> {
        let mut out = Vec::new();
        self.send_error(None, &frame::bytes(), &mut out);
        self.close(CloseCode::Binary, now, &mut out);
        out
    }

    fn fault(&mut self, fault: &FrameError, out: &mut Vec<SessionAction>) {
        // The name of a request that is under way is not used for an error about another.
        let id = fault.id.as_ref().filter(|id| !self.asks.iter().any(|ask| ask.id.as_ref() == Some(*id)));
        self.send_error(id, &fault.error, out);
    }

    /// Says that something is wrong: with the request that has this name, or with a message.
    fn send_error(&mut self, id: Option<&ClientRequestId>, error: &Error, out: &mut Vec<SessionAction>) {
        let (status, json) = (error.status(), frame::error(error));
        match id {
            Some(id) => self.send_numbered(id, "error", &format!(",\"status\":{status},\"error\":{json}"), out),
            None => self.send(&self.error_frame(error), out),
        }
    }

    /// An error that belongs to no request.
    fn error_frame(&self, error: &Error) -> String {
        connection::complaint(error, self.link.as_ref().is_some_and(|link| link.greeted))
    }

    fn send(&self, text: &str, out: &mut Vec<SessionAction>) {
        if self.link.is_some() {
            out.push(SessionAction::Send(text.into()));
        }
    }

    /// Sends a frame that belongs to a request with a name, now or when the client is back.
    fn send_numbered(&mut self, id: &ClientRequestId, kind: &str, more: &str, out: &mut Vec<SessionAction>) {
        let text: Rc<str> = frame::numbered(id, self.replay.next(), kind, more).into();
        self.replay.push(&text);
        if let Some(link) = &self.link {
            // Whoever acknowledges nothing has the newest half kept; the other half is for the time when nobody listens.
            if link.window.is_none() {
                self.replay.shed(self.rules.buffer / 2);
            }
            out.push(SessionAction::Send(text));
        }
    }
}

impl ActiveRequest {
    fn new(number: u64, id: Option<ClientRequestId>) -> Self {
        Self { number, id, ..Self::default() }
    }

    /// What is told of it at its end.
    fn mark(&self) -> String {
        format!(",\"request_id\":{}", quote(&self.request_id))
    }
}

fn too_many(limit: usize) -> Error {
    let message =
        format!("A session may have {limit} requests under way, and has. Wait for one of them, or cancel it.");
    Error::caller(429, "too_many_requests", message)
}

//! Messages from the client.

use super::action::{ChatStart, SessionAction};
use super::active_request::ActiveRequest;
use super::client::SessionOwner;
use super::client_frame::{self, Chat, ClientFrame, ClientRequestId, FrameError};
use super::close_code::CloseCode;
use super::refusal::ConnectionRefusal;
use super::server_frame::PONG;
use super::state::Session;
use crate::config::Millis;
use crate::error::Error;
use crate::wire::json::Document;

impl Session {
    /// A text message has arrived.
    pub fn receive(&mut self, text: String, now: Millis) -> Vec<SessionAction> {
        let mut out = Vec::new();
        let Some(connection) = &mut self.connection else { return out };
        connection.last_seen = now;
        let limit = self.limits.message;
        if text.len() > limit {
            let message = format!("The message is longer than the limit of {limit} bytes.");
            self.send_error(None, &Error::caller(413, "message_too_large", message), &mut out);
            self.close(CloseCode::TooBig, now, &mut out);
            return out;
        }
        if let Some(held) = &mut self.held {
            if held.iter().map(String::len).sum::<usize>() + text.len() > limit {
                self.send_error(None, &too_many(self.limits.requests), &mut out);
            } else {
                held.push(text);
            }
            return out;
        }
        if let Err(rejected) = client_frame::read(&text, |frame| self.handle(frame, &mut out)) {
            self.reject(&rejected, &mut out);
        }
        out
    }

    /// A binary message has arrived: a report of another isolate that forwards this connection's frames, or a
    /// mistake of the client. The other isolate passes on a client's own binary messages without their bytes.
    pub fn receive_binary(&mut self, bytes: &[u8], now: Millis) -> Vec<SessionAction> {
        let flow = self.connection.as_mut().and_then(|connection| connection.forwarded.as_mut());
        if let Some(flow) = flow
            && !bytes.is_empty()
        {
            flow.taken(bytes);
            return Vec::new();
        }
        let mut out = Vec::new();
        self.send_error(None, &client_frame::binary(), &mut out);
        self.close(CloseCode::Binary, now, &mut out);
        out
    }

    fn handle(&mut self, frame: ClientFrame<'_>, out: &mut Vec<SessionAction>) {
        match frame {
            ClientFrame::Chat { id: Some(id), chat } => self.start_with_id(id, chat, out),
            ClientFrame::Chat { id: None, chat } => self.start_without_id(chat, out),
            ClientFrame::Cancel(id) => self.cancel(&id, out),
            ClientFrame::Ack(seq) => self.acknowledge(seq, out),
            ClientFrame::Auth(_) if self.owner.is_some() => {
                let message = "The session already has an API key. Open another session to use another key.";
                self.send_error(None, &Error::caller(409, "already_authenticated", message), out);
            }
            ClientFrame::Auth(key) => {
                self.held = Some(Vec::new());
                out.push(SessionAction::Authenticate(key));
            }
            ClientFrame::Ping => self.send(PONG, out),
        }
    }

    fn acknowledge(&mut self, seq: u64, out: &mut Vec<SessionAction>) {
        if seq > self.replay.last() {
            return self.send_error(None, &client_frame::ack_ahead(), out);
        }
        self.replay.ack(seq);
        if let Some(connection) = &mut self.connection {
            connection.window = connection.window.or(Some(self.limits.buffer));
        }
    }

    fn start_with_id(&mut self, id: ClientRequestId, chat: Chat<'_>, out: &mut Vec<SessionAction>) {
        if self.is_running(&id) {
            // Without the id: an error frame with it would end the request in progress.
            let message = format!("A request with the id {} is already in progress.", id.0);
            return self.send_error(None, &Error::caller(409, "duplicate_id", message).at("id"), out);
        }
        self.greet(false, out);
        if self.is_full() {
            return self.send_error(Some(&id), &too_many(self.limits.requests), out);
        }
        let number = self.next_request();
        self.requests.push(ActiveRequest::new(number, Some(id)));
        let Chat { key, tags, payload } = chat;
        out.push(SessionAction::Start(ChatStart { number, key, tags, body: payload.as_bytes().to_vec() }));
    }

    /// Requests without an id run one after another, and are always streamed.
    fn start_without_id(&mut self, chat: Chat<'_>, out: &mut Vec<SessionAction>) {
        if self.connection.as_ref().is_some_and(|connection| connection.with_ids) {
            return self.send_error(None, &client_frame::id_missing(), out);
        }
        let Chat { key, tags, payload } = chat;
        let Ok(mut document) = Document::read(payload.as_bytes()) else { return };
        if document.value("stream") != Some("true") {
            document.set("stream", "true");
        }
        let body = document.render().into_owned();
        let waiting: usize = self.queue.iter().map(|start| start.body.len()).sum();
        if self.is_full() || waiting + body.len() > self.limits.message {
            return self.send_error(None, &too_many(self.limits.requests), out);
        }
        let start = ChatStart { number: self.next_request(), key, tags, body };
        if self.requests.iter().any(|request| request.id.is_none()) {
            self.queue.push_back(start);
        } else {
            self.requests.push(ActiveRequest::new(start.number, None));
            out.push(SessionAction::Start(start));
        }
    }

    fn cancel(&mut self, id: &ClientRequestId, out: &mut Vec<SessionAction>) {
        let at = self.requests.iter().position(|request| request.id.as_ref() == Some(id));
        let Some(request) = at.map(|at| self.requests.swap_remove(at)) else {
            return self.send_error(None, &client_frame::unknown_id(id), out);
        };
        out.push(SessionAction::Cancel(request.number));
        if !request.is_reported {
            self.send_numbered(id, "done", &format!("{},\"cancelled\":true", request.request_id_member()), out);
        }
        self.store_when_idle(out);
    }

    /// The result of [`SessionAction::Authenticate`].
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
                    self.close(CloseCode::WrongKey, now, &mut out);
                }
            }
        }
        held.into_iter().for_each(|text| out.extend(self.receive(text, now)));
        out
    }

    /// Drops the newest of what waits, because there is no memory for all of it, and reports that.
    pub fn refuse_newest(&mut self) -> Vec<SessionAction> {
        let mut out = Vec::new();
        let dropped = match &mut self.held {
            Some(held) => held.pop().is_some(),
            None => self.queue.pop_back().is_some(),
        };
        if dropped {
            self.send_error(None, &ConnectionRefusal::full().error, &mut out);
        }
        out
    }

    fn reject(&mut self, rejected: &FrameError, out: &mut Vec<SessionAction>) {
        // The id of a request in progress is not used for an error about another one.
        let id = rejected.id.as_ref().filter(|id| !self.is_running(id));
        self.send_error(id, &rejected.error, out);
    }
}

fn too_many(limit: usize) -> Error {
    let message = format!(
        "Concurrency limit reached: a session allows {limit} concurrent requests. Wait for one of them, or cancel it."
    );
    Error::caller(429, "too_many_requests", message)
}

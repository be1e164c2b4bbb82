//! The events of the object of a session: requests, messages, closes, alarms.

use std::rc::Rc;

use worker::{DurableObject, Env, Request, Response, State, WebSocket, WebSocketIncomingMessage, durable_object};

use super::socket;
use super::state::SessionState;
use crate::edge::clock::now;
use crate::edge::js::last_ping;

/// One session, named by its id.
#[durable_object]
pub struct Session {
    room: Rc<SessionState>,
}

impl DurableObject for Session {
    fn new(state: State, env: Env) -> Self {
        socket::answer_pings(&state);
        Self { room: Rc::new(SessionState::new(state, env)) }
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        self.room.enter(request.inner()).await
    }

    async fn websocket_message(&self, socket: WebSocket, message: WebSocketIncomingMessage) -> worker::Result<()> {
        self.room.load();
        let flow = &self.room.flow;
        if self.room.is_current(&socket) {
            self.room.apply(|machine| match message {
                WebSocketIncomingMessage::String(text) => machine.receive(text, now()),
                WebSocketIncomingMessage::Binary(report) if !report.is_empty() && flow.borrow().is_some() => {
                    flow.borrow_mut().iter_mut().for_each(|flow| flow.taken(&report));
                    Vec::new()
                }
                WebSocketIncomingMessage::Binary(_) => machine.receive_bytes(now()),
            });
        }
        Ok(())
    }

    async fn websocket_close(&self, socket: WebSocket, code: usize, _: String, _: bool) -> worker::Result<()> {
        self.room.leave(&socket, socket::is_orderly(code));
        // The runtime does not answer by itself, and most codes may not be sent.
        let _ = socket.close(Some(1000), None::<&str>);
        if self.room.idled.get() {
            socket::end(&self.room.state);
        }
        Ok(())
    }

    async fn websocket_error(&self, socket: WebSocket, _: worker::Error) -> worker::Result<()> {
        self.room.leave(&socket, false);
        Ok(())
    }

    async fn alarm(&self) -> worker::Result<Response> {
        let room = &self.room;
        room.load();
        let pinged = room.socket.borrow().as_ref().map_or(0, |socket| last_ping(&room.state, socket));
        room.apply(|machine| machine.tick(now(), pinged));
        room.set_alarm();
        Response::empty()
    }
}

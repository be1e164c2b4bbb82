//! The events of a session's object: upgrade requests, messages, closes, alarms.

use std::rc::Rc;

use worker::{DurableObject, Env, Request, Response, State, WebSocket, WebSocketIncomingMessage, durable_object};

use super::socket;
use super::state::SessionState;
use crate::edge::clock::now;
use crate::edge::js::last_ping;
use crate::session::is_final;

/// One session, named by its id.
#[durable_object]
pub struct Session {
    state: Rc<SessionState>,
}

impl DurableObject for Session {
    fn new(state: State, env: Env) -> Self {
        socket::answer_pings(&state);
        Self { state: Rc::new(SessionState::new(state, env)) }
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        self.state.connect(request.inner()).await
    }

    async fn websocket_message(&self, socket: WebSocket, message: WebSocketIncomingMessage) -> worker::Result<()> {
        self.state.restore();
        if self.state.is_current(&socket) {
            self.state.apply(|session| match message {
                WebSocketIncomingMessage::String(text) => session.receive(text, now()),
                WebSocketIncomingMessage::Binary(bytes) => session.receive_binary(&bytes, now()),
            });
        }
        Ok(())
    }

    async fn websocket_close(&self, socket: WebSocket, code: usize, _: String, _: bool) -> worker::Result<()> {
        self.state.disconnected(&socket, u16::try_from(code).is_ok_and(is_final));
        // The runtime does not complete the closing handshake, and most codes may not be sent.
        let _ = socket.close(Some(1000), None::<&str>);
        self.state.end_if_idle();
        Ok(())
    }

    async fn websocket_error(&self, socket: WebSocket, _: worker::Error) -> worker::Result<()> {
        self.state.disconnected(&socket, false);
        Ok(())
    }

    async fn alarm(&self) -> worker::Result<Response> {
        self.state.restore();
        let state = &self.state;
        let last_ping = state.socket.borrow().as_ref().map_or(0, |socket| last_ping(&state.object, socket));
        self.state.apply(|session| session.tick(now(), last_ping));
        self.state.set_alarm();
        Response::empty()
    }
}

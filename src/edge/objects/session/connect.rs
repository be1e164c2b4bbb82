//! Connecting a client to a session, losing it, and restoring the session after the object slept.

use std::rc::Rc;

use worker::{Response, WebSocket, WebSocketPair};

use super::state::SessionState;
use super::{socket, store};
use crate::edge::clock::now;
use crate::edge::isolate::bridge;
use crate::edge::log::{report, report_failure};
use crate::edge::url::{origin, split_url};
use crate::edge::websocket::upgrade;
use crate::policy::auth;
use crate::session::{Client, ClientOrigin, CloseCode, ConnectionRefusal, Session, SessionAction};
use crate::telemetry::{EventKind, RuntimeFailure};

impl SessionState {
    /// Handles an upgrade request.
    pub(super) async fn connect(self: &Rc<Self>, request: &web_sys::Request) -> worker::Result<Response> {
        let (url, headers) = (request.url(), request.headers());
        let (host_name, ..) = split_url(&url);
        let header = |name: &str| headers.get(name).ok().flatten();
        let params = upgrade::read(request)?;
        let presented = |name: &str| params.header(name).or_else(|| header(name));
        let ip = header(if params.is_forwarded { upgrade::CLIENT_IP } else { "cf-connecting-ip" });
        let pair = WebSocketPair::new()?;
        let owner = self.identify(host_name, &presented).await;
        let client = match owner {
            Err(error) if auth::presented(presented).is_some() => Err(ConnectionRefusal::of_key(error)),
            owner => {
                let origin = ClientOrigin { address: origin(&url), ip };
                Ok(Client { params: params.clone(), owner: owner.ok(), origin })
            }
        };
        match client.and_then(|client| self.admit(client)) {
            Ok(actions) => self.take_over(pair.server, params.is_forwarded, actions),
            Err(refusal) => upgrade::refuse(&pair.server, &params, &refusal)?,
        }
        upgrade::switch(pair.client, &params)
    }

    fn admit(self: &Rc<Self>, client: Client) -> Result<Vec<SessionAction>, ConnectionRefusal> {
        self.restore();
        let opened = bridge(&self.env).map_err(|_| ConnectionRefusal::unknown())?;
        let id = self.object.id().to_string();
        Session::admit(&mut self.session.borrow_mut(), client, opened.session_rules(), id, now())
    }

    /// Continues the session over this connection, and closes older ones.
    fn take_over(self: &Rc<Self>, socket: WebSocket, is_forwarded: bool, actions: Vec<SessionAction>) {
        for older in self.object.get_websockets() {
            socket::close(&older, CloseCode::Displaced);
        }
        socket::accept(&self.object, &socket, is_forwarded);
        self.invalidate();
        *self.socket.borrow_mut() = Some(socket);
        self.set_alarm();
        self.execute(actions);
        self.attach_snapshot();
    }

    /// A connection has ended; see [`Session::disconnected`].
    pub(super) fn disconnected(self: &Rc<Self>, socket: &WebSocket, is_final: bool) {
        self.restore();
        if self.is_current(socket)
            && let Some(number) = socket::number(socket)
        {
            socket::detach(socket);
            self.apply(|session| session.disconnected(number, is_final, now()));
            *self.socket.borrow_mut() = None;
        }
    }

    /// Whether this is the session's newest connection.
    pub(super) fn is_current(&self, socket: &WebSocket) -> bool {
        let number = self.session.borrow().as_ref().and_then(Session::connection);
        number.is_some() && socket::number(socket) == number
    }

    /// Restores the session after the object slept: from its connection, or from the storage.
    pub(super) fn restore(self: &Rc<Self>) {
        let Ok(opened) = bridge(&self.env) else { return };
        if self.session.borrow().is_some() {
            return;
        }
        let (attached, socket) = socket::newest(&self.object).unzip();
        let stored = store::read(&self.object.storage().sql()).unwrap_or_else(|error| {
            report_failure(RuntimeFailure::SessionUnreadable(&error.to_string()));
            None
        });
        self.stored_frame.set(stored.as_ref().map(|stored| stored.snapshot.last_frame()));
        let Some((session, actions)) = Session::restore(opened.session_rules(), attached, stored) else { return };
        *self.socket.borrow_mut() = socket;
        let key_id = session.owner().map(|owner| owner.key_id.as_str());
        report(EventKind::SessionWoken(key_id));
        *self.session.borrow_mut() = Some(session);
        self.execute(actions);
    }
}

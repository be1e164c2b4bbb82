//! Frames of a client to a session's object and back, in order, where both connections end in this isolate.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use js_sys::Reflect;
use wasm_bindgen::JsValue;
use web_sys::RequestInit;
use worker::Delay;

use super::pending::{PendingConnection, PendingStage, length};
use super::upgrade;
use crate::edge::isolate::bridge;
use crate::edge::js::{self, AcceptedSocket, Closed};
use crate::edge::objects::call;
use crate::edge::url::{origin, split_url};
use crate::session::{ConnectionRefusal, PONG};

/// It is looked again after so long whether the client has taken what was sent to it; then after twice as long, and so on to the second.
const LOOK: [Duration; 2] = [Duration::from_millis(2), Duration::from_millis(64)];
/// Of what a session may hold, so much is passed on until its object is told how much of it has been taken. The object counts bytes, we
/// count characters, of which each may be three bytes; it sends no more than a quarter that has not been taken.
const SHARE: usize = 32;

/// What was passed on to a client, and is not reported to the session's object yet.
#[derive(Default)]
pub(super) struct FrameFlow {
    frames: Cell<usize>,
    characters: Cell<usize>,
    /// Somebody waits for the client to take it.
    watched: Cell<bool>,
}

impl PendingConnection {
    /// Opens a session: a request of our own, to a path at which no client can ask.
    pub async fn open_session(&self) -> Result<JsValue, JsValue> {
        let (_, _, query) = split_url(&self.url);
        let url = [&origin(&self.url), upgrade::HANDED_OVER, "?", query].concat();
        let headers = [
            ("upgrade", Some("websocket")),
            ("sec-websocket-protocol", self.entry.protocol),
            (upgrade::CLIENT_IP, self.ip.as_deref()),
        ];
        let init = RequestInit::new();
        init.set_headers(&js::record(headers.into_iter().filter_map(|(name, value)| Some((name, value?)))));
        let request = web_sys::Request::new_with_str_and_init(&url, &init)?;
        let session = call::session(&self.edge.env(), None)?.ok_or(JsValue::NULL)?;
        let response = call::forward(&session, &request).await?;
        let socket = Reflect::get(&response, &JsValue::from_str("webSocket"))?;
        if socket.is_object() { Ok(socket) } else { Err(JsValue::from_str("the session gave no connection")) }
    }

    /// Listens to the session's object.
    pub fn join(self: &Rc<Self>, socket: JsValue) -> Result<AcceptedSocket, JsValue> {
        let (hearing, ending) = (Rc::clone(self), Rc::clone(self));
        AcceptedSocket::accept(socket, move |data| hearing.told(&data), move |closed| ending.ended(closed.as_ref()))
    }

    /// A message goes to the session. One of bytes goes as one of none: those with bytes are our own reports.
    pub fn pass_on(self: &Rc<Self>, message: &JsValue) {
        let object = self.object.borrow().clone();
        let Some(object) = object else { return };
        if message.is_string() {
            object.send(message);
        } else {
            object.send_bytes(&[]);
        }
        if object.waiting() > self.limits.message.saturating_mul(2) {
            let refusal = ConnectionRefusal::later(
                "More was sent than this session can take. Connect again, and send less at once.",
            );
            self.send(&JsValue::from_str(&refusal.frame(&self.entry)));
            self.object.take();
            object.close(1001, "too much at once");
            self.close(refusal.code);
        }
    }

    /// The session says something.
    fn told(self: &Rc<Self>, message: &JsValue) {
        self.send(message);
        let characters = length(message);
        // Most of them are the runtime's own, and counted by nobody.
        if characters == PONG.len() && message.as_string().as_deref() == Some(PONG) {
            return;
        }
        let flow = &self.flow;
        flow.frames.set(flow.frames.get() + 1);
        flow.characters.set(flow.characters.get() + characters);
        if flow.characters.get() >= self.step() && !flow.watched.replace(true) {
            self.watch();
        }
    }

    /// Reports what has been passed on as soon as the client has taken most of it.
    fn watch(self: &Rc<Self>) {
        let connection = Rc::clone(self);
        self.edge.wait_until(async move {
            let [mut wait, longest] = LOOK;
            while connection.stage.get() == PendingStage::Passing {
                Delay::from(wait).await;
                wait = longest.min(wait * 2);
                let waiting = connection.client.borrow().as_ref().map_or(0, |client| client.waiting());
                if waiting <= connection.step() {
                    connection.report();
                    break;
                }
            }
            connection.flow.watched.set(false);
        });
    }

    fn report(&self) {
        self.flow.characters.set(0);
        let frames = self.flow.frames.take().to_string();
        self.object.borrow().iter().for_each(|object| object.send_bytes(frames.as_bytes()));
    }

    fn step(&self) -> usize {
        bridge(&self.edge.env()).map_or(0, |bridge| bridge.session_rules().buffer / SHARE)
    }

    /// The session has closed its connection, or that broke: so does the client's.
    fn ended(self: &Rc<Self>, closed: Option<&Closed>) {
        let Some(object) = self.object.take() else { return };
        object.close(1000, "");
        match closed {
            Some(closed) => self.close_with(|client| client.close_as(closed)),
            None => {
                self.stage.set(PendingStage::Closed);
                self.client.take();
                self.edge.abort("the connection to a session broke");
            }
        }
    }
}

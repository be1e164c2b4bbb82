//! Frames between a client and its session's object, in order, where both connections end in this isolate.

use std::rc::Rc;
use std::time::Duration;

use js_sys::Reflect;
use wasm_bindgen::JsValue;
use web_sys::RequestInit;
use worker::Delay;

use super::connection::{PendingConnection, Stage, length};
use super::upgrade;
use crate::edge::isolate::bridge;
use crate::edge::js::{self, AcceptedSocket, Closed};
use crate::edge::objects::call;
use crate::edge::url::{origin, split_url};
use crate::session::{ForwardedFrames, PONG, poll_intervals};

impl PendingConnection {
    /// Opens a session, by a request to a path that the router accepts from no client.
    pub async fn open_session(&self) -> Result<JsValue, JsValue> {
        let (_, _, query) = split_url(&self.url);
        let url = [&origin(&self.url), upgrade::HANDED_OVER, "?", query].concat();
        let headers = [
            ("upgrade", Some("websocket")),
            ("sec-websocket-protocol", self.params.protocol),
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
    pub fn listen_to_object(self: &Rc<Self>, socket: JsValue) -> Result<AcceptedSocket, JsValue> {
        let (receiver, closer) = (Rc::clone(self), Rc::clone(self));
        AcceptedSocket::accept(
            socket,
            move |data| receiver.forward_to_client(&data),
            move |closed| closer.object_closed(closed.as_ref()),
        )
    }

    /// Forwards a message to the session. A binary one is forwarded without its bytes: those with bytes are
    /// reports of this isolate.
    pub fn forward_to_object(self: &Rc<Self>, message: &JsValue) {
        let object = self.object.borrow().clone();
        let Some(object) = object else { return };
        if message.is_string() {
            object.send(message);
        } else {
            object.send_bytes(&[]);
        }
        let refusal = self.pending.borrow().check_forwarded(object.queued_bytes());
        if let Some(refusal) = refusal {
            self.send(&JsValue::from_str(&refusal.frame(&self.params)));
            self.object.take();
            object.close(1001, "too much at once");
            self.close(refusal.code);
        }
    }

    fn forward_to_client(self: &Rc<Self>, message: &JsValue) {
        self.send(message);
        let characters = length(message);
        // The runtime sends most pongs by itself, and the session does not count them.
        if ForwardedFrames::may_be_pong(characters) && message.as_string().as_deref() == Some(PONG) {
            return;
        }
        let is_due = self.forwarded.borrow_mut().forwarded(characters, self.threshold());
        if is_due && !self.is_watched.replace(true) {
            self.report_when_taken();
        }
    }

    /// Reports forwarded frames to the session's object as soon as the client has taken most of them.
    fn report_when_taken(self: &Rc<Self>) {
        let connection = Rc::clone(self);
        self.edge.wait_until(async move {
            let mut intervals = poll_intervals();
            while connection.stage.get() == Stage::Forwarding {
                Delay::from(Duration::from_millis(intervals.next().unwrap_or_default())).await;
                let queued = connection.client.borrow().as_ref().map_or(0, |client| client.queued_bytes());
                if queued <= connection.threshold() {
                    let report = connection.forwarded.borrow_mut().report();
                    connection.object.borrow().iter().for_each(|object| object.send_bytes(report.as_bytes()));
                    break;
                }
            }
            connection.is_watched.set(false);
        });
    }

    fn threshold(&self) -> usize {
        bridge(&self.edge.env()).map_or(0, |bridge| ForwardedFrames::threshold(bridge.session_rules().buffer))
    }

    /// The session's object has closed its connection, or the connection broke.
    fn object_closed(self: &Rc<Self>, closed: Option<&Closed>) {
        let Some(object) = self.object.take() else { return };
        object.close(1000, "");
        match closed {
            Some(closed) => self.close_with(|client| client.close_as(closed)),
            None => {
                self.stage.set(Stage::Closed);
                self.client.take();
                self.edge.abort("the connection to a session broke");
            }
        }
    }
}

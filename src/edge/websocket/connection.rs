//! A client's connection that this isolate has accepted itself, from its beginning to its end. Everything
//! that belongs to it lives in the context of its request.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use futures::channel::oneshot;
use js_sys::JsString;
use wasm_bindgen::{JsCast, JsValue};
use worker::Delay;

use crate::edge::context::Edge;
use crate::edge::js::AcceptedSocket;
use crate::gateway::MemoryReservation;
use crate::session::{CloseCode, ConnectionSlot, ForwardedFrames, PendingLimits, PendingSession, UpgradeParams};

/// A client that does not answer the gateway's close within this time is cut off, because its connection
/// takes memory until it ends.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// A client's connection.
pub(super) struct PendingConnection {
    pub edge: Edge,
    pub url: String,
    pub params: UpgradeParams,
    pub ip: Option<String>,
    pub limits: PendingLimits,
    pub pending: RefCell<PendingSession>,
    pub stage: Cell<Stage>,
    pub client: RefCell<Option<Rc<AcceptedSocket>>>,
    /// The connection to the session's object.
    pub object: RefCell<Option<Rc<AcceptedSocket>>>,
    /// Messages that are not read yet; null for a binary one.
    pub queue: RefCell<VecDeque<JsValue>>,
    /// A message for the session, to be sent before the one with the key.
    pub kept: Cell<Option<&'static str>>,
    /// Memory for the messages that wait while a key is authenticated.
    pub reservation: RefCell<Option<MemoryReservation>>,
    pub slot: RefCell<Option<ConnectionSlot>>,
    /// Stops the timer for a key, by being dropped.
    pub key_timer: RefCell<Option<oneshot::Sender<()>>>,
    pub forwarded: RefCell<ForwardedFrames>,
    /// A task waits for the client to take what was forwarded.
    pub is_watched: Cell<bool>,
}

/// How far a connection has come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Waiting for a key.
    Waiting,
    /// Authenticating a key, or opening a session.
    Authenticating,
    /// Forwarding frames between the client and its session.
    Forwarding,
    /// Closed by either side.
    Closed,
}

impl PendingConnection {
    pub fn send(&self, message: &JsValue) {
        self.client.borrow().iter().for_each(|client| client.send(message));
    }

    /// Closes the client's connection.
    pub fn close(self: &Rc<Self>, code: CloseCode) {
        let (number, reason) = code.parts();
        self.close_with(|client| client.close(number, reason));
    }

    /// Closes the client's connection by `close`, and cuts it off if the client does not answer.
    pub fn close_with(self: &Rc<Self>, close: impl Fn(&AcceptedSocket)) {
        self.stage.set(Stage::Closed);
        self.key_timer.take();
        self.drop_messages();
        self.client.borrow().iter().for_each(|client| close(client));
        let connection = Rc::clone(self);
        self.edge.wait_until(async move {
            Delay::from(CLOSE_TIMEOUT).await;
            if connection.client.take().is_some() {
                connection.release_slot();
                connection.edge.abort("a client did not answer the close of its WebSocket");
            }
        });
    }

    pub fn drop_messages(&self) {
        self.queue.take();
        self.kept.take();
        self.reservation.take();
    }

    /// The connection no longer counts as one without a key.
    pub fn release_slot(&self) {
        self.key_timer.take();
        self.slot.take();
    }
}

/// The length of a message in UTF-16 units; 0 for a binary one.
pub(super) fn length(message: &JsValue) -> usize {
    message.dyn_ref::<JsString>().map_or(0, |text| text.length() as usize)
}

//! A connection without an API key. It waits in this isolate until a key arrives, and then continues in a
//! session. The decisions are those of [`PendingSession`].

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures::channel::oneshot;
use futures::future::{Either, select};
use js_sys::JsString;
use wasm_bindgen::{JsCast, JsValue};
use worker::{Delay, WebSocketPair};

use super::connection::{PendingConnection, Stage, length};
use super::upgrade;
use crate::edge::clock::now;
use crate::edge::context::Edge;
use crate::edge::isolate::bridge;
use crate::edge::js::{AcceptedSocket, Closed};
use crate::edge::url::split_url;
use crate::error::Error;
use crate::gateway;
use crate::session::{ConnectionRefusal, ConnectionSlot, PendingAction, PendingSession};

/// While a key is authenticated, the timer for a key is checked again after this time.
const KEY_TIMER_INTERVAL: Duration = Duration::from_millis(100);
/// A message is scanned in pieces of this many UTF-16 units, so that a long one takes no more of the wasm's
/// memory than a short one.
const SCANNED_UNITS: u32 = 64 << 10;
/// The first units of surrogate pairs.
const HIGH_SURROGATES: Range<f64> = 55_296.0..56_320.0;
/// The most bytes of a UTF-16 unit in memory.
const UNIT_BYTES: usize = 2;

/// Accepts a connection without a key, or one that is refused.
pub(in crate::edge) fn accept(
    request: &web_sys::Request,
    edge: &Edge,
    slot: ConnectionSlot,
    refusal: Option<&ConnectionRefusal>,
) -> worker::Result<web_sys::Response> {
    let opened = bridge(&edge.env());
    let limits = opened.as_ref().map_err(|_| worker::Error::RustError("no configuration".to_owned()))?.pending_limits();
    let (params, pair) = (upgrade::read(request)?, WebSocketPair::new()?);
    let (key_timer, stopped) = oneshot::channel();
    let connection = Rc::new(PendingConnection {
        edge: edge.clone(),
        url: request.url(),
        ip: request.headers().get("cf-connecting-ip").ok().flatten(),
        limits,
        pending: RefCell::new(PendingSession::new(limits, &params)),
        params,
        stage: Cell::new(Stage::Waiting),
        client: RefCell::default(),
        object: RefCell::default(),
        queue: RefCell::default(),
        kept: Cell::default(),
        reservation: RefCell::default(),
        slot: RefCell::new(Some(slot)),
        key_timer: RefCell::new(Some(key_timer)),
        forwarded: RefCell::default(),
        is_watched: Cell::default(),
    });
    connection.listen(AsRef::<web_sys::WebSocket>::as_ref(&pair.server).clone().into())?;
    match refusal {
        Some(refusal) => connection.refuse(refusal),
        None => connection.start_key_timer(stopped),
    }
    upgrade::switch(pair.client, &connection.params).map(Into::into)
}

impl PendingConnection {
    fn listen(self: &Rc<Self>, socket: JsValue) -> Result<(), JsValue> {
        let (receiver, closer) = (Rc::clone(self), Rc::clone(self));
        let client = AcceptedSocket::accept(
            socket,
            move |data| receiver.receive(data),
            move |closed| closer.client_closed(closed.as_ref()),
        )?;
        *self.client.borrow_mut() = Some(Rc::new(client));
        Ok(())
    }

    /// A message from the client has arrived.
    fn receive(self: &Rc<Self>, data: JsValue) {
        let message = if data.is_string() { data } else { JsValue::NULL };
        match self.stage.get() {
            Stage::Forwarding => self.forward_to_object(&message),
            Stage::Closed => {}
            Stage::Waiting => {
                self.queue.borrow_mut().push_back(message);
                self.read_queue();
            }
            Stage::Authenticating => self.enqueue(message),
        }
    }

    /// Queues a message while a key is authenticated.
    fn enqueue(self: &Rc<Self>, message: JsValue) {
        let fits = self.pending.borrow_mut().wait(length(&message));
        if let Err(actions) = fits {
            return self.execute(actions, &JsValue::NULL);
        }
        if !self.reserve() {
            return self.refuse(&ConnectionRefusal::full());
        }
        self.queue.borrow_mut().push_back(message);
    }

    /// Reads queued messages until one brings a key.
    fn read_queue(self: &Rc<Self>) {
        while self.stage.get() == Stage::Waiting {
            let Some(message) = self.queue.borrow_mut().pop_front() else { break };
            let actions = match message.dyn_ref::<JsString>() {
                Some(text) => self.scan(text),
                None => self.pending.borrow().receive_binary(),
            };
            self.execute(actions, &message);
        }
    }

    fn scan(&self, text: &JsString) -> Vec<PendingAction> {
        let mut pending = self.pending.borrow_mut();
        let mut scan = pending.scan();
        let (mut at, mut bytes) = (0, 0);
        while at < text.length() {
            let end = at.saturating_add(SCANNED_UNITS).min(text.length());
            // A surrogate pair is not divided.
            let divides = end < text.length() && HIGH_SURROGATES.contains(&text.char_code_at(end - 1));
            let end = if divides { end - 1 } else { end };
            let piece = String::from(text.substring(at, end));
            bytes += piece.len();
            at = end;
            if !scan.push(&piece) {
                break;
            }
        }
        pending.receive(scan, bytes)
    }

    /// Executes the actions that follow from `message`.
    fn execute(self: &Rc<Self>, actions: Vec<PendingAction>, message: &JsValue) {
        for action in actions {
            match action {
                PendingAction::Send(text) => self.send(&JsValue::from_str(&text)),
                PendingAction::Close(code) => self.close(code),
                PendingAction::Authenticate(key) => self.authenticate(key, message.clone()),
                PendingAction::Forward(text) => self.kept.set(Some(text)),
            }
        }
    }

    fn refuse(self: &Rc<Self>, refusal: &ConnectionRefusal) {
        self.execute(self.pending.borrow().refuse(refusal), &JsValue::NULL);
    }

    /// Authenticates a key; if it is good, a session is opened.
    fn authenticate(self: &Rc<Self>, key: String, message: JsValue) {
        self.pending.borrow_mut().start_waiting(length(&message), self.queue.borrow().iter().map(length));
        if !self.reserve() {
            return self.refuse(&ConnectionRefusal::full());
        }
        self.stage.set(Stage::Authenticating);
        let connection = Rc::clone(self);
        self.edge.wait_until(async move {
            let result = connection.identify(&key).await;
            if connection.stage.get() != Stage::Authenticating {
                return;
            }
            match result {
                Ok(()) => connection.hand_over(&message).await,
                Err(error) => connection.reject(&error),
            }
        });
    }

    fn reject(self: &Rc<Self>, error: &Error) {
        self.stage.set(Stage::Waiting);
        self.reservation.take();
        let actions = self.pending.borrow_mut().rejected(error);
        self.execute(actions, &JsValue::NULL);
        self.read_queue();
    }

    /// Reserves memory for the messages that wait; whether there is room.
    fn reserve(&self) -> bool {
        let units = self.pending.borrow().waiting_units();
        let mut reservation = self.reservation.borrow_mut();
        if reservation.is_none() {
            *reservation = bridge(&self.edge.env()).ok().and_then(|bridge| bridge.waiting_room(now()));
        }
        reservation.as_ref().is_some_and(|reservation| reservation.hold_one(units.saturating_mul(UNIT_BYTES), units))
    }

    async fn identify(&self, key: &str) -> Result<(), Error> {
        let header = |name: &str| match name {
            "authorization" => Some(format!("Bearer {key}")),
            "cf-connecting-ip" => self.ip.clone(),
            _ => None,
        };
        let (host_name, ..) = split_url(&self.url);
        gateway::identify(&bridge(&self.edge.env()), &self.edge, host_name, &header).await.map(drop)
    }

    /// Opens a session, and forwards the message with the key to it, and those after it.
    async fn hand_over(self: &Rc<Self>, message: &JsValue) {
        let opened = self.open_session().await;
        let is_wanted = self.stage.get() == Stage::Authenticating;
        match opened.and_then(|socket| self.listen_to_object(socket)) {
            Ok(object) if is_wanted => {
                self.stage.set(Stage::Forwarding);
                *self.object.borrow_mut() = Some(Rc::new(object));
                self.release_slot();
                let queue = self.queue.take();
                let kept = self.kept.take().map(JsValue::from_str);
                kept.iter().chain([message]).chain(&queue).for_each(|message| self.forward_to_object(message));
                self.reservation.take();
            }
            Ok(object) => object.close(1001, "the client has left"),
            Err(_) if is_wanted => {
                self.refuse(&ConnectionRefusal::later("No session could be opened. Connect again shortly."));
            }
            Err(_) => {}
        }
    }

    /// Closes the connection if no good key arrives in time. Dropping the sender of `stopped` stops the
    /// timer.
    fn start_key_timer(self: &Rc<Self>, mut stopped: oneshot::Receiver<()>) {
        let connection = Rc::clone(self);
        self.edge.wait_until(async move {
            let mut wait = Duration::from_millis(connection.limits.time);
            while let Either::Right(_) = select(&mut stopped, pin!(Delay::from(wait))).await {
                if connection.stage.get() == Stage::Waiting {
                    return connection.execute(connection.pending.borrow().expire(), &JsValue::NULL);
                }
                wait = KEY_TIMER_INTERVAL;
            }
        });
    }

    /// The client has closed its connection, or the connection broke.
    fn client_closed(self: &Rc<Self>, closed: Option<&Closed>) {
        self.stage.set(Stage::Closed);
        let Some(client) = self.client.take() else { return };
        // As a session does, because most codes may not be sent.
        client.close(1000, "");
        if let Some(object) = self.object.take() {
            match closed {
                Some(closed) => object.close_as(closed),
                None => object.close(1001, "connection lost"),
            }
        }
        self.drop_messages();
        self.release_slot();
    }
}

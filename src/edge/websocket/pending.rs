//! A connection without a key, which waits in this isolate until one comes, and then goes on to a session. A shell: it tells
//! `session/pending.rs` what happens, and does what that says. All that belongs to a connection lives in the context of its request.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ops::Range;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures::channel::oneshot;
use futures::future::{Either, select};
use js_sys::JsString;
use wasm_bindgen::{JsCast, JsValue};
use worker::{Delay, WebSocketPair};

use super::upgrade;
use crate::edge::clock::now;
use crate::edge::context::Edge;
use crate::edge::isolate::bridge;
use crate::edge::js::{AcceptedSocket, Closed};
use crate::edge::url::split_url;
use crate::error::Error;
use crate::gateway::{self, MemoryReservation};
use crate::session::{
    CloseCode, ConnectionRefusal, ConnectionSlot, PendingAction, PendingLimits, PendingSession, UpgradeParams,
};

/// A client that does not answer our close is cut off after so long.
const PATIENCE: Duration = Duration::from_secs(5);
/// While a key is checked, its time is not over; it is looked again after so long.
const LOOK: Duration = Duration::from_millis(100);
/// A message is looked through in pieces of so many characters.
const PIECE: u32 = 64 << 10;
/// The first halves of characters that take two.
const HIGH_HALVES: Range<f64> = 55_296.0..56_320.0;
/// What a message takes besides its characters, about.
const OVERHEAD: usize = 64;
/// The bytes that a character of a message takes at most.
const CHARACTER: usize = 2;

/// A connection from its beginning to its end.
pub(super) struct PendingConnection {
    pub edge: Edge,
    pub url: String,
    pub entry: UpgradeParams,
    pub ip: Option<String>,
    pub limits: PendingLimits,
    pending: RefCell<PendingSession>,
    pub stage: Cell<PendingStage>,
    pub client: RefCell<Option<Rc<AcceptedSocket>>>,
    /// The connection to the session's object.
    pub object: RefCell<Option<Rc<AcceptedSocket>>>,
    /// Messages that have not been heard yet; one of bytes is null.
    queue: RefCell<VecDeque<JsValue>>,
    queued: Cell<usize>,
    /// What the message takes whose key is being checked.
    checked: Cell<usize>,
    /// A message for the session, before the one that brings the key.
    kept: Cell<Option<&'static str>>,
    /// What the messages that wait take in memory, while a key is checked.
    room: RefCell<Option<MemoryReservation>>,
    slot: RefCell<Option<ConnectionSlot>>,
    /// Ends the time for a key.
    key_came: RefCell<Option<oneshot::Sender<()>>>,
    pub flow: super::pump::FrameFlow,
}

/// How far a connection has come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum PendingStage {
    /// It waits for a key.
    Waiting,
    /// A key is being checked, or a session opened.
    Checking,
    /// Its frames go to a session, and come from there.
    Passing,
    /// It has been closed, by either side.
    Closed,
}

/// Accepts a connection without a key, or one that is refused.
pub(in crate::edge) fn accept(
    request: &web_sys::Request,
    edge: &Edge,
    slot: ConnectionSlot,
    refusal: Option<&ConnectionRefusal>,
) -> worker::Result<web_sys::Response> {
    let opened = bridge(&edge.env());
    let limits = opened.as_ref().map_err(|_| worker::Error::RustError("no configuration".to_owned()))?.pending_limits();
    let (entry, pair) = (upgrade::read(request)?, WebSocketPair::new()?);
    let (key_came, over) = oneshot::channel();
    let connection = Rc::new(PendingConnection {
        edge: edge.clone(),
        url: request.url(),
        ip: request.headers().get("cf-connecting-ip").ok().flatten(),
        limits,
        pending: RefCell::new(PendingSession::new(limits, &entry)),
        entry,
        stage: Cell::new(PendingStage::Waiting),
        client: RefCell::default(),
        object: RefCell::default(),
        queue: RefCell::default(),
        queued: Cell::default(),
        checked: Cell::default(),
        kept: Cell::default(),
        room: RefCell::default(),
        slot: RefCell::new(Some(slot)),
        key_came: RefCell::new(Some(key_came)),
        flow: super::pump::FrameFlow::default(),
    });
    connection.listen(AsRef::<web_sys::WebSocket>::as_ref(&pair.server).clone().into())?;
    match refusal {
        Some(refusal) => connection.obey(connection.pending.borrow().refused(refusal), &JsValue::NULL),
        None => connection.time(over),
    }
    upgrade::switch(pair.client, &connection.entry).map(Into::into)
}

impl PendingConnection {
    fn listen(self: &Rc<Self>, socket: JsValue) -> Result<(), JsValue> {
        let (hearing, ending) = (Rc::clone(self), Rc::clone(self));
        let line =
            AcceptedSocket::accept(socket, move |data| hearing.hear(data), move |closed| ending.left(closed.as_ref()))?;
        *self.client.borrow_mut() = Some(Rc::new(line));
        Ok(())
    }

    /// A message of the client's has come.
    fn hear(self: &Rc<Self>, data: JsValue) {
        let data = if data.is_string() { data } else { JsValue::NULL };
        match self.stage.get() {
            PendingStage::Passing => self.pass_on(&data),
            PendingStage::Closed => {}
            PendingStage::Waiting => {
                self.queue.borrow_mut().push_back(data);
                self.work();
            }
            PendingStage::Checking => {
                let queued = self.queued.get() + length(&data) + OVERHEAD;
                if queued > self.limits.message {
                    return self.obey(self.pending.borrow().crowded(), &JsValue::NULL);
                }
                if !self.holds(self.checked.get().saturating_add(queued)) {
                    return self.obey(self.pending.borrow().refused(&ConnectionRefusal::full()), &JsValue::NULL);
                }
                self.queued.set(queued);
                self.queue.borrow_mut().push_back(data);
            }
        }
    }

    /// Hears the messages that have come, until one brings a key.
    fn work(self: &Rc<Self>) {
        while self.stage.get() == PendingStage::Waiting {
            let Some(data) = self.queue.borrow_mut().pop_front() else { break };
            let steps = match data.dyn_ref::<JsString>() {
                Some(text) => self.look_through(text),
                None => self.pending.borrow().receive_bytes(),
            };
            self.obey(steps, &data);
        }
    }

    /// In pieces, so that a long message takes no more of the wasm's memory than a short one.
    fn look_through(&self, text: &JsString) -> Vec<PendingAction> {
        let mut pending = self.pending.borrow_mut();
        let mut scan = pending.scan();
        let (mut at, mut bytes) = (0, 0);
        while at < text.length() {
            let end = at.saturating_add(PIECE).min(text.length());
            // Both halves of a character that takes two stay together.
            let is_half = end < text.length() && HIGH_HALVES.contains(&text.char_code_at(end - 1));
            let end = if is_half { end - 1 } else { end };
            let piece = String::from(text.substring(at, end));
            bytes += piece.len();
            at = end;
            if !scan.push(&piece) {
                break;
            }
        }
        pending.receive(scan, bytes)
    }

    /// Does what is to be done; `message` is the one that gave rise to it.
    pub fn obey(self: &Rc<Self>, steps: Vec<PendingAction>, message: &JsValue) {
        for step in steps {
            match step {
                PendingAction::Send(text) => self.send(&JsValue::from_str(&text)),
                PendingAction::Close(code) => self.close(code),
                PendingAction::Check(key) => self.check(key, message.clone()),
                PendingAction::Keep(text) => self.kept.set(Some(text)),
            }
        }
    }

    pub fn send(&self, message: &JsValue) {
        self.client.borrow().iter().for_each(|client| client.send(message));
    }

    /// Finds out whether a key is good; if it is, a session is opened.
    fn check(self: &Rc<Self>, key: String, message: JsValue) {
        let queued: usize = self.queue.borrow().iter().map(|message| length(message) + OVERHEAD).sum();
        self.queued.set(queued);
        self.checked.set(length(&message) + OVERHEAD);
        if !self.holds(self.checked.get().saturating_add(queued)) {
            return self.obey(self.pending.borrow().refused(&ConnectionRefusal::full()), &JsValue::NULL);
        }
        self.stage.set(PendingStage::Checking);
        let connection = Rc::clone(self);
        self.edge.wait_until(async move {
            let judged = connection.identify(&key).await;
            if connection.stage.get() != PendingStage::Checking {
                return;
            }
            match judged {
                Ok(()) => connection.hand_over(&message).await,
                Err(error) => {
                    connection.stage.set(PendingStage::Waiting);
                    connection.room.take();
                    let steps = connection.pending.borrow_mut().rejected(&error);
                    connection.obey(steps, &JsValue::NULL);
                    connection.work();
                }
            }
        });
    }

    /// Holds room for so many characters of messages that wait; `false` if there is none.
    fn holds(&self, characters: usize) -> bool {
        let mut room = self.room.borrow_mut();
        if room.is_none() {
            *room = bridge(&self.edge.env()).ok().and_then(|bridge| bridge.waiting_room(now()));
        }
        room.as_ref().is_some_and(|room| room.hold_one(characters.saturating_mul(CHARACTER), characters))
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

    /// Opens a session, which gets the message that brought the key, and those behind it.
    async fn hand_over(self: &Rc<Self>, message: &JsValue) {
        let opened = self.open_session().await;
        let is_wanted = self.stage.get() == PendingStage::Checking;
        match opened.and_then(|socket| self.join(socket)) {
            Ok(object) if is_wanted => {
                self.stage.set(PendingStage::Passing);
                *self.object.borrow_mut() = Some(Rc::new(object));
                self.release();
                let waiting = self.queue.take();
                let kept = self.kept.take();
                let kept = kept.map(JsValue::from_str);
                kept.iter().chain([message]).chain(&waiting).for_each(|message| self.pass_on(message));
                self.room.take();
            }
            Ok(object) => object.close(1001, "the client has left"),
            Err(_) if is_wanted => {
                let refusal = ConnectionRefusal::later("No session could be opened. Connect again shortly.");
                self.obey(self.pending.borrow().refused(&refusal), &JsValue::NULL);
            }
            Err(_) => {}
        }
    }

    /// Closes the connection when no good key has come in its time.
    fn time(self: &Rc<Self>, mut over: oneshot::Receiver<()>) {
        let connection = Rc::clone(self);
        self.edge.wait_until(async move {
            let mut wait = Duration::from_millis(connection.limits.time);
            while let Either::Right(_) = select(&mut over, pin!(Delay::from(wait))).await {
                if connection.stage.get() == PendingStage::Waiting {
                    return connection.obey(connection.pending.borrow().expire(), &JsValue::NULL);
                }
                wait = LOOK;
            }
        });
    }

    /// Closes the client's connection. One that does not answer is cut off, for it takes memory until it ends.
    pub fn close(self: &Rc<Self>, code: CloseCode) {
        let (number, reason) = code.parts();
        self.close_with(|client| client.close(number, reason));
    }

    pub fn close_with(self: &Rc<Self>, close: impl Fn(&AcceptedSocket)) {
        self.stage.set(PendingStage::Closed);
        self.key_came.take();
        self.forget();
        self.client.borrow().iter().for_each(|client| close(client));
        let connection = Rc::clone(self);
        self.edge.wait_until(async move {
            Delay::from(PATIENCE).await;
            if connection.client.take().is_some() {
                connection.release();
                connection.edge.abort("a client did not answer the close of its WebSocket");
            }
        });
    }

    /// The client has closed its connection, or that broke.
    fn left(self: &Rc<Self>, closed: Option<&Closed>) {
        self.stage.set(PendingStage::Closed);
        let Some(client) = self.client.take() else { return };
        // Answered as a session answers it: most codes may not be sent.
        client.close(1000, "");
        if let Some(object) = self.object.take() {
            match closed {
                Some(closed) => object.close_as(closed),
                None => object.close(1001, "connection lost"),
            }
        }
        self.forget();
        self.release();
    }

    fn forget(&self) {
        self.queue.take();
        self.kept.take();
        self.room.take();
    }

    /// It is no connection without a key any more.
    fn release(&self) {
        self.key_came.take();
        self.slot.take();
    }
}

/// Of a message of bytes, 0.
pub(super) fn length(message: &JsValue) -> usize {
    message.dyn_ref::<JsString>().map_or(0, |text| text.length() as usize)
}

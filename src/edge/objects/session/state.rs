//! The Durable Object that keeps one WebSocket session. A shell: it tells `session/` what happens, and does what that says.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use futures::{channel::oneshot, future::select};
use web_sys::{AbortController, AbortSignal};
use worker::{Delay, Env, Response, State, WebSocket, WebSocketPair};

use super::running::Running;
use super::{socket, store};
use crate::config::Millis;
use crate::edge::clock::now;
use crate::edge::context::Edge;
use crate::edge::isolate::bridge;
use crate::edge::js::{EventContext, set_alarm};
use crate::edge::log::log;
use crate::edge::url::{origin, split_url};
use crate::edge::websocket::upgrade;
use crate::gateway::{self, Caller, MemoryReservation};
use crate::policy::auth;
use crate::session::{
    ChatStart, ClientOrigin, CloseCode, ConnectionRefusal, FlowControl, PONG, ReadState, Session as Machine,
    SessionAction, SessionOwner, UpgradeParams,
};

/// Whoever waits for a client to take more looks again after so long; then after twice as long, and so on to the second of these.
const LOOK: [Duration; 2] = [Duration::from_millis(2), Duration::from_millis(64)];
/// After so long a rest, what has not been acknowledged is written down: the object may go to sleep.
const REST: Duration = Duration::from_secs(2);

/// What an object has in memory; all of it is lost when it sleeps.
pub(super) struct SessionState {
    pub(super) state: State,
    pub(super) env: Env,
    pub(super) machine: RefCell<Option<Machine>>,
    pub(super) socket: RefCell<Option<WebSocket>>,
    calls: RefCell<Vec<Running>>,
    /// Those who wait for the client to take more.
    waiting: RefCell<Vec<oneshot::Sender<()>>>,
    /// The number of the newest frame that is written down.
    written: Cell<Option<u64>>,
    /// The connection was closed because nothing happened on it: nothing is under way here, not even a receipt.
    pub(super) idled: Cell<bool>,
    /// What messages and requests that wait take in memory.
    pub(super) held: RefCell<Option<MemoryReservation>>,
    /// What is on its way to a client, if its frames pass through another isolate.
    pub(super) flow: RefCell<Option<FlowControl>>,
}

impl SessionState {
    pub(super) fn new(state: State, env: Env) -> Self {
        Self {
            state,
            env,
            machine: RefCell::default(),
            socket: RefCell::default(),
            calls: RefCell::default(),
            waiting: RefCell::default(),
            written: Cell::default(),
            idled: Cell::default(),
            flow: RefCell::default(),
            held: RefCell::default(),
        }
    }

    /// A request for a connection.
    pub(super) async fn enter(self: &Rc<Self>, request: &web_sys::Request) -> worker::Result<Response> {
        let (url, headers) = (request.url(), request.headers());
        let (host_name, ..) = split_url(&url);
        let header = |name: &str| headers.get(name).ok().flatten();
        let entry = upgrade::read(request)?;
        let shown = |name: &str| entry.header(name).or_else(|| header(name));
        let is_handed_over = upgrade::is_handed_over(&url);
        let ip = header(if is_handed_over { upgrade::CLIENT_IP } else { "cf-connecting-ip" });
        let pair = WebSocketPair::new()?;
        let owner = self.identify(host_name, &shown).await;
        let entered = match owner {
            Err(error) if auth::presented(shown).is_some() => Err(ConnectionRefusal::of_key(error)),
            owner => self.admit(&entry, owner.ok(), ClientOrigin { origin: origin(&url), ip }),
        };
        match entered {
            Ok(actions) => self.take(pair.server, is_handed_over, actions),
            Err(refusal) => upgrade::refuse(&pair.server, &entry, &refusal)?,
        }
        upgrade::switch(pair.client, &entry)
    }

    /// Whose key is in the headers.
    async fn identify(
        self: &Rc<Self>,
        host_name: &str,
        header: &dyn Fn(&str) -> Option<String>,
    ) -> crate::error::Result<SessionOwner> {
        let client = AbortController::new().map(|client| client.signal()).unwrap_or_else(|_| AbortSignal::abort());
        let caller = gateway::identify(&bridge(&self.env), &self.edge(client), host_name, header).await?;
        Ok(SessionOwner { key_id: caller.key_id, hash: caller.hash })
    }

    fn admit(
        self: &Rc<Self>,
        entry: &UpgradeParams,
        owner: Option<SessionOwner>,
        place: ClientOrigin,
    ) -> Result<Vec<SessionAction>, ConnectionRefusal> {
        self.load();
        let mut kept = self.machine.borrow_mut();
        match (&entry.resumes, kept.as_mut()) {
            (Some((_, after)), Some(machine)) => machine.resume(entry, *after, owner.as_ref(), place, now()),
            (None, None) => {
                let Ok(opened) = bridge(&self.env) else { return Err(ConnectionRefusal::unknown()) };
                let id = self.state.id().to_string();
                let mut machine = Machine::new(opened.session_rules(), id, place, owner);
                let actions = machine.connect(entry, now());
                *kept = Some(machine);
                Ok(actions)
            }
            _ => Err(ConnectionRefusal::unknown()),
        }
    }

    /// The session goes on over this connection, and no other.
    fn take(self: &Rc<Self>, socket: WebSocket, is_handed_over: bool, actions: Vec<SessionAction>) {
        for older in self.state.get_websockets() {
            socket::close(&older, CloseCode::Displaced);
        }
        socket::accept(&self.state, &socket, is_handed_over);
        *self.flow.borrow_mut() = is_handed_over.then(FlowControl::default);
        self.unwrite();
        *self.socket.borrow_mut() = Some(socket);
        self.set_alarm();
        self.obey(actions);
        self.tie();
    }

    /// A connection has ended.
    pub(super) fn leave(self: &Rc<Self>, socket: &WebSocket, orderly: bool) {
        self.load();
        if let Some(kept) = socket::tied(socket).filter(|_| self.is_current(socket)) {
            socket::untie(socket);
            self.apply(|machine| machine.lost(kept.link(), orderly, now()));
            *self.socket.borrow_mut() = None;
        }
    }

    pub(super) fn is_current(&self, socket: &WebSocket) -> bool {
        let linked = self.machine.borrow().as_ref().and_then(Machine::linked);
        linked.is_some() && socket::tied(socket).map(|kept| kept.link()) == linked
    }

    /// Puts the session up again after a sleep: as it is tied to its connection, or as it was written down.
    pub(super) fn load(self: &Rc<Self>) {
        let Ok(opened) = bridge(&self.env) else { return };
        if self.machine.borrow().is_some() {
            return;
        }
        let sockets = self.state.get_websockets().into_iter();
        let newest = sockets.filter_map(|socket| Some((socket::tied(&socket)?, socket)));
        let newest = newest.max_by_key(|(kept, _)| kept.link());
        let stored = store::read(&self.state.storage().sql());
        self.written.set(stored.as_ref().map(|(kept, _)| kept.last()));
        let (machine, actions) = match (newest, stored) {
            (Some((kept, socket)), stored) => {
                *self.flow.borrow_mut() = socket::is_passed(&self.state, &socket).then(FlowControl::default);
                *self.socket.borrow_mut() = Some(socket);
                let frames = stored.filter(|(old, _)| old.last() == kept.last()).map(|(_, frames)| frames);
                Machine::wake(opened.session_rules(), kept, &frames.unwrap_or_default(), true)
            }
            (None, Some((kept, frames))) => Machine::wake(opened.session_rules(), kept, &frames, false),
            (None, None) => return,
        };
        let key_id = machine.owner().map(|owner| owner.key_id.as_str());
        opened.session_line(now(), "session_woken", key_id).iter().for_each(|line| log(line));
        *self.machine.borrow_mut() = Some(machine);
        self.obey(actions);
    }

    /// Tells the session what has happened, and does what it says.
    pub(super) fn apply(self: &Rc<Self>, event: impl FnOnce(&mut Machine) -> Vec<SessionAction>) {
        self.apply_unmeasured(event);
        self.hold_memory();
        self.tie();
        for waiting in self.waiting.take() {
            let _ = waiting.send(());
        }
    }

    /// The same, of what need not outlive the object: it does not sleep while a request is under way.
    pub(super) fn apply_unmeasured(self: &Rc<Self>, event: impl FnOnce(&mut Machine) -> Vec<SessionAction>) {
        let actions = self.machine.borrow_mut().as_mut().map(event).unwrap_or_default();
        self.obey(actions);
    }

    fn obey(self: &Rc<Self>, actions: Vec<SessionAction>) {
        for action in actions {
            match action {
                SessionAction::Send(text) => self.send(&text),
                SessionAction::Close(code) => {
                    self.idled.set(code == CloseCode::Idle);
                    self.socket.take().iter().for_each(|socket| socket::close(socket, code));
                }
                SessionAction::Start(start) => self.start(start),
                SessionAction::Cancel(number) => self.running(number).into_iter().for_each(Running::end),
                SessionAction::Authenticate(key) => self.vouch(key),
                SessionAction::Keep => self.write(),
                SessionAction::Forget => self.forget(),
            }
        }
    }

    fn send(&self, text: &str) {
        let kept = self.socket.borrow();
        let Some(socket) = kept.as_ref() else { return };
        let sent = socket.send_with_str(text).is_ok();
        // The runtime's own pongs are counted by nobody.
        if let Some(flow) = self.flow.borrow_mut().as_mut().filter(|_| sent && text != PONG) {
            flow.sent(text.len());
        }
    }

    fn start(self: &Rc<Self>, start: ChatStart) {
        let Ok(client) = AbortController::new() else { return };
        self.unwrite();
        let (signal, (reader, gone)) = (client.signal(), oneshot::channel());
        self.calls.borrow_mut().push(Running { number: start.number, client, reader });
        let room = Rc::clone(self);
        self.keep(async move {
            let number = start.number;
            room.run_chat(start, signal, gone).await;
            drop(room.running(number));
            room.apply(|machine| machine.over(number));
            Delay::from(REST).await;
            if room.machine.borrow().as_ref().is_some_and(Machine::owes) {
                room.write();
            }
        });
    }

    /// A request under way, which is none from here on.
    fn running(&self, number: u64) -> Option<Running> {
        let mut calls = self.calls.borrow_mut();
        let at = calls.iter().position(|running| running.number == number)?;
        Some(calls.swap_remove(at))
    }

    /// Finds out whose key it is.
    fn vouch(self: &Rc<Self>, key: String) {
        let place = self.machine.borrow().as_ref().map(|machine| machine.place().clone()).unwrap_or_default();
        let room = Rc::clone(self);
        self.keep(async move {
            let header = |name: &str| match name {
                "authorization" => Some(format!("Bearer {key}")),
                "cf-connecting-ip" => place.ip.clone(),
                _ => None,
            };
            let (host_name, ..) = split_url(&place.origin);
            let owner = room.identify(host_name, &header).await;
            room.apply(|machine| machine.authenticated(owner, now()));
        });
    }

    /// Writes the session down, unless its newest frame is.
    fn write(self: &Rc<Self>) {
        let kept = self.machine.borrow();
        let Some(machine) = kept.as_ref() else { return };
        let is_linked = machine.linked().is_some();
        if is_linked && self.written.get() == Some(machine.kept().last()) {
            return;
        }
        self.written.set(Some(machine.kept().last()));
        if store::write(&self.state.storage().sql(), &machine.kept(), &machine.frames()).is_err() {
            log("{\"level\":\"error\",\"event\":\"session_unwritten\"}");
        }
        drop(kept);
        if !is_linked {
            self.set_alarm();
        }
    }

    /// Something happens that is not written down: should the object die without a word, an older state must not stand for it.
    fn unwrite(&self) {
        if self.written.take().is_some() && store::clear(&self.state.storage().sql()).is_err() {
            log("{\"level\":\"error\",\"event\":\"session_unwritten\"}");
        }
    }

    fn forget(self: &Rc<Self>) {
        *self.machine.borrow_mut() = None;
        self.written.set(None);
        let room = Rc::clone(self);
        self.keep(async move {
            let _ = room.state.storage().delete_all().await;
        });
    }

    pub(super) fn set_alarm(&self) {
        let due: Option<Millis> = self.machine.borrow().as_ref().map(Machine::due);
        due.into_iter().for_each(|due| set_alarm(&self.state, due));
    }

    /// What has to outlive a sleep is tied to the connection.
    fn tie(&self) {
        if let (Some(machine), Some(socket)) = (self.machine.borrow().as_ref(), self.socket.borrow().as_ref())
            && machine.linked().is_some()
        {
            socket::tie(socket, &machine.kept());
        }
    }

    /// Whether more of an answer may be read; waits until that can be said.
    pub(super) async fn room_for(&self, number: u64) -> bool {
        let [mut wait, longest] = LOOK;
        loop {
            let queued = self.socket.borrow().as_ref().map_or(0, socket::queued)
                + self.flow.borrow().as_ref().map_or(0, FlowControl::bytes);
            let reading =
                self.machine.borrow().as_ref().map_or(ReadState::Gone, |machine| machine.reading(number, queued));
            match reading {
                ReadState::Go => return true,
                ReadState::Gone => return false,
                ReadState::Wait => {
                    let (sender, more) = oneshot::channel();
                    self.waiting.borrow_mut().push(sender);
                    select(more, Delay::from(wait)).await;
                    wait = longest.min(wait * 2);
                }
            }
        }
    }

    /// Does something that nobody waits for; the object does not sleep meanwhile.
    fn keep(&self, task: impl Future<Output = ()> + 'static) {
        EventContext::of(self.state.as_raw()).run(Box::pin(task));
    }

    /// The world of a request of this session.
    pub(super) fn edge(&self, client: AbortSignal) -> Edge {
        Edge::new(client, self.env.clone(), EventContext::of(self.state.as_raw()))
    }

    /// Where the client is, and who it is, if that is known.
    pub(super) fn client(&self) -> (ClientOrigin, Option<Caller>) {
        let kept = self.machine.borrow();
        let caller = |owner: &SessionOwner| Caller { key_id: owner.key_id.clone(), hash: owner.hash.clone() };
        kept.as_ref().map_or_else(Default::default, |machine| (machine.place().clone(), machine.owner().map(caller)))
    }
}

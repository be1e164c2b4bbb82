//! The state of a session's object in memory, and the execution of the session's actions. It is lost when the
//! object sleeps.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use futures::channel::oneshot;
use futures::future::select;
use web_sys::{AbortController, AbortSignal};
use worker::{Delay, Env, State, WebSocket};

use super::running::RunningRequest;
use super::{socket, store};
use crate::edge::clock::now;
use crate::edge::context::Edge;
use crate::edge::isolate::bridge;
use crate::edge::js::{EventContext, set_alarm};
use crate::edge::log::report_failure;
use crate::edge::url::split_url;
use crate::gateway::{self, Caller, MemoryReservation};
use crate::session::{
    ChatStart, ClientOrigin, CloseCode, ReadState, Session, SessionAction, SessionOwner, poll_intervals,
};
use crate::telemetry::RuntimeFailure;

/// When no request has run for this time, unacknowledged frames are stored: the object may go to sleep.
const STORE_AFTER: Duration = Duration::from_secs(2);

/// The memory of a session's object.
pub(super) struct SessionState {
    pub(super) object: State,
    pub(super) env: Env,
    pub(super) session: RefCell<Option<Session>>,
    pub(super) socket: RefCell<Option<WebSocket>>,
    running: RefCell<Vec<RunningRequest>>,
    /// Wake those who wait for the client to take more.
    waiting: RefCell<Vec<oneshot::Sender<()>>>,
    /// The number of the newest frame that is stored.
    pub(super) stored_frame: Cell<Option<u64>>,
    /// The connection was closed because it was idle: no work is left, not even a receipt.
    was_idle: Cell<bool>,
    /// Memory for messages and requests that wait.
    pub(super) reservation: RefCell<Option<MemoryReservation>>,
}

impl SessionState {
    pub(super) fn new(object: State, env: Env) -> Self {
        Self {
            object,
            env,
            session: RefCell::default(),
            socket: RefCell::default(),
            running: RefCell::default(),
            waiting: RefCell::default(),
            stored_frame: Cell::default(),
            was_idle: Cell::default(),
            reservation: RefCell::default(),
        }
    }

    /// Passes an event to the session, and executes the actions that follow from it.
    pub(super) fn apply(self: &Rc<Self>, event: impl FnOnce(&mut Session) -> Vec<SessionAction>) {
        self.apply_transient(event);
        self.reserve_memory();
        self.attach_snapshot();
        for waiting in self.waiting.take() {
            let _ = waiting.send(());
        }
    }

    /// As [`SessionState::apply`], for events of a running request. The object does not sleep meanwhile, so
    /// nothing is saved.
    pub(super) fn apply_transient(self: &Rc<Self>, event: impl FnOnce(&mut Session) -> Vec<SessionAction>) {
        let actions = self.session.borrow_mut().as_mut().map(event).unwrap_or_default();
        self.execute(actions);
    }

    pub(super) fn execute(self: &Rc<Self>, actions: Vec<SessionAction>) {
        for action in actions {
            match action {
                SessionAction::Send(text) => {
                    let _ = self.socket.borrow().as_ref().map(|socket| socket.send_with_str(&*text));
                }
                SessionAction::Close(code) => {
                    self.was_idle.set(code == CloseCode::Idle);
                    self.socket.take().iter().for_each(|socket| socket::close(socket, code));
                }
                SessionAction::Start(start) => self.start(start),
                SessionAction::Cancel(number) => {
                    self.take_running(number).into_iter().for_each(RunningRequest::abort);
                }
                SessionAction::Authenticate(key) => self.authenticate(key),
                SessionAction::Store => self.store(),
                SessionAction::Delete => self.delete(),
            }
        }
    }

    fn start(self: &Rc<Self>, start: ChatStart) {
        let Ok(client) = AbortController::new() else { return };
        self.invalidate();
        let (signal, (stop_reading, stopped)) = (client.signal(), oneshot::channel());
        self.running.borrow_mut().push(RunningRequest { number: start.number, client, stop_reading });
        let state = Rc::clone(self);
        self.wait_until(async move {
            let number = start.number;
            state.run_chat(start, signal, stopped).await;
            drop(state.take_running(number));
            state.apply(|session| session.response_ended(number));
            Delay::from(STORE_AFTER).await;
            if state.session.borrow().as_ref().is_some_and(Session::has_frames_to_store) {
                state.store();
            }
        });
    }

    fn take_running(&self, number: u64) -> Option<RunningRequest> {
        let mut running = self.running.borrow_mut();
        let at = running.iter().position(|request| request.number == number)?;
        Some(running.swap_remove(at))
    }

    fn authenticate(self: &Rc<Self>, key: String) {
        let (origin, _) = self.client();
        let state = Rc::clone(self);
        self.wait_until(async move {
            let header = |name: &str| match name {
                "authorization" => Some(format!("Bearer {key}")),
                "cf-connecting-ip" => origin.ip.clone(),
                _ => None,
            };
            let (host_name, ..) = split_url(&origin.address);
            let owner = state.identify(host_name, &header).await;
            state.apply(|session| session.authenticated(owner, now()));
        });
    }

    /// The owner of the API key in the headers.
    pub(super) async fn identify(
        &self,
        host_name: &str,
        header: &dyn Fn(&str) -> Option<String>,
    ) -> crate::error::Result<SessionOwner> {
        let client = AbortController::new().map(|client| client.signal()).unwrap_or_else(|_| AbortSignal::abort());
        let caller = gateway::identify(&bridge(&self.env), &self.edge(client), host_name, header).await?;
        Ok(SessionOwner { key_id: caller.key_id, hash: caller.hash })
    }

    /// Stores the session, unless its newest frame is stored already and a client is connected.
    fn store(self: &Rc<Self>) {
        let session = self.session.borrow();
        let Some(session) = session.as_ref() else { return };
        let is_connected = session.connection().is_some();
        if is_connected && self.stored_frame.get() == Some(session.last_frame()) {
            return;
        }
        self.stored_frame.set(Some(session.last_frame()));
        if store::write(&self.object.storage().sql(), &session.snapshot(), &session.frames()).is_err() {
            report_failure(RuntimeFailure::SessionUnwritten);
        }
        if !is_connected {
            set_alarm(&self.object, session.due());
        }
    }

    /// Deletes the stored session before an event that it does not include, so that an outdated state is not
    /// restored if the object dies.
    pub(super) fn invalidate(&self) {
        if self.stored_frame.take().is_some() && store::clear(&self.object.storage().sql()).is_err() {
            report_failure(RuntimeFailure::SessionUnwritten);
        }
    }

    fn delete(self: &Rc<Self>) {
        *self.session.borrow_mut() = None;
        self.stored_frame.set(None);
        let state = Rc::clone(self);
        self.wait_until(async move {
            let _ = state.object.storage().delete_all().await;
        });
    }

    /// Ends the object after an idle connection was closed, and the connection with it. The runtime leaves a
    /// connection open that an alarm closed, even after the client has completed the handshake.
    pub(super) fn end_if_idle(&self) {
        if self.was_idle.get() {
            EventContext::of(self.object.as_raw()).abort("the session is over");
        }
    }

    pub(super) fn set_alarm(&self) {
        if let Some(session) = self.session.borrow().as_ref() {
            set_alarm(&self.object, session.due());
        }
    }

    /// Attaches the session to its connection, where it outlives the object's memory.
    pub(super) fn attach_snapshot(&self) {
        if let (Some(session), Some(socket)) = (self.session.borrow().as_ref(), self.socket.borrow().as_ref())
            && session.connection().is_some()
        {
            socket::attach_snapshot(socket, &session.snapshot());
        }
    }

    /// Waits until more of a response may be read; `false` if the request has ended.
    pub(super) async fn is_readable(&self, number: u64) -> bool {
        for interval in poll_intervals() {
            let queued = self.socket.borrow().as_ref().map_or(0, socket::queued_bytes);
            let session = self.session.borrow().as_ref().map(|session| session.read_state(number, queued));
            match session.unwrap_or(ReadState::Ended) {
                ReadState::Ready => return true,
                ReadState::Ended => return false,
                ReadState::Wait => {
                    let (sender, more) = oneshot::channel();
                    self.waiting.borrow_mut().push(sender);
                    select(more, Delay::from(Duration::from_millis(interval))).await;
                }
            }
        }
        false
    }

    /// Runs a task in the background; the object does not sleep until it has ended.
    fn wait_until(&self, task: impl Future<Output = ()> + 'static) {
        EventContext::of(self.object.as_raw()).run(Box::pin(task));
    }

    /// The context of a request of this session.
    pub(super) fn edge(&self, client: AbortSignal) -> Edge {
        Edge::new(client, self.env.clone(), EventContext::of(self.object.as_raw()))
    }

    /// Where the client connects from, and who it is, if it has shown a good key.
    pub(super) fn client(&self) -> (ClientOrigin, Option<Caller>) {
        let session = self.session.borrow();
        let caller = |owner: &SessionOwner| Caller { key_id: owner.key_id.clone(), hash: owner.hash.clone() };
        session
            .as_ref()
            .map_or_else(Default::default, |session| (session.origin().clone(), session.owner().map(caller)))
    }
}

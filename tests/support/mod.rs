//! A world in a page: a scripted [`Host`] whose provider says what a test wants, with a clock that moves only when asked.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "each test uses its part of it, and may insist"
)]

pub mod schema;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::future::{Future, pending, poll_fn, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures::executor::block_on;
use futures::future::LocalBoxFuture;
use llm_bridge::config::Logging;
use llm_bridge::gateway::platform::{
    Broken, CallError, ObjectAddress, Piece, Priority, ProviderRequest, ProviderResponse, StreamHead,
};
use llm_bridge::gateway::{Body, Bridge, Opened, Platform, Request, RequestState, Response};
use llm_bridge::ledger::registry::{self, KeyRegistry};
use llm_bridge::ledger::{AccountCommand, AccountLedger, AccountResponse, AccountWrite, Receipt, ReceiptRow};
use llm_bridge::reasoning_store;
use llm_bridge::server::serve;
use llm_bridge::telemetry::{Event, render};
use llm_bridge::tokens::{Encoding, Vocabulary};

/// What the provider will say, piece by piece.
#[derive(Clone, Default)]
pub struct Script {
    pub status: u16,
    pub headers: Vec<(&'static str, &'static str)>,
    pub pieces: Vec<Result<&'static str, CallError>>,
}

impl Script {
    pub fn json(status: u16, body: &'static str) -> Self {
        Self { status, headers: vec![("content-type", "application/json")], pieces: vec![Ok(body)] }
    }

    pub fn stream(pieces: Vec<Result<&'static str, CallError>>) -> Self {
        Self { status: 200, headers: vec![("content-type", "text/event-stream")], pieces }
    }
}

/// The head of a streamed response, and its bytes so far.
type BegunResponse = (StreamHead, Rc<RefCell<Vec<u8>>>);

#[derive(Clone, Default)]
pub struct World {
    /// The next answers; none left means that nobody can be reached.
    pub scripts: Rc<RefCell<VecDeque<Script>>>,
    pub calls: Rc<RefCell<Vec<ProviderRequest>>>,
    pub logs: Rc<RefCell<Vec<String>>>,
    /// How the log is written: as the gateway's configuration says.
    pub logging: Rc<RefCell<Logging>>,
    pub receipts: Rc<RefCell<Vec<Receipt>>>,
    pub cancelled: Rc<Cell<bool>>,
    /// By the account's name; what they write is forgotten.
    pub books: Rc<RefCell<HashMap<String, AccountLedger>>>,
    pub clock: Rc<Cell<u64>>,
    /// What the books wrote of requests, oldest first.
    pub rows: Rc<RefCell<HashMap<String, Vec<ReceiptRow>>>>,
    pub directory: Rc<RefCell<KeyRegistry>>,
    /// What is kept for providers: by the account's name and the id of the call.
    pub vault: Rc<RefCell<HashMap<(String, String), reasoning_store::SealedEntry>>>,
    /// What becomes of the next orders.
    pub fates: Rc<RefCell<VecDeque<Fate>>>,
    /// The objects that were called, in their order.
    pub called: Rc<RefCell<Vec<String>>>,
    pub rolled: Rc<Cell<u128>>,
    /// How often others may go first, before and after each of the next orders.
    pub pauses: Rc<RefCell<VecDeque<usize>>>,
    /// What tokens can be counted with.
    pub vocabularies: Vec<&'static Vocabulary>,
    /// What the gateway keeps with the request under way.
    pub state: Rc<RequestState>,
    /// The streamed response of the request under way, and what has been written of it.
    pub begun: Rc<RefCell<Option<BegunResponse>>>,
    /// What goes on after a response.
    pub tasks: Rc<RefCell<Vec<LocalBoxFuture<'static, ()>>>>,
    /// Deadlines of timers, each with a number of its own; how many were made, and the time of the newest.
    pub timers: Rc<RefCell<BTreeSet<(u64, u64)>>>,
    pub timers_made: Rc<Cell<u64>>,
    pub newest_timer: Rc<Cell<u64>>,
}

/// What becomes of an order to an object.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Fine,
    /// It never arrives.
    Lost,
    /// It is carried out, and the answer is lost.
    Unanswered,
}

impl World {
    pub fn saying(script: Script) -> Self {
        let world = Self::default();
        world.scripts.borrow_mut().push_back(script);
        world
    }

    async fn pause(&self) {
        let mut left = self.pauses.borrow_mut().pop_front().unwrap_or(0);
        poll_fn(|context| {
            if left == 0 {
                return Poll::Ready(());
            }
            left -= 1;
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    fn obey(&self, account: &str, order: AccountCommand) -> AccountResponse {
        let (mut books, mut rows) = (self.books.borrow_mut(), self.rows.borrow_mut());
        let rows = rows.entry(account.to_owned()).or_default();
        if let AccountCommand::Receipts { before, limit } = order {
            let numbered = rows.iter().flat_map(|row| {
                let entries = row.read().unwrap();
                let first = row.number + 1 - entries.len() as u64;
                (first..).zip(entries)
            });
            let mut entries: Vec<(u64, Receipt)> =
                numbered.filter(|(number, _)| before.is_none_or(|before| *number < before)).collect();
            entries.reverse();
            entries.truncate(usize::try_from(limit).unwrap());
            return AccountResponse::Receipts(entries);
        }
        let mut writes = Vec::new();
        let reply = books.entry(account.to_owned()).or_default().handle(order, self.clock.get(), &mut writes);
        rows.extend(writes.into_iter().filter_map(|write| match write {
            AccountWrite::Receipts(row) => Some(row),
            _ => None,
        }));
        reply
    }

    fn keep_things(&self, account: &str, order: reasoning_store::StoreCommand) -> reasoning_store::StoreResponse {
        let mut kept = self.vault.borrow_mut();
        let place = |id: String| (account.to_owned(), id);
        match order {
            reasoning_store::StoreCommand::Keep { things, .. } => {
                kept.extend(things.into_iter().map(|thing| (place(thing.id.clone()), thing)));
                reasoning_store::StoreResponse::Kept
            }
            reasoning_store::StoreCommand::Recall(ids) => reasoning_store::StoreResponse::Found(
                ids.into_iter().filter_map(|id| kept.get(&place(id)).cloned()).collect(),
            ),
        }
    }

    fn counts(&self, encoding: Encoding, texts: &[String]) -> Result<Vec<u64>, CallError> {
        let vocabulary =
            self.vocabularies.iter().find(|known| known.encoding() == encoding).ok_or(CallError::Broken)?;
        Ok(texts.iter().map(|text| vocabulary.count(text)).collect())
    }

    pub fn call(&self) -> ProviderRequest {
        self.calls.borrow().last().unwrap().clone()
    }

    pub fn logged(&self, event: &str) -> Option<serde_json::Value> {
        let logs = self.logs.borrow();
        let mut records = logs.iter().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        records.find(|record| record["event"] == event)
    }
}

/// A provider's response, and a body that is read.
pub struct Said {
    script: Script,
    pieces: VecDeque<Result<&'static str, CallError>>,
    /// A scripted silence has begun.
    is_silent: bool,
}

impl From<Script> for Said {
    fn from(script: Script) -> Self {
        let pieces = script.pieces.iter().copied().collect();
        Self { script, pieces, is_silent: false }
    }
}

impl ProviderResponse for Said {
    fn status(&self) -> u16 {
        self.script.status
    }

    fn header(&self, name: &str) -> Option<String> {
        self.script.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    }

    fn length(&self) -> Option<usize> {
        None
    }
}

/// A piece of a body.
pub struct Bytes(Vec<u8>);

impl Piece for Bytes {
    fn length(&self) -> usize {
        self.0.len()
    }

    fn append_to(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.0);
    }
}

/// A copy of a stream, which was made at once: how the stream ended, or nothing if it is silent.
pub struct Copied {
    ended: Option<Result<(), Broken>>,
    is_stopped: Cell<bool>,
}

impl Future for Copied {
    type Output = Result<(), Broken>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        match self.ended {
            _ if self.is_stopped.get() => Poll::Ready(Ok(())),
            Some(ended) => Poll::Ready(ended),
            None => Poll::Pending,
        }
    }
}

/// The clock moves on to the first timer when nothing else happens for so many rounds.
const IDLE_ROUNDS: usize = 50;

pub struct Timer {
    world: World,
    key: (u64, u64),
    rounds: usize,
}

impl Future for Timer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let (world, (deadline, _)) = (self.world.clone(), self.key);
        self.rounds += 1;
        if world.clock.get() < deadline && self.rounds > IDLE_ROUNDS && world.timers.borrow().first() == Some(&self.key)
        {
            world.clock.set(deadline);
        }
        if world.clock.get() >= deadline {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.world.timers.borrow_mut().remove(&self.key);
    }
}

/// After a deadline, the gateway reads on for so long: a scripted silence lasts for that as well.
const READ_GRACE: u64 = 10;

impl Platform for World {
    type Body = Vec<u8>;
    type Call = ();
    type Upload = ();
    type Answer = Said;
    type Stream = Said;
    type Piece = Bytes;
    type Buffer = ();
    type Sink = Rc<RefCell<Vec<u8>>>;
    type Pipe = Copied;
    type Timer = Timer;

    fn now(&self) -> u64 {
        self.clock.get()
    }

    fn random_u128(&self) -> u128 {
        let rolled = self.rolled.get();
        self.rolled.set(rolled + 1);
        rolled.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).wrapping_add(7)
    }

    fn log(&self, event: &Event<'_>) {
        self.logs.borrow_mut().extend(render(event, &self.logging.borrow()));
    }

    fn state(&self) -> &RequestState {
        &self.state
    }

    fn timer(&self, time: u64) -> Timer {
        self.newest_timer.set(time);
        let number = self.timers_made.get();
        self.timers_made.set(number + 1);
        let key = (self.clock.get().saturating_add(time), number);
        self.timers.borrow_mut().insert(key);
        Timer { world: self.clone(), key, rounds: 0 }
    }

    fn keep(&self, task: impl Future<Output = ()> + 'static) {
        self.tasks.borrow_mut().push(Box::pin(task));
    }

    fn client_left(&self) -> bool {
        false
    }

    async fn until_client_left(&self) -> u64 {
        pending().await
    }

    async fn ask_object(&self, seat: ObjectAddress<'_>, order: String) -> Result<String, CallError> {
        self.called.borrow_mut().push(format!("{seat:?}"));
        self.pause().await;
        let fate = self.fates.borrow_mut().pop_front().unwrap_or(Fate::Fine);
        if fate == Fate::Lost {
            return Err(CallError::Broken);
        }
        let reply = match seat {
            ObjectAddress::Account(name) => {
                let reply =
                    serde_json::from_str(&order).map_or(AccountResponse::Malformed, |order| self.obey(name, order));
                serde_json::to_string(&reply).unwrap()
            }
            ObjectAddress::Directory | ObjectAddress::Signing => {
                let mut directory = self.directory.borrow_mut();
                let reply = serde_json::from_str(&order).map_or(registry::RegistryResponse::Malformed, |order| {
                    directory.handle(order, self.clock.get(), &mut Vec::new())
                });
                serde_json::to_string(&reply).unwrap()
            }
            ObjectAddress::Vault(name) => {
                let reply = self.keep_things(name, serde_json::from_str(&order).unwrap());
                serde_json::to_string(&reply).unwrap()
            }
        };
        self.pause().await;
        if fate == Fate::Fine { Ok(reply) } else { Err(CallError::Broken) }
    }

    fn enqueue(&self, account: &str, receipt: Receipt, _: Priority) {
        self.receipts.borrow_mut().push(receipt.clone());
        self.obey(account, AccountCommand::Settle(vec![receipt]));
    }

    fn notify(&self, accounts: &[String], command: &AccountCommand) {
        for account in accounts {
            self.obey(account, command.clone());
        }
    }

    async fn count(&self, encoding: Encoding, texts: Vec<String>) -> Result<Vec<u64>, CallError> {
        self.counts(encoding, &texts)
    }

    async fn read_body(&self, body: Vec<u8>) -> Result<Vec<u8>, Broken> {
        Ok(body)
    }

    fn open_body(&self, body: Vec<u8>) -> Option<Said> {
        let text: &'static str = String::from_utf8(body).unwrap().leak();
        Some(Said::from(Script::json(200, text)))
    }

    fn call(&self, request: ProviderRequest) -> Result<(), Broken> {
        self.calls.borrow_mut().push(request);
        Ok(())
    }

    fn take_upload(&self, (): &mut ()) -> Option<()> {
        None
    }

    fn upload(&self, (): ()) -> impl Future<Output = Result<(), Broken>> + 'static {
        ready(Ok(()))
    }

    async fn head(&self, (): &mut ()) -> Result<Said, Broken> {
        self.scripts.borrow_mut().pop_front().map(Said::from).ok_or(Broken)
    }

    fn abort_call(&self, (): &()) {
        self.cancelled.set(true);
    }

    fn abort_answer(&self, _: &Said) {
        self.cancelled.set(true);
    }

    async fn read_answer(&self, _: &Said) -> Result<(Vec<u8>, ()), Broken> {
        // No length is known, so that no response is read in one step.
        Err(Broken)
    }

    fn open_answer(&self, answer: Said) -> Said {
        answer
    }

    fn length(&self, _: &Said) -> Option<usize> {
        None
    }

    async fn next(&self, stream: &mut Said) -> Result<Option<Bytes>, Broken> {
        if stream.pieces.front() == Some(&Err(CallError::TimedOut)) {
            if !stream.is_silent || self.newest_timer.get() == READ_GRACE {
                stream.is_silent = true;
                return pending().await;
            }
            stream.is_silent = false;
            stream.pieces.pop_front();
        }
        let next = stream.pieces.pop_front().transpose().map_err(|_| Broken)?;
        Ok(next.map(|piece| Bytes(piece.as_bytes().to_vec())))
    }

    fn abort(&self, _: &Said) {
        self.cancelled.set(true);
    }

    async fn release(&self, _: &mut Said) {}

    fn begin_response(&self, head: StreamHead) -> Result<Self::Sink, Broken> {
        let sink = Self::Sink::default();
        self.begun.replace(Some((head, Rc::clone(&sink))));
        Ok(sink)
    }

    async fn write(&self, sink: &mut Self::Sink, bytes: &[u8], given: &Cell<usize>) -> Result<(), Broken> {
        sink.borrow_mut().extend_from_slice(bytes);
        given.set(bytes.len());
        Ok(())
    }

    async fn close(&self, _: &mut Self::Sink) -> Result<(), Broken> {
        Ok(())
    }

    async fn break_off(&self, _: &mut Self::Sink) -> Result<(), Broken> {
        Ok(())
    }

    fn pipe(&self, stream: &mut Said, sink: &mut Self::Sink) -> Result<Copied, Broken> {
        let mut ended = Some(Ok(()));
        for piece in &stream.pieces {
            match piece {
                Ok(piece) => sink.borrow_mut().extend_from_slice(piece.as_bytes()),
                Err(CallError::TimedOut) => {
                    ended = None;
                    break;
                }
                Err(_) => {
                    ended = Some(Err(Broken));
                    break;
                }
            }
        }
        Ok(Copied { ended, is_stopped: Cell::default() })
    }

    fn stop(&self, pipe: &Copied) {
        pipe.is_stopped.set(true);
    }
}

/// A gateway with these secrets.
pub fn bridge(config: &str, secrets: &[(&str, &str)]) -> Opened {
    let secret = |name: &str| secrets.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    Bridge::open(config, secret, 1_000).map(Rc::new)
}

/// What a client gets.
pub struct Got {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

impl Got {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    pub fn code(&self) -> String {
        self.json().pointer("/error/code").and_then(|code| code.as_str()).unwrap_or_default().to_owned()
    }
}

/// One request, to the end of its answer.
pub fn ask(bridge: &Opened, world: &World, line: &str, headers: &[(&str, &str)], body: &str) -> Got {
    block_on(asking(bridge, world, line, headers, body))
}

/// One request, beside others.
pub async fn asking(bridge: &Opened, world: &World, line: &str, headers: &[(&str, &str)], body: &str) -> Got {
    let (method, target) = line.split_once(' ').unwrap();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let header = |name: &str| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    let request = Request {
        method,
        path,
        query,
        hostname: "gateway.example",
        header: &header,
        body: body.as_bytes().to_vec(),
        caller: None,
    };
    if let Ok(bridge) = bridge {
        world.logging.borrow_mut().clone_from(bridge.logging());
    }
    let world = World { state: Rc::default(), begun: Rc::default(), ..world.clone() };
    let response = serve(bridge, &world, request).await;
    let got = response.map_or_else(|| streamed(&world), whole);
    let next = || world.tasks.borrow_mut().pop();
    while let Some(task) = next() {
        task.await;
    }
    got
}

fn whole(response: Response<World>) -> Got {
    let Response { status, headers, body } = response;
    let body = match body {
        Body::Empty | Body::Socket(..) => Vec::new(),
        Body::Bytes(bytes) | Body::Buffer((), bytes) => bytes,
    };
    Got { status, headers, body: String::from_utf8(body).unwrap() }
}

fn streamed(world: &World) -> Got {
    let (StreamHead { status, headers, .. }, sink) = world.begun.take().unwrap();
    Got { status, headers, body: String::from_utf8(sink.take()).unwrap() }
}

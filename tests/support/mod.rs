//! A world in a page: a scripted [`Host`] whose provider says what a test wants, with a clock that moves only when asked.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "each test uses its part of it, and may insist"
)]

pub mod schema;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use futures::executor::block_on;
use llm_bridge::gateway::platform::{
    BodyError, CallError, GatheredBody, ObjectAddress, ProviderRequest, ProviderResponse,
};
use llm_bridge::gateway::{
    Body, Bridge, FinalCharge, LeaseRenewal, MemoryReservation, Opened, Platform, Request, RequestRecord, Response,
    StreamEnd,
};
use llm_bridge::ledger::registry::{self, KeyRegistry};
use llm_bridge::ledger::{AccountCommand, AccountLedger, AccountResponse, AccountWrite, Receipt, ReceiptRow};
use llm_bridge::reasoning_store;
use llm_bridge::server::serve;
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

#[derive(Default)]
pub struct World {
    /// The next answers; none left means that nobody can be reached.
    pub scripts: RefCell<VecDeque<Script>>,
    pub calls: RefCell<Vec<ProviderRequest>>,
    pub logs: RefCell<Vec<String>>,
    pub receipts: RefCell<Vec<RequestRecord>>,
    pub cancelled: Cell<bool>,
    /// By the account's name; what they write is forgotten.
    pub books: RefCell<HashMap<String, AccountLedger>>,
    pub clock: Cell<u64>,
    /// What the books wrote of requests, oldest first.
    pub rows: RefCell<HashMap<String, Vec<ReceiptRow>>>,
    pub directory: RefCell<KeyRegistry>,
    /// What is kept for providers: by the account's name and the id of the call.
    pub vault: RefCell<HashMap<(String, String), reasoning_store::SealedEntry>>,
    /// What becomes of the next orders.
    pub fates: RefCell<VecDeque<Fate>>,
    /// The objects that were called, in their order.
    pub called: RefCell<Vec<String>>,
    pub rolled: Cell<u128>,
    /// How often others may go first, before and after each of the next orders.
    pub pauses: RefCell<VecDeque<usize>>,
    /// What tokens can be counted with.
    pub vocabularies: Vec<&'static Vocabulary>,
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
        Self { scripts: RefCell::new(VecDeque::from([script])), ..Self::default() }
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
        if let AccountCommand::Entries { before, limit } = order {
            let numbered = rows.iter().flat_map(|row| {
                let entries = row.read();
                let first = row.number + 1 - entries.len() as u64;
                (first..).zip(entries)
            });
            let mut entries: Vec<(u64, Receipt)> =
                numbered.filter(|(number, _)| before.is_none_or(|before| *number < before)).collect();
            entries.reverse();
            entries.truncate(usize::try_from(limit).unwrap());
            return AccountResponse::Entries(entries);
        }
        let mut writes = Vec::new();
        let reply = books.entry(account.to_owned()).or_default().handle(order, self.clock.get(), &mut writes);
        rows.extend(writes.into_iter().filter_map(|write| match write {
            AccountWrite::Entries(row) => Some(row),
            _ => None,
        }));
        reply
    }

    fn keep(&self, account: &str, order: reasoning_store::StoreCommand) -> reasoning_store::StoreResponse {
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

pub struct Said(Script, RefCell<VecDeque<Result<&'static str, CallError>>>);

impl ProviderResponse for Said {
    fn status(&self) -> u16 {
        self.0.status
    }

    fn header(&self, name: &str) -> Option<String> {
        self.0.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    }
}

impl Said {
    fn rest(&self) -> Result<Vec<u8>, CallError> {
        let pieces: Result<Vec<&str>, CallError> = self.1.borrow_mut().drain(..).collect();
        pieces.map(|pieces| pieces.concat().into_bytes())
    }
}

impl Platform for World {
    type Body = Vec<u8>;
    type Answer = Said;
    type Stream = Said;
    type Buffer = ();

    fn now(&self) -> u64 {
        self.clock.get()
    }

    fn random_u128(&self) -> u128 {
        let rolled = self.rolled.get();
        self.rolled.set(rolled + 1);
        rolled.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).wrapping_add(7)
    }

    fn log(&self, line: &str) {
        self.logs.borrow_mut().push(line.to_owned());
    }

    async fn read(
        &self,
        body: Vec<u8>,
        _: Option<usize>,
        limit: usize,
        _: &MemoryReservation,
    ) -> Result<Vec<u8>, BodyError> {
        if body.len() > limit { Err(BodyError::TooLarge) } else { Ok(body) }
    }

    async fn pause(&self, time: u64) {
        self.clock.set(self.clock.get() + time);
        let mut others_first = true;
        poll_fn(|context| {
            context.waker().wake_by_ref();
            if std::mem::take(&mut others_first) { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }

    async fn discard(&self, _: Vec<u8>, _: usize) {}

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
                    serde_json::from_str(&order).map_or(AccountResponse::Confused, |order| self.obey(name, order));
                serde_json::to_string(&reply).unwrap()
            }
            ObjectAddress::Directory | ObjectAddress::Signing => {
                let mut directory = self.directory.borrow_mut();
                let reply = serde_json::from_str(&order).map_or(registry::RegistryResponse::Confused, |order| {
                    directory.handle(order, self.clock.get(), &mut Vec::new())
                });
                serde_json::to_string(&reply).unwrap()
            }
            ObjectAddress::Vault(name) => {
                let reply = self.keep(name, serde_json::from_str(&order).unwrap());
                serde_json::to_string(&reply).unwrap()
            }
        };
        self.pause().await;
        if fate == Fate::Fine { Ok(reply) } else { Err(CallError::Broken) }
    }

    async fn send(&self, call: ProviderRequest, _: u64, _: Option<MemoryReservation>) -> Result<Said, CallError> {
        self.calls.borrow_mut().push(call);
        let script = self.scripts.borrow_mut().pop_front().ok_or(CallError::Broken)?;
        let pieces = script.pieces.iter().copied().collect();
        Ok(Said(script, RefCell::new(pieces)))
    }

    fn client_left(&self) -> bool {
        false
    }

    fn hold(&self, _: LeaseRenewal) {}

    fn settle(&self, mut closing: FinalCharge) {
        if let Some((encoding, texts)) = closing.question()
            && let Ok(counts) = self.counts(encoding, &texts)
        {
            closing.counted(&counts);
        }
        let receipt = closing.receipt();
        for (index, account) in receipt.permit.iter().flat_map(|permit| permit.accounts.iter().enumerate()) {
            let entry = receipt.permit.as_ref().map(|permit| receipt.entry(permit, index > 0)).unwrap();
            self.obey(account, AccountCommand::Settle(vec![entry]));
        }
        self.receipts.borrow_mut().push(receipt.clone());
        self.logs.borrow_mut().extend(closing.line());
    }

    fn cancel(&self, _: &Said) {
        self.cancelled.set(true);
    }

    fn open(&self, answer: Said) -> Said {
        answer
    }

    async fn next(&self, stream: &Said, wait: u64) -> Result<Option<Vec<u8>>, CallError> {
        let next = stream.1.borrow_mut().pop_front();
        if next == Some(Err(CallError::TimedOut)) {
            self.clock.set(self.clock.get() + wait);
        }
        next.transpose().map(|piece| piece.map(|piece| piece.as_bytes().to_vec()))
    }

    async fn gather(
        &self,
        answer: Said,
        _: u64,
        most: usize,
        _: &MemoryReservation,
    ) -> Result<GatheredBody<Self>, CallError> {
        let bytes = answer.rest()?;
        Ok(if bytes.len() <= most { GatheredBody::Whole(bytes, Some(())) } else { GatheredBody::Long(answer, bytes) })
    }

    async fn peek(&self, answer: Said, limit: usize, _: u64) -> Vec<u8> {
        let mut bytes = answer.rest().unwrap_or_default();
        bytes.truncate(limit);
        bytes
    }

    async fn count(&self, encoding: Encoding, texts: Vec<String>) -> Result<Vec<u64>, CallError> {
        self.counts(encoding, &texts)
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
    let response = serve(bridge, world, request).await;
    finish(response, world)
}

/// Does what the edge does with a body.
fn finish(response: Response<World>, world: &World) -> Got {
    let Response { status, headers, body } = response;
    let body = match body {
        Body::Empty | Body::Socket(..) => Vec::new(),
        Body::Bytes(bytes) | Body::Buffer((), bytes) => bytes,
        Body::Overheard(stream, mut bytes, mut relay) => {
            let rest: Vec<_> = stream.1.borrow_mut().drain(..).collect();
            let mut end = StreamEnd::Closed;
            for piece in rest {
                match piece {
                    Ok(piece) => bytes.extend_from_slice(&relay.pass(piece.as_bytes(), world.now()).0),
                    Err(CallError::TimedOut) => end = StreamEnd::TimedOut,
                    Err(CallError::Broken | CallError::Unbound | CallError::NoRoom | CallError::ClientLeft) => {
                        end = StreamEnd::Broken
                    }
                }
            }
            bytes.extend(relay.finish(end));
            world.settle(relay.close(end, world.now()));
            bytes
        }
        Body::Carried(_, head, mut transit) => {
            transit.pass(&head);
            world.settle(transit.close(StreamEnd::Closed, false, world.now()));
            head
        }
        Body::Told(story, mut relay) => {
            let bytes: Vec<u8> = story.flat_map(|(_, frame)| frame).collect();
            relay.pass(&bytes, world.now());
            relay.finish(StreamEnd::Closed);
            world.settle(relay.close(StreamEnd::Closed, world.now()));
            bytes
        }
    };
    Got { status, headers, body: String::from_utf8(body).unwrap() }
}

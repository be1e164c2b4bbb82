//! [`Platform`] on Workers: fetch, clock, random numbers, log.

use std::cell::RefCell;
use std::future::pending;
use std::pin::pin;
use std::time::Duration;

use futures::future::{Either, select};
use js_sys::{Array, ArrayBuffer};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, AbortSignal, RequestInit, RequestRedirect};
use worker::Delay;

use super::byte_source::Source;
use super::clock::now;
use super::context::Edge;
use super::log::log;
use super::objects::call;
use super::{body, count, js, receipt_queue};
use crate::config::Millis;
use crate::gateway::platform::{BodyError, CallError, GatheredBody, ObjectAddress, ProviderRequest, ProviderResponse};
use crate::gateway::{FinalCharge, LeaseRenewal, MemoryReservation, Platform};
use crate::tokens::Encoding;

/// An answer waits for the vault so long at most: without it, it is still an answer. So does a request for the secrets that sign keys.
const PATIENCE: Duration = Duration::from_secs(2);
/// An answer of a known length up to this is read in one step.
const HELD: usize = 4 << 20;
/// An answer waits so long at most for room in memory, and looks again after so long.
const ROOM: Millis = 10_000;
const LOOK: Millis = 20;

impl Platform for Edge {
    type Body = web_sys::Request;
    type Answer = Answered;
    type Stream = Incoming;
    type Buffer = ArrayBuffer;

    fn now(&self) -> Millis {
        now()
    }

    fn random_u128(&self) -> u128 {
        POOL.with_borrow_mut(|pool| {
            if pool.is_empty() {
                pool.extend(
                    js::random().chunks_exact(16).filter_map(|dice| dice.try_into().ok()).map(u128::from_le_bytes),
                );
            }
            pool.pop().unwrap_or_default()
        })
    }

    fn client_left(&self) -> bool {
        self.leaving.signal().aborted()
    }

    fn log(&self, line: &str) {
        log(line);
    }

    async fn read(
        &self,
        request: web_sys::Request,
        announced: Option<usize>,
        limit: usize,
        room: &MemoryReservation,
    ) -> Result<Vec<u8>, BodyError> {
        if announced.is_some_and(|length| length <= body::AT_ONCE) {
            let buffer = request.array_buffer().map_err(|_| BodyError::Broken)?;
            return body::copy(buffer).await.map(|(bytes, _)| bytes).map_err(|_| BodyError::Broken);
        }
        let Some(stream) = request.body() else { return Ok(Vec::new()) };
        let mut source = Source::new(stream).map_err(|_| BodyError::Broken)?;
        let grow = |length: usize| {
            if length > limit {
                return Err(BodyError::TooLarge);
            }
            let fits = announced.is_some_and(|announced| length <= announced) || room.body(length);
            fits.then_some(()).ok_or(BodyError::NoRoom)
        };
        let read = body::read_whole(&mut source, announced, grow).await.unwrap_or(Err(BodyError::Broken));
        if read == Err(BodyError::NoRoom) {
            body::discard(&mut source, limit).await;
        }
        read
    }

    async fn discard(&self, request: web_sys::Request, limit: usize) {
        if let Some(mut source) = request.body().and_then(|body| Source::new(body).ok()) {
            body::discard(&mut source, limit).await;
        }
    }

    async fn pause(&self, time: Millis) {
        Delay::from(Duration::from_millis(time)).await;
    }

    async fn ask_object(&self, seat: ObjectAddress<'_>, order: String) -> Result<String, CallError> {
        let asked = call::ask(&self.env, seat, order);
        if !matches!(seat, ObjectAddress::Vault(_) | ObjectAddress::Signing) {
            return asked.await;
        }
        match select(pin!(asked), Delay::from(PATIENCE)).await {
            Either::Left((reply, _)) => reply,
            Either::Right(_) => Err(CallError::TimedOut),
        }
    }

    async fn send(
        &self,
        call: ProviderRequest,
        limit: Millis,
        mut room: Option<MemoryReservation>,
    ) -> Result<Answered, CallError> {
        let init = init(&call);
        let cancel = self.cancellable(&call, &init).map_err(|_| CallError::Broken)?;
        if !call.ends_with_client {
            self.leaving.watch();
        }
        let body = body::outgoing(&call.body, &init).map_err(|_| CallError::Broken)?;
        let promise = js::fetch(&call.url, &init).map_err(|_| CallError::Broken)?;
        drop((call, init));
        if let Some(body) = body {
            let (sent, edge) = (room.take(), self.clone());
            self.wait_until(async move {
                let _ = edge.within(limit, body.send()).await;
                drop(sent);
            });
        }
        let response = self.within(limit, JsFuture::from(promise)).await;
        if matches!(response, Err(CallError::TimedOut | CallError::ClientLeft)) {
            cancel.abort();
        }
        let response = response?.dyn_into().map_err(|_| CallError::Broken)?;
        Ok(Answered { response, cancel })
    }

    async fn gather(
        &self,
        answer: Answered,
        limit: Millis,
        most: usize,
        room: &MemoryReservation,
    ) -> Result<GatheredBody<Self>, CallError> {
        let length = answer.length();
        if let Some(length) = length.filter(|length| *length <= most.min(HELD)) {
            self.wait_for(room, length).await.inspect_err(|_| answer.cancel.abort())?;
            let buffer = answer.response.array_buffer().map_err(|_| CallError::Broken)?;
            let gathered = self.within(limit, body::copy(buffer)).await;
            let gathered = gathered.inspect_err(|_| answer.cancel.abort())?;
            return Ok(GatheredBody::Whole(gathered.0, Some(gathered.1)));
        }
        let until = now().saturating_add(limit);
        let incoming = self.open(answer);
        let mut bytes = Vec::new();
        loop {
            let piece = self.next(&incoming, until.saturating_sub(now())).await;
            let Some(piece) = piece.inspect_err(|_| incoming.cancel.abort())? else { break };
            let whole = bytes.len().saturating_add(piece.len());
            self.wait_for(room, whole).await.inspect_err(|_| incoming.cancel.abort())?;
            let expected = length.unwrap_or(0).min(most).saturating_sub(bytes.len()).max(bytes.len() / 4);
            if bytes.capacity() - bytes.len() < piece.len() {
                bytes.try_reserve_exact(piece.len().max(expected)).map_err(|_| CallError::NoRoom)?;
            }
            bytes.extend_from_slice(&piece);
            if whole > most {
                return Ok(GatheredBody::Long(incoming, bytes));
            }
        }
        Ok(GatheredBody::Whole(bytes, None))
    }

    fn hold(&self, lease: LeaseRenewal) {
        self.lease.replace(Some(lease));
    }

    fn settle(&self, mut closing: FinalCharge) {
        self.lease.replace(None);
        let Some((encoding, texts)) = closing.question() else { return self.close(&closing) };
        let edge = self.clone();
        self.wait_until(async move {
            if let Ok(counts) = count::count(encoding, texts).await {
                closing.counted(&counts);
            }
            edge.close(&closing);
        });
    }

    fn open(&self, answer: Answered) -> Incoming {
        let source = answer.response.body().and_then(|body| Source::new(body).ok());
        Incoming { source: RefCell::new(source), length: answer.length(), cancel: answer.cancel }
    }

    fn cancel(&self, stream: &Incoming) {
        stream.cancel.abort();
    }

    async fn next(&self, stream: &Incoming, limit: Millis) -> Result<Option<Vec<u8>>, CallError> {
        // Taken out while it is read: a borrow must not outlive an await.
        let Some(mut source) = stream.source.take() else { return Ok(None) };
        let next = self.within(limit, source.next()).await;
        stream.source.replace(Some(source));
        next
    }

    async fn peek(&self, answer: Answered, limit: usize, time: Millis) -> Vec<u8> {
        let Some(stream) = answer.response.body() else { return Vec::new() };
        let read = self.within(time, body::read_some(&stream, limit)).await;
        answer.cancel.abort();
        read.map(|(bytes, _)| bytes).unwrap_or_default()
    }

    async fn count(&self, encoding: Encoding, texts: Vec<String>) -> Result<Vec<u64>, CallError> {
        count::count(encoding, texts).await
    }
}

thread_local! {
    /// Random numbers, drawn many at a time. Only values: they may be used by whatever request comes next.
    static POOL: RefCell<Vec<u128>> = const { RefCell::new(Vec::new()) };
}

/// A provider's answer, its body not read yet.
pub(super) struct Answered {
    response: web_sys::Response,
    cancel: AbortController,
}

impl ProviderResponse for Answered {
    fn status(&self) -> u16 {
        self.response.status()
    }

    fn header(&self, name: &str) -> Option<String> {
        self.response.headers().get(name).ok().flatten()
    }
}

impl Answered {
    /// How long its body is, if that is known: what is compressed is not.
    fn length(&self) -> Option<usize> {
        let length = self.header("content-length")?.parse().ok()?;
        self.header("content-encoding").is_none().then_some(length)
    }
}

/// A provider's stream while its beginning is read.
pub(super) struct Incoming {
    source: RefCell<Option<Source>>,
    length: Option<usize>,
    cancel: AbortController,
}

impl Incoming {
    /// How long it is in all, if that is known.
    pub(super) fn length(&self) -> Option<usize> {
        self.length
    }

    /// The stream, for others to read on; and the means to break it off.
    pub(super) fn parts(self) -> (Option<Source>, AbortController) {
        (self.source.into_inner(), self.cancel)
    }
}

fn init(call: &ProviderRequest) -> RequestInit {
    let init = RequestInit::new();
    init.set_method("POST");
    let own = [("content-type", "application/json")];
    let rows = call.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    init.set_headers(&js::record(own.into_iter().chain(rows)));
    init.set_redirect(RequestRedirect::Manual);
    init
}

impl Edge {
    fn close(&self, closing: &FinalCharge) {
        closing.line().iter().for_each(|line| log(line));
        let receipt = closing.receipt();
        let Some(permit) = &receipt.permit else { return };
        for (index, account) in permit.accounts.iter().enumerate() {
            let (account, entry) = (account.clone(), receipt.entry(permit, index > 0));
            if permit.limited {
                receipt_queue::send(self, account, entry)
            } else {
                receipt_queue::enqueue(self, account, entry)
            }
        }
    }

    /// Waits until there is room for an answer of so many bytes, and a copy of it.
    pub(super) async fn wait_for(&self, room: &MemoryReservation, length: usize) -> Result<(), CallError> {
        let until = now().saturating_add(ROOM);
        while !room.hold(length.saturating_mul(2)) {
            if now() >= until {
                return Err(CallError::NoRoom);
            }
            if self.within(LOOK, pending::<Result<(), JsValue>>()).await == Err(CallError::ClientLeft) {
                return Err(CallError::ClientLeft);
            }
        }
        Ok(())
    }

    /// A call ends when we break it off, and when the client has left, unless it is to be heard out. The client's own signal has no effect
    /// on a call; one that follows it has.
    fn cancellable(&self, call: &ProviderRequest, init: &RequestInit) -> Result<AbortController, JsValue> {
        let cancel = AbortController::new()?;
        let own = cancel.signal();
        let signal =
            if call.ends_with_client { AbortSignal::any(&Array::of2(&own, self.leaving.signal())) } else { own };
        init.set_signal(Some(&signal));
        Ok(cancel)
    }
}

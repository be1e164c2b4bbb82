//! [`Platform`] on Workers.

use std::cell::{Cell, RefCell};
use std::future::Future;

use js_sys::{ArrayBuffer, Uint8Array};
use wasm_bindgen::JsValue;

use super::byte_source::{Source, read_buffer};
use super::clock::now;
use super::context::Edge;
use super::egress::{self, Head};
use super::js::{CallBody, ProviderCall};
use super::log::log;
use super::objects::call;
use super::sink::{Pipe, Sink};
use super::upload::{self, Upload};
use super::{count, js, log_sender, operations_queue, otlp_queue, otlp_sender, receipt_queue, response, slots, text};
use crate::alerts::Observation;
use crate::config::Millis;
use crate::gateway::platform::{
    Broken, CallError, ObjectAddress, ObjectError, Piece, Platform, Priority, ProviderRequest, ProviderResponse,
    ReadError, RequestMethod, StreamHead,
};
use crate::gateway::{RequestState, RsaPublicKey};
use crate::ids::AccountId;
use crate::ledger::{AccountCommand, Receipt};
use crate::operations::LiveEvent;
use crate::telemetry::metrics::Family;
use crate::telemetry::otlp::Span;
use crate::telemetry::{Event, RequestSummary};
use crate::tokens::Encoding;

impl Platform for Edge {
    type Body = web_sys::Request;
    type Call = Started;
    type Upload = Upload;
    type Answer = Answered;
    type Stream = Incoming;
    type Piece = Uint8Array;
    type Buffer = ArrayBuffer;
    type Sink = Sink;
    type Pipe = Pipe;
    type Timer = slots::Timer;

    fn now(&self) -> Millis {
        now()
    }

    fn random_u128(&self) -> u128 {
        POOL.with_borrow_mut(|pool| {
            if pool.is_empty() {
                pool.extend(
                    js::random().chunks_exact(16).filter_map(|bits| bits.try_into().ok()).map(u128::from_le_bytes),
                );
            }
            pool.pop().unwrap_or_default()
        })
    }

    fn zone_offsets(&self, name: &str, from: Millis, to: Millis) -> Option<String> {
        js::zone_offsets(name, from, to)
    }

    fn data_center(&self) -> Option<String> {
        js::data_center()
    }

    fn log(&self, event: &Event<'_>) {
        log(event, self.state.span());
        log_sender::send_soon(self);
        otlp_sender::send_soon(self);
    }

    fn state(&self) -> &RequestState {
        &self.state
    }

    fn timer(&self, time: Millis) -> Self::Timer {
        slots::Timer::new(time)
    }

    fn keep(&self, task: impl Future<Output = ()> + 'static) {
        self.wait_until(task);
    }

    fn client_left(&self) -> bool {
        self.disconnect.signal().aborted()
    }

    async fn until_client_left(&self) -> Millis {
        self.disconnect.wait().await
    }

    async fn ask_object(&self, address: ObjectAddress<'_>, command: String) -> Result<String, ObjectError> {
        call::ask(&self.env, address, command).await
    }

    fn enqueue(&self, account: &AccountId, receipt: Receipt, priority: Priority) {
        match priority {
            Priority::Now => receipt_queue::send(self, account.clone(), receipt),
            Priority::Batched => receipt_queue::enqueue(self, account.clone(), receipt),
        }
    }

    fn notify(&self, accounts: &[AccountId], command: &AccountCommand) {
        receipt_queue::renew(self, accounts, command);
    }

    fn report(&self, summary: RequestSummary) {
        operations_queue::report(self, &summary);
    }

    fn observe(&self, observation: Observation) {
        operations_queue::observe(self, observation);
    }

    fn watched_board(&self) -> Option<u64> {
        operations_queue::watched_board()
    }

    fn look_for_watchers(&self, now: Millis) {
        operations_queue::look_for_watchers(self, now);
    }

    fn report_live(&self, event: LiveEvent) {
        operations_queue::report_live(self, event);
    }

    fn is_ending(&self, run: &str) -> bool {
        operations_queue::is_ending(self, run)
    }

    fn export(&self, spans: Vec<Span>) {
        otlp_queue::push_spans(&spans);
        otlp_sender::send_soon(self);
    }

    fn measure(&self, family: &'static Family, labels: &[&str], amount: u64) {
        operations_queue::measure(family, labels, amount);
    }

    fn report_measured(&self) {
        operations_queue::report_measured(self);
    }

    async fn fetch_text(&self, url: &str) -> Result<String, Broken> {
        text::fetch(url).await
    }

    async fn verify_rs256(&self, key: &RsaPublicKey, signature: &[u8], message: &str) -> bool {
        js::verify_rs256(key, signature, message.as_bytes()).await.unwrap_or(false)
    }

    async fn count(&self, encoding: Encoding, texts: Vec<String>) -> Result<Vec<u64>, Broken> {
        count::count(encoding, texts).await
    }

    async fn read_body(&self, request: web_sys::Request) -> Result<Vec<u8>, Broken> {
        let buffer = request.array_buffer().map_err(broken)?;
        let (bytes, buffer) = read_buffer(buffer).await.map_err(broken)?;
        if bytes.len() >= SPARE_BYTES {
            self.spare.set(Some(buffer));
        }
        Ok(bytes)
    }

    fn open_body(&self, request: web_sys::Request) -> Option<Incoming> {
        let source = Source::new(request.body()?).ok()?;
        Some(Incoming { source: Some(source), length: None, cancel: None })
    }

    fn call(&self, request: ProviderRequest) -> Result<Started, CallError> {
        let client = request.ends_with_client.then(|| self.disconnect.signal());
        let (body, is_uploaded) = match request.method {
            RequestMethod::Get => (&[][..], false),
            RequestMethod::Post if upload::is_long(&request.body) => (&[][..], true),
            RequestMethod::Post => (request.body.as_slice(), false),
        };
        let spare = if body.is_empty() { None } else { self.spare.take() };
        let body = CallBody { bytes: body, spare: spare.as_ref() };
        let call = js::provider_call(request.method.name(), headers(&request), body, client);
        let call = call.map_err(broken)?;
        let init = call.init();
        let upload = is_uploaded.then(|| upload::outgoing(&request.body, &init)).transpose().map_err(broken)?;
        let head = egress::send(self, &request, &init)?;
        Ok(Started { head, upload, cancel: call })
    }

    fn take_upload(&self, call: &mut Started) -> Option<Upload> {
        call.upload.take()
    }

    #[expect(clippy::manual_async_fn, reason = "the future must not borrow the platform")]
    fn upload(&self, upload: Upload) -> impl Future<Output = Result<(), Broken>> + 'static {
        async move { upload.send().await.map_err(broken) }
    }

    async fn head(&self, call: &mut Started) -> Result<Answered, CallError> {
        let response = (&mut call.head).await?;
        Ok(Answered { response, cancel: call.cancel.clone() })
    }

    fn abort_call(&self, call: &Started) {
        call.cancel.abort();
    }

    fn abort_answer(&self, answer: &Answered) {
        answer.cancel.abort();
    }

    async fn read_answer(&self, answer: &Answered) -> Result<(Vec<u8>, ArrayBuffer), ReadError> {
        let buffer = answer.response.array_buffer().map_err(|fault| egress::unread(&fault))?;
        read_buffer(buffer).await.map_err(|fault| egress::unread(&fault))
    }

    fn open_answer(&self, answer: Answered) -> Incoming {
        let source = answer.response.body().and_then(|body| Source::new(body).ok());
        Incoming { source, length: answer.length(), cancel: Some(answer.cancel) }
    }

    fn length(&self, stream: &Incoming) -> Option<usize> {
        stream.length
    }

    async fn next(&self, stream: &mut Incoming) -> Result<Option<Uint8Array>, ReadError> {
        match &mut stream.source {
            Some(source) => source.view().await.map_err(|fault| egress::unread(&fault)),
            None => Ok(None),
        }
    }

    fn may_have_more(&self, stream: &Incoming) -> bool {
        stream.source.as_ref().is_some_and(Source::is_full)
    }

    fn gather(&self, stream: &mut Incoming, least: usize) {
        if let Some(source) = &mut stream.source {
            source.gather(least);
        }
    }

    fn abort(&self, stream: &Incoming) {
        stream.cancel.iter().for_each(ProviderCall::abort);
    }

    async fn release(&self, stream: &mut Incoming) {
        if let Some(source) = &stream.source {
            source.cancel().await;
        }
    }

    fn begin_response(&self, head: StreamHead) -> Result<Sink, Broken> {
        let (begun, sink) = response::begin(head);
        self.begun.replace(Some(begun));
        sink
    }

    async fn write(&self, sink: &mut Sink, bytes: &[u8], given: &Cell<usize>) -> Result<(), Broken> {
        sink.write(bytes, given).await.map_err(broken)
    }

    async fn close(&self, sink: &mut Sink) -> Result<(), Broken> {
        sink.close().await.map_err(broken)
    }

    async fn break_off(&self, sink: &mut Sink) -> Result<(), Broken> {
        sink.abort().await.map_err(broken)
    }

    fn pipe(&self, stream: &mut Incoming, sink: &mut Sink) -> Result<Pipe, Broken> {
        let source = stream.source.as_mut().ok_or(Broken)?;
        sink.pipe(source).map_err(broken)
    }

    fn stop(&self, pipe: &Pipe) {
        pipe.stop();
    }
}

/// The reason of a failure in JavaScript is of no use to a client.
fn broken(_: JsValue) -> Broken {
    Broken
}

impl Piece for Uint8Array {
    fn length(&self) -> usize {
        usize::try_from(Uint8Array::length(self)).unwrap_or_default()
    }

    fn append_to(&self, bytes: &mut Vec<u8>) {
        let held = bytes.len();
        bytes.resize(held.saturating_add(Piece::length(self)), 0);
        if let Some(added) = bytes.get_mut(held..) {
            self.copy_to(added);
        }
    }

    fn to_vec(&self) -> Vec<u8> {
        Uint8Array::to_vec(self)
    }
}

/// The shortest body of a client whose buffer is kept for the body of a call.
const SPARE_BYTES: usize = 16 << 10;

thread_local! {
    /// Random numbers, generated many at a time, for this and later requests.
    static POOL: RefCell<Vec<u128>> = const { RefCell::new(Vec::new()) };
}

/// A request to a provider that has been started.
pub(super) struct Started {
    head: Head,
    upload: Option<Upload>,
    cancel: ProviderCall,
}

/// A provider's response with an unread body.
pub(super) struct Answered {
    response: web_sys::Response,
    cancel: ProviderCall,
}

impl ProviderResponse for Answered {
    fn status(&self) -> u16 {
        self.response.status()
    }

    fn header(&self, name: &str) -> Option<String> {
        js::header(&self.response.headers(), name)
    }

    fn length(&self) -> Option<usize> {
        let length = self.header("content-length")?.parse().ok()?;
        // The length of a compressed body is not the number of bytes that are read.
        self.header("content-encoding").is_none().then_some(length)
    }
}

/// A body that is read piece by piece.
pub(super) struct Incoming {
    source: Option<Source>,
    length: Option<usize>,
    /// Aborts the request whose response it is.
    cancel: Option<ProviderCall>,
}

fn headers(call: &ProviderRequest) -> impl Iterator<Item = (&str, &str)> + Clone {
    let own = (call.method == RequestMethod::Post).then_some(("content-type", "application/json"));
    own.into_iter().chain(call.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())))
}

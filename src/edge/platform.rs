//! [`Platform`] on Workers.

use std::cell::{Cell, RefCell};
use std::future::Future;

use js_sys::{Array, ArrayBuffer, Uint8Array};
use wasm_bindgen::JsValue;
use web_sys::{AbortController, AbortSignal, RequestInit, RequestRedirect};

use super::byte_source::{Source, read_buffer};
use super::clock::{self, now};
use super::context::Edge;
use super::egress::{self, Head};
use super::log::log;
use super::objects::call;
use super::sink::{Pipe, Sink};
use super::upload::{self, Upload};
use super::{count, js, log_sender, operations_queue, otlp_queue, otlp_sender, receipt_queue, response, text};
use crate::alerts::Observation;
use crate::config::Millis;
use crate::gateway::platform::{
    Broken, CallError, ObjectAddress, ObjectError, Piece, Platform, Priority, ProviderRequest, ProviderResponse,
    StreamHead,
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
    type Timer = clock::Timer;

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

    fn log(&self, event: &Event<'_>) {
        log(event, self.state.span());
        log_sender::send_soon(self);
        otlp_sender::send_soon(self);
    }

    fn state(&self) -> &RequestState {
        &self.state
    }

    fn timer(&self, time: Millis) -> Self::Timer {
        clock::Timer::new(time)
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

    fn is_watched(&self) -> bool {
        operations_queue::is_watched()
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
        read_buffer(buffer).await.map(|(bytes, _)| bytes).map_err(broken)
    }

    fn open_body(&self, request: web_sys::Request) -> Option<Incoming> {
        let source = Source::new(request.body()?).ok()?;
        Some(Incoming { source: Some(source), length: None, cancel: None })
    }

    fn call(&self, request: ProviderRequest) -> Result<Started, CallError> {
        let init = init(&request);
        let cancel = self.cancellable(&request, &init).map_err(broken)?;
        let upload = upload::outgoing(&request.body, &init).map_err(broken)?;
        let head = egress::send(self, &request, &init)?;
        Ok(Started { head, upload, cancel })
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

    async fn read_answer(&self, answer: &Answered) -> Result<(Vec<u8>, ArrayBuffer), Broken> {
        read_buffer(answer.response.array_buffer().map_err(broken)?).await.map_err(broken)
    }

    fn open_answer(&self, answer: Answered) -> Incoming {
        let source = answer.response.body().and_then(|body| Source::new(body).ok());
        Incoming { source, length: answer.length(), cancel: Some(answer.cancel) }
    }

    fn length(&self, stream: &Incoming) -> Option<usize> {
        stream.length
    }

    async fn next(&self, stream: &mut Incoming) -> Result<Option<Uint8Array>, Broken> {
        match &mut stream.source {
            Some(source) => source.view().await.map_err(broken),
            None => Ok(None),
        }
    }

    fn abort(&self, stream: &Incoming) {
        stream.cancel.iter().for_each(AbortController::abort);
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

thread_local! {
    /// Random numbers, generated many at a time, for this and later requests.
    static POOL: RefCell<Vec<u128>> = const { RefCell::new(Vec::new()) };
}

/// A request to a provider that has been started.
pub(super) struct Started {
    head: Head,
    upload: Option<Upload>,
    cancel: AbortController,
}

/// A provider's response with an unread body.
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
    cancel: Option<AbortController>,
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
    /// Makes a call abortable: by the gateway, and by a disconnect of the client if the call ends with it.
    /// The client's own signal has no effect on a call, but one that is derived from it has.
    fn cancellable(&self, call: &ProviderRequest, init: &RequestInit) -> Result<AbortController, JsValue> {
        let cancel = AbortController::new()?;
        let own = cancel.signal();
        let signal =
            if call.ends_with_client { AbortSignal::any(&Array::of2(&own, self.disconnect.signal())) } else { own };
        init.set_signal(Some(&signal));
        Ok(cancel)
    }
}

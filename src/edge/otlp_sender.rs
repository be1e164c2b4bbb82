//! Sends what this isolate exports to OpenTelemetry, in the background of its requests.

use std::pin::pin;
use std::time::Duration;

use futures::future::{Either, select};
use js_sys::Uint8Array;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, RequestInit, RequestRedirect, Response};
use worker::Delay;

use super::byte_source::Source;
use super::clock::now;
use super::context::Edge;
use super::log::report;
use super::otlp_queue::{self, DropReport, ExportRequest, LastFailure, QueueStep};
use super::{js, operations_queue};
use crate::config::Millis;
use crate::telemetry::metrics::EXPORT_DROPS;
use crate::telemetry::otlp::{ExportResponse, SendResult, SignalDrops};
use crate::telemetry::{EventKind, ExportDropped};

/// How long an export request takes at most.
const TIMEOUT: Millis = 10_000;
/// How long a request of a client stays to send: the platform ends it 30 s after its response
/// (<https://developers.cloudflare.com/workers/runtime-apis/context/#waituntil>).
const LONGEST_STAY: Millis = 15_000;
/// How many export requests it makes at most: it has 50 on the free plan, for everything.
const MOST_SENT: u32 = 8;
/// So much of a response is read, in bytes. It is to be short, or empty.
const MAX_RESPONSE: usize = 64 << 10;

/// Sends what waits, in the background, unless another request is about to.
pub(super) fn send_soon(edge: &Edge) {
    if otlp_queue::becomes_sender(LONGEST_STAY) {
        edge.wait_until(run());
    }
}

/// Sends until nothing is left, or its time is over. What is left then is sent by a later request.
async fn run() {
    let (began, mut sent) = (now(), 0);
    loop {
        let left = began.saturating_add(LONGEST_STAY).saturating_sub(now());
        match otlp_queue::step(TIMEOUT) {
            QueueStep::Wait(wait) if wait <= left => Delay::from(Duration::from_millis(wait)).await,
            QueueStep::Idle | QueueStep::Wait(_) => break,
            QueueStep::Send(request) => {
                let signal = request.signal;
                let (result, status) = send(request).await;
                otlp_queue::sent(signal, &result, status);
                sent += 1;
                if sent >= MOST_SENT || left == 0 {
                    break;
                }
            }
        }
    }
    let DropReport { new, logged, failure } = otlp_queue::stop();
    for SignalDrops { signal, reason, count } in new {
        operations_queue::measure(&EXPORT_DROPS, &[signal.name(), reason.name()], count);
    }
    logged.iter().for_each(|drops| log_drops(drops, &failure));
}

fn log_drops(drops: &SignalDrops, failure: &LastFailure) {
    let SignalDrops { signal, reason, count } = *drops;
    report(EventKind::ExportDropped(ExportDropped {
        signal: signal.name(),
        drops: count,
        reason: reason.name(),
        status: failure.status,
        error: failure.message.as_deref(),
    }));
}

/// Sends a request, and reads the response. One that does not come counts as one that may come later.
async fn send(request: ExportRequest) -> (SendResult, Option<u16>) {
    let again = (SendResult::Again { wait: None }, None);
    let Ok(abort) = AbortController::new() else { return again };
    let sending = pin!(exchange(request, &abort));
    let timer = pin!(Delay::from(Duration::from_millis(TIMEOUT)));
    match select(sending, timer).await {
        Either::Left((Ok((result, status)), _)) => (result, Some(status)),
        Either::Left((Err(_), _)) => again,
        Either::Right(_) => {
            abort.abort();
            again
        }
    }
}

async fn exchange(request: ExportRequest, abort: &AbortController) -> Result<(SendResult, u16), JsValue> {
    let ExportRequest { url, headers, body, .. } = request;
    let init = RequestInit::new();
    init.set_method("POST");
    let rows = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    init.set_headers(&js::record(rows.chain([("content-type", body.content_type)])));
    init.set_body(&Uint8Array::from(body.bytes.as_slice()));
    drop(body);
    init.set_redirect(RequestRedirect::Manual);
    init.set_signal(Some(&abort.signal()));
    let response: Response = JsFuture::from(js::fetch(&url, &init)?).await?.dyn_into()?;
    let header = |name: &str| response.headers().get(name).ok().flatten();
    let (status, content_type, retry_after) = (response.status(), header("content-type"), header("retry-after"));
    let bytes = read(&response).await?;
    let read = ExportResponse {
        status,
        content_type: content_type.as_deref(),
        retry_after: retry_after.as_deref(),
        body: &bytes,
    };
    Ok((read.result(now()), status))
}

/// The beginning of the body of a response.
async fn read(response: &Response) -> Result<Vec<u8>, JsValue> {
    let Some(body) = response.body() else { return Ok(Vec::new()) };
    let (mut source, mut bytes) = (Source::new(body)?, Vec::new());
    while let Some(piece) = source.next().await? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > MAX_RESPONSE {
            source.cancel().await;
            break;
        }
    }
    Ok(bytes)
}

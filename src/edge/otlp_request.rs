//! One request to a back end of OpenTelemetry.

use std::pin::pin;
use std::time::Duration;

use futures::future::{Either, select};
use js_sys::Uint8Array;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{AbortController, RequestInit, RequestRedirect, Response};
use worker::Delay;

use super::byte_source::Source;
use super::clock::now;
use super::js;
use super::slots::Settled;
use crate::config::Millis;
use crate::telemetry::otlp::{Body, ExportResponse, SendResult};

/// How long it takes at most.
pub(super) const TIMEOUT: Millis = 10_000;
/// So much of a response is read, in bytes. It is to be short, or empty.
const MAX_RESPONSE: usize = 64 << 10;

/// A request to a back end.
pub(super) struct OtlpRequest {
    pub(super) url: String,
    /// Besides `content-type`. They are secrets.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Body,
}

/// Sends a request, and reads the response. One that does not come counts as one that may come later.
pub(super) async fn send(request: OtlpRequest) -> (SendResult, Option<u16>) {
    let again = (SendResult::Again { wait: None }, None);
    let Ok(abort) = AbortController::new() else { return again };
    let mut timer = pin!(Delay::from(Duration::from_millis(TIMEOUT)));
    let response = match select(pin!(begin(request, &abort)), timer.as_mut()).await {
        Either::Left((Ok(response), _)) => response,
        Either::Left((Err(_), _)) => return again,
        Either::Right(_) => {
            abort.abort();
            return again;
        }
    };
    let mut body = Vec::new();
    // The status says what the request came to, even if the body breaks off or does not end.
    if let Either::Right(_) = select(pin!(read(&response, &mut body)), timer).await {
        abort.abort();
    }
    let header = |name: &str| response.headers().get(name).ok().flatten();
    let (status, content_type, retry_after) = (response.status(), header("content-type"), header("retry-after"));
    let (content_type, retry_after) = (content_type.as_deref(), retry_after.as_deref());
    let read = ExportResponse { status, content_type, retry_after, body: &body };
    (read.result(now()), Some(status))
}

/// Sends a request, and waits for the head of the response.
async fn begin(request: OtlpRequest, abort: &AbortController) -> Result<Response, JsValue> {
    let OtlpRequest { url, headers, body } = request;
    let init = RequestInit::new();
    init.set_method("POST");
    let rows = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    init.set_headers(&js::record(rows.chain([("content-type", body.content_type)])));
    init.set_body(&Uint8Array::from(body.bytes.as_slice()));
    drop(body);
    init.set_redirect(RequestRedirect::Manual);
    init.set_signal(Some(&abort.signal()));
    Settled::of(&js::fetch(&url, &init)?).await?.dyn_into()
}

/// Reads the beginning of the body of a response.
async fn read(response: &Response, bytes: &mut Vec<u8>) -> Result<(), JsValue> {
    let Some(body) = response.body() else { return Ok(()) };
    let mut source = Source::new(body)?;
    while let Some(piece) = source.next().await? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > MAX_RESPONSE {
            source.cancel().await;
            break;
        }
    }
    Ok(())
}

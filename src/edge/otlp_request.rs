//! One request to a back end of OpenTelemetry.

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
use super::js;
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

async fn exchange(request: OtlpRequest, abort: &AbortController) -> Result<(SendResult, u16), JsValue> {
    let OtlpRequest { url, headers, body } = request;
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

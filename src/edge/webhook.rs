//! Sends notices about alerts to the addresses of operators.

use std::pin::pin;

use futures::future::{Either, select};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{AbortController, RequestInit, RequestRedirect};

use super::byte_source::Source;
use super::js;
use super::slots::{Settled, Timer};
use crate::alerts::{Message, Reply, TIMEOUT};
use crate::config::Millis;
use crate::wire::date::read_http_date;

/// As much of a response is read, in bytes.
const MAX_BODY: usize = 16 << 10;

/// Sends a message. A redirect is not followed: it is the reply.
pub(super) async fn send(url: &str, message: &Message, now: Millis) -> Reply {
    let Ok(cancel) = AbortController::new() else { return Reply::Unreachable };
    let response = match select(pin!(post(url, message, &cancel, now)), pin!(Timer::new(TIMEOUT))).await {
        Either::Left((reply, _)) => reply.unwrap_or(Reply::Unreachable),
        Either::Right(_) => Reply::TimedOut,
    };
    // What of the response has not been read is of no interest.
    cancel.abort();
    response
}

async fn post(url: &str, message: &Message, cancel: &AbortController, now: Millis) -> Result<Reply, JsValue> {
    let init = RequestInit::new();
    init.set_method("POST");
    init.set_headers(&js::record(message.headers.iter().map(|(name, value)| (*name, value.as_str()))));
    init.set_body(&JsValue::from_str(&message.body));
    init.set_redirect(RequestRedirect::Manual);
    init.set_signal(Some(&cancel.signal()));
    let response: web_sys::Response = Settled::of(&js::fetch(url, &init)?).await?.dyn_into()?;
    let retry_after = response.headers().get("retry-after")?.and_then(|text| read_wait(&text, now));
    let body = beginning(&response).await?;
    Ok(Reply::Response { status: response.status(), retry_after, body })
}

/// The beginning of a response's body.
async fn beginning(response: &web_sys::Response) -> Result<String, JsValue> {
    let mut bytes = Vec::new();
    let Some(body) = response.body() else { return Ok(String::new()) };
    let mut source = Source::new(body)?;
    while bytes.len() < MAX_BODY {
        let Some(piece) = source.next().await? else { break };
        bytes.extend(piece);
    }
    bytes.truncate(MAX_BODY);
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A wait in seconds, or until a date.
fn read_wait(text: &str, now: Millis) -> Option<Millis> {
    let seconds = text.trim().parse::<Millis>().ok().map(|seconds| seconds.saturating_mul(1000));
    seconds.or_else(|| read_http_date(text).map(|at| at.saturating_sub(now)))
}

//! The function for JavaScript.

use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use web_sys::Response;

use super::context::context;
use super::error::error_of;
use super::js;
use super::pump::Pump;
use super::request::Request;
use super::response::respond;
use crate::exchange::{Event, Exchange};
use crate::fault::{Fault, FaultKind, printable};

/// Says where a panic happened, before the instance is thrown away.
#[wasm_bindgen(start)]
pub fn start() {
    console_error_panic_hook::set_once();
}

/// Calls a provider through a proxy, and resolves to its response when the head has come.
///
/// `request` is an object:
/// - `proxy`: the proxy's URL, `http:`, `https:`, `socks5:` or `socks5h:`, with a login if it wants one;
/// - `url`, `method`: of the call. Redirects are not followed;
/// - `headers`: names and values in turn;
/// - `body`: a `Uint8Array`, a text, a `ReadableStream` of bytes, `null` or `undefined`. A stream is sent in
///   chunks unless a header states its `content-length`;
/// - `ca`: certificates in PEM that are trusted besides Mozilla's roots, if any;
/// - `limits`: `dial_ms` for the way to the provider, `max_head` and `max_answer_bytes` in bytes; each may be
///   missing;
/// - `signal`: an `AbortSignal`, if any;
/// - `connect`: the function of `cloudflare:sockets`.
///
/// The promise rejects with an `Error` that has `code`, `message` and `sent`: whether the provider may have
/// received anything. A response that breaks off aborts its body with such an error.
///
/// # Errors
/// See above.
#[wasm_bindgen]
pub async fn tunnel(request: JsValue) -> Result<Response, JsValue> {
    call(&request).await.map_err(|fault| error_of(&fault))
}

async fn call(request: &JsValue) -> Result<Response, Fault> {
    let request = Request::read(request)?;
    let context = if request.call.target.is_tls { Some(context(&request.ca)?) } else { None };
    let is_head_request = request.call.method == "HEAD";
    let exchange = Exchange::new(request.call.clone(), context)?;
    let mut pump = Pump::open(exchange, request).await;
    match pump.next().await {
        Event::Head(head) => respond(&head, is_head_request, pump).map_err(|error| {
            let words = printable(js::words(&error).as_bytes());
            let message = format!("the runtime does not take the provider's response: {words}");
            Fault::new(FaultKind::UpstreamProtocol, message).with_sent(true)
        }),
        Event::Fault(fault) => Err(fault),
        // Neither comes before a head.
        Event::Body(_) | Event::End => Err(Fault::new(FaultKind::UpstreamProtocol, "a response without a head")),
    }
}

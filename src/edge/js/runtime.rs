//! What the wasm asks of the runtime in one call each (`src/runtime.mjs`).

use std::fmt::Write as _;

use js_sys::{ArrayBuffer, Function};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen]
extern "C" {
    /// Fills a slot ([`crate::edge::slots`]) with what a promise settles to.
    #[wasm_bindgen(js_namespace = LLM_BRIDGE)]
    pub(in crate::edge) fn settle(promise: &JsValue, slot: u32, generation: u32);

    /// Fills a slot after some milliseconds. Returns the timer's id.
    #[wasm_bindgen(js_namespace = LLM_BRIDGE)]
    pub(in crate::edge) fn sleep(time: i32, slot: u32, generation: u32) -> i32;

    /// Has [`crate::edge::tasks::run_tasks`] called, when what runs now has ended.
    #[wasm_bindgen(js_namespace = LLM_BRIDGE)]
    pub(in crate::edge) fn soon();

    /// Keeps the event of a context running until the function that this returns is called.
    #[wasm_bindgen(js_namespace = LLM_BRIDGE, catch)]
    pub(super) fn keep(context: &JsValue) -> Result<Function, JsValue>;

    /// A request to a provider, which can be aborted.
    #[derive(Clone)]
    pub(in crate::edge) type ProviderCall;

    #[wasm_bindgen(js_namespace = LLM_BRIDGE, js_name = providerCall, catch)]
    fn make_call(
        head: &str,
        body: &[u8],
        spare: Option<&ArrayBuffer>,
        client: Option<&web_sys::AbortSignal>,
    ) -> Result<ProviderCall, JsValue>;

    /// Its method, headers, body and abort signal.
    #[wasm_bindgen(method, getter)]
    pub(in crate::edge) fn init(this: &ProviderCall) -> web_sys::RequestInit;

    #[wasm_bindgen(method)]
    pub(in crate::edge) fn abort(this: &ProviderCall);

    /// A request whose response is waited for (`src/wasm-failure.mjs`).
    pub(in crate::edge) type OpenRequest;

    /// Gives the response.
    #[wasm_bindgen(method)]
    pub(in crate::edge) fn respond(this: &OpenRequest, response: &web_sys::Response);

    /// Responds that the gateway has failed.
    #[wasm_bindgen(method)]
    pub(in crate::edge) fn fail(this: &OpenRequest);

    #[wasm_bindgen(js_namespace = LLM_BRIDGE, js_name = response, catch)]
    fn make_response(head: &str, body: &JsValue) -> Result<web_sys::Response, JsValue>;

    #[wasm_bindgen(js_namespace = LLM_BRIDGE, js_name = responseOfBytes, catch)]
    fn make_response_of_bytes(head: &str, bytes: &[u8]) -> Result<web_sys::Response, JsValue>;
}

/// Headers as they cross to JavaScript, in lines. None of them may contain a line feed.
fn lines<'p>(first: impl std::fmt::Display, headers: impl IntoIterator<Item = (&'p str, &'p str)>) -> String {
    let mut text = String::with_capacity(256);
    let _ = write!(text, "{first}");
    for (name, value) in headers {
        for part in [name, value] {
            text.push('\n');
            text.push_str(part);
        }
    }
    text
}

/// The body of a request to a provider.
#[derive(Clone, Copy)]
pub(in crate::edge) struct CallBody<'b> {
    /// Bytes of the wasm, which are copied; none of them for no body.
    pub(in crate::edge) bytes: &'b [u8],
    /// A buffer that nothing else uses, for the copy, if it fits in: to make one takes longer than to copy.
    pub(in crate::edge) spare: Option<&'b ArrayBuffer>,
}

/// A request to a provider. `client` is the signal of a client without which the call ends.
///
/// # Errors
/// The runtime refuses it, or a line feed is where none may be.
pub(in crate::edge) fn provider_call<'p>(
    method: &str,
    headers: impl Iterator<Item = (&'p str, &'p str)> + Clone,
    body: CallBody<'_>,
    client: Option<&web_sys::AbortSignal>,
) -> Result<ProviderCall, JsValue> {
    let texts = headers.clone().flat_map(|(name, value)| [name, value]);
    if texts.into_iter().any(|text| text.bytes().any(|byte| byte == b'\n')) {
        return Err(JsValue::NULL);
    }
    make_call(&lines(method, headers), body.bytes, body.spare, client)
}

/// The body of a response.
#[derive(Clone, Copy)]
pub(in crate::edge) enum ResponseBody<'b> {
    /// Without any.
    Empty,
    /// Bytes of the wasm.
    Bytes(&'b [u8]),
    /// Bytes outside of it.
    Buffer(&'b ArrayBuffer),
}

/// A response with headers whose values have been checked.
///
/// # Errors
/// The runtime refuses it.
pub(in crate::edge) fn response<'p>(
    status: u16,
    headers: impl IntoIterator<Item = (&'p str, &'p str)>,
    body: ResponseBody<'_>,
) -> Result<web_sys::Response, JsValue> {
    let head = lines(status, headers);
    match body {
        ResponseBody::Empty => make_response(&head, &JsValue::NULL),
        ResponseBody::Bytes(bytes) => make_response_of_bytes(&head, bytes),
        ResponseBody::Buffer(buffer) => make_response(&head, buffer),
    }
}

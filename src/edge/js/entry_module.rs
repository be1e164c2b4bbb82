//! What the entry module (`src/worker.mjs`) provides: the configuration, responses whose body the wasm
//! writes, and calls through proxies.

use js_sys::{Object, Promise};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::globals::record;
use crate::config::Millis;
use crate::provider::Proxy;

#[wasm_bindgen]
extern "C" {
    /// The operator's YAML, put there by the entry module.
    #[wasm_bindgen(thread_local_v2, js_namespace = LLM_BRIDGE, js_name = config)]
    static CONFIG: JsValue;

    /// The data center where this isolate runs, if a request has said so.
    #[wasm_bindgen(js_namespace = LLM_BRIDGE, js_name = dataCenter, catch)]
    fn ask_data_center() -> Result<Option<String>, JsValue>;

    /// The offsets of a time zone (`src/zones.mjs`).
    #[wasm_bindgen(js_namespace = LLM_BRIDGE, js_name = zoneOffsets, catch)]
    fn ask_zone_offsets(name: &str, from: f64, to: f64) -> Result<Option<String>, JsValue>;

    /// A response whose body is written here. The entry module makes it, and ends it if the wasm fails
    /// (`src/wasm-failure.mjs`).
    pub(in crate::edge) type StreamedResponse;

    /// `is_events`: the body is a stream of server-sent events, which ends in an error frame if the wasm
    /// fails; else the bytes of a whole response. `length` is their number, if it is known.
    #[wasm_bindgen(js_namespace = LLM_BRIDGE, js_name = streamedResponse, catch)]
    pub(in crate::edge) fn streamed_response(
        init: &web_sys::ResponseInit,
        is_events: bool,
        length: Option<f64>,
    ) -> Result<StreamedResponse, JsValue>;

    #[wasm_bindgen(method, getter)]
    pub(in crate::edge) fn response(this: &StreamedResponse) -> web_sys::Response;

    #[wasm_bindgen(method, getter)]
    pub(in crate::edge) fn writable(this: &StreamedResponse) -> web_sys::WritableStream;

    /// Tells the entry module that nothing more is written to such a response, so that it stops watching over
    /// it.
    #[wasm_bindgen(js_namespace = LLM_BRIDGE)]
    pub(in crate::edge) fn ended(writable: &web_sys::WritableStream);

    /// Lets the runtime copy a stream to such a response, until the stream ends or `stop` fires.
    #[wasm_bindgen(js_namespace = LLM_BRIDGE, catch)]
    pub(in crate::edge) fn pipe(
        readable: &web_sys::ReadableStream,
        writable: &web_sys::WritableStream,
        stop: &web_sys::AbortController,
    ) -> Result<Promise, JsValue>;

    /// Calls a provider through a proxy (`src/tunnel.mjs`). `via` holds its address and certificates;
    /// `length` and `max_length` are those of the request's body and of a response that is unpacked, in
    /// bytes.
    #[wasm_bindgen(js_namespace = LLM_BRIDGE, js_name = tunnel, catch)]
    fn call_through(
        url: &str,
        init: &web_sys::RequestInit,
        via: &Object,
        length: f64,
        max_length: f64,
    ) -> Result<Promise, JsValue>;
}

/// Calls a provider through a proxy; `length` is that of the request's body in bytes.
#[expect(clippy::cast_precision_loss, reason = "memory has fewer bytes than a double tells apart")]
pub(in crate::edge) fn tunnel(
    url: &str,
    init: &web_sys::RequestInit,
    length: usize,
    proxy: &Proxy,
) -> Result<Promise, JsValue> {
    let address = proxy.address.reveal();
    let via = record([("proxy", address.as_str())].into_iter().chain(proxy.ca.as_deref().map(|ca| ("ca", ca))));
    call_through(url, init, &via, length as f64, proxy.max_answer_bytes as f64)
}

/// The UTC offsets of a time zone from one time to another, as JSON; `None` if the runtime does not know it.
#[expect(clippy::cast_precision_loss, reason = "dates")]
pub(in crate::edge) fn zone_offsets(name: &str, from: Millis, to: Millis) -> Option<String> {
    ask_zone_offsets(name, from as f64, to as f64).ok().flatten()
}

/// The data center where this isolate runs, if a request has said so.
pub(in crate::edge) fn data_center() -> Option<String> {
    ask_data_center().ok().flatten()
}

/// The text of the configuration; empty if the entry module gave none.
pub(in crate::edge) fn configuration() -> String {
    CONFIG.with(JsValue::as_string).unwrap_or_default()
}

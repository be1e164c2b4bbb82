//! What the entry module (`src/worker.mjs`) provides: the configuration, and responses whose body the wasm
//! writes.

use js_sys::Promise;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::config::Millis;

#[wasm_bindgen]
extern "C" {
    /// The operator's YAML, put there by the entry module.
    #[wasm_bindgen(thread_local_v2, js_namespace = LLM_BRIDGE, js_name = config)]
    static CONFIG: JsValue;

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
}

/// The UTC offsets of a time zone from one time to another, as JSON; `None` if the runtime does not know it.
#[expect(clippy::cast_precision_loss, reason = "dates")]
pub(in crate::edge) fn zone_offsets(name: &str, from: Millis, to: Millis) -> Option<String> {
    ask_zone_offsets(name, from as f64, to as f64).ok().flatten()
}

/// The text of the configuration; empty if the entry module gave none.
pub(in crate::edge) fn configuration() -> String {
    CONFIG.with(JsValue::as_string).unwrap_or_default()
}

//! The few JavaScript things that no crate wraps, and small dealings with those that are wrapped.

use js_sys::{Array, Function, Object, Promise, Reflect};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};

#[wasm_bindgen]
extern "C" {
    /// `fetch(url, init)`.
    #[wasm_bindgen(js_name = fetch, catch)]
    pub(super) fn fetch(url: &str, init: &web_sys::RequestInit) -> Result<Promise, JsValue>;

    /// `setTimeout(task, wait, word)`: the task gets the word.
    #[wasm_bindgen(js_name = setTimeout)]
    pub(super) fn later(task: &Function, wait: u32, word: &str);

    /// `crypto`.
    #[wasm_bindgen(thread_local_v2, js_name = crypto)]
    static CRYPTO: web_sys::Crypto;

    /// The operator's YAML, put there by the entry module.
    #[wasm_bindgen(thread_local_v2, js_namespace = LLM_BRIDGE, js_name = config)]
    static CONFIG: JsValue;

    /// A response whose body is written here. The entry module makes it, and ends it if the wasm fails (src/wasm-failure.mjs).
    pub(super) type StreamedResponse;

    /// `is_events`: server-sent events, which end in an error frame then; else the bytes of a whole answer, of which there are
    /// `length` if that is known.
    #[wasm_bindgen(js_namespace = LLM_BRIDGE, js_name = streamedResponse, catch)]
    pub(super) fn streamed_response(
        init: &web_sys::ResponseInit,
        is_events: bool,
        length: Option<f64>,
    ) -> Result<StreamedResponse, JsValue>;

    #[wasm_bindgen(method, getter)]
    pub(super) fn response(this: &StreamedResponse) -> web_sys::Response;

    #[wasm_bindgen(method, getter)]
    pub(super) fn writable(this: &StreamedResponse) -> web_sys::WritableStream;

    /// Nothing more is written to such a response: the entry module need not watch over it.
    #[wasm_bindgen(js_namespace = LLM_BRIDGE)]
    pub(super) fn ended(writable: &web_sys::WritableStream);

    /// Lets the runtime copy a stream to such a response, until its end or until the controller says so.
    #[wasm_bindgen(js_namespace = LLM_BRIDGE, catch)]
    pub(super) fn pipe(
        readable: &web_sys::ReadableStream,
        writable: &web_sys::WritableStream,
        stop: &web_sys::AbortController,
    ) -> Result<Promise, JsValue>;

    /// A pair of streams for so many bytes: a request with such a body says how long it is
    /// (<https://developers.cloudflare.com/workers/runtime-apis/streams/transformstream/#fixedlengthstream>).
    pub(super) type FixedLengthStream;

    #[wasm_bindgen(constructor, catch)]
    pub(super) fn new(length: f64) -> Result<FixedLengthStream, JsValue>;

    #[wasm_bindgen(method, getter, js_name = readable)]
    pub(super) fn outlet(this: &FixedLengthStream) -> web_sys::ReadableStream;

    #[wasm_bindgen(method, getter, js_name = writable)]
    pub(super) fn inlet(this: &FixedLengthStream) -> web_sys::WritableStream;

    /// The binding of the static files that are deployed with the Worker.
    pub(super) type Assets;

    #[wasm_bindgen(method, js_name = fetch, catch)]
    pub(super) fn get(this: &Assets, url: &str) -> Result<Promise, JsValue>;
}

/// The configuration's text; empty if the entry module gave none.
pub(super) fn configuration() -> String {
    CONFIG.with(JsValue::as_string).unwrap_or_default()
}

/// A plain object. The runtime takes one wherever it takes `Headers`, and needs no object of its own for it.
pub(super) fn record<'p>(pairs: impl IntoIterator<Item = (&'p str, &'p str)>) -> Object {
    let record = Object::new();
    for (key, value) in pairs {
        let _ = Reflect::set(&record, &JsValue::from_str(key), &JsValue::from_str(value));
    }
    record
}

/// Random bytes.
pub(super) fn random() -> [u8; 1024] {
    let mut bytes = [0; 1024];
    let _ = CRYPTO.with(|crypto| crypto.get_random_values_with_u8_array(&mut bytes).map(drop));
    bytes
}

/// Two streams with the same bytes.
pub(super) fn tee(stream: &web_sys::ReadableStream) -> Option<(web_sys::ReadableStream, web_sys::ReadableStream)> {
    let pair: Array = stream.tee();
    Some((pair.get(0).dyn_into().ok()?, pair.get(1).dyn_into().ok()?))
}

/// Host name, path and query of an absolute URL; the fragment is not sent.
pub(super) fn split_url(url: &str) -> (&str, &str, &str) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let port = authority.rfind(':').filter(|at| !authority.get(*at..).unwrap_or_default().contains(']'));
    (port.and_then(|at| authority.get(..at)).unwrap_or(authority), path, query)
}

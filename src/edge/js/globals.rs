//! Globals of the Workers runtime, as far as no crate wraps them.

use js_sys::{Array, Function, Object, Promise, Reflect};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};

#[wasm_bindgen]
extern "C" {
    /// `fetch(url, init)`.
    #[wasm_bindgen(js_name = fetch, catch)]
    pub(in crate::edge) fn fetch(url: &str, init: &web_sys::RequestInit) -> Result<Promise, JsValue>;

    /// `fetch(request, init)`: the request, changed by `init`.
    #[wasm_bindgen(js_name = fetch, catch)]
    pub(in crate::edge) fn fetch_request(
        request: &web_sys::Request,
        init: &web_sys::RequestInit,
    ) -> Result<Promise, JsValue>;

    /// `setTimeout(task, delay, argument)`; the task is called with the argument.
    #[wasm_bindgen(js_name = setTimeout)]
    pub(super) fn set_timeout(task: &Function, delay: u32, argument: &str);

    /// `clearTimeout(id)`.
    #[wasm_bindgen(js_name = clearTimeout)]
    pub(in crate::edge) fn clear_timer(id: i32);

    /// `crypto`.
    #[wasm_bindgen(thread_local_v2, js_name = crypto)]
    static CRYPTO: web_sys::Crypto;

    /// A pair of streams for a known number of bytes. A request with such a body has a `content-length`
    /// (<https://developers.cloudflare.com/workers/runtime-apis/streams/transformstream/#fixedlengthstream>).
    pub(in crate::edge) type FixedLengthStream;

    #[wasm_bindgen(constructor, catch)]
    pub(in crate::edge) fn new(length: f64) -> Result<FixedLengthStream, JsValue>;

    #[wasm_bindgen(method, getter)]
    pub(in crate::edge) fn readable(this: &FixedLengthStream) -> web_sys::ReadableStream;

    #[wasm_bindgen(method, getter, js_name = writable)]
    pub(in crate::edge) fn writable_side(this: &FixedLengthStream) -> web_sys::WritableStream;

    /// The binding of the static files that are deployed with the Worker
    /// (<https://developers.cloudflare.com/workers/static-assets/binding/>).
    pub(in crate::edge) type Assets;

    #[wasm_bindgen(method, js_name = fetch, catch)]
    pub(in crate::edge) fn get(this: &Assets, url: &str) -> Result<Promise, JsValue>;
}

/// A plain object. The runtime accepts one wherever it accepts `Headers`, which would be one more object to
/// make.
pub(in crate::edge) fn record<'p>(pairs: impl IntoIterator<Item = (&'p str, &'p str)>) -> Object {
    let record = Object::new();
    for (key, value) in pairs {
        let _ = Reflect::set(&record, &JsValue::from_str(key), &JsValue::from_str(value));
    }
    record
}

/// Random bytes.
pub(in crate::edge) fn random() -> [u8; 1024] {
    let mut bytes = [0; 1024];
    let _ = CRYPTO.with(|crypto| crypto.get_random_values_with_u8_array(&mut bytes).map(drop));
    bytes
}

/// Two streams with the same bytes.
pub(in crate::edge) fn tee(
    stream: &web_sys::ReadableStream,
) -> Option<(web_sys::ReadableStream, web_sys::ReadableStream)> {
    let pair: Array = stream.tee();
    Some((pair.get(0).dyn_into().ok()?, pair.get(1).dyn_into().ok()?))
}

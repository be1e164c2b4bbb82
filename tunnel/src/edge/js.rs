//! What the shell calls in JavaScript beyond `web-sys`.

use js_sys::{Object, Promise, Reflect};
use wasm_bindgen::prelude::*;
use web_sys::{AbortSignal, ReadableStream, WritableStream};

#[wasm_bindgen]
extern "C" {
    /// A socket of `cloudflare:sockets`.
    #[derive(Clone)]
    pub type Socket;

    #[wasm_bindgen(method, getter)]
    pub fn readable(this: &Socket) -> ReadableStream;

    #[wasm_bindgen(method, getter)]
    pub fn writable(this: &Socket) -> WritableStream;

    /// Settles when the connection is made or refused.
    #[wasm_bindgen(method, getter)]
    pub fn opened(this: &Socket) -> Promise;

    #[wasm_bindgen(method, catch)]
    pub fn close(this: &Socket) -> Result<Promise, JsValue>;

    /// A stream whose bytes flow without entering JavaScript.
    pub type IdentityTransformStream;

    #[wasm_bindgen(constructor, catch)]
    pub fn new() -> Result<IdentityTransformStream, JsValue>;

    #[wasm_bindgen(method, getter, js_name = readable)]
    pub fn readable_side(this: &IdentityTransformStream) -> ReadableStream;

    #[wasm_bindgen(method, getter, js_name = writable)]
    pub fn writable_side(this: &IdentityTransformStream) -> WritableStream;

    #[wasm_bindgen(extends = AbortSignal)]
    pub type Signal;

    #[wasm_bindgen(method, js_name = addEventListener)]
    pub fn listen(this: &Signal, kind: &str, listener: &JsValue);

    #[wasm_bindgen(method, js_name = removeEventListener)]
    pub fn unlisten(this: &Signal, kind: &str, listener: &JsValue);

    #[wasm_bindgen(js_name = setTimeout)]
    pub fn set_timeout(callback: &JsValue, milliseconds: f64) -> JsValue;

    #[wasm_bindgen(js_name = clearTimeout)]
    pub fn clear_timeout(id: &JsValue);
}

/// An object with these properties.
pub fn object(properties: &[(&str, JsValue)]) -> JsValue {
    let object = Object::new();
    for (name, value) in properties {
        // Setting a property of a plain object does not fail.
        let _ = Reflect::set(&object, &JsValue::from_str(name), value);
    }
    object.into()
}

/// A property, `undefined` if it is missing.
pub fn get(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &JsValue::from_str(name)).unwrap_or(JsValue::UNDEFINED)
}

/// The words of an exception.
pub fn words(value: &JsValue) -> String {
    get(value, "message").as_string().or_else(|| value.as_string()).unwrap_or_default()
}

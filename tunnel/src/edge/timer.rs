//! A timer that is cleared when it is dropped.

use js_sys::Promise;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;

use super::js;

/// Resolves once, after its time.
pub struct Timer {
    id: JsValue,
    /// To be polled.
    pub fired: JsFuture,
}

impl Timer {
    /// Fires in so many milliseconds.
    pub fn new(milliseconds: f64) -> Self {
        let mut id = JsValue::UNDEFINED;
        let promise = Promise::new(&mut |resolve, _| id = js::set_timeout(&resolve, milliseconds));
        Self { id, fired: JsFuture::from(promise) }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        js::clear_timeout(&self.id);
    }
}

//! The caller's `AbortSignal`, listened to while it matters.

use js_sys::Promise;
use wasm_bindgen::JsCast;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;

use super::js::Signal;

/// Resolves when the signal fires.
pub struct Aborted {
    signal: Signal,
    listener: JsValue,
    /// To be polled.
    pub fired: JsFuture,
}

impl Aborted {
    /// Listens, if there is a signal.
    pub fn of(signal: &JsValue) -> Option<Self> {
        if !signal.is_object() {
            return None;
        }
        let signal: Signal = signal.clone().unchecked_into();
        let mut listener = JsValue::UNDEFINED;
        let promise = Promise::new(&mut |resolve, _| {
            if signal.aborted() {
                let _ = resolve.call0(&JsValue::UNDEFINED);
            } else {
                signal.listen("abort", &resolve);
            }
            listener = resolve.into();
        });
        Some(Self { signal, listener, fired: JsFuture::from(promise) })
    }
}

impl Drop for Aborted {
    fn drop(&mut self) {
        self.signal.unlisten("abort", &self.listener);
    }
}

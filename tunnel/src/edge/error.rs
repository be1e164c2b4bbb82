//! Faults as JavaScript's errors: `code`, `message`, `sent`.

use js_sys::{Error, Reflect};
use wasm_bindgen::JsValue;

use crate::fault::Fault;

/// An `Error` with the code of the fault, its words, and whether the provider may have received anything.
pub fn error_of(fault: &Fault) -> JsValue {
    let error = Error::new(&fault.message);
    let properties = [("code", JsValue::from_str(fault.kind.code())), ("sent", JsValue::from_bool(fault.sent))];
    for (name, value) in properties {
        let _ = Reflect::set(&error, &JsValue::from_str(name), &value);
    }
    error.into()
}

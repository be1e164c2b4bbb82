//! The log: lines on the console, which `wrangler tail` and Workers Logs collect.

use wasm_bindgen::JsValue;

/// Writes a line to the log.
pub(super) fn log(line: &str) {
    web_sys::console::log_1(&JsValue::from_str(line));
}

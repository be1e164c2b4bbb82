//! The head of a streamed response, between the gateway that has sent it and the runtime that takes it.

use wasm_bindgen::JsValue;

use super::js::StreamedResponse;

/// A streamed response whose head the gateway has sent.
pub(super) enum BegunResponse {
    /// The gateway writes its body.
    Made(StreamedResponse),
    /// The runtime could not make it: why, and its headers.
    Failed(JsValue, Vec<(&'static str, String)>),
}

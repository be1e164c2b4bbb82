//! Converts the gateway's response into one of the runtime.

use js_sys::Uint8Array;
use wasm_bindgen::JsValue;
use web_sys::ResponseInit;

use super::context::Edge;
use super::js;
use super::log::report_failure;
use super::sink::Sink;
use crate::gateway::{Body, StreamBody, fits_header};
use crate::telemetry::RuntimeFailure;

/// Makes the runtime's response. A header with an invalid value is omitted and logged.
pub(super) fn make(
    status: u16,
    headers: &[(&'static str, String)],
    body: Body<Edge>,
    edge: &Edge,
) -> Result<web_sys::Response, JsValue> {
    let init = ResponseInit::new();
    init.set_status(status);
    for (name, _) in headers.iter().filter(|(_, value)| !fits_header(value)) {
        report_failure(RuntimeFailure::HeaderDropped(name));
    }
    let valid = headers.iter().filter(|(_, value)| fits_header(value));
    init.set_headers(&js::record(valid.map(|(name, value)| (*name, value.as_str()))));
    match body {
        Body::Empty | Body::Socket(..) => web_sys::Response::new_with_opt_str_and_init(None, &init),
        Body::Bytes(bytes) => {
            let bytes = Uint8Array::from(bytes.as_slice());
            web_sys::Response::new_with_opt_buffer_source_and_init(Some(&bytes), &init)
        }
        Body::Buffer(buffer, _) => web_sys::Response::new_with_opt_buffer_source_and_init(Some(&buffer), &init),
        Body::Stream(body) => stream(&init, body, edge),
    }
}

/// A response whose body is written by the gateway.
fn stream(init: &ResponseInit, body: StreamBody<Edge>, edge: &Edge) -> Result<web_sys::Response, JsValue> {
    #[expect(clippy::cast_precision_loss, reason = "no response has more bytes than a double tells apart")]
    let length = body.length(edge).map(|length| length as f64);
    match js::streamed_response(init, body.is_events(), length) {
        Ok(streamed) => {
            let writable = streamed.writable();
            edge.wait_until_written(&writable, body.write(edge.clone(), Sink::new(writable.clone())));
            Ok(streamed.response())
        }
        Err(fault) => {
            body.abandon(edge);
            Err(fault)
        }
    }
}

//! Makes the runtime's responses of the gateway's.

use js_sys::Uint8Array;
use wasm_bindgen::JsValue;
use web_sys::ResponseInit;

use super::begun::BegunResponse;
use super::context::Edge;
use super::js;
use super::log::report_failure;
use super::sink::Sink;
use crate::gateway::platform::{Broken, StreamHead, StreamKind};
use crate::gateway::{Body, fits_header};
use crate::telemetry::RuntimeFailure;

/// Makes the runtime's response. A header with an invalid value is omitted and logged.
pub(super) fn make(
    status: u16,
    headers: &[(&'static str, String)],
    body: Body<Edge>,
) -> Result<web_sys::Response, JsValue> {
    let init = init(status, headers);
    match body {
        Body::Empty | Body::Socket(..) => web_sys::Response::new_with_opt_str_and_init(None, &init),
        Body::Bytes(bytes) => {
            let bytes = Uint8Array::from(bytes.as_slice());
            web_sys::Response::new_with_opt_buffer_source_and_init(Some(&bytes), &init)
        }
        Body::Buffer(buffer, _) => web_sys::Response::new_with_opt_buffer_source_and_init(Some(&buffer), &init),
    }
}

fn init(status: u16, headers: &[(&'static str, String)]) -> ResponseInit {
    let init = ResponseInit::new();
    init.set_status(status);
    for (name, _) in headers.iter().filter(|(_, value)| !fits_header(value)) {
        report_failure(RuntimeFailure::HeaderDropped(name));
    }
    let valid = headers.iter().filter(|(_, value)| fits_header(value));
    init.set_headers(&js::record(valid.map(|(name, value)| (*name, value.as_str()))));
    init
}

/// Makes a streamed response, whose body the gateway writes. Returns it, and where that is written.
pub(super) fn begin(head: StreamHead) -> (BegunResponse, Result<Sink, Broken>) {
    let StreamHead { status, headers, kind } = head;
    let (is_events, length) = match kind {
        StreamKind::Events => (true, None),
        StreamKind::Bytes(length) => (false, length),
    };
    #[expect(clippy::cast_precision_loss, reason = "no response has more bytes than a double tells apart")]
    let length = length.map(|length| length as f64);
    match js::streamed_response(&init(status, &headers), is_events, length) {
        Ok(streamed) => {
            let sink = Sink::new(streamed.writable());
            (BegunResponse::Made(streamed), Ok(sink))
        }
        Err(fault) => (BegunResponse::Failed(fault, headers), Err(Broken)),
    }
}

//! Makes the runtime's responses of the gateway's.

use wasm_bindgen::JsValue;
use web_sys::ResponseInit;

use super::begun::BegunResponse;
use super::context::Edge;
use super::js::{self, ResponseBody};
use super::log::report_failure;
use super::sink::Sink;
use crate::gateway::platform::{Broken, StreamHead, StreamKind};
use crate::gateway::{Body, fits_header};
use crate::telemetry::RuntimeFailure;

/// Makes the runtime's response. A header with an invalid value is omitted and logged.
pub(super) fn make(
    status: u16,
    headers: &[(&'static str, String)],
    body: &Body<Edge>,
) -> Result<web_sys::Response, JsValue> {
    let headers = valid(headers);
    match body {
        Body::Empty | Body::Socket(..) => js::response(status, headers, ResponseBody::Empty),
        Body::Bytes(bytes) => js::response(status, headers, ResponseBody::Bytes(bytes)),
        Body::Buffer(buffer, _) => js::response(status, headers, ResponseBody::Buffer(buffer)),
    }
}

/// The headers with a valid value. The others are logged.
fn valid<'h>(headers: &'h [(&'static str, String)]) -> impl Iterator<Item = (&'h str, &'h str)> {
    let is_valid = |(name, value): &&(&'static str, String)| {
        let is_valid = fits_header(value);
        if !is_valid {
            report_failure(RuntimeFailure::HeaderDropped(name));
        }
        is_valid
    };
    headers.iter().filter(is_valid).map(|(name, value)| (*name, value.as_str()))
}

fn init(status: u16, headers: &[(&'static str, String)]) -> ResponseInit {
    let init = ResponseInit::new();
    init.set_status(status);
    init.set_headers(&js::record(valid(headers)));
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

//! The gateway's response as one of the runtime's.

use js_sys::Uint8Array;
use wasm_bindgen::JsValue;
use web_sys::{ResponseInit, WritableStream};

use super::context::Edge;
use super::log::log;
use super::{echo_stream, js, long_body, stream};
use crate::gateway::{Body, fits_header};

/// Makes the runtime's response. A header that cannot be sent is left out and logged.
pub(super) fn make(
    status: u16,
    headers: &[(&'static str, String)],
    body: Body<Edge>,
    edge: &Edge,
) -> Result<web_sys::Response, JsValue> {
    let init = ResponseInit::new();
    init.set_status(status);
    for (name, _) in headers.iter().filter(|(_, value)| !fits_header(value)) {
        log(&format!("{{\"level\":\"error\",\"event\":\"header_dropped\",\"header\":\"{name}\"}}"));
    }
    let sound = headers.iter().filter(|(_, value)| fits_header(value));
    init.set_headers(&js::record(sound.map(|(name, value)| (*name, value.as_str()))));
    match body {
        Body::Empty | Body::Socket(..) => web_sys::Response::new_with_opt_str_and_init(None, &init),
        Body::Bytes(bytes) => {
            let bytes = Uint8Array::from(bytes.as_slice());
            web_sys::Response::new_with_opt_buffer_source_and_init(Some(&bytes), &init)
        }
        Body::Buffer(buffer, _) => web_sys::Response::new_with_opt_buffer_source_and_init(Some(&buffer), &init),
        // Nothing flows before the response is made: then there is somebody who takes it.
        Body::Overheard(incoming, held, relay) => match events(&init) {
            Ok((response, writable)) => stream::overhear(incoming, held, relay, writable, edge).map(|()| response),
            Err(fault) => {
                stream::abandon(relay, Some(incoming), edge);
                Err(fault)
            }
        },
        Body::Told(story, relay) => match events(&init) {
            Ok((response, writable)) => echo_stream::tell(story, relay, &writable, edge).map(|()| response),
            Err(fault) => {
                stream::abandon(relay, None, edge);
                Err(fault)
            }
        },
        Body::Carried(incoming, head, transit) => match bytes(&init, incoming.length()) {
            Ok((response, writable)) => long_body::carry(incoming, head, transit, &writable, edge).map(|()| response),
            Err(fault) => {
                long_body::abandon(&incoming, transit, edge);
                Err(fault)
            }
        },
    }
}

/// A response whose body is a stream of events, and where that is written.
fn events(init: &ResponseInit) -> Result<(web_sys::Response, WritableStream), JsValue> {
    let streamed = js::streamed_response(init, true, None)?;
    Ok((streamed.response(), streamed.writable()))
}

/// A response whose body are the bytes of a whole answer, and where they are written. Where their number is known, the client is told.
fn bytes(init: &ResponseInit, length: Option<usize>) -> Result<(web_sys::Response, WritableStream), JsValue> {
    #[expect(clippy::cast_precision_loss, reason = "no answer has more bytes than a double tells apart")]
    let streamed = js::streamed_response(init, false, length.map(|length| length as f64))?;
    Ok((streamed.response(), streamed.writable()))
}

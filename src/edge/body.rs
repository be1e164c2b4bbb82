//! Bodies between JavaScript and Rust: read into memory, and turned into responses.

use js_sys::{ArrayBuffer, Promise, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{ReadableStream, ReadableStreamDefaultReader, ReadableStreamReadResult, ResponseInit, WritableStream};

use super::host::{Edge, log};
use super::{js, stream, tell};
use crate::gateway::{Body, fits_header};

/// The bytes of a promised buffer, and the buffer.
pub(super) async fn copy(buffer: Promise) -> Result<(Vec<u8>, ArrayBuffer), JsValue> {
    let buffer: ArrayBuffer = JsFuture::from(buffer).await?.dyn_into()?;
    Ok((Uint8Array::new(&buffer).to_vec(), buffer))
}

/// At most `limit` bytes of a stream, and whether there were more; the rest is let go of.
pub(super) async fn read_some(stream: &ReadableStream, limit: usize) -> Result<(Vec<u8>, bool), JsValue> {
    let reader: ReadableStreamDefaultReader = stream.get_reader().dyn_into()?;
    let mut bytes = Vec::new();
    while let Some(chunk) = next(&reader).await? {
        let room = limit.saturating_sub(bytes.len());
        let taken = chunk.get(..room.min(chunk.len())).unwrap_or_default();
        bytes.extend_from_slice(taken);
        if chunk.len() > room {
            let _ = JsFuture::from(reader.cancel()).await;
            return Ok((bytes, true));
        }
    }
    Ok((bytes, false))
}

/// The next bytes of a stream; `None` at its end.
async fn next(reader: &ReadableStreamDefaultReader) -> Result<Option<Vec<u8>>, JsValue> {
    let step = JsFuture::from(reader.read()).await?;
    Ok(chunk(step)?.map(|chunk| chunk.to_vec()))
}

/// The bytes of one step of a reader; `None` at the end.
pub(super) fn chunk(step: JsValue) -> Result<Option<Uint8Array>, JsValue> {
    let step: ReadableStreamReadResult = step.unchecked_into();
    if step.get_done() == Some(true) {
        return Ok(None);
    }
    step.get_value().dyn_into().map(Some)
}

/// A response as the runtime wants it. A header that cannot be sent is left out: the answer is there all the same.
pub(super) fn response(
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
        Body::Empty | Body::Session(..) => web_sys::Response::new_with_opt_str_and_init(None, &init),
        Body::Bytes(bytes) => {
            let bytes = Uint8Array::from(bytes.as_slice());
            web_sys::Response::new_with_opt_buffer_source_and_init(Some(&bytes), &init)
        }
        Body::Buffer(buffer, _) => web_sys::Response::new_with_opt_buffer_source_and_init(Some(&buffer), &init),
        // Nothing flows before the response is made: then there is somebody who takes it.
        Body::Overheard(incoming, held, relay) => match streamed(&init) {
            Ok((response, writable)) => stream::overhear(incoming, held, relay, writable, edge).map(|()| response),
            Err(fault) => {
                stream::abandon(relay, Some(incoming), edge);
                Err(fault)
            }
        },
        Body::Told(story, relay) => match streamed(&init) {
            Ok((response, writable)) => tell::tell(story, relay, &writable, edge).map(|()| response),
            Err(fault) => {
                stream::abandon(relay, None, edge);
                Err(fault)
            }
        },
    }
}

/// A response whose body is a stream, and where that is written.
fn streamed(init: &ResponseInit) -> Result<(web_sys::Response, WritableStream), JsValue> {
    let joint = js::IdentityTransformStream::new()?;
    let response = web_sys::Response::new_with_opt_readable_stream_and_init(Some(&joint.readable()), init)?;
    Ok((response, joint.writable()))
}

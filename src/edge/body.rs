//! Bodies between JavaScript and Rust: read into memory, and turned into responses.

use js_sys::{ArrayBuffer, Promise, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{ReadableStream, ReadableStreamDefaultReader, ReadableStreamReadResult, ResponseInit};

use super::host::Edge;
use super::{js, stream};
use crate::gateway::{Body, Response};

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

/// A response as the runtime wants it.
pub(super) fn response(response: Response<Edge>, edge: &Edge) -> Result<web_sys::Response, JsValue> {
    let init = ResponseInit::new();
    init.set_status(response.status);
    init.set_headers(&js::record(response.headers.iter().map(|(name, value)| (*name, value.as_str()))));
    match response.body {
        Body::Empty | Body::Session(..) => web_sys::Response::new_with_opt_str_and_init(None, &init),
        Body::Bytes(bytes) => {
            let bytes = Uint8Array::from(bytes.as_slice());
            web_sys::Response::new_with_opt_buffer_source_and_init(Some(&bytes), &init)
        }
        Body::Buffer(buffer, _) => web_sys::Response::new_with_opt_buffer_source_and_init(Some(&buffer), &init),
        Body::Overheard(incoming, held, relay) => {
            let body = stream::overhear(incoming, held, relay, edge)?;
            web_sys::Response::new_with_opt_readable_stream_and_init(Some(&body), &init)
        }
        Body::Told(story, relay) => {
            let body = stream::tell(story, relay, edge)?;
            web_sys::Response::new_with_opt_readable_stream_and_init(Some(&body), &init)
        }
    }
}

//! Bodies between JavaScript and Rust: read into memory, and sent to providers.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures::future::{Either, select};
use js_sys::{ArrayBuffer, Promise, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{ReadableStream, ReadableStreamDefaultReader, RequestInit, WritableStreamDefaultWriter};
use worker::Delay;

use super::byte_source::{Source, chunk};
use super::js;

/// The bytes of a promised buffer, and the buffer.
pub(super) async fn copy(buffer: Promise) -> Result<(Vec<u8>, ArrayBuffer), JsValue> {
    let buffer: ArrayBuffer = JsFuture::from(buffer).await?.dyn_into()?;
    Ok((Uint8Array::new(&buffer).to_vec(), buffer))
}

/// A body of at most so many bytes is read and sent in one step. A longer one would be held several times by the runtime as well.
pub(super) const AT_ONCE: usize = 256 << 10;

/// The bytes that are reserved for a body of unknown length.
const UNANNOUNCED: usize = 64 << 10;

/// What is longer is sent in pieces of at most so many bytes.
pub(super) const PIECE: usize = 256 << 10;

/// All bytes of a stream, piece by piece; `length`, if that is known. `grow` is told how many bytes there will be before each piece is
/// kept, and may refuse.
pub(super) async fn read_whole<E>(
    source: &mut Source,
    length: Option<usize>,
    grow: impl Fn(usize) -> Result<(), E>,
) -> Result<Result<Vec<u8>, E>, JsValue> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length.unwrap_or(UNANNOUNCED)).map_err(|_| JsValue::NULL)?;
    while let Some(piece) = source.view().await? {
        let (at, taken) = (bytes.len(), usize::try_from(piece.length()).unwrap_or_default());
        if let Err(refusal) = grow(at.saturating_add(taken)) {
            return Ok(Err(refusal));
        }
        if bytes.capacity() - at < taken {
            // Not twice as much, as a vector would by itself.
            bytes.try_reserve_exact(taken.max(at / 4)).map_err(|_| JsValue::NULL)?;
        }
        bytes.resize(at.saturating_add(taken), 0);
        if let Some(place) = bytes.get_mut(at..) {
            piece.copy_to(place);
        }
    }
    Ok(Ok(bytes))
}

/// A refused body that does not go on within this time is waited for no longer.
const PAUSE: Duration = Duration::from_millis(250);
/// Nor does its answer wait longer than this in all.
const REFUSAL: Duration = Duration::from_secs(5);

/// Takes at most `limit` bytes of a stream and keeps none, as long as they come without a pause.
pub(super) async fn discard(source: &mut Source, limit: usize) {
    select(pin!(take(source, limit)), Delay::from(REFUSAL)).await;
}

async fn take(source: &mut Source, limit: usize) {
    let mut taken = 0;
    while taken <= limit {
        match select(pin!(source.view()), Delay::from(PAUSE)).await {
            Either::Left((Ok(Some(piece)), _)) => {
                taken = taken.saturating_add(usize::try_from(piece.length()).unwrap_or(limit));
            }
            _ => break,
        }
    }
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

/// A body on its way to a provider, piece by piece: it is held once, whatever the provider takes of it.
pub(super) struct Outgoing {
    bytes: Rc<Vec<u8>>,
    writer: WritableStreamDefaultWriter,
}

/// Sets the body of a request: at once if it is short, else as what is still to be sent.
pub(super) fn outgoing(bytes: &Rc<Vec<u8>>, init: &RequestInit) -> Result<Option<Outgoing>, JsValue> {
    if bytes.len() <= AT_ONCE {
        init.set_body(&Uint8Array::from(bytes.as_slice()));
        return Ok(None);
    }
    #[expect(clippy::cast_precision_loss, reason = "memory has fewer bytes than a double tells apart")]
    let pipe = js::FixedLengthStream::new(bytes.len() as f64)?;
    init.set_body(&pipe.readable());
    Ok(Some(Outgoing { bytes: Rc::clone(bytes), writer: pipe.writable_side().get_writer()? }))
}

impl Outgoing {
    /// Sends all of it. What has been written may be overwritten as soon as it has been taken.
    pub(super) async fn send(self) -> Result<(), JsValue> {
        let buffer = ArrayBuffer::new(u32::try_from(PIECE.min(self.bytes.len())).unwrap_or_default());
        for piece in self.bytes.chunks(PIECE) {
            let length = u32::try_from(piece.len()).unwrap_or_default();
            let view = Uint8Array::new_with_byte_offset_and_length(&buffer, 0, length);
            view.copy_from(piece);
            JsFuture::from(self.writer.write_with_chunk(&view)).await?;
        }
        JsFuture::from(self.writer.close()).await.map(drop)
    }
}

/// The next bytes of a stream; `None` at its end.
async fn next(reader: &ReadableStreamDefaultReader) -> Result<Option<Vec<u8>>, JsValue> {
    let step = JsFuture::from(reader.read()).await?;
    Ok(chunk(step)?.map(|chunk| chunk.to_vec()))
}

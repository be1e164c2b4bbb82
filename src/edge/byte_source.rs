//! Reads a stream piece by piece. The unread rest can be handed to the runtime.

use js_sys::{ArrayBuffer, Promise, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    ReadableStream, ReadableStreamByobReader, ReadableStreamGetReaderOptions, ReadableStreamReadResult,
    ReadableStreamReaderMode,
};

use super::js;

/// The size of a read in bytes. Reads do not wait for a full view, because the other branch of a split stream
/// would wait as well.
pub(super) const VIEW: u32 = 32 << 10;

/// A stream that is read piece by piece.
pub(super) struct Source {
    stream: ReadableStream,
    reader: ReadableStreamByobReader,
    /// A pending read. It is kept if the future that waits for it is dropped.
    reading: Option<JsFuture>,
    /// The buffer of the last read, for the next.
    buffer: Option<ArrayBuffer>,
}

impl Source {
    pub(super) fn new(stream: ReadableStream) -> Result<Self, JsValue> {
        let options = ReadableStreamGetReaderOptions::new();
        options.set_mode(ReadableStreamReaderMode::Byob);
        let reader = stream.get_reader_with_options(&options).dyn_into().map_err(JsValue::from)?;
        Ok(Self { stream, reader, reading: None, buffer: None })
    }

    /// The next piece; `None` at the end. Cancel-safe.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>, JsValue> {
        Ok(self.view().await?.map(|view| view.to_vec()))
    }

    /// As [`Source::next`], but the next piece overwrites this one.
    pub(super) async fn view(&mut self) -> Result<Option<Uint8Array>, JsValue> {
        let (reader, buffer) = (&self.reader, &mut self.buffer);
        let start = || {
            let view =
                buffer.take().map_or_else(|| Uint8Array::new_with_length(VIEW), |buffer| Uint8Array::new(&buffer));
            JsFuture::from(reader.read_with_array_buffer_view(&view))
        };
        let step = self.reading.get_or_insert_with(start).await;
        self.reading = None;
        let view = chunk(step?)?;
        self.buffer = view.as_ref().map(Uint8Array::buffer);
        Ok(view)
    }

    /// Splits off the unread rest for the runtime to copy. From here on, this source reads a second copy of
    /// it.
    pub(super) fn split(&mut self) -> Result<ReadableStream, JsValue> {
        self.reader.release_lock();
        let (rest, copy) = js::tee(&self.stream).ok_or(JsValue::NULL)?;
        *self = Self::new(copy)?;
        Ok(rest)
    }

    /// Cancels the stream.
    pub(super) async fn cancel(&self) {
        let _ = JsFuture::from(self.reader.cancel()).await;
    }
}

/// The bytes of a read; `None` at the end.
fn chunk(step: JsValue) -> Result<Option<Uint8Array>, JsValue> {
    let step: ReadableStreamReadResult = step.unchecked_into();
    if step.get_done() == Some(true) {
        return Ok(None);
    }
    step.get_value().dyn_into().map(Some)
}

/// The bytes of a buffer that a promise resolves to, and the buffer.
pub(super) async fn read_buffer(buffer: Promise) -> Result<(Vec<u8>, ArrayBuffer), JsValue> {
    let buffer: ArrayBuffer = JsFuture::from(buffer).await?.dyn_into()?;
    Ok((Uint8Array::new(&buffer).to_vec(), buffer))
}

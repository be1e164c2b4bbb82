//! Reads a stream piece by piece. The unread rest can be handed to the runtime.

use js_sys::{ArrayBuffer, Promise, Uint8Array};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{
    ReadableStream, ReadableStreamByobReader, ReadableStreamGetReaderOptions, ReadableStreamReadResult,
    ReadableStreamReaderMode,
};

use super::js;
use super::slots::Settled;

/// The size of a read in bytes, at first and at most. The runtime fills a new buffer with zeros, so all of it
/// is in memory for as long as the stream is open; most streams never have more to read at once. Reads do not
/// wait for a full view, because the other branch of a split stream would wait as well.
const FIRST_VIEW: u32 = 4 << 10;
const MAX_VIEW: u32 = 32 << 10;
/// A read that fills its view makes the next one so many times as long.
const GROWTH: u32 = 4;

#[wasm_bindgen]
extern "C" {
    type AtLeast;

    /// <https://developers.cloudflare.com/workers/runtime-apis/streams/readablestreambyobreader/>
    #[wasm_bindgen(method, js_name = readAtLeast)]
    fn read_at_least(this: &AtLeast, least: u32, view: &Uint8Array) -> Promise;
}

/// A stream that is read piece by piece.
pub(super) struct Source {
    stream: ReadableStream,
    reader: ReadableStreamByobReader,
    /// A pending read. It is kept if the future that waits for it is dropped.
    reading: Option<Settled>,
    /// The buffer of the last read, for the next, if it is as long.
    buffer: Option<ArrayBuffer>,
    /// The size of the next read in bytes.
    size: u32,
    /// The last read filled its view.
    is_full: bool,
    /// The bytes that a read waits for.
    least: u32,
}

impl Source {
    pub(super) fn new(stream: ReadableStream) -> Result<Self, JsValue> {
        let options = ReadableStreamGetReaderOptions::new();
        options.set_mode(ReadableStreamReaderMode::Byob);
        let reader = stream.get_reader_with_options(&options).dyn_into().map_err(JsValue::from)?;
        Ok(Self { stream, reader, reading: None, buffer: None, size: FIRST_VIEW, is_full: false, least: 1 })
    }

    /// Later reads wait for so many bytes, or the end. This must not be a branch of a split stream: the other
    /// would wait as well.
    pub(super) fn gather(&mut self, least: usize) {
        self.least = u32::try_from(least).unwrap_or(MAX_VIEW).clamp(1, MAX_VIEW);
        if self.least > self.size {
            self.resize(self.least.next_power_of_two());
        }
    }

    fn resize(&mut self, size: u32) {
        self.size = size;
        self.buffer = None;
    }

    /// Whether the last read took as much as it could, so that more may be there.
    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    /// The next piece; `None` at the end. Cancel-safe.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>, JsValue> {
        Ok(self.view().await?.map(|view| view.to_vec()))
    }

    /// As [`Source::next`], but the next piece overwrites this one.
    pub(super) async fn view(&mut self) -> Result<Option<Uint8Array>, JsValue> {
        let (reader, buffer, size, least) = (&self.reader, &mut self.buffer, self.size, self.least);
        let start = || {
            let view =
                buffer.take().map_or_else(|| Uint8Array::new_with_length(size), |buffer| Uint8Array::new(&buffer));
            Settled::of(&match least {
                1 => reader.read_with_array_buffer_view(&view),
                least => reader.unchecked_ref::<AtLeast>().read_at_least(least, &view),
            })
        };
        let step = self.reading.get_or_insert_with(start).await;
        self.reading = None;
        let view = chunk(step?)?;
        self.is_full = view.as_ref().is_some_and(|view| view.length() >= self.size);
        self.buffer = view.as_ref().map(Uint8Array::buffer);
        if self.is_full && self.size < MAX_VIEW {
            self.resize(self.size.saturating_mul(GROWTH).min(MAX_VIEW));
        }
        Ok(view)
    }

    /// Splits off the unread rest for the runtime to copy. From here on, this source reads a second copy of
    /// it.
    pub(super) fn split(&mut self) -> Result<ReadableStream, JsValue> {
        self.reader.release_lock();
        let (rest, copy) = js::tee(&self.stream).ok_or(JsValue::NULL)?;
        let (buffer, size) = (self.buffer.take(), self.size);
        *self = Self { buffer, size, ..Self::new(copy)? };
        Ok(rest)
    }

    /// Cancels the stream.
    pub(super) async fn cancel(&self) {
        let _ = Settled::of(&self.reader.cancel()).await;
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
    let buffer: ArrayBuffer = Settled::of(&buffer).await?.dyn_into()?;
    Ok((Uint8Array::new(&buffer).to_vec(), buffer))
}

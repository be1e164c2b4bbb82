//! The body of a request, read in pieces.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use js_sys::Uint8Array;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{ReadableStream, ReadableStreamDefaultReader};

use super::js;
use crate::fault::{Fault, FaultKind};

/// The most bytes of a piece.
const PIECE: u32 = 64 << 10;

/// What a body gives.
pub enum Piece {
    /// Bytes, at most 64 KiB.
    Bytes(Vec<u8>),
    /// There are no more.
    End,
    /// The stream failed.
    Failed,
}

/// A body under way.
pub struct RequestStream {
    /// Bytes that wait in JavaScript: of the whole body, or of the last chunk.
    bytes: Option<Uint8Array>,
    at: u32,
    reader: Option<ReadableStreamDefaultReader>,
    /// A read that has not settled.
    reading: Option<JsFuture>,
}

impl RequestStream {
    /// No body.
    pub fn none() -> Self {
        Self::new(None, None)
    }

    fn new(bytes: Option<Uint8Array>, reader: Option<ReadableStreamDefaultReader>) -> Self {
        Self { bytes, at: 0, reader, reading: None }
    }

    /// A body that is there.
    pub fn of_bytes(bytes: Uint8Array) -> Self {
        Self::new(Some(bytes), None)
    }

    /// A body that arrives.
    ///
    /// # Errors
    /// [`FaultKind::InvalidCall`] if somebody else reads the stream.
    pub fn of_stream(stream: &ReadableStream) -> Result<Self, Fault> {
        if stream.locked() {
            return Err(Fault::new(FaultKind::InvalidCall, "the body is being read by something else"));
        }
        Ok(Self::new(None, Some(stream.get_reader().unchecked_into())))
    }

    /// The next piece. A call that is given up can be made again.
    pub fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Piece> {
        loop {
            if let Some(piece) = self.take_piece() {
                return Poll::Ready(Piece::Bytes(piece));
            }
            let Some(reader) = &self.reader else { return Poll::Ready(Piece::End) };
            let reading = self.reading.get_or_insert_with(|| JsFuture::from(reader.read()));
            let Poll::Ready(result) = Pin::new(reading).poll(context) else { return Poll::Pending };
            self.reading = None;
            let Ok(step) = result else { return Poll::Ready(Piece::Failed) };
            if js::get(&step, "done").is_truthy() {
                self.reader = None;
                return Poll::Ready(Piece::End);
            }
            match js::get(&step, "value").dyn_into::<Uint8Array>() {
                Ok(bytes) => (self.bytes, self.at) = (Some(bytes), 0),
                Err(_) => return Poll::Ready(Piece::Failed),
            }
        }
    }

    fn take_piece(&mut self) -> Option<Vec<u8>> {
        let bytes = self.bytes.as_ref()?;
        let end = self.at.saturating_add(PIECE).min(bytes.length());
        let piece = bytes.subarray(self.at, end).to_vec();
        self.at = end;
        if end == bytes.length() {
            self.bytes = None;
        }
        (!piece.is_empty()).then_some(piece)
    }
}

/// A stream that is not read to its end is cancelled, so that its source stops.
impl Drop for RequestStream {
    fn drop(&mut self) {
        if let Some(reader) = self.reader.take() {
            let cancelled = reader.cancel();
            wasm_bindgen_futures::spawn_local(async move {
                let _: Result<JsValue, JsValue> = JsFuture::from(cancelled).await;
            });
        }
    }
}

//! Reads a provider's streamed response.

use super::super::response::ResponseReader;
use super::super::wire::response::ResponseChunk;
use crate::canonical::ResponseEvent;
use crate::formats::stream::{EventSink, StreamDecoder, oversized};
use crate::wire::sse::{Block, SseReader};

/// Reads a chunk, or an array of chunks, which may hold only an error.
fn read_chunks(body: &[u8]) -> Option<Vec<ResponseChunk<'_>>> {
    match body.trim_ascii_start().first()? {
        b'{' => serde_json::from_slice(body).ok().map(|chunk| vec![chunk]),
        b'[' => serde_json::from_slice(body).ok(),
        _ => None,
    }
}

/// Reads a streamed response.
pub(crate) struct Decoder {
    reader: SseReader,
    response: ResponseReader,
    failed: bool,
    malformed: u32,
}

impl Default for Decoder {
    fn default() -> Self {
        // An error in the middle of a stream may come as bare JSON, not as an event.
        Self { reader: SseReader::keeping_raw(), response: ResponseReader::default(), failed: false, malformed: 0 }
    }
}

impl StreamDecoder for Decoder {
    fn push(&mut self, bytes: &[u8], emit: EventSink<'_>) {
        let Self { reader, response, failed, malformed } = self;
        reader.push(bytes, &mut |block| *malformed += read_event(response, failed, block, &mut *emit));
    }

    /// Gemini marks no end of a stream: it is complete if every choice has a finish reason when it is closed.
    fn finish(&mut self, emit: EventSink<'_>) {
        let Self { reader, response, failed, malformed } = self;
        reader.finish(&mut |block| *malformed += read_event(response, failed, block, &mut *emit));
        if !std::mem::replace(failed, true) {
            response.finish(emit);
        }
    }

    fn malformed(&self) -> u32 {
        self.malformed.saturating_add(self.reader.oversized())
    }
}

/// Reads an event; returns 1 if it was malformed, else 0.
fn read_event(response: &mut ResponseReader, failed: &mut bool, block: Block<'_>, emit: EventSink<'_>) -> u32 {
    if block.oversized && !std::mem::replace(failed, true) {
        emit(ResponseEvent::Failed(oversized()));
    }
    if *failed || block.data.is_some_and(|data| data.trim_ascii().is_empty()) {
        return 0;
    }
    let Some(mut chunks) = read_chunks(block.data.unwrap_or(block.raw)) else { return u32::from(block.data.is_some()) };
    if block.data.is_none() {
        chunks.retain(|chunk| chunk.error.is_some());
    }
    for chunk in &chunks {
        if let Err(error) = response.read_chunk(chunk, &mut *emit) {
            *failed = true;
            emit(ResponseEvent::Failed(error));
            return 0;
        }
    }
    0
}

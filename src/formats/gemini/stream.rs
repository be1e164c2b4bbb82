//! A streamed answer, read.

use super::response::Answer;
use super::wire::response::Chunk;
use crate::canonical::ResponseEvent;
use crate::formats::{EventSink, StreamDecoder, oversized};
use crate::wire::sse::{Block, Reader};

/// An answer, or the chunks of one in a list, which may also hold but an error.
fn read(body: &[u8]) -> Option<Vec<Chunk<'_>>> {
    match body.trim_ascii_start().first()? {
        b'{' => serde_json::from_slice(body).ok().map(|chunk| vec![chunk]),
        b'[' => serde_json::from_slice(body).ok(),
        _ => None,
    }
}

/// Reads a streamed answer.
pub(super) struct Decoder {
    reader: Reader,
    answer: Answer,
    failed: bool,
    malformed: u32,
}

impl Default for Decoder {
    fn default() -> Self {
        // An error in the middle of a stream may stand there bare, not as an event.
        Self { reader: Reader::keeping_raw(), answer: Answer::default(), failed: false, malformed: 0 }
    }
}

impl StreamDecoder for Decoder {
    fn push(&mut self, bytes: &[u8], each: EventSink<'_>) {
        let Self { reader, answer, failed, malformed } = self;
        reader.push(bytes, &mut |block| *malformed += take(answer, failed, block, &mut *each));
    }

    /// Gemini does not say that a stream is at its end; it is, if it was closed after the end of every answer in it.
    fn finish(&mut self, each: EventSink<'_>) {
        let Self { reader, answer, failed, malformed } = self;
        reader.finish(&mut |block| *malformed += take(answer, failed, block, &mut *each));
        if !std::mem::replace(failed, true) {
            answer.close(each);
        }
    }

    fn malformed(&self) -> u32 {
        self.malformed.saturating_add(self.reader.oversized())
    }
}

/// Takes an event; gives 1 if it could not be read, else 0.
fn take(answer: &mut Answer, failed: &mut bool, block: Block<'_>, each: EventSink<'_>) -> u32 {
    if block.oversized && !std::mem::replace(failed, true) {
        each(ResponseEvent::Failed(oversized()));
    }
    if *failed || block.data.is_some_and(|data| data.trim_ascii().is_empty()) {
        return 0;
    }
    let Some(mut chunks) = read(block.data.unwrap_or(block.raw)) else { return u32::from(block.data.is_some()) };
    if block.data.is_none() {
        chunks.retain(|chunk| chunk.error.is_some());
    }
    for chunk in &chunks {
        if let Err(error) = answer.take(chunk, &mut *each) {
            *failed = true;
            each(ResponseEvent::Failed(error));
            return 0;
        }
    }
    0
}

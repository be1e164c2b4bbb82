//! Streamed responses: read from providers, written for clients.

use std::borrow::Cow;

use super::errors;
use super::response::{read_line, stop_reason, trailer};
use super::wire::{Line, Trailer};
use crate::canonical::ResponseEvent;
use crate::error::Error;
use crate::formats::client_format::ResponseHead;
use crate::formats::stream::{EventSink, StreamDecoder, StreamEncoder, oversized};
use crate::formats::tap::PassthroughEnd;

/// The longest line that is read, in bytes.
pub(super) const MAX_LINE: usize = 16 << 20;

/// Reads a streamed response.
#[derive(Default)]
pub(super) struct Decoder {
    /// The line whose end has not come yet.
    line: Vec<u8>,
    failed: bool,
    malformed: u32,
}

impl Decoder {
    fn end_line(&mut self, emit: EventSink<'_>) {
        let bytes = std::mem::take(&mut self.line);
        if self.failed || bytes.trim_ascii().is_empty() {
            return;
        }
        match serde_json::from_slice(&bytes) {
            Ok(line) => {
                if let Err(error) = read_line(&line, emit) {
                    self.fail(error, emit);
                }
            }
            Err(_) => self.malformed += 1,
        }
    }

    fn fail(&mut self, error: Error, emit: EventSink<'_>) {
        self.failed = true;
        emit(ResponseEvent::Failed(error));
    }
}

impl StreamDecoder for Decoder {
    fn push(&mut self, bytes: &[u8], emit: EventSink<'_>) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.line.len().saturating_add(piece.len()) > MAX_LINE && !self.failed {
                self.fail(oversized(), emit);
            }
            if !self.failed {
                self.line.extend_from_slice(piece);
            }
            if piece.ends_with(b"\n") {
                self.end_line(emit);
            }
        }
    }

    fn finish(&mut self, emit: EventSink<'_>) {
        self.end_line(emit);
    }

    fn malformed(&self) -> u32 {
        self.malformed
    }
}

/// Writes a streamed response.
pub(super) struct Encoder {
    head: ResponseHead,
    begun: bool,
    failed: bool,
    trailer: Trailer,
}

impl Encoder {
    pub(super) fn new(head: ResponseHead) -> Self {
        Self { head, begun: false, failed: false, trailer: Trailer::default() }
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.begun, true) {
            Line { model: Some(Cow::Borrowed(&self.head.model)), ..Line::default() }.write(out);
        }
    }
}

impl StreamEncoder for Encoder {
    fn event(&mut self, event: &ResponseEvent<'_>, out: &mut Vec<u8>) {
        if self.failed {
            return;
        }
        match event {
            ResponseEvent::Text { text, .. } => {
                self.begin(out);
                Line { says: Some(text.clone()), ..Line::default() }.write(out);
            }
            ResponseEvent::Finish { reason, .. } => {
                self.begin(out);
                Line { stop: Some(stop_reason(*reason)), ..Line::default() }.write(out);
            }
            ResponseEvent::Usage(usage) => self.trailer = trailer(usage),
            ResponseEvent::Failed(error) => {
                self.failed = true;
                out.extend(errors::write(error));
            }
            _ => {}
        }
    }

    fn finish(&mut self, failure: Option<&Error>, out: &mut Vec<u8>) {
        match failure {
            _ if self.failed => {}
            Some(error) => out.extend(errors::write(error)),
            None => Line { trailer: Some(self.trailer), ..Line::default() }.write(out),
        }
    }
}

/// Ends a stream of the provider's own bytes, which lacks its trailer.
pub(super) fn end_passthrough(end: PassthroughEnd<'_>, out: &mut Vec<u8>) {
    if let PassthroughEnd::Incomplete(failure) = end {
        out.extend(errors::write(failure));
    }
}

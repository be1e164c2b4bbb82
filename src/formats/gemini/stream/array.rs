//! Streams as one array of chunks, for clients that do not ask for events. Each chunk is a line.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::super::errors;
use crate::error::Error;
use crate::formats::framing::{DataEdit, Framing};
use crate::formats::stream::oversized;
use crate::formats::summary::ResponseSummary;
use crate::formats::tap::{PassthroughEnd, StreamTap};
use crate::wire::sse::{self, SseReader};

/// An array of chunks. Between them, clients ignore white space.
pub(in crate::formats::gemini) const ARRAY: Framing = Framing {
    content_type: "application/json; charset=utf-8",
    boundary: b"\n",
    keep_alive: b"\n",
    keep_alive_event: None,
    comment: None,
    rewrite,
};

/// How chunks are written.
#[derive(Clone, Copy, Debug)]
pub(in crate::formats::gemini) enum Frames {
    /// As events.
    Events,
    /// As items of an array, which has begun or not.
    Array { is_open: bool },
}

impl Frames {
    /// Writes a chunk, which is JSON.
    pub(super) fn write(&mut self, json: &[u8], out: &mut Vec<u8>) {
        let Self::Array { is_open } = self else { return sse::write(json, out) };
        out.push(if std::mem::replace(is_open, true) { b',' } else { b'[' });
        // A line end is white space, because there is none within a text.
        out.extend(json.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
        out.push(b'\n');
    }

    /// Writes an error, which ends the stream.
    pub(super) fn fail(&mut self, error: &Error, out: &mut Vec<u8>) {
        match self {
            Self::Events => errors::write_event(error, out),
            Self::Array { .. } => self.write(&errors::write(error), out),
        }
    }

    /// Writes the end.
    pub(super) fn end(self, out: &mut Vec<u8>) {
        if let Self::Array { is_open } = self {
            out.extend_from_slice(if is_open { b"]" } else { b"[]" });
        }
    }
}

/// Edits the chunks in a piece of an array.
fn rewrite(piece: &[u8], change: DataEdit<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(piece.len());
    for line in piece.split_inclusive(|byte| *byte == b'\n') {
        let (mark, json) = line.split_at(usize::from(line.starts_with(b"[") || line.starts_with(b",")));
        out.extend_from_slice(mark);
        match change(json.trim_ascii_end()).filter(|_| json.starts_with(b"{")) {
            Some(changed) => {
                out.extend_from_slice(&changed);
                out.push(b'\n');
            }
            None => out.extend_from_slice(json),
        }
    }
    out
}

/// Writes the events of a provider as an array. Only events that hold JSON pass.
pub(in crate::formats::gemini) struct ArrayTap {
    tap: Box<dyn StreamTap>,
    reader: SseReader,
    frames: Frames,
}

impl ArrayTap {
    pub(in crate::formats::gemini) fn new(tap: Box<dyn StreamTap>) -> Self {
        Self { tap, reader: SseReader::default(), frames: Frames::Array { is_open: false } }
    }
}

fn write_block(frames: &mut Frames, block: &sse::Block<'_>, out: &mut Vec<u8>) {
    if block.oversized {
        return frames.fail(&oversized(), out);
    }
    if let Some(json) = block.data.filter(|data| serde_json::from_slice::<&RawValue>(data).is_ok()) {
        frames.write(json, out);
    }
}

impl StreamTap for ArrayTap {
    fn push<'b>(&mut self, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        let (passed, frames, mut out) = (self.tap.push(bytes), &mut self.frames, Vec::new());
        self.reader.push(&passed, &mut |block| write_block(frames, &block, &mut out));
        Cow::Owned(out)
    }

    fn close(&mut self) {
        self.tap.close();
    }

    /// The end is written by [`end_array`], which knows the failure.
    fn finish(&mut self, out: &mut Vec<u8>) -> bool {
        let (mut passed, frames) = (Vec::new(), &mut self.frames);
        self.tap.finish(&mut passed);
        self.reader.push(&passed, &mut |block| write_block(frames, &block, out));
        self.reader.finish(&mut |block| write_block(frames, &block, out));
        if matches!(self.frames, Frames::Array { is_open: false }) {
            out.push(b'[');
        }
        false
    }

    fn is_between_events(&self) -> bool {
        true
    }

    fn is_checked(&self) -> bool {
        true
    }

    fn summary(&self) -> &ResponseSummary {
        self.tap.summary()
    }
}

/// Ends an array of the provider's own chunks.
pub(in crate::formats::gemini) fn end_array(end: PassthroughEnd<'_>, out: &mut Vec<u8>) {
    if let PassthroughEnd::Incomplete(failure) = end {
        let is_open = out.pop_if(|last| *last == b'[').is_none();
        Frames::Array { is_open }.fail(failure, out);
    }
    out.push(b']');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tap::finish_tapped;

    fn passed(stream: &str, at: usize) -> serde_json::Value {
        let tap = (super::super::super::PROVIDER.tap)(crate::formats::tap::TapOptions::default());
        let (mut tap, failure) = (ArrayTap::new(tap), Error::upstream(502, "x", "cut"));
        let (first, second) = stream.as_bytes().split_at(at);
        let mut out = [tap.push(first).into_owned(), tap.push(second).into_owned()].concat();
        finish_tapped(&mut tap, end_array, &failure, &mut out);
        serde_json::from_slice(&out).unwrap_or_else(|_| panic!("{at}: {}", String::from_utf8_lossy(&out)))
    }

    #[test]
    fn events_become_one_array_wherever_they_are_cut() {
        let whole = concat!(
            ": hi\r\n\r\ndata: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}],\r\ndata: \"odd\":1.50}\r\n\r\ndata: broken\n\n",
            "data: {\"candidates\":[{\"content\":{},\"finishReason\":\"STOP\"}]}\r\n\r\n",
        );
        let expected = passed(whole, 0);
        assert_eq!(expected.as_array().map(Vec::len), Some(2));
        for at in 0..whole.len() {
            assert_eq!(passed(whole, at), expected);
            let cut = passed(&whole[..at], at / 2);
            let error = &cut.as_array().unwrap().last().unwrap()["error"];
            // Without its line ends, the last event is there.
            assert!(error["code"].is_number() || at + 4 >= whole.len(), "{at}: {cut}");
        }
    }

    #[test]
    fn chunks_are_edited_and_their_array_is_not() {
        let change: DataEdit<'_> = &|json| json.ends_with(b"1}").then(|| b"{}".to_vec());
        assert_eq!(rewrite(b"[{\"a\":1}\n,{\"b\":2}\n\n,{\"c\":1}\n]", change), b"[{}\n,{\"b\":2}\n\n,{}\n]");
    }
}

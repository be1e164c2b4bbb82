//! A whole response from the lines of a stream.

use super::stream::MAX_LINE;
use crate::error::Result;
use crate::formats::assemble::{Fields, ResponseBuilder, Rule, Rules, malformed};
use crate::formats::stream::oversized;

const LINE: Rules = Rules { known: &[("model", Rule::First), ("says", Rule::Text)], other: Rule::Last };

/// A response so far.
#[derive(Default)]
pub(super) struct LineBuilder {
    /// The line whose end has not come yet.
    line: Vec<u8>,
    fields: Fields,
}

impl LineBuilder {
    fn end_line(&mut self) -> Result<()> {
        let line = std::mem::take(&mut self.line);
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        let line = std::str::from_utf8(&line).map_err(|_| malformed())?;
        self.fields.merge(line, &LINE).ok_or_else(malformed)
    }
}

impl ResponseBuilder for LineBuilder {
    fn push(&mut self, bytes: &[u8]) -> Result<()> {
        bytes.split_inclusive(|byte| *byte == b'\n').try_for_each(|piece| {
            if self.line.len().saturating_add(piece.len()) > MAX_LINE {
                return Err(oversized());
            }
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") { self.end_line() } else { Ok(()) }
        })
    }

    fn size(&self) -> (usize, usize) {
        let size = self.fields.size();
        (size.bytes, size.nodes)
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<u8>> {
        self.end_line()?;
        let mut out = Vec::new();
        self.fields.write(&mut out);
        Ok(out)
    }
}

//! The body of a request on its way out.

use crate::fault::{Fault, FaultKind};
use crate::http1::{BodyLength, encode_chunk, last_chunk};

/// Frames a body, and holds it to its stated length.
#[derive(Debug)]
pub struct RequestBody {
    length: BodyLength,
    written: u64,
    is_done: bool,
}

impl RequestBody {
    /// A body of which nothing is written.
    pub fn new(length: BodyLength) -> Self {
        let is_done = matches!(length, BodyLength::None | BodyLength::Known(0));
        Self { length, written: 0, is_done }
    }

    /// Whether all of it is written.
    pub fn is_done(&self) -> bool {
        self.is_done
    }

    /// Frames a piece.
    ///
    /// # Errors
    /// [`FaultKind::InvalidCall`] for more bytes than were stated.
    pub fn write(&mut self, piece: &[u8], output: &mut Vec<u8>) -> Result<(), Fault> {
        self.written += piece.len() as u64;
        match self.length {
            BodyLength::Chunked if !self.is_done => encode_chunk(piece, output),
            BodyLength::Known(length) if self.written <= length => {
                output.extend_from_slice(piece);
                self.is_done = self.written == length;
            }
            _ if piece.is_empty() => {}
            _ => return Err(Fault::new(FaultKind::InvalidCall, "the body is longer than its content-length")),
        }
        Ok(())
    }

    /// Ends the body.
    ///
    /// # Errors
    /// [`FaultKind::InvalidCall`] for fewer bytes than were stated.
    pub fn end(&mut self, output: &mut Vec<u8>) -> Result<(), Fault> {
        if self.is_done {
            return Ok(());
        }
        if self.length != BodyLength::Chunked {
            return Err(Fault::new(FaultKind::InvalidCall, "the body is shorter than its content-length"));
        }
        output.extend_from_slice(last_chunk());
        self.is_done = true;
        Ok(())
    }
}

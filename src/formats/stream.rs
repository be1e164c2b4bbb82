//! Streams of responses, decoded to events and encoded from them.

use crate::canonical::ResponseEvent;
use crate::error::Error;

/// Takes the events of a response, one by one.
pub type EventSink<'e> = &'e mut dyn FnMut(ResponseEvent<'_>);

/// The code of [`oversized`].
pub const OVERSIZED: &str = "event_too_large";

/// The error for an event that is too large to be read.
pub fn oversized() -> Error {
    let message = "The provider sent an event that is too large to be read: longer than 16 MiB, or of too many parts.";
    Error::upstream(502, OVERSIZED, message)
}

/// Decodes a provider's stream, wherever its bytes are cut.
pub trait StreamDecoder {
    /// Decodes more of the stream.
    fn push(&mut self, bytes: &[u8], each: EventSink<'_>);

    /// The stream has ended: decodes what was complete but for its last line end. A missing end is not
    /// reported here; the caller notices that no [`ResponseEvent::End`] came.
    fn finish(&mut self, each: EventSink<'_>);

    /// How many events could not be read.
    fn malformed(&self) -> u32;
}

/// Encodes a client's stream.
pub trait StreamEncoder {
    /// Writes an event; many events write nothing. After [`ResponseEvent::Failed`], nothing is written.
    fn event(&mut self, event: &ResponseEvent<'_>, out: &mut Vec<u8>);

    /// Writes the end of a complete response, or that of an incomplete one with its `failure`.
    fn finish(&mut self, failure: Option<&Error>, out: &mut Vec<u8>);

    /// The JSON that reports the usage, if it was withheld for the cost to be added to it.
    fn withheld_usage(&self) -> Option<&[u8]> {
        None
    }
}

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

/// The member `"x_llm_bridge":{"recovered":"joined"}` of an object with others before it; empty if nothing was
/// recovered. The OpenAI API lets hosts add members, and the official SDKs keep or ignore them.
pub fn recovered_member(how: Option<&str>) -> String {
    how.map_or_else(String::new, |how| format!(",\"x_llm_bridge\":{{\"recovered\":\"{how}\"}}"))
}

/// Encodes a client's stream.
pub trait StreamEncoder {
    /// Writes an event; many events write nothing. After [`ResponseEvent::Failed`], nothing is written.
    fn event(&mut self, event: &ResponseEvent<'_>, out: &mut Vec<u8>);

    /// Writes the end of a complete response, or that of an incomplete one with its `failure`.
    fn finish(&mut self, failure: Option<&Error>, out: &mut Vec<u8>);

    /// Writes what keeps a client waiting while the provider is silent. `None` if the bytes of the framing do.
    fn keep_alive(&mut self) -> Option<Vec<u8>> {
        None
    }

    /// Tells when the response was completed, in seconds since 1970. Called before [`StreamEncoder::finish`].
    fn completed_at(&mut self, _seconds: u64) {}

    /// Tells how the response goes on that an attempt had left unfinished. A format with a place for it says so
    /// at the end of a complete response (`recovered_member`).
    fn recovered(&mut self, _how: &'static str) {}

    /// The JSON that reports the usage, if it was withheld for the cost to be added to it.
    fn withheld_usage(&self) -> Option<&[u8]> {
        None
    }
}

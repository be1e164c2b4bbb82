//! How a format cuts its streams into events.

use crate::wire::sse;

/// Returns the data that replaces an event's, or `None` to keep it.
pub type DataEdit<'e> = &'e dyn Fn(&[u8]) -> Option<Vec<u8>>;

/// How a format cuts its streams into events.
#[derive(Debug)]
pub struct Framing {
    /// The media type of a streamed response.
    pub content_type: &'static str,
    /// The bytes that end an event: at most two.
    pub boundary: &'static [u8],
    /// Bytes between two events that clients ignore. They are sent while the provider is silent.
    pub keep_alive: &'static [u8],
    /// An event in place of these bytes, once an event has passed: for formats with clients that count nothing else
    /// as a sign of life.
    pub keep_alive_event: Option<&'static [u8]>,
    /// Writes a line of text between two events that clients ignore and people can read, if the format has a
    /// place for one. The text has no line ends.
    pub comment: Option<fn(&str) -> String>,
    /// Edits the data of each event in a piece of a stream.
    pub rewrite: fn(&[u8], DataEdit<'_>) -> Vec<u8>,
}

/// Server-sent events.
pub const SSE: Framing = Framing {
    content_type: "text/event-stream; charset=utf-8",
    boundary: b"\n\n",
    keep_alive: b": keep-alive\n\n",
    keep_alive_event: None,
    comment: Some(|text| format!(": {text}\n\n")),
    rewrite: |piece, change| sse::rewrite(piece, change),
};

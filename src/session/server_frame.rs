//! Frames for clients: their text, and which event of a provider's stream becomes which frame.

use super::client_frame::ClientRequestId;
use crate::error::Error;
use crate::wire::json::{Document, DocumentError, quote};

/// The end of a response to a request without an id.
pub const DONE: &str = "data: [DONE]\n\n";
/// The keep-alive message of a client. In exactly this form, the runtime answers it without waking the
/// object.
pub const PING: &str = r#"{"type":"ping"}"#;
/// The response to [`PING`].
pub const PONG: &str = r#"{"type":"pong"}"#;

/// An event of a stream of chat completion chunks.
#[derive(Debug, PartialEq, Eq)]
pub enum StreamItem<'e> {
    /// `[DONE]`: the stream is complete.
    Done,
    /// A chunk, as JSON.
    Chunk(&'e str),
    /// The chunk with the usage and no choices.
    Usage(&'e str),
    /// The request failed; the error as JSON.
    Failed(String),
    /// Data that is not JSON.
    NotJson(String),
}

impl<'e> StreamItem<'e> {
    /// Reads the data of an event.
    pub fn read(data: &'e [u8]) -> Self {
        let Ok(text) = std::str::from_utf8(data) else {
            return Self::NotJson(String::from_utf8_lossy(data).into_owned());
        };
        let text = text.trim_ascii();
        if text == "[DONE]" {
            return Self::Done;
        }
        let document = match Document::read(text.as_bytes()) {
            Ok(document) => document,
            Err(DocumentError::NotAnObject | DocumentError::TooManyMembers) => return Self::Chunk(text),
            Err(DocumentError::Syntax { .. }) => return Self::NotJson(text.to_owned()),
        };
        let value = |name: &str| document.value(name).filter(|value| *value != "null");
        match (value("error"), value("choices")) {
            (Some(error), None) => Self::Failed(error.to_owned()),
            (_, Some(choices)) if is_empty(choices) && value("usage").is_some() => Self::Usage(text),
            _ => Self::Chunk(text),
        }
    }
}

fn is_empty(list: &str) -> bool {
    list.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).is_some_and(|inner| inner.trim_ascii().is_empty())
}

/// A server-sent event, as text.
pub fn data(text: &str) -> String {
    format!("data: {}\n\n", text.replace('\n', "\ndata: "))
}

/// An error as JSON.
pub fn error(error: &Error) -> String {
    let optional = |text: Option<&str>| text.map_or_else(|| "null".to_owned(), quote);
    let (message, kind) = (quote(error.message()), quote(error.kind()));
    let (param, code) = (optional(error.param()), optional(error.code()));
    format!("{{\"message\":{message},\"type\":{kind},\"param\":{param},\"code\":{code}}}")
}

/// An error, as JSON, in a frame for a request without an id.
pub fn bare_error(error: &str) -> String {
    format!("{{\"error\":{error}}}")
}

/// An error that belongs to no request. `typed`: the client knows frames with a `type`.
pub fn connection_error(error: &Error, typed: bool) -> String {
    let (status, json) = (error.status(), self::error(error));
    if typed { format!("{{\"type\":\"error\",\"status\":{status},\"error\":{json}}}") } else { bare_error(&json) }
}

/// The error in the body of an error response; for a body without one, an error with the start of the body as
/// its message.
pub fn error_of_body(body: &str) -> String {
    let inner = Document::read(body.as_bytes()).ok().and_then(|document| document.value("error").map(str::to_owned));
    inner.unwrap_or_else(|| error(&Error::upstream(502, "no_answer", body.chars().take(200).collect::<String>())))
}

/// A numbered frame of a request; `members` follow its `type`, each after a comma.
pub fn numbered(id: &ClientRequestId, seq: u64, kind: &str, members: &str) -> String {
    format!("{{\"id\":{},\"seq\":{seq},\"type\":\"{kind}\"{members}}}", id.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_distinguished() {
        let with_choices = r#"{"choices":[1],"usage":{}}"#;
        assert_eq!(StreamItem::read(with_choices.as_bytes()), StreamItem::Chunk(with_choices));
        let without_usage = r#"{"choices":[],"usage":null}"#;
        assert_eq!(StreamItem::read(without_usage.as_bytes()), StreamItem::Chunk(without_usage));
        let usage = r#"{"choices":[ ],"usage":{}}"#;
        assert_eq!(StreamItem::read(usage.as_bytes()), StreamItem::Usage(usage));
        assert_eq!(StreamItem::read(br#"{"error":{"a":1}}"#), StreamItem::Failed(r#"{"a":1}"#.to_owned()));
        assert_eq!(StreamItem::read(b"[DONE]"), StreamItem::Done);
        assert_eq!(StreamItem::read(b"3"), StreamItem::Chunk("3"));
        assert_eq!(StreamItem::read(b"{"), StreamItem::NotJson("{".to_owned()));
    }

    #[test]
    fn a_line_break_starts_another_line_of_data() {
        assert_eq!(data("{\n}"), "data: {\ndata: }\n\n");
    }
}

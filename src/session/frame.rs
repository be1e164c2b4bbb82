//! Frames as clients write them, and as they are written for clients. It does not know which of them are in order.

use crate::error::Error;
use crate::wire::json::{Document, Flaw, quote};

/// The longest name of a request, as JSON, in bytes.
const LONGEST_ID: usize = 128;
/// The end of an answer, for whoever gave no name to the request.
pub const DONE: &str = "data: [DONE]\n\n";
/// What a client sends to show that it is there, and what it is told; in this very form it wakes nobody.
pub const PING: &str = r#"{"type":"ping"}"#;
/// The answer to [`PING`].
pub const PONG: &str = r#"{"type":"pong"}"#;

/// The name that a client gave a request: a JSON string or number, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRequestId(pub String);

/// What a client says.
#[derive(Debug, PartialEq, Eq)]
pub enum ClientFrame<'a> {
    /// A request.
    Chat {
        /// Its name; without one, it is answered in server-sent events.
        id: Option<ClientRequestId>,
        /// The key it is to go with, if not the session's.
        key: Option<String>,
        /// The body, byte for byte.
        payload: &'a str,
    },
    /// A request is to end.
    Cancel(ClientRequestId),
    /// All frames up to this number have arrived.
    Ack(u64),
    /// The session's key.
    Auth(String),
    /// Is anybody there?
    Ping,
}

/// Why a frame cannot be understood, and the request that it would have begun.
#[derive(Debug)]
pub struct FrameError {
    /// The request.
    pub id: Option<ClientRequestId>,
    /// What is wrong.
    pub error: Error,
}

impl From<Error> for FrameError {
    fn from(error: Error) -> Self {
        Self { id: None, error }
    }
}

pub(super) const MEMBERS: [&str; 5] = ["type", "id", "api_key", "payload", "seq"];

/// Understands a frame. `use_document` gets its parts, which live no longer than the reading.
///
/// # Errors
/// What is wrong with it, in words for its author.
pub fn read<T>(text: &str, hear: impl FnOnce(ClientFrame<'_>) -> T) -> Result<T, FrameError> {
    let document = Document::read(text.as_bytes()).map_err(flawed)?;
    if let Some(twice) = document.repeated(&MEMBERS) {
        return Err(wrong(twice, format!("`{twice}` occurs twice in this message.")).into());
    }
    let kind = member(&document, "type")?.ok_or_else(|| {
        let message = "The message has no `type`: chat, cancel, ack, auth or ping.";
        wrong("type", message.to_owned())
    })?;
    let frame = match kind.as_str() {
        "chat" => chat(&document)?,
        "cancel" => ClientFrame::Cancel(id(&document)?.ok_or_else(|| wrong("id", "`id` is missing.".to_owned()))?),
        "ack" => ClientFrame::Ack(
            document
                .value("seq")
                .and_then(|seq| seq.parse().ok())
                .ok_or_else(|| wrong("seq", "`seq` is the number of the last frame that has arrived.".to_owned()))?,
        ),
        "auth" => {
            ClientFrame::Auth(key(&document)?.ok_or_else(|| wrong("api_key", "`api_key` is missing.".to_owned()))?)
        }
        "ping" => ClientFrame::Ping,
        other => {
            let shown: String = other.chars().take(40).collect();
            let message = format!("Unknown message type: {shown}. Known are chat, cancel, ack, auth and ping.");
            return Err(Error::caller(400, "unknown_type", message).at("type").into());
        }
    };
    Ok(hear(frame))
}

fn chat<'d>(document: &'d Document<'_>) -> Result<ClientFrame<'d>, FrameError> {
    let id = id(document)?;
    let fault = |error| FrameError { id: id.clone(), error };
    let payload = document
        .value("payload")
        .ok_or_else(|| fault(wrong("payload", "`payload` is missing: the body of a chat completion.".to_owned())))?;
    if !payload.starts_with('{') {
        return Err(fault(wrong("payload", "`payload` is an object: the body of a chat completion.".to_owned())));
    }
    let key = key(document).map_err(fault)?;
    Ok(ClientFrame::Chat { id, key, payload })
}

/// A string; `None` if there is no such member.
fn member(document: &Document<'_>, name: &'static str) -> Result<Option<String>, Error> {
    let read = |text| serde_json::from_str(text).map_err(|_| wrong(name, format!("`{name}` is a string.")));
    document.value(name).map(read).transpose()
}

fn key(document: &Document<'_>) -> Result<Option<String>, Error> {
    let key = member(document, "api_key")?;
    // It goes on in a header.
    if key.as_ref().is_some_and(|key| !key.chars().all(|c| matches!(c, ' '..='~'))) {
        return Err(Error::caller(401, "invalid_api_key", "The API key given is not one of this gateway's."));
    }
    Ok(key.map(|key| key.strip_prefix("Bearer ").unwrap_or(&key).trim().to_owned()).filter(|key| !key.is_empty()))
}

fn id(document: &Document<'_>) -> Result<Option<ClientRequestId>, Error> {
    let Some(text) = document.value("id") else { return Ok(None) };
    let is_name = text.starts_with(|c: char| matches!(c, '"' | '-' | '0'..='9'));
    if !is_name || text.len() > LONGEST_ID {
        return Err(wrong("id", format!("`id` is a string or a number, of at most {LONGEST_ID} bytes.")));
    }
    Ok(Some(ClientRequestId(text.to_owned())))
}

/// What is said of a frame of bytes.
pub fn bytes() -> Error {
    Error::caller(400, "invalid_message", "Messages are text, not bytes.")
}

fn wrong(field: &'static str, message: String) -> Error {
    Error::caller(400, "invalid_message", message).at(field)
}

fn flawed(flaw: Flaw) -> Error {
    match flaw {
        Flaw::Syntax { line, column, reason } => {
            let message = format!("The message is not JSON: {reason} (line {line}, column {column}).");
            Error::caller(400, "invalid_json", message)
        }
        Flaw::NotAnObject => Error::caller(400, "invalid_json", "A message is a JSON object."),
        Flaw::TooManyMembers => Error::caller(400, "invalid_json", "A message has at most 10000 members."),
    }
}

/// What an event of a stream is.
#[derive(Debug, PartialEq, Eq)]
pub enum StreamItem<'e> {
    /// The stream is whole.
    Done,
    /// A chunk, as JSON.
    Chunk(&'e str),
    /// The chunk that tells the usage.
    Usage(&'e str),
    /// The answer failed; the error's JSON.
    Failed(String),
    /// Something that is no JSON.
    Odd(String),
}

/// Tells what the data of an event are.
pub fn event(data: &[u8]) -> StreamItem<'_> {
    let Ok(text) = std::str::from_utf8(data) else {
        return StreamItem::Odd(String::from_utf8_lossy(data).into_owned());
    };
    let text = text.trim_ascii();
    if text == "[DONE]" {
        return StreamItem::Done;
    }
    let document = match Document::read(text.as_bytes()) {
        Ok(document) => document,
        Err(Flaw::NotAnObject | Flaw::TooManyMembers) => return StreamItem::Chunk(text),
        Err(Flaw::Syntax { .. }) => return StreamItem::Odd(text.to_owned()),
    };
    let value = |name: &str| document.value(name).filter(|value| *value != "null");
    match (value("error"), value("choices")) {
        (Some(error), None) => StreamItem::Failed(error.to_owned()),
        (_, Some(choices)) if is_empty(choices) && value("usage").is_some() => StreamItem::Usage(text),
        _ => StreamItem::Chunk(text),
    }
}

fn is_empty(list: &str) -> bool {
    list.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).is_some_and(|inner| inner.trim_ascii().is_empty())
}

/// A server-sent event, as text.
pub fn data(text: &str) -> String {
    format!("data: {}\n\n", text.replace('\n', "\ndata: "))
}

/// An error's JSON.
pub fn error(error: &Error) -> String {
    let optional = |text: Option<&str>| text.map_or_else(|| "null".to_owned(), quote);
    let (message, kind) = (quote(error.message()), quote(error.kind()));
    let (param, code) = (optional(error.param()), optional(error.code()));
    format!("{{\"message\":{message},\"type\":{kind},\"param\":{param},\"code\":{code}}}")
}

/// The error in the body of a refusal; of a body that is none, the body in words.
pub fn refusal(body: &str) -> String {
    let inner = Document::read(body.as_bytes()).ok().and_then(|document| document.value("error").map(str::to_owned));
    inner.unwrap_or_else(|| error(&Error::upstream(502, "no_answer", body.chars().take(200).collect::<String>())))
}

/// A frame that belongs to a request: `more` are the members after `type`, each with its comma.
pub fn numbered(id: &ClientRequestId, seq: u64, kind: &str, more: &str) -> String {
    format!("{{\"id\":{},\"seq\":{seq},\"type\":\"{kind}\"{more}}}", id.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat_of(text: &str) -> (Option<String>, Option<String>, String) {
        let take = |frame: ClientFrame<'_>| match frame {
            ClientFrame::Chat { id, key, payload } => (id.map(|id| id.0), key, payload.to_owned()),
            other => panic!("{other:?}"),
        };
        read(text, take).unwrap()
    }

    #[test]
    fn a_payload_keeps_every_byte() {
        let text = r#" { "payload" : {"a" : 1.0, "é":"\u00e9"} , "type":"chat","id":7,"api_key":"Bearer k " } "#;
        let payload = r#"{"a" : 1.0, "é":"\u00e9"}"#.to_owned();
        assert_eq!(chat_of(text), (Some("7".to_owned()), Some("k".to_owned()), payload));
        assert_eq!(chat_of(r#"{"type":"chat","payload":{},"new":1}"#), (None, None, "{}".to_owned()));
    }

    #[test]
    fn what_is_wrong_is_told() {
        let long = format!(r#"{{"type":"chat","id":"{}","payload":{{}}}}"#, "x".repeat(LONGEST_ID));
        for (text, code, param) in [
            ("{", "invalid_json", None),
            ("[]", "invalid_json", None),
            ("{}", "invalid_message", Some("type")),
            (r#"{"type":3}"#, "invalid_message", Some("type")),
            (r#"{"type":"chat","type":"chat"}"#, "invalid_message", Some("type")),
            (r#"{"type":"sing"}"#, "unknown_type", Some("type")),
            (r#"{"type":"chat"}"#, "invalid_message", Some("payload")),
            (r#"{"type":"chat","payload":null}"#, "invalid_message", Some("payload")),
            (r#"{"type":"chat","payload":{},"api_key":1}"#, "invalid_message", Some("api_key")),
            (r#"{"type":"chat","payload":{},"id":null}"#, "invalid_message", Some("id")),
            (r#"{"type":"chat","payload":{},"id":{}}"#, "invalid_message", Some("id")),
            (long.as_str(), "invalid_message", Some("id")),
            (r#"{"type":"cancel"}"#, "invalid_message", Some("id")),
            (r#"{"type":"ack","seq":-1}"#, "invalid_message", Some("seq")),
            (r#"{"type":"auth","api_key":" "}"#, "invalid_message", Some("api_key")),
            (r#"{"type":"chat","payload":{},"api_key":"\u00e9\n"}"#, "invalid_api_key", None),
        ] {
            let fault = read(text, |_| ()).unwrap_err();
            assert_eq!((fault.error.code(), fault.error.param()), (Some(code), param), "{text}");
        }
    }

    #[test]
    fn events_are_told_apart() {
        assert_eq!(event(b"[DONE]"), StreamItem::Done);
        assert_eq!(event(br#"{"choices":[1],"usage":{}}"#), StreamItem::Chunk(r#"{"choices":[1],"usage":{}}"#));
        assert_eq!(event(br#"{"choices":[],"usage":null}"#), StreamItem::Chunk(r#"{"choices":[],"usage":null}"#));
        assert_eq!(event(br#"{"choices":[ ],"usage":{}}"#), StreamItem::Usage(r#"{"choices":[ ],"usage":{}}"#));
        assert_eq!(event(br#"{"error":{"a":1}}"#), StreamItem::Failed(r#"{"a":1}"#.to_owned()));
        assert_eq!(event(b"3"), StreamItem::Chunk("3"));
        assert_eq!(event(b"{"), StreamItem::Odd("{".to_owned()));
        assert_eq!(data("{\n}"), "data: {\ndata: }\n\n");
    }
}

//! Frames from clients.

use crate::error::Error;
use crate::wire::json::{Document, DocumentError};

/// The longest id of a request, as JSON, in bytes.
const MAX_ID_BYTES: usize = 128;
/// The longest tags of a request, in bytes: four of the longest fit, with each character percent-encoded.
const MAX_TAGS_BYTES: usize = 4 << 10;

/// The members of a frame that the gateway reads.
pub(super) const MEMBERS: [&str; 6] = ["type", "id", "api_key", "tags", "payload", "seq"];

/// The id that a client gave a request: a JSON string or number, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRequestId(pub String);

/// A frame from a client.
#[derive(Debug, PartialEq, Eq)]
pub enum ClientFrame<'a> {
    /// Start a request.
    Chat {
        /// The request's id. The response to a request without one is a stream of server-sent events.
        id: Option<ClientRequestId>,
        /// The request.
        chat: Chat<'a>,
    },
    /// Cancel a request.
    Cancel(ClientRequestId),
    /// All frames up to this number have arrived.
    Ack(u64),
    /// The session's API key.
    Auth(String),
    /// A keep-alive message.
    Ping,
}

/// A request in a frame.
#[derive(Debug, PartialEq, Eq)]
pub struct Chat<'a> {
    /// The API key to use instead of the session's.
    pub key: Option<String>,
    /// The tags, as the header of a request over HTTP has them.
    pub tags: Option<String>,
    /// The body, byte for byte.
    pub payload: &'a str,
}

/// Why a frame was rejected.
#[derive(Debug)]
pub struct FrameError {
    /// The request that the frame would have started.
    pub id: Option<ClientRequestId>,
    /// The error for the client.
    pub error: Error,
}

impl From<Error> for FrameError {
    fn from(error: Error) -> Self {
        Self { id: None, error }
    }
}

/// Reads a frame, and hands it to `handle`. The frame borrows from a document that lives no longer than the
/// call.
///
/// # Errors
/// The frame is not valid; the error is for its author.
pub fn read<T>(text: &str, handle: impl FnOnce(ClientFrame<'_>) -> T) -> Result<T, FrameError> {
    let document = Document::read(text.as_bytes()).map_err(not_an_object)?;
    if let Some(name) = document.repeated(&MEMBERS) {
        return Err(invalid(name, format!("`{name}` occurs twice in this message.")).into());
    }
    let kind = string(&document, "type")?
        .ok_or_else(|| missing("type", "The message has no `type`. Expected chat, cancel, ack, auth or ping."))?;
    let frame = match kind.as_str() {
        "chat" => chat(&document)?,
        "cancel" => ClientFrame::Cancel(id(&document)?.ok_or_else(|| missing("id", "`id` is missing."))?),
        "ack" => ClientFrame::Ack(seq(&document)?),
        "auth" => ClientFrame::Auth(key(&document)?.ok_or_else(|| missing("api_key", "`api_key` is missing."))?),
        "ping" => ClientFrame::Ping,
        other => return Err(unknown_type(other).into()),
    };
    Ok(handle(frame))
}

fn chat<'d>(document: &'d Document<'_>) -> Result<ClientFrame<'d>, FrameError> {
    let id = id(document)?;
    let reject = |error| FrameError { id: id.clone(), error };
    let payload = document.value("payload").ok_or_else(|| {
        reject(missing("payload", "`payload` is missing. Send the body of a chat completion request."))
    })?;
    if !payload.starts_with('{') {
        let message = "`payload` must be an object: the body of a chat completion request.";
        return Err(reject(missing("payload", message)));
    }
    let (key, tags) = (key(document).map_err(reject)?, tags(document).map_err(reject)?);
    Ok(ClientFrame::Chat { id, chat: Chat { key, tags, payload } })
}

/// A member that is a string; `None` if there is no such member.
fn string(document: &Document<'_>, name: &'static str) -> Result<Option<String>, Error> {
    let read = |text| serde_json::from_str(text).map_err(|_| invalid(name, format!("`{name}` must be a string.")));
    document.value(name).map(read).transpose()
}

fn key(document: &Document<'_>) -> Result<Option<String>, Error> {
    let key = string(document, "api_key")?;
    // The key continues its way in a header.
    if key.as_ref().is_some_and(|key| !key.chars().all(|c| matches!(c, ' '..='~'))) {
        return Err(Error::key_unknown());
    }
    Ok(key.map(|key| key.strip_prefix("Bearer ").unwrap_or(&key).trim().to_owned()).filter(|key| !key.is_empty()))
}

fn tags(document: &Document<'_>) -> Result<Option<String>, Error> {
    let tags = string(document, "tags")?;
    // They continue their way in a header.
    let is_fit = |tags: &String| tags.len() <= MAX_TAGS_BYTES && tags.chars().all(|c| matches!(c, ' '..='~'));
    if tags.as_ref().is_some_and(|tags| !is_fit(tags)) {
        let message = format!(
            "`tags` must be at most {MAX_TAGS_BYTES} printable characters of ASCII, such as `team=search, env=prod`. \
             Percent-encode other characters."
        );
        return Err(invalid("tags", message));
    }
    Ok(tags)
}

fn id(document: &Document<'_>) -> Result<Option<ClientRequestId>, Error> {
    let Some(text) = document.value("id") else { return Ok(None) };
    let is_scalar = text.starts_with(|c: char| matches!(c, '"' | '-' | '0'..='9'));
    if !is_scalar || text.len() > MAX_ID_BYTES {
        return Err(invalid("id", format!("`id` must be a string or a number of at most {MAX_ID_BYTES} bytes.")));
    }
    Ok(Some(ClientRequestId(text.to_owned())))
}

fn seq(document: &Document<'_>) -> Result<u64, Error> {
    let seq = document.value("seq").and_then(|seq| seq.parse().ok());
    seq.ok_or_else(|| missing("seq", "`seq` must be the number of the last frame that arrived."))
}

/// The error for a binary frame.
pub fn binary() -> Error {
    Error::caller(400, "invalid_message", "Messages must be text, not binary.")
}

/// The error for a frame that acknowledges what was never sent.
pub fn ack_ahead() -> Error {
    missing("seq", "No frame with this number has been sent yet.")
}

/// The error for a request without an id where requests carry ids.
pub fn id_missing() -> Error {
    missing("id", "`id` is missing. On this connection, each request needs one.")
}

/// The error for cancelling a request that is not running.
pub fn unknown_id(id: &ClientRequestId) -> Error {
    let message = format!("No request with the id {} is in progress.", id.0);
    Error::caller(404, "unknown_id", message).at("id")
}

fn unknown_type(kind: &str) -> Error {
    let shown: String = kind.chars().take(40).collect();
    let message = format!("Unknown message type: {shown}. Expected chat, cancel, ack, auth or ping.");
    Error::caller(400, "unknown_type", message).at("type")
}

fn missing(field: &'static str, message: &str) -> Error {
    invalid(field, message.to_owned())
}

fn invalid(field: &'static str, message: String) -> Error {
    Error::caller(400, "invalid_message", message).at(field)
}

fn not_an_object(flaw: DocumentError) -> Error {
    let message = match flaw {
        DocumentError::Syntax { line, column, reason } => {
            format!("The message is not valid JSON: {reason} (line {line}, column {column}).")
        }
        DocumentError::NotAnObject => "The message must be a JSON object.".to_owned(),
        DocumentError::TooManyMembers => "The message has more than 10000 members.".to_owned(),
    };
    Error::caller(400, "invalid_json", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The parts of a chat frame.
    #[derive(Debug, Default, PartialEq)]
    struct Parts {
        id: Option<String>,
        key: Option<String>,
        tags: Option<String>,
        payload: String,
    }

    fn chat_of(text: &str) -> Parts {
        let take = |frame: ClientFrame<'_>| match frame {
            ClientFrame::Chat { id, chat: Chat { key, tags, payload } } => {
                Parts { id: id.map(|id| id.0), key, tags, payload: payload.to_owned() }
            }
            other => panic!("{other:?}"),
        };
        read(text, take).unwrap()
    }

    #[test]
    fn tags_go_along_as_a_header_can_have_them() {
        let tags = Some("team=a%2Cb, env=x".to_owned());
        let expected = Parts { tags, payload: "{}".to_owned(), ..Parts::default() };
        assert_eq!(chat_of(r#"{"type":"chat","tags":"team=a%2Cb, env=x","payload":{}}"#), expected);
        let longest = "x".repeat(MAX_TAGS_BYTES);
        assert_eq!(chat_of(&format!(r#"{{"type":"chat","tags":"{longest}","payload":{{}}}}"#)).tags, Some(longest));
    }

    #[test]
    fn a_payload_keeps_every_byte() {
        let text = r#" { "payload" : {"a" : 1.0, "é":"\u00e9"} , "type":"chat","id":7,"api_key":"Bearer k " } "#;
        let payload = r#"{"a" : 1.0, "é":"\u00e9"}"#.to_owned();
        let (id, key) = (Some("7".to_owned()), Some("k".to_owned()));
        assert_eq!(chat_of(text), Parts { id, key, tags: None, payload });
    }

    #[test]
    fn unknown_members_are_ignored() {
        let expected = Parts { payload: "{}".to_owned(), ..Parts::default() };
        assert_eq!(chat_of(r#"{"type":"chat","payload":{},"new":1}"#), expected);
    }

    #[test]
    fn an_invalid_frame_is_rejected_with_code_and_field() {
        let long = format!(r#"{{"type":"chat","id":"{}","payload":{{}}}}"#, "x".repeat(MAX_ID_BYTES));
        let long_tags = format!(r#"{{"type":"chat","tags":"{}","payload":{{}}}}"#, "x".repeat(MAX_TAGS_BYTES + 1));
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
            (r#"{"type":"chat","payload":{},"tags":["team=a"]}"#, "invalid_message", Some("tags")),
            (r#"{"type":"chat","payload":{},"tags":"team=\u00e9"}"#, "invalid_message", Some("tags")),
            (r#"{"type":"chat","payload":{},"tags":"team=a\r\nx-evil: 1"}"#, "invalid_message", Some("tags")),
            (r#"{"type":"chat","payload":{},"tags":"a=1","tags":"a=2"}"#, "invalid_message", Some("tags")),
            (long_tags.as_str(), "invalid_message", Some("tags")),
            (r#"{"type":"chat","payload":{},"id":null}"#, "invalid_message", Some("id")),
            (r#"{"type":"chat","payload":{},"id":{}}"#, "invalid_message", Some("id")),
            (long.as_str(), "invalid_message", Some("id")),
            (r#"{"type":"cancel"}"#, "invalid_message", Some("id")),
            (r#"{"type":"ack","seq":-1}"#, "invalid_message", Some("seq")),
            (r#"{"type":"auth","api_key":" "}"#, "invalid_message", Some("api_key")),
            (r#"{"type":"chat","payload":{},"api_key":"\u00e9\n"}"#, "invalid_api_key", None),
        ] {
            let rejected = read(text, |_| ()).unwrap_err().error;
            assert_eq!(rejected.code(), Some(code), "{text}");
            assert_eq!(rejected.param(), param, "{text}");
        }
    }
}

//! Errors: of providers, read; for clients, written.
//! Source: <https://docs.anthropic.com/en/api/errors>.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::wire::json::object;
use crate::error::Error;
use crate::formats::context_words::{self, CONTEXT_EXCEEDED, ContextTokens};
use crate::formats::refusals::{self, instead};
use crate::formats::statement::{is_error_code, statement};
use crate::wire::dense::parse_tree;
use crate::wire::sse;

/// Each type of error and its status. Where a status has two, the first is written.
const ERROR_TYPES: &[(u16, &str)] = &[
    (400, "invalid_request_error"),
    (401, "authentication_error"),
    (402, "billing_error"),
    (403, "permission_error"),
    (404, "not_found_error"),
    (413, "request_too_large"),
    (429, "rate_limit_error"),
    (500, "api_error"),
    (503, "overloaded_error"),
    (504, "timeout_error"),
    (529, "overloaded_error"),
];

#[derive(Deserialize)]
struct ErrorBody<'a> {
    #[serde(borrow)]
    error: ErrorFields<'a>,
}

#[derive(Deserialize)]
struct ErrorFields<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    message: Cow<'a, str>,
}

#[derive(Serialize)]
struct WrittenErrorBody<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    error: WrittenErrorFields<'a>,
    request_id: Option<&'a str>,
}

#[derive(Serialize)]
struct WrittenErrorFields<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    message: &'a str,
}

/// Writes an error as a response body or as the data of a stream's error event. `request_id` is the client
/// request's.
pub(super) fn write(error: &Error, request_id: Option<&str>) -> Vec<u8> {
    let message = &context_words::message(error, CONTEXT_WORDS, too_long);
    let words = WrittenErrorFields { kind: error_type(error.status()), message };
    serde_json::to_vec(&WrittenErrorBody { kind: "error", error: words, request_id }).unwrap_or_default()
}

/// Writes an error as the last event of a stream.
pub(super) fn write_event(error: &Error, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: error\n");
    sse::write(&write(error, None), out);
}

/// The words at which Claude Code compacts the conversation, and those at which it asks for a shorter response.
const CONTEXT_WORDS: &[&str] = &["prompt is too long", "exceed context limit"];

fn too_long(tokens: Option<ContextTokens>) -> String {
    match tokens {
        Some(ContextTokens { requested, allowed }) => {
            format!("prompt is too long: {requested} tokens > {allowed} maximum.")
        }
        None => "prompt is too long.".to_owned(),
    }
}

fn error_type(status: u16) -> &'static str {
    // 451, unavailable for legal reasons: for the client the same as a lack of permission.
    let status = if status == 451 { 403 } else { status };
    let known = ERROR_TYPES.iter().find(|(known, _)| *known == status).map(|(_, kind)| *kind);
    known.unwrap_or(if status < 500 { "invalid_request_error" } else { "api_error" })
}

/// Whether a body reports an error.
pub(super) fn is_error(body: &[u8]) -> bool {
    object::<ErrorBody<'_>>(body).is_some()
}

/// Whether a body that is nothing else reports an error, in whatever form.
pub(super) fn is_any_error(body: &[u8]) -> bool {
    is_error(body) || bare_words(body).is_some()
}

/// The words of an error that is a text, or stands at the top: as hosts write it that only resemble Anthropic.
fn bare_words(body: &[u8]) -> Option<String> {
    let value = parse_tree(body)?;
    let text = |name: &str| value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let has_code = value.get("code").is_some_and(is_error_code);
    let is_error = text("type") == Some("error") || has_code;
    let bare = || ["message", "msg"].iter().find_map(|name| text(name)).filter(|_| is_error);
    text("error").or_else(|| text("detail")).or_else(bare).map(str::to_owned)
}

/// Reads an error that came with a success status, whole or in a stream. Its type gives the status it should
/// have had.
pub(super) fn read_in_success(body: &[u8]) -> Error {
    let kind = object::<ErrorBody<'_>>(body).map(|body| body.error.kind).unwrap_or_default();
    let status = ERROR_TYPES.iter().rev().find(|(_, known)| *known == kind).map_or(502, |(status, _)| *status);
    read(status, body)
}

/// Reads a provider's error response: keeps its message and type, with the status for the client.
pub(super) fn read(status: u16, body: &[u8]) -> Error {
    let fields = object::<ErrorBody<'_>>(body).map(|body| body.error);
    let kind = fields.as_ref().map(|fields| fields.kind.clone().into_owned()).filter(|kind| !kind.is_empty());
    let words = refusals::Words {
        code: None,
        kind: kind.as_deref(),
        message: fields.as_ref().map(|fields| fields.message.as_ref()),
    };
    if let Some(error) = instead(status, words) {
        return error.stating(statement(status, body));
    }
    let message = fields.map(|fields| fields.message.into_owned());
    let message = message.or_else(|| bare_words(body)).or_else(|| plain_text(body));
    let message = message.filter(|message| !message.is_empty());
    let message = message.unwrap_or_else(|| format!("The provider answered with status {status}."));
    // Clients act on this code: they shorten the conversation.
    let code = message.starts_with("prompt is too long").then(|| CONTEXT_EXCEEDED.to_owned());
    Error::upstream(status, "upstream_error", message).worded(kind, code, None).stating(statement(status, body))
}

/// Passes on a short line of plain text, but not a page.
fn plain_text(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).map(str::trim).unwrap_or_default();
    (text.len() <= 300 && !text.contains(['<', '\n', '{'])).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_keeps_its_status_and_words() {
        let body = br#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"r"}"#;
        let error = read(529, body);
        assert_eq!((error.status(), error.kind(), error.message()), (529, "overloaded_error", "Overloaded"));
        assert_eq!(read_in_success(body).status(), 529);
        assert_eq!(read(500, b"<html>").message(), "The provider answered with status 500.");
        assert_eq!(read(302, b"").status(), 502);
        for bare in [r#"{"type":"error","error":"boom"}"#, r#"{"detail":"boom"}"#, r#"{"code":1301,"msg":"boom"}"#] {
            assert!(is_any_error(bare.as_bytes()));
            assert_eq!(read(400, bare.as_bytes()).message(), "boom");
        }
        assert!(!is_any_error(br#"{"type":"message","error":null,"content":[]}"#));
        for sound in [r#"{"code":0,"msg":"ok"}"#, r#"{"code":"200","message":"queued"}"#] {
            assert!(!is_any_error(sound.as_bytes()), "{sound}");
        }
        let long =
            br#"{"error":{"type":"invalid_request_error","message":"prompt is too long: 9 tokens > 8 maximum"}}"#;
        assert_eq!(read(400, long).code(), Some("context_length_exceeded"));
    }

    #[test]
    fn a_conversation_that_is_too_long_is_told_in_the_words_that_clients_look_for() {
        let told = |own: &str| {
            let error = Error::upstream(400, "x", own).worded(None, Some(CONTEXT_EXCEEDED.to_owned()), None);
            String::from_utf8(write(&error, None)).unwrap()
        };
        let counted = told("The limit is 128000 tokens, your messages have 150321.");
        assert!(counted.contains(r#""message":"prompt is too long: 150321 tokens > 128000 maximum. The limit"#));
        assert!(told("Too long.").contains(r#""message":"prompt is too long. Too long.""#));
        let lower = "input length and `max_tokens` exceed context limit: 199323 + 20000 > 200000";
        assert!(told(lower).contains(&format!(r#""message":"{lower}""#)));
    }

    #[test]
    fn refused_credentials_are_not_the_callers() {
        let body = br#"{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}"#;
        for error in [read(401, body), read(403, b""), read_in_success(body)] {
            assert_eq!((error.status(), error.code()), (502, Some("upstream_credentials_refused")));
        }
    }

    #[test]
    fn each_status_is_written_as_its_error_type() {
        for (status, kind) in [
            (400, "invalid_request_error"),
            (401, "authentication_error"),
            (413, "request_too_large"),
            (422, "invalid_request_error"),
            (429, "rate_limit_error"),
            (502, "api_error"),
            (503, "overloaded_error"),
            (529, "overloaded_error"),
        ] {
            let written = write(&Error::upstream(status, "x", "no"), None);
            let expected =
                format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"no"}},"request_id":null}}"#);
            assert_eq!(String::from_utf8(written).unwrap(), expected, "{status}");
        }
    }
}

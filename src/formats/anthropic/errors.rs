//! Errors, in both directions: what a provider's refusal means, and how a client is told of one.
//! Source: <https://docs.anthropic.com/en/api/errors>.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::wire::json::object;
use crate::error::Error;
use crate::formats::refusals::{self, instead};
use crate::wire::sse;

/// Each type of error, and its status. Of two with one status, the first is written.
const TYPES: &[(u16, &str)] = &[
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
struct Failure<'a> {
    #[serde(borrow)]
    error: Words<'a>,
}

#[derive(Deserialize)]
struct Words<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    message: Cow<'a, str>,
}

#[derive(Serialize)]
struct Out<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    error: OutWords<'a>,
    request_id: Option<&'a str>,
}

#[derive(Serialize)]
struct OutWords<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    message: &'a str,
}

/// An error as a response's body, or as the data of a stream's last event.
pub(super) fn write(error: &Error, request_id: Option<&str>) -> Vec<u8> {
    let words = OutWords { kind: kind(error.status()), message: error.message() };
    serde_json::to_vec(&Out { kind: "error", error: words, request_id }).unwrap_or_default()
}

/// An error in the middle of a stream: the last event.
pub(super) fn write_event(error: &Error, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: error\n");
    sse::write(&write(error, None), out);
}

fn kind(status: u16) -> &'static str {
    // Not served for reasons of law: nobody may ask for it here.
    let status = if status == 451 { 403 } else { status };
    let known = TYPES.iter().find(|(known, _)| *known == status).map(|(_, kind)| *kind);
    known.unwrap_or(if status < 500 { "invalid_request_error" } else { "api_error" })
}

/// Whether some JSON reports an error.
pub(super) fn is_error(body: &[u8]) -> bool {
    object::<Failure<'_>>(body).is_some()
}

/// An error that came with a status of success, whole or in a stream: its type tells the status that it should have had.
pub(super) fn in_spite(body: &[u8]) -> Error {
    let kind = object::<Failure<'_>>(body).map(|failure| failure.error.kind).unwrap_or_default();
    let status = TYPES.iter().rev().find(|(_, known)| *known == kind).map_or(502, |(status, _)| *status);
    read(status, body)
}

/// What a provider's refusal means for the caller: its own words where it gave any, in the right status.
pub(super) fn read(status: u16, body: &[u8]) -> Error {
    let said = object::<Failure<'_>>(body).map(|failure| failure.error);
    let kind = said.as_ref().map(|said| said.kind.clone().into_owned()).filter(|kind| !kind.is_empty());
    let words =
        refusals::Words { code: None, kind: kind.as_deref(), message: said.as_ref().map(|said| said.message.as_ref()) };
    if let Some(error) = instead(status, words) {
        return error;
    }
    let message = said.map(|said| said.message.into_owned()).or_else(|| plain(body));
    let message = message.filter(|message| !message.is_empty());
    let message = message.unwrap_or_else(|| format!("The provider answered with status {status}."));
    // The one refusal that clients act upon: they shorten the conversation.
    let code = message.starts_with("prompt is too long").then(|| "context_length_exceeded".to_owned());
    Error::upstream(status, "upstream_error", message).worded(kind, code, None)
}

/// A short line of text is worth passing on; a page is not.
fn plain(body: &[u8]) -> Option<String> {
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
        assert_eq!(in_spite(body).status(), 529);
        assert_eq!(read(500, b"<html>").message(), "The provider answered with status 500.");
        assert_eq!(read(302, b"").status(), 502);
        let long =
            br#"{"error":{"type":"invalid_request_error","message":"prompt is too long: 9 tokens > 8 maximum"}}"#;
        assert_eq!(read(400, long).code(), Some("context_length_exceeded"));
    }

    #[test]
    fn refused_credentials_are_not_the_callers() {
        let body = br#"{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}"#;
        for error in [read(401, body), read(403, b""), in_spite(body)] {
            assert_eq!((error.status(), error.code()), (502, Some("upstream_credentials_refused")));
        }
    }

    #[test]
    fn a_client_is_told_of_each_status_by_its_type() {
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
            let told = write(&Error::upstream(status, "x", "no"), None);
            let expected =
                format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"no"}},"request_id":null}}"#);
            assert_eq!(String::from_utf8(told).unwrap(), expected, "{status}");
        }
    }
}

//! Errors for clients: as a response's body, and at the end of a stream.
//! Source: the OpenAI API reference, "Errors", "Streaming events"; Codex acts upon the codes of
//! `response.failed`.

use serde::Serialize;

use crate::error::Error;

/// An error as OpenAI writes it.
#[derive(Serialize)]
pub(super) struct ErrorFields<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    param: Option<&'a str>,
    code: Option<&'a str>,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: ErrorFields<'a>,
}

impl<'a> From<&'a Error> for ErrorFields<'a> {
    fn from(error: &'a Error) -> Self {
        Self { message: error.message(), kind: error.kind(), param: error.param(), code: error.code() }
    }
}

/// Writes an error as a response body.
pub(super) fn write(error: &Error) -> Vec<u8> {
    serde_json::to_vec(&ErrorBody { error: error.into() }).unwrap_or_default()
}

/// Codes that clients know and act upon, whatever the status.
const KNOWN_CODES: &[&str] = &[
    "context_length_exceeded",
    "insufficient_quota",
    "rate_limit_exceeded",
    "invalid_prompt",
    "server_is_overloaded",
    "slow_down",
];

/// The code of a failed response. Codex repeats a turn after any code but these, and waits after a rate limit.
pub(super) fn failure_code(error: &Error) -> &'static str {
    let own = error.code().unwrap_or_default();
    if let Some(known) = KNOWN_CODES.iter().find(|code| **code == own) {
        return known;
    }
    match error.status() {
        429 => "rate_limit_exceeded",
        503 | 529 => "server_is_overloaded",
        400..=499 => "invalid_prompt",
        _ => "server_error",
    }
}

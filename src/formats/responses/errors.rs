//! Errors: of providers, read; for clients, as a response's body and at the end of a stream.
//! Source: the OpenAI API reference, "Errors", "Streaming events"; Codex acts upon the codes of
//! `response.failed`.

use serde::Serialize;
use serde_json::Value;

use crate::error::Error;
use crate::formats::refusals::{Words, instead};
use crate::formats::statement::statement;
use crate::wire::dense::parse_tree;

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

/// Codes of errors that come with a success status, and the status that each should have had.
const CODE_STATUSES: &[(&str, u16)] = &[
    ("rate_limit_exceeded", 429),
    ("insufficient_quota", 429),
    ("context_length_exceeded", 400),
    ("invalid_prompt", 400),
    ("server_is_overloaded", 503),
    ("slow_down", 503),
    ("server_error", 500),
];

/// Reads a provider's error response: keeps its message, type and code, with the status for the client. The body
/// may have been cut.
pub(super) fn read(status: u16, body: &[u8]) -> Error {
    let value = parse_tree(body).unwrap_or_default();
    let fields = value.get("error").filter(|error| !error.is_null()).unwrap_or(&value);
    let word = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
    // An event of a stream says with its type that it is an error.
    let (kind, code) = (word("type").filter(|kind| kind != "error"), word("code"));
    let message = word("message").or_else(|| fields.as_str().map(str::to_owned)).or_else(|| plain_text(body));
    let words = Words { code: code.as_deref(), kind: kind.as_deref(), message: message.as_deref() };
    if let Some(error) = instead(status, words) {
        return error.stating(statement(status, body));
    }
    let message = message.unwrap_or_else(|| format!("The provider answered with status {status}."));
    let error = Error::upstream(status, "upstream_error", message);
    error.worded(kind, code, word("param")).stating(statement(status, body))
}

/// Reads an error that came with a success status, whole or in a stream. Its code gives the status it should have
/// had.
pub(super) fn read_in_success(body: &[u8]) -> Error {
    let error = read(502, body);
    let code = error.code().unwrap_or_default();
    match CODE_STATUSES.iter().find(|(known, _)| *known == code) {
        Some((_, status)) => read(*status, body),
        None => error,
    }
}

/// Passes on a short line of plain text, but not a page.
fn plain_text(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).map(str::trim).unwrap_or_default();
    (!text.is_empty() && text.len() <= 300 && !text.contains(['<', '\n', '{'])).then(|| text.to_owned())
}

/// Writes the events that end a stream of the provider's own bytes that broke off: the error in the form that SDKs
/// raise, and the end that others wait for. Their numbers follow any that can have passed.
pub(super) fn write_end(error: &Error, out: &mut Vec<u8>) {
    let fields = |value: Value| serde_json::to_string(&value).unwrap_or_default();
    let (code, message) = (failure_code(error), error.message());
    let nested = serde_json::json!({ "type": error.kind(), "code": code, "message": message, "param": error.param() });
    let reported = fields(serde_json::json!({
        "type": "error", "sequence_number": u32::MAX - 1,
        "code": code, "message": message, "param": error.param(), "error": nested,
    }));
    let failed = fields(serde_json::json!({
        "type": "response.failed", "sequence_number": u32::MAX,
        "response": { "object": "response", "status": "failed", "error": { "code": code, "message": message } },
    }));
    for (kind, data) in [("error", reported), ("response.failed", failed)] {
        ["event: ", kind, "\ndata: ", &data, "\n\n"].iter().for_each(|piece| out.extend_from_slice(piece.as_bytes()));
    }
}

/// Whether a failure is one that clients act upon in streams only: Codex shortens a conversation that is too long
/// for the model, but takes the same error with a status for a final one.
pub(super) fn fails_in_stream(error: &Error) -> bool {
    error.code() == Some(CONTEXT_LENGTH)
}

/// The code of a prompt that is too long for the model.
const CONTEXT_LENGTH: &str = "context_length_exceeded";

/// Codes that clients know and act upon, whatever the status.
const KNOWN_CODES: &[&str] = &[
    CONTEXT_LENGTH,
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

//! Errors: of providers, read; for clients, written.
//! Source: the OpenAI API reference, "Errors", and recorded error responses of providers of this format.

use serde_json::Value;

use super::wire::{ErrorBody, ErrorFields};
use crate::error::Error;
use crate::formats::refusals::{Words, instead};
use crate::formats::statement::{is_error_code, statement};
use crate::wire::dense::parse_tree;
use crate::wire::sse;

/// Writes an error as a response body.
pub fn write(error: &Error) -> Vec<u8> {
    let (message, kind, param, code) = (error.message(), error.kind(), error.param(), error.code());
    let body = ErrorBody { error: ErrorFields { message, kind, param, code } };
    serde_json::to_vec(&body).unwrap_or_default()
}

/// Writes an error as an event of a stream; `[DONE]` follows it.
pub fn write_event(failure: &Error, out: &mut Vec<u8>) {
    sse::write(&write(failure), out);
}

/// A response with a success status that violates the format.
pub(super) fn invalid(what: &str) -> Error {
    let message = format!("The provider answered with a status of success, but with {what}.");
    Error::upstream(502, "upstream_invalid_response", message)
}

/// A success without choices: the error that it reports under whatever name.
pub(super) fn without_choices(body: &[u8]) -> Error {
    if is_unnamed_error(body) { read_in_success(body) } else { invalid("a body that has no choices") }
}

/// Reads a provider's error response: keeps its message, type and code, with the status for the client.
/// `status` is the provider's. The body may have been cut.
pub fn read(status: u16, body: &[u8]) -> Error {
    let reported = ReportedError::read(body);
    if let Some(error) = instead(status, reported.words()) {
        return error.stating(statement(status, body));
    }
    let message = reported.message.unwrap_or_else(|| format!("The provider answered with status {status}."));
    let error = Error::upstream(status, "upstream_error", message);
    error.worded(reported.kind, reported.code, reported.param).stating(statement(status, body))
}

/// Reads an error that came with a success status. Its status is its code, if that is an error status.
pub fn read_in_success(body: &[u8]) -> Error {
    let code = ReportedError::read(body).code.and_then(|code| code.parse().ok());
    read(code.filter(|code| (400..600).contains(code)).unwrap_or(502), body)
}

/// An error in any of the forms that providers use.
#[derive(Default)]
struct ReportedError {
    message: Option<String>,
    kind: Option<String>,
    code: Option<String>,
    param: Option<String>,
    /// Whether it was JSON.
    structured: bool,
}

impl ReportedError {
    fn read(body: &[u8]) -> Self {
        let Some(value) = parse_tree(body) else { return Self::plain_text(body) };
        // Gemini wraps the object in an array.
        let value = first(&value);
        // Workers AI sends an array of errors, and MiniMax a state.
        let nested = ["error", "errors", "base_resp"].iter().find_map(|name| value.get(name).filter(|it| says(it)));
        let error = nested.map_or(value, first);
        if let Some(text) = error.as_str() {
            // A word of OAuth's errors has its sentence beside it.
            let message = match word(value, "error_description") {
                Some(sentence) => format!("{text}: {sentence}"),
                None => text.to_owned(),
            };
            return Self { message: Some(message), structured: true, ..Self::default() };
        }
        let kind = word(error, "type").or_else(|| word(error, "status"));
        let code = CODES.iter().find_map(|key| word(error, key));
        Self { message: message(error), kind, code, param: word(error, "param"), structured: true }
    }

    /// Passes on a short line of plain text, but not a page.
    fn plain_text(body: &[u8]) -> Self {
        let text = std::str::from_utf8(body).map(str::trim).unwrap_or_default();
        let line = !text.is_empty() && text.len() <= 300 && !text.contains(['<', '\n', '{']);
        Self { message: line.then(|| text.to_owned()), ..Self::default() }
    }

    fn words(&self) -> Words<'_> {
        let message = self.message.as_deref().filter(|_| self.structured);
        Words { code: self.code.as_deref(), kind: self.kind.as_deref(), message }
    }
}

/// The names under which errors have their code.
const CODES: [&str; 3] = ["code", "error_code", "status_code"];

/// The names under which errors have their message.
const MESSAGES: [&str; 8] =
    ["message", "detail", "msg", "Message", "error_msg", "error_message", "status_msg", "errorMessage"];

/// Whether a member says anything: hosts also write that there is no error.
fn says(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        // MiniMax reports its state in each response.
        Value::Object(fields) => !fields.is_empty() && fields.get("status_code").and_then(Value::as_i64) != Some(0),
    }
}

/// The first item of a list; anything else itself.
fn first(value: &Value) -> &Value {
    value.get(0).unwrap_or(value)
}

/// Whether an object that is no response reports an error without naming it `error`: vLLM (`"object":"error"`),
/// FastAPI (`detail`), MiniMax (`base_resp`), Z.ai (`code` and `msg`), and gateways (`"success":false`).
pub(super) fn is_unnamed_error(body: &[u8]) -> bool {
    let Some(value) = parse_tree(body) else { return false };
    let is_error = |name: &str| value.get(name).and_then(Value::as_str) == Some("error");
    let has_message = MESSAGES.iter().any(|name| value.get(name).is_some_and(says));
    let has_code = CODES.iter().any(|name| value.get(name).is_some_and(is_error_code));
    is_error("object")
        || is_error("type")
        || ["errors", "base_resp", "detail"].iter().any(|name| value.get(name).is_some_and(says))
        || has_message && (has_code || value.get("success") == Some(&Value::Bool(false)))
}

/// The message of an error.
fn message(error: &Value) -> Option<String> {
    let own = MESSAGES.iter().find_map(|key| word(error, key).filter(|text| !text.is_empty()));
    // An error of another service may be nested where its message is expected.
    let own = own.or_else(|| message(error.get("message").filter(|nested| nested.is_object())?));
    // OpenRouter passes on the error of another provider.
    let raw = error.pointer("/metadata/raw").and_then(Value::as_str).filter(|raw| !raw.is_empty());
    match (own, raw) {
        (Some(own), Some(raw)) if !own.contains(raw) => Some(format!("{own}: {raw}")),
        (own, raw) => own.or_else(|| raw.map(str::to_owned)).or_else(|| details(error)),
    }
}

/// The first item of FastAPI's list of invalid fields. Mistral puts the list into the message.
fn details(error: &Value) -> Option<String> {
    let list = error.get("detail").or_else(|| error.get("message")?.get("detail"));
    let first = list?.get(0)?;
    let place = first.get("loc").and_then(Value::as_array).into_iter().flatten();
    let place: Vec<String> = place.map(|step| step.as_str().map_or_else(|| step.to_string(), str::to_owned)).collect();
    let words = word(first, "msg")?;
    Some(if place.is_empty() { words } else { format!("{}: {words}", place.join(".")) })
}

fn word(value: &Value, key: &str) -> Option<String> {
    match value.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(status: u16, body: &str) -> (u16, String, Option<String>, String) {
        let error = read(status, body.as_bytes());
        let code = error.code().map(str::to_owned);
        (error.status(), error.kind().to_owned(), code, error.message().to_owned())
    }

    #[test]
    fn an_error_without_the_name_is_told_from_progress() {
        for error in [
            r#"{"object":"error","message":"boom"}"#,
            r#"{"detail":"boom"}"#,
            r#"{"code":1301,"msg":"boom"}"#,
            r#"{"code":"rate_limit","message":"boom"}"#,
            r#"{"base_resp":{"status_code":1004,"status_msg":"boom"}}"#,
            r#"{"success":false,"message":"boom"}"#,
        ] {
            assert!(is_unnamed_error(error.as_bytes()), "{error}");
        }
        for sound in [
            r#"{"code":0,"msg":"ok"}"#,
            r#"{"code":200,"message":"queued"}"#,
            r#"{"code":"success","message":"done"}"#,
            r#"{"code":null,"message":"thinking"}"#,
            r#"{"base_resp":{"status_code":0,"status_msg":"success"}}"#,
            r#"{"message":"thinking"}"#,
        ] {
            assert!(!is_unnamed_error(sound.as_bytes()), "{sound}");
        }
    }

    #[test]
    fn a_refusal_keeps_its_status_and_words() {
        let body = r#"{"error":{"message":"Too long","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#;
        let expected = (400, "invalid_request_error".into(), Some("context_length_exceeded".into()), "Too long".into());
        assert_eq!(error_of(400, body), expected);
        assert_eq!(error_of(429, r#"{"error":"slow down"}"#).3, "slow down");
        assert_eq!(
            error_of(429, r#"[{"error":{"code":429,"message":"Quota","status":"RESOURCE_EXHAUSTED"}}]"#).2.unwrap(),
            "429"
        );
        assert_eq!(error_of(422, r#"{"detail":"bad"}"#).3, "bad");
        assert_eq!(error_of(500, "<html>nginx at http://10.0.0.1</html>").3, "The provider answered with status 500.");
        assert_eq!(error_of(503, "overloaded").3, "overloaded");
        assert_eq!(error_of(500, "").1, "upstream_error");
    }

    #[test]
    fn refused_credentials_are_not_the_callers() {
        for (status, body) in
            [(401, "{}"), (403, "{}"), (400, r#"[{"error":{"message":"API key not valid. Please"}}]"#)]
        {
            assert_eq!(error_of(status, body).2.as_deref(), Some("upstream_credentials_refused"));
            assert_eq!(error_of(status, body).0, 502);
        }
    }

    #[test]
    fn a_status_that_is_not_a_response_is_not_passed_on() {
        for status in [0, 101, 302, 304, 600, 999] {
            assert_eq!(error_of(status, "{}").0, 502, "{status}");
        }
    }
}

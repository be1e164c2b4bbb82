//! Errors of providers, read from error responses and from responses with a success status.

use std::borrow::Cow;

use serde::Deserialize;

use crate::canonical::Raw;
use crate::error::Error;
use crate::formats::refusals::{Words, instead};
use crate::formats::statement::statement;

/// How the message of a prompt begins that is longer than the model takes.
const OVERFLOW: &str = "The input token count";

#[derive(Deserialize)]
struct RpcErrorBody {
    error: RpcStatus,
}

/// Source: <https://ai.google.dev/gemini-api/docs/troubleshooting>, google.rpc.Status.
#[derive(Deserialize, Default)]
#[serde(default)]
struct RpcStatus {
    message: Option<String>,
    /// The HTTP status, if it is a number.
    code: serde_json::Value,
    /// The status name: `RESOURCE_EXHAUSTED`.
    status: Option<String>,
    details: Vec<RpcDetail>,
    /// Whether it was JSON.
    #[serde(skip)]
    structured: bool,
}

/// The field of google.rpc's `ErrorInfo` that is read.
#[derive(Deserialize, Default)]
#[serde(default)]
struct RpcDetail {
    reason: Option<String>,
}

impl RpcStatus {
    /// Reads an error from an object, or from an array that holds one.
    fn read(body: &[u8]) -> Self {
        if body.trim_ascii_start().starts_with(b"[") {
            let list = serde_json::from_slice::<Vec<RpcErrorBody>>(body).unwrap_or_default();
            return list.into_iter().next().map_or_else(Self::default, |body| body.error.structured());
        }
        serde_json::from_slice::<RpcErrorBody>(body)
            .map_or_else(|_| Self::plain_text(body), |body| body.error.structured())
    }

    fn structured(self) -> Self {
        Self { structured: true, ..self }
    }

    /// Passes on a short line of plain text, but not a page.
    fn plain_text(body: &[u8]) -> Self {
        let text = std::str::from_utf8(body).map(str::trim).unwrap_or_default();
        let line = !text.is_empty() && text.len() <= 300 && !text.contains(['<', '\n', '{', '[']);
        Self { message: line.then(|| text.to_owned()), ..Self::default() }
    }

    /// The provider's message, or `otherwise` where it has none.
    fn into_error(self, status: u16, otherwise: impl FnOnce() -> String) -> Error {
        // Clients act on this code: they shorten the conversation.
        let is_overflow = self.message.as_ref().is_some_and(|message| message.starts_with(OVERFLOW));
        let code = if is_overflow { Some("context_length_exceeded".to_owned()) } else { self.status };
        let error = Error::upstream(status, "upstream_error", self.message.unwrap_or_else(otherwise));
        if code.is_some() { error.worded(None, code, None) } else { error }
    }

    /// The words by which refused credentials are recognised. Gemini answers 400 to a wrong key.
    fn words(&self) -> Words<'_> {
        let reasons = self.details.iter().filter_map(|detail| detail.reason.as_deref());
        let code = reasons.max_by_key(|reason| *reason == "API_KEY_INVALID").or(self.status.as_deref());
        Words { code, kind: self.status.as_deref(), message: self.message.as_deref().filter(|_| self.structured) }
    }
}

/// Reads a provider's error response: keeps its message and status name, with the status for the client.
/// `status` is the provider's. The body may have been cut.
pub(crate) fn read(status: u16, body: &[u8]) -> Error {
    let fields = RpcStatus::read(body);
    let error = instead(status, fields.words());
    let error =
        error.unwrap_or_else(|| fields.into_error(status, || format!("The provider answered with status {status}.")));
    error.stating(statement(status, body))
}

/// Reads the value of `error` in a response that came with a success status.
pub(crate) fn read_in_success(error: &Raw<'_>) -> Error {
    let fields: RpcStatus = serde_json::from_str(error.get())
        .unwrap_or_else(|_| RpcStatus { message: error.text().map(Cow::into_owned), ..RpcStatus::default() })
        .structured();
    let code = fields.code.as_u64().and_then(|code| u16::try_from(code).ok());
    let status = code.filter(|code| (400..600).contains(code)).unwrap_or(502);
    let replaced = instead(status, fields.words());
    let own = || "The provider reported an error instead of a response.".to_owned();
    replaced.unwrap_or_else(|| fields.into_error(status, own)).stating(statement(status, error.get().as_bytes()))
}

/// A response that violates the format.
pub(crate) fn invalid(message: &str) -> Error {
    Error::upstream(502, "upstream_invalid_response", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(status: u16, body: &str) -> (u16, String, String) {
        let error = read(status, body.as_bytes());
        (error.status(), error.code().unwrap().to_owned(), error.message().to_owned())
    }

    #[test]
    fn a_refusal_keeps_its_status_and_words() {
        let quota =
            r#"{"error":{"code":429,"message":"Quota","status":"RESOURCE_EXHAUSTED","details":[{"@type":"x"}]}}"#;
        assert_eq!(error_of(429, quota), (429, "RESOURCE_EXHAUSTED".into(), "Quota".into()));
        assert_eq!(error_of(429, &format!("[{quota}]")), error_of(429, quota));
        assert_eq!(error_of(500, "<html>").2, "The provider answered with status 500.");
        assert_eq!(error_of(503, "overloaded").2, "overloaded");
        assert_eq!(error_of(500, "[]").1, "upstream_error");
        assert_eq!(error_of(302, "{}").0, 502);
    }

    #[test]
    fn a_prompt_that_is_too_long_has_the_code_that_clients_know() {
        let message = "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).";
        let body = format!(r#"{{"error":{{"code":400,"message":"{message}","status":"INVALID_ARGUMENT"}}}}"#);
        assert_eq!(error_of(400, &body), (400, "context_length_exceeded".into(), message.into()));
    }

    #[test]
    fn refused_credentials_are_not_the_callers() {
        let wrong = r#"{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}"#;
        let expired = r#"{"error":{"message":"Renew it","details":[{"reason":"API_KEY_INVALID"}]}}"#;
        for (status, body) in [(401, "{}"), (403, "{}"), (400, wrong), (400, expired)] {
            let (status, code, _) = error_of(status, body);
            assert_eq!((status, code.as_str()), (502, "upstream_credentials_refused"));
        }
    }
}

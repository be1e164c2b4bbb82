//! Writes errors for clients, as a response's body or an event of a stream.
//! Sources: <https://google.aip.dev/193>, google.rpc.Status and google/rpc/error_details.proto.

use serde::Serialize;

use crate::error::Error;
use crate::formats::context_words::{self, ContextTokens};
use crate::wire::sse;

/// Each status and the name of its google.rpc.Code.
const CODES: &[(u16, &str)] = &[
    (400, "INVALID_ARGUMENT"),
    (401, "UNAUTHENTICATED"),
    (402, "FAILED_PRECONDITION"),
    (403, "PERMISSION_DENIED"),
    (404, "NOT_FOUND"),
    (409, "ABORTED"),
    (429, "RESOURCE_EXHAUSTED"),
    (451, "PERMISSION_DENIED"),
    (499, "CANCELLED"),
    (500, "INTERNAL"),
    (501, "UNIMPLEMENTED"),
    (503, "UNAVAILABLE"),
    (504, "DEADLINE_EXCEEDED"),
    (529, "UNAVAILABLE"),
];

/// The domain of the reasons that are this gateway's own.
const DOMAIN: &str = "llm-bridge";

/// The code of an error of a key whose budget is used up.
const BUDGET_CODE: &str = "insufficient_quota";

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: WrittenStatus<'a>,
}

#[derive(Serialize)]
struct WrittenStatus<'a> {
    code: u16,
    message: &'a str,
    status: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    details: Vec<Detail<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "@type")]
enum Detail<'a> {
    #[serde(rename = "type.googleapis.com/google.rpc.ErrorInfo")]
    Info { reason: String, domain: &'static str },
    #[serde(rename = "type.googleapis.com/google.rpc.BadRequest", rename_all = "camelCase")]
    BadRequest { field_violations: [FieldViolation<'a>; 1] },
    #[serde(rename = "type.googleapis.com/google.rpc.QuotaFailure")]
    Quota { violations: [QuotaViolation<'a>; 1] },
    /// Clients wait as long before they repeat the request.
    #[serde(rename = "type.googleapis.com/google.rpc.RetryInfo", rename_all = "camelCase")]
    Retry { retry_delay: String },
}

#[derive(Serialize)]
struct FieldViolation<'a> {
    field: &'a str,
    description: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct QuotaViolation<'a> {
    quota_id: String,
    description: &'a str,
}

/// Writes an error as a response's body.
pub(crate) fn write(error: &Error) -> Vec<u8> {
    let message = &context_words::message(error, &["exceeds the maximum number of tokens"], too_long);
    let status =
        WrittenStatus { code: error.status(), message, status: code_name(error.status()), details: details(error) };
    serde_json::to_vec(&ErrorBody { error: status }).unwrap_or_default()
}

/// Writes an error as the last event of a stream. Google's clients look for it in the data of events, except older
/// ones for Node, such as the one in Gemini CLI: they take the end of the stream for a success unless bytes are left
/// that are no event, as in Google's own errors. By the rules of server-sent events, such bytes are discarded.
pub(crate) fn write_event(error: &Error, out: &mut Vec<u8>) {
    let body = write(error);
    sse::write(&body, out);
    out.extend_from_slice(&body);
}

/// Google's words for a conversation that is too long.
fn too_long(tokens: Option<ContextTokens>) -> String {
    match tokens {
        Some(ContextTokens { requested, allowed }) => {
            format!("The input token count ({requested}) exceeds the maximum number of tokens allowed ({allowed}).")
        }
        None => "The input token count exceeds the maximum number of tokens allowed.".to_owned(),
    }
}

fn code_name(status: u16) -> &'static str {
    let known = CODES.iter().find(|(known, _)| *known == status).map(|(_, name)| *name);
    known.unwrap_or(if status < 500 { "FAILED_PRECONDITION" } else { "INTERNAL" })
}

fn details(error: &Error) -> Vec<Detail<'_>> {
    let mut details = Vec::new();
    let reason = error.code().map(reason).filter(|reason| !reason.is_empty());
    // A provider's own words are no reasons of this gateway.
    if let Some(reason) = reason.clone().filter(|_| !error.is_reported()) {
        details.push(Detail::Info { reason, domain: DOMAIN });
    }
    if let (400, Some(field)) = (error.status(), error.param()) {
        details.push(Detail::BadRequest { field_violations: [FieldViolation { field, description: error.message() }] });
    }
    // Without a quota, clients take the error for a rate limit, and repeat a request that cannot be served.
    if error.status() == 429
        && error.code() == Some(BUDGET_CODE)
        && let Some(quota_id) = reason
    {
        details.push(Detail::Quota { violations: [QuotaViolation { quota_id, description: error.message() }] });
    }
    details.extend(delay(error).map(|retry_delay| Detail::Retry { retry_delay }));
    details
}

/// A code as a reason: at most 63 of `A-Z`, `0-9` and `_`.
fn reason(code: &str) -> String {
    let word = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    code.chars().take(63).map(word).collect()
}

/// How long to wait, as a google.protobuf.Duration, if the error says so in seconds.
fn delay(error: &Error) -> Option<String> {
    let header = |name: &str| {
        let (_, value) = error.headers().iter().find(|(known, _)| *known == name)?;
        value.parse::<u64>().ok()
    };
    match (header("retry-after-ms"), header("retry-after")) {
        (Some(millis), _) => Some(format!("{}.{:03}s", millis / 1000, millis % 1000)),
        (None, Some(seconds)) => Some(format!("{seconds}s")),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn written(error: &Error) -> Value {
        serde_json::from_slice::<Value>(&write(error)).unwrap()["error"].clone()
    }

    #[test]
    fn a_refusal_names_its_field_and_its_reason() {
        let error = Error::caller(400, "invalid_value", "`contents` must be an array.").at("contents");
        assert_eq!(
            written(&error),
            json!({
                "code": 400, "message": "`contents` must be an array.", "status": "INVALID_ARGUMENT",
                "details": [
                    { "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "INVALID_VALUE", "domain": "llm-bridge" },
                    {
                        "@type": "type.googleapis.com/google.rpc.BadRequest",
                        "fieldViolations": [{ "field": "contents", "description": "`contents` must be an array." }],
                    },
                ],
            })
        );
    }

    #[test]
    fn a_rate_limit_says_how_long_to_wait_and_a_budget_that_waiting_is_no_use() {
        let limited = |code| Error::caller(429, code, "Slow down.");
        let seconds = written(&limited("rate_limit_exceeded").with_header("retry-after", "7"));
        assert_eq!(seconds["details"][1]["retryDelay"], "7s");
        assert_eq!(seconds["status"], "RESOURCE_EXHAUSTED");
        let millis = limited("x").with_header("retry-after", "1").with_header("retry-after-ms", "250");
        assert_eq!(written(&millis)["details"][1]["retryDelay"], "0.250s");
        let date = limited("x").with_header("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(written(&date)["details"].as_array().unwrap().len(), 1);
        let budget = written(&limited("insufficient_quota"));
        assert_eq!(budget["details"][1]["violations"][0]["quotaId"], "INSUFFICIENT_QUOTA");
    }

    /// `@google/genai` 1.x: events by `/^\s*data: (.*)\n\n/`, and an error if anything but whitespace is left.
    #[test]
    fn what_ends_a_stream_is_an_event_and_a_rest_that_is_none() {
        let mut out = Vec::new();
        write_event(&Error::upstream(502, "stream_truncated", "It broke off."), &mut out);
        let text = String::from_utf8(out).unwrap();
        let (event, rest) = text.split_once("\n\n").unwrap();
        assert_eq!(event.strip_prefix("data: "), Some(rest));
        assert_eq!(serde_json::from_str::<Value>(rest).unwrap()["error"]["code"], 502);
        assert!(!rest.contains('\n'));
    }

    #[test]
    fn a_conversation_that_is_too_long_is_told_in_googles_words() {
        let code = Some(context_words::CONTEXT_EXCEEDED.to_owned());
        let error =
            Error::upstream(400, "x", "prompt is too long: 9000 tokens > 8000 maximum").worded(None, code, None);
        let message = "The input token count (9000) exceeds the maximum number of tokens allowed (8000). prompt is too long: 9000 tokens > 8000 maximum";
        assert_eq!(written(&error)["message"], message);
    }

    #[test]
    fn each_status_has_the_name_of_a_code() {
        for (status, name) in [
            (401, "UNAUTHENTICATED"),
            (413, "FAILED_PRECONDITION"),
            (499, "CANCELLED"),
            (502, "INTERNAL"),
            (529, "UNAVAILABLE"),
        ] {
            assert_eq!(written(&Error::upstream(status, "x", "y"))["status"], name, "{status}");
        }
        let provider = Error::upstream(500, "x", "y").worded(None, Some("odd".into()), None);
        assert_eq!(written(&provider), json!({ "code": 500, "message": "y", "status": "INTERNAL" }));
    }
}

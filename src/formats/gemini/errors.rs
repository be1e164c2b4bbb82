//! What Gemini's refusals mean for the caller. It does not know answers.

use std::borrow::Cow;

use serde::Deserialize;

use crate::canonical::Raw;
use crate::error::Error;
use crate::formats::refusals::{Words, instead};

#[derive(Deserialize)]
struct Failure {
    error: Said,
}

/// <https://ai.google.dev/gemini-api/docs/troubleshooting>, google.rpc.Status.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Said {
    message: Option<String>,
    /// The status, if it is a number.
    code: serde_json::Value,
    /// The word for it: `RESOURCE_EXHAUSTED`.
    status: Option<String>,
    details: Vec<Detail>,
    /// It stood in JSON.
    #[serde(skip)]
    structured: bool,
}

/// One of google.rpc's `ErrorInfo`, `RetryInfo` and others.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Detail {
    reason: Option<String>,
    /// In seconds: `37s`, `0.5s`.
    retry_delay: Option<String>,
}

impl Said {
    /// An error stands in an object, or in a list of one.
    fn read(body: &[u8]) -> Self {
        if body.trim_ascii_start().starts_with(b"[") {
            let list = serde_json::from_slice::<Vec<Failure>>(body).unwrap_or_default();
            return list.into_iter().next().map_or_else(Self::default, |failure| failure.error.structured());
        }
        serde_json::from_slice::<Failure>(body).map_or_else(|_| Self::plain(body), |failure| failure.error.structured())
    }

    fn structured(self) -> Self {
        Self { structured: true, ..self }
    }

    /// A short line of text is worth passing on; a page is not.
    fn plain(body: &[u8]) -> Self {
        let text = std::str::from_utf8(body).map(str::trim).unwrap_or_default();
        let line = !text.is_empty() && text.len() <= 300 && !text.contains(['<', '\n', '{', '[']);
        Self { message: line.then(|| text.to_owned()), ..Self::default() }
    }

    /// The provider's words, or others where it has none.
    fn worded(self, status: u16, otherwise: impl FnOnce() -> String) -> Error {
        let error = Error::upstream(status, "upstream_error", self.message.unwrap_or_else(otherwise));
        if self.status.is_some() { error.worded(None, self.status, None) } else { error }
    }

    /// The words for whose fault it is. Gemini says 400 to a wrong key.
    fn words(&self) -> Words<'_> {
        let reasons = self.details.iter().filter_map(|detail| detail.reason.as_deref());
        let code = reasons.max_by_key(|reason| *reason == "API_KEY_INVALID").or(self.status.as_deref());
        Words { code, kind: self.status.as_deref(), message: self.message.as_deref().filter(|_| self.structured) }
    }

    /// When another try is worth it, in whole seconds. Gemini tells it here and in no header.
    fn wait(&self) -> Option<u64> {
        let delay = self.details.iter().find_map(|detail| detail.retry_delay.as_deref()?.strip_suffix('s'))?;
        let (whole, rest) = delay.split_once('.').unwrap_or((delay, ""));
        let more = u64::from(rest.bytes().any(|digit| digit != b'0'));
        whole.parse::<u64>().ok().map(|whole| whole.saturating_add(more).max(1))
    }
}

/// What a provider's refusal means for the caller: its own words where it gave any, in the right status.
/// `status` is the provider's; the body may have been cut.
pub(super) fn read(status: u16, body: &[u8]) -> Error {
    let said = Said::read(body);
    if let Some(error) = instead(status, said.words()) {
        return error;
    }
    let wait = said.wait();
    let error = said.worded(status, || format!("The provider answered with status {status}."));
    match wait {
        Some(seconds) => error.with_header("retry-after", seconds.to_string()),
        None => error,
    }
}

/// What an error within an answer means, whose status was one of success: `error` is what stands under that name.
pub(super) fn reported(error: &Raw<'_>) -> Error {
    let said: Said = serde_json::from_str(error.get())
        .unwrap_or_else(|_| Said { message: error.text().map(Cow::into_owned), ..Said::default() })
        .structured();
    let code = said.code.as_u64().and_then(|code| u16::try_from(code).ok());
    let status = code.filter(|code| (400..600).contains(code)).unwrap_or(502);
    if let Some(error) = instead(status, said.words()) {
        return error;
    }
    said.worded(status, || "The provider reported an error instead of an answer.".to_owned())
}

/// An answer that is none.
pub(super) fn invalid(message: &str) -> Error {
    Error::upstream(502, "upstream_invalid_response", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(status: u16, body: &str) -> (u16, String, String) {
        let error = read(status, body.as_bytes());
        (error.status(), error.code().unwrap().to_owned(), error.message().to_owned())
    }

    #[test]
    fn a_refusal_keeps_its_status_and_words() {
        let quota =
            r#"{"error":{"code":429,"message":"Quota","status":"RESOURCE_EXHAUSTED","details":[{"@type":"x"}]}}"#;
        assert_eq!(told(429, quota), (429, "RESOURCE_EXHAUSTED".into(), "Quota".into()));
        assert_eq!(told(429, &format!("[{quota}]")), told(429, quota));
        assert_eq!(told(500, "<html>").2, "The provider answered with status 500.");
        assert_eq!(told(503, "overloaded").2, "overloaded");
        assert_eq!(told(500, "[]").1, "upstream_error");
        assert_eq!(told(302, "{}").0, 502);
    }

    #[test]
    fn pain_21_the_wait_that_a_refusal_asks_for_is_a_header() {
        let wait = |delay: &str| {
            let body =
                format!(r#"{{"error":{{"message":"x","details":[{{"@type":"a"}},{{"retryDelay":"{delay}"}}]}}}}"#);
            read(429, body.as_bytes()).headers().to_vec()
        };
        assert_eq!(wait("37s"), [("retry-after", "37".to_owned())]);
        assert_eq!(wait("37.010s"), [("retry-after", "38".to_owned())]);
        assert_eq!(wait("0s"), [("retry-after", "1".to_owned())]);
        assert!(wait("soon").is_empty() && wait("-1s").is_empty());
    }

    #[test]
    fn refused_credentials_are_not_the_callers() {
        let wrong = r#"{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}"#;
        let expired = r#"{"error":{"message":"Renew it","details":[{"reason":"API_KEY_INVALID"}]}}"#;
        for (status, body) in [(401, "{}"), (403, "{}"), (400, wrong), (400, expired)] {
            let (status, code, _) = told(status, body);
            assert_eq!((status, code.as_str()), (502, "upstream_credentials_refused"));
        }
    }
}

//! A request that failed: what went wrong, when, and whether the provider may bill for it.

use super::record::ResponseFacts;
use crate::error::Error;
use crate::formats::context_words::CONTEXT_EXCEEDED;
use crate::policy::failure::{Cause, FailedCall, FailureClass};
use crate::policy::waiting::Wait;

/// How far a call had come when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureStage {
    /// Nothing had been sent.
    BeforeSend,
    /// The response's head had not come.
    AwaitingHead,
    /// The head had come with a status of success, but no content.
    BeforeContent,
    /// Content had come, and another attempt can stand in for it: none of it has left for the client, or the
    /// client can be shown more.
    Held,
    /// Content had come.
    AfterContent,
}

/// A request that failed: why, when, and what it took.
#[derive(Debug)]
pub struct Failure {
    /// What the caller is told.
    pub error: Error,
    /// Why it failed.
    pub cause: Cause,
    /// When.
    pub stage: FailureStage,
    /// The provider may have generated tokens, and bill for them.
    pub billable: bool,
    /// What the response said of itself, if one came.
    pub(super) response: Option<Box<ResponseFacts>>,
}

impl Failure {
    /// The failure that an error of the gateway itself means at this stage.
    pub fn of(error: Error, stage: FailureStage) -> Self {
        Self::of_call(error, stage, FailedCall { host: None, now: 0 })
    }

    /// The failure that an error means at this stage of a call. If the provider asks to wait, but not by a
    /// header that is passed on, the error gets one.
    pub fn of_call(error: Error, stage: FailureStage, call: FailedCall<'_>) -> Self {
        let cause = Cause::of_error(&error, call);
        let is_stated = error.is_reported() || error.statement().is_some();
        let billable = !is_stated && may_be_billed(cause.class, stage);
        let error = with_context_code(with_wait(error, cause.wait), cause.class);
        Self { error, cause, stage, billable, response: None }
    }

    /// Adds what the response said of itself.
    #[must_use]
    pub(super) fn with_response(self, facts: ResponseFacts) -> Self {
        Self { response: Some(Box::new(facts)), ..self }
    }
}

impl From<Error> for Failure {
    /// Nothing has been sent to a provider yet.
    fn from(error: Error) -> Self {
        Self::of(error, FailureStage::BeforeSend)
    }
}

/// A provider that is still generating will bill for it, as will one whose response broke off. One that
/// refused will not.
fn may_be_billed(class: FailureClass, stage: FailureStage) -> bool {
    let has_head = !matches!(stage, FailureStage::BeforeSend | FailureStage::AwaitingHead);
    match class {
        FailureClass::Timeout => stage != FailureStage::BeforeSend,
        FailureClass::Unreachable | FailureClass::Truncated => has_head,
        FailureClass::Rate
        | FailureClass::Quota
        | FailureClass::Credential
        | FailureClass::Overload
        | FailureClass::Capacity
        | FailureClass::Context
        | FailureClass::TpmSize
        | FailureClass::Policy
        | FailureClass::Unsupported
        | FailureClass::Region
        | FailureClass::Caller
        | FailureClass::Hollow => false,
    }
}

/// Tells the client how long the provider asks it to wait, in whole seconds, if none of the provider's own
/// headers does. An error that replaces the provider's does not tell.
fn with_wait(error: Error, wait: Option<Wait>) -> Error {
    let own = error.statement().filter(|statement| statement.status == error.status());
    let is_silent = own.is_some_and(|own| own.headers.iter().all(|(name, _)| !PASSED_ON.contains(name)));
    match wait {
        Some(wait) if is_silent => error.with_header("retry-after", wait.whole_seconds().to_string()),
        Some(_) | None => error,
    }
}

/// Gives a provider's refusal of a conversation that is too long the code by which clients know it. 413 says
/// the same of bytes.
fn with_context_code(error: Error, class: FailureClass) -> Error {
    let is_told = error.statement().is_some_and(|own| own.status == error.status()) && error.status() != 413;
    if is_told && class == FailureClass::Context { error.coded(CONTEXT_EXCEEDED) } else { error }
}

/// The headers of providers that clients know.
const PASSED_ON: &[&str] = &["retry-after", "retry-after-ms"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Statement;
    use crate::policy::failure::FailureScope;

    fn billable(error: &Error, stages: [FailureStage; 3]) -> [bool; 3] {
        stages.map(|stage| Failure::of(error.clone(), stage).billable)
    }

    const STAGES: [FailureStage; 3] =
        [FailureStage::BeforeSend, FailureStage::AwaitingHead, FailureStage::BeforeContent];

    #[test]
    fn a_provider_that_may_have_generated_may_bill() {
        let own = |status, code| Error::upstream(status, code, "");
        assert_eq!(billable(&own(504, "upstream_timeout"), STAGES), [false, true, true]);
        assert_eq!(billable(&own(502, "upstream_unreachable"), STAGES), [false, false, true]);
        assert_eq!(billable(&own(502, "stream_truncated"), STAGES), [false, false, true]);
        assert_eq!(billable(&own(502, "upstream_invalid_response"), STAGES), [false; 3]);
    }

    #[test]
    fn a_refusal_is_not_billed_whatever_the_provider_calls_it() {
        for code in ["upstream_timeout", "stream_truncated", "upstream_unreachable"] {
            let error = Error::upstream(504, "upstream_error", "").worded(None, Some(code.to_owned()), None);
            assert_eq!(billable(&error, STAGES), [false; 3], "{code}");
        }
    }

    #[test]
    fn a_gateway_without_room_asks_to_wait_and_blames_nobody() {
        let full = crate::gateway::memory::full();
        let failure = Failure::of(full, FailureStage::BeforeSend);
        assert_eq!((failure.cause.class, failure.cause.scope), (FailureClass::Overload, FailureScope::Request));
        assert!(failure.cause.wait.is_some() && !failure.billable);
    }

    #[test]
    fn a_conversation_that_is_too_long_has_one_code_whatever_the_provider_calls_it() {
        let call = FailedCall { host: None, now: 0 };
        let code = |status, word: &str, text: &str| {
            let texts = vec![text.to_owned()];
            let statement = Statement { status, words: vec![word.to_owned()], texts, ..Statement::default() };
            let error = Error::upstream(status, "upstream_error", text).worded(None, Some(word.to_owned()), None);
            let failure = Failure::of_call(error.stating(statement), FailureStage::AwaitingHead, call);
            failure.error.code().map(str::to_owned)
        };
        let google = "the input token count (9) exceeds the maximum number of tokens allowed (8).";
        let anthropic = "input length and `max_tokens` exceed context limit: 199323 + 20000 > 200000";
        let vllm = "this model's maximum context length is 32768 tokens. however, you requested 40000 tokens";
        for (word, text) in [("invalid_argument", google), ("invalid_request_error", anthropic), ("400", vllm)] {
            assert_eq!(code(400, word, text).as_deref(), Some(CONTEXT_EXCEEDED), "{text}");
        }
        assert_eq!(code(413, "request_too_large", "too many bytes").as_deref(), Some("request_too_large"));
        assert_eq!(code(400, "invalid_value", "no").as_deref(), Some("invalid_value"));
    }

    #[test]
    fn a_wait_that_clients_cannot_read_is_told_by_a_header() {
        let call = FailedCall { host: None, now: 0 };
        let told = |status, text: &str, headers: &[(&'static str, &str)]| {
            let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
            let statement = Statement { status: 429, texts: vec![text.to_owned()], headers, ..Statement::default() };
            let error = Error::upstream(status, "upstream_error", "").stating(statement);
            Failure::of_call(error, FailureStage::AwaitingHead, call).error.headers().to_vec()
        };
        let waits = "please retry in 36.4s.";
        assert_eq!(told(429, waits, &[]), [("retry-after", "37".to_owned())]);
        assert_eq!(told(429, waits, &[("retry-after-ms", "5")]), []);
        assert_eq!(told(502, waits, &[]), []);
        assert_eq!(told(429, "later", &[]), []);
        let reset = [("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "6m0s")];
        assert_eq!(told(429, "later", &reset), [("retry-after", "360".to_owned())]);
    }
}

//! A request that failed: what went wrong, when, and whether the provider may bill for it.

use super::record::ResponseFacts;
use crate::config::Millis;
use crate::error::{Error, Fault};
use crate::policy::failure::{self, Cause, FailureClass, StatedFailure};
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

/// The call that failed.
#[derive(Clone, Copy, Debug)]
pub struct FailedCall<'h> {
    /// The provider's host in the catalogue, if it is known there.
    pub host: Option<&'h str>,
    /// When it failed.
    pub now: Millis,
}

impl Failure {
    /// The failure that an error means at this stage, whatever provider was called.
    pub fn of(error: Error, stage: FailureStage) -> Self {
        let stated = StatedFailure { status: error.status(), kind: error.kind(), code: error.code() };
        let class = match error.fault() {
            _ if error.is_reported() => failure::reported(stated),
            Fault::Upstream => failure::own(stated),
            Fault::Caller | Fault::Gateway => FailureClass::Caller,
        };
        let billable = !error.is_reported() && may_be_billed(class, stage);
        let cause = Cause { wait: retry_after(&error).map(Wait::of), ..Cause::of(class) };
        Self { error, cause, stage, billable, response: None }
    }

    /// The failure that an error means at this stage of a call.
    pub fn of_call(error: Error, stage: FailureStage, _call: FailedCall<'_>) -> Self {
        Self::of(error, stage)
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
    let has_head = matches!(stage, FailureStage::BeforeContent | FailureStage::AfterContent);
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

fn retry_after(error: &Error) -> Option<Millis> {
    let header = |wanted: &str| {
        let found = error.headers().iter().find(|(name, _)| *name == wanted);
        found.and_then(|(_, value)| value.parse::<Millis>().ok())
    };
    header("retry-after-ms").or_else(|| header("retry-after").map(|seconds| seconds.saturating_mul(1_000)))
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn milliseconds_count_before_seconds() {
        let wait = |error: Error| Failure::of(error, FailureStage::AwaitingHead).cause.wait;
        let busy = Error::upstream(429, "upstream_error", "");
        assert_eq!(wait(busy.clone()), None);
        assert_eq!(wait(busy.clone().with_header("retry-after", "2")), Some(Wait::For(2_000)));
        assert_eq!(
            wait(busy.with_header("retry-after", "2").with_header("retry-after-ms", "150")),
            Some(Wait::For(150))
        );
    }
}

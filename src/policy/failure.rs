//! Classifies failed calls of providers.

use super::waiting::Wait;
pub use crate::catalogue::{FailureClass, FailureScope};
use crate::config::Millis;

/// Why a call failed, as far as that decides what is tried next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cause {
    /// What went wrong.
    pub class: FailureClass,
    /// What fails with it.
    pub scope: FailureScope,
    /// How long the provider asks to wait, if it does.
    pub wait: Option<Wait>,
}

impl Cause {
    /// A failure of this class, with its usual scope and without a wait.
    pub fn of(class: FailureClass) -> Self {
        Self { class, scope: class.usual_scope(), wait: None }
    }
}

/// What the caller is told of several failures of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MostUseful {
    /// The index of the failure whose error the caller gets.
    pub index: usize,
    /// The least wait that any target asks for, in milliseconds; `None` if none asks for one. A target that
    /// asks for none because a wait does not help does not count.
    pub wait: Option<Millis>,
}

/// Which of several failures of one request the caller is told: the one that the caller can do most about. Of
/// equally useful ones it is the one with the least wait, then the first. `None` if there are none.
pub fn most_useful(causes: &[Cause]) -> Option<MostUseful> {
    let key = |cause: &Cause| (usefulness(cause.class), cause.wait.map_or(Millis::MAX, Wait::stated));
    let (index, _) = causes.iter().enumerate().min_by_key(|(_, cause)| key(cause))?;
    let wait = causes.iter().filter_map(|cause| cause.wait).map(Wait::stated).min();
    Some(MostUseful { index, wait })
}

/// Whether the client may succeed by sending the same request again soon. If not, its response says
/// `x-should-retry: false`, which keeps official SDKs from repeating it.
pub fn may_retry_help(causes: &[Cause]) -> bool {
    causes.iter().any(|cause| cause.class == Rate)
}

/// The rank of a class in errors for callers; the lowest is told.
fn usefulness(class: FailureClass) -> u8 {
    match class {
        Caller => 0,
        Policy => 1,
        Context => 2,
        TpmSize => 3,
        Rate => 4,
        Capacity => 5,
        Quota => 6,
        Overload => 7,
        Timeout => 8,
        Hollow => 9,
        Truncated => 10,
        Unreachable => 11,
        Region => 12,
        Unsupported => 13,
        Credential => 14,
    }
}

/// A failure as a provider or the gateway states it.
#[derive(Clone, Copy, Debug)]
pub struct StatedFailure<'f> {
    /// The HTTP status.
    pub status: u16,
    /// The general type of the error: OpenAI's `type`, Google's `status`.
    pub kind: &'f str,
    /// The specific code, if there is one: OpenAI's `code`.
    pub code: Option<&'f str>,
}

use FailureClass::{
    Caller, Capacity, Context, Credential, Hollow, Overload, Policy, Quota, Rate, Region, Timeout, TpmSize, Truncated,
    Unreachable, Unsupported,
};

/// Codes and types that providers document, in lower case.
const REPORTED: &[(&str, FailureClass)] = &[
    ("rate_limit_exceeded", Rate),
    ("rate_limit_error", Rate),
    ("resource_exhausted", Rate),
    ("insufficient_quota", Quota),
    ("credit_balance_exhausted", Quota),
    ("organization_spend_limit_exceeded", Quota),
    ("project_spend_limit_exceeded", Quota),
    ("organization_usage_limit_exceeded", Quota),
    ("quota_exceeded", Quota),
    ("billing_error", Quota),
    ("payment_required", Quota),
    ("invalid_api_key", Credential),
    ("authentication_error", Credential),
    ("unauthenticated", Credential),
    ("overloaded_error", Overload),
    ("server_is_overloaded", Overload),
    ("service_unavailable_error", Overload),
    ("unavailable", Overload),
    ("capacity_exceeded", Capacity),
    ("resource_unavailable", Capacity),
    ("context_length_exceeded", Context),
    ("request_too_large", Context),
    ("invalid_prompt", Policy),
    ("content_filter", Policy),
    ("content_policy_violation", Policy),
    ("safety", Policy),
    ("prohibited_content", Policy),
    ("model_not_found", Unsupported),
    ("deploymentnotfound", Unsupported),
    ("unsupported_country_region_territory", Region),
];

/// The gateway's own codes for failed calls.
const OWN: &[(&str, FailureClass)] = &[
    ("upstream_timeout", Timeout),
    ("upstream_unreachable", Unreachable),
    ("stream_truncated", Truncated),
    ("upstream_invalid_response", Hollow),
    ("event_too_large", Unsupported),
    ("answer_too_large", Unsupported),
    ("upstream_credentials_refused", Credential),
];

/// Classifies a failure that a provider reported: by its code, else its type, else the status.
pub fn reported(failure: StatedFailure<'_>) -> FailureClass {
    let known = |word: &str| find(REPORTED, &word.to_ascii_lowercase());
    failure.code.and_then(known).or_else(|| known(failure.kind)).unwrap_or_else(|| of_status(failure.status))
}

/// Classifies a failure that the gateway found itself: by its code, else the status.
pub fn own(failure: StatedFailure<'_>) -> FailureClass {
    failure.code.and_then(|code| find(OWN, code)).unwrap_or_else(|| of_status(failure.status))
}

fn find(table: &[(&str, FailureClass)], word: &str) -> Option<FailureClass> {
    table.iter().find(|(known, _)| *known == word).map(|(_, class)| *class)
}

/// The class of a failure of which only the status is known.
fn of_status(status: u16) -> FailureClass {
    match status {
        401 | 403 => Credential,
        402 => Quota,
        404 => Unsupported,
        413 => Context,
        408 | 504 | 524 => Timeout,
        429 => Rate,
        521..=523 | 525 | 526 | 530 => Unreachable,
        500.. => Overload,
        _ => Caller,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(status: u16, kind: &str, code: Option<&str>) -> FailureClass {
        super::reported(StatedFailure { status, kind, code })
    }

    #[test]
    fn a_code_takes_precedence_over_a_type_and_a_type_over_a_status() {
        assert_eq!(reported(429, "requests", Some("rate_limit_exceeded")), Rate);
        assert_eq!(reported(429, "insufficient_quota", Some("insufficient_quota")), Quota);
        assert_eq!(reported(429, "rate_limit_error", Some("quota_exceeded")), Quota);
        assert_eq!(reported(429, "RESOURCE_EXHAUSTED", Some("429")), Rate);
        assert_eq!(reported(529, "overloaded_error", None), Overload);
        assert_eq!(reported(400, "invalid_request_error", Some("context_length_exceeded")), Context);
        assert_eq!(reported(400, "invalid_request_error", None), Caller);
        assert_eq!(reported(403, "x", Some("unsupported_country_region_territory")), Region);
    }

    #[test]
    fn a_status_decides_where_nothing_else_does() {
        for (status, class) in [
            (400, Caller),
            (402, Quota),
            (404, Unsupported),
            (429, Rate),
            (500, Overload),
            (522, Unreachable),
            (524, Timeout),
            (599, Overload),
        ] {
            assert_eq!(reported(status, "", None), class, "{status}");
        }
    }

    #[test]
    fn the_gateways_own_codes_are_not_taken_from_providers() {
        let failure = StatedFailure { status: 502, kind: "upstream_error", code: Some("upstream_timeout") };
        assert_eq!(own(failure), Timeout);
        assert_eq!(super::reported(failure), Overload);
    }
}

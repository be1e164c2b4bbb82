//! Classifies failed calls of providers.

/// The class of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureClass {
    /// A limit of requests or tokens per minute. The same call can succeed later.
    Rate,
    /// The balance or the allowance of a longer period is used up.
    Quota,
    /// The provider does not accept the gateway's key.
    Credential,
    /// The provider is overloaded or broken.
    Overload,
    /// The prompt exceeds the model's context window.
    Context,
    /// The provider's content policy refuses the request.
    Policy,
    /// This model or account cannot serve the request; another may.
    Unsupported,
    /// The provider does not serve the country that the call came from.
    Region,
    /// The request is invalid.
    Caller,
    /// A successful status without a usable response.
    Empty,
    /// The response did not come in the time allowed.
    Timeout,
    /// The provider could not be reached, or the connection broke.
    Unreachable,
    /// The response broke off.
    Truncated,
}

/// How much of a provider a failure affects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureScope {
    /// Only this request.
    Request,
    /// All requests for the model at this provider.
    Model,
    /// All requests of the gateway's account with the provider.
    Account,
    /// All requests to the provider.
    Provider,
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
    Caller, Context, Credential, Empty, Overload, Policy, Quota, Rate, Region, Timeout, Truncated, Unreachable,
    Unsupported,
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
    ("capacity_exceeded", Overload),
    ("resource_unavailable", Overload),
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
    ("upstream_invalid_response", Empty),
    ("event_too_large", Unsupported),
    ("answer_too_large", Unsupported),
    ("upstream_credentials_refused", Credential),
];

impl FailureClass {
    /// Classifies a failure that a provider reported: by its code, else its type, else the status.
    pub fn reported(failure: StatedFailure<'_>) -> Self {
        let known = |word: &str| find(REPORTED, &word.to_ascii_lowercase());
        failure.code.and_then(known).or_else(|| known(failure.kind)).unwrap_or_else(|| of_status(failure.status))
    }

    /// Classifies a failure that the gateway found itself: by its code, else the status.
    pub fn own(failure: StatedFailure<'_>) -> Self {
        failure.code.and_then(|code| find(OWN, code)).unwrap_or_else(|| of_status(failure.status))
    }

    /// The scope that failures of this class usually have.
    pub fn scope(self) -> FailureScope {
        match self {
            Context | Policy | Caller | Empty | Timeout | Truncated => FailureScope::Request,
            Rate | Overload | Unsupported => FailureScope::Model,
            Quota | Credential => FailureScope::Account,
            Region | Unreachable => FailureScope::Provider,
        }
    }
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
        FailureClass::reported(StatedFailure { status, kind, code })
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
        assert_eq!(FailureClass::own(failure), Timeout);
        assert_eq!(FailureClass::reported(failure), Overload);
    }

    #[test]
    fn the_class_determines_the_scope() {
        assert_eq!(Quota.scope(), FailureScope::Account);
        assert_eq!(Context.scope(), FailureScope::Request);
        assert_eq!(Rate.scope(), FailureScope::Model);
        assert_eq!(Unreachable.scope(), FailureScope::Provider);
    }
}

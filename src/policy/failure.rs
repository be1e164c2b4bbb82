//! Classifies failed calls of providers, and says what callers are told of several.

use std::borrow::Cow;

use super::waiting::{Wait, asked_wait, until_reset};
use crate::catalogue::causes::{CauseRow, StatedError, causes};
pub use crate::catalogue::{FailureClass, FailureScope};
use crate::config::{Millis, Provider};
use crate::error::{Error, Fault, Statement};
use FailureClass::{
    Caller, Capacity, Context, Credential, Hollow, Overload, Policy, Quota, Rate, Region, Timeout, TpmSize, Truncated,
    Unreachable, Unsupported,
};

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

/// The call that failed.
#[derive(Clone, Copy, Debug)]
pub struct FailedCall<'h> {
    /// The provider's host in the catalogue, if it is known there.
    pub host: Option<&'h str>,
    /// When it failed.
    pub now: Millis,
}

impl<'c> FailedCall<'c> {
    /// A call of this provider that failed now.
    pub fn of(provider: &'c Provider, now: Millis) -> Self {
        Self { host: provider.host.map(|host| host.name), now }
    }
}

impl Cause {
    /// A failure of this class, with its usual scope and without a wait.
    pub fn of(class: FailureClass) -> Self {
        Self { class, scope: class.usual_scope(), wait: None }
    }

    /// The cause of an error: by the provider's own words, also where the caller is told something else; by
    /// the gateway's code if the gateway found the error itself; else by the status.
    pub fn of_error(error: &Error, call: FailedCall<'_>) -> Self {
        match stated(error) {
            Some(statement) => Self::of_statement(error, &statement, call),
            None => Self { wait: own_wait(error), ..of_own(error) },
        }
    }

    fn of_statement(error: &Error, statement: &Statement, call: FailedCall<'_>) -> Self {
        let Statement { status, words, texts, .. } = statement;
        let stated = StatedError { host: call.host, status: *status, words, texts };
        let row = causes().iter().find(|row| row.holds(stated));
        let (class, scope) = row.map_or((Hollow, FailureScope::Request), |row| (row.class, row.scope));
        // What the caller is told instead has been decided by more words than the table has. They may be
        // quoted from the request, so that no more than the model is concerned.
        let is_refused = row.is_none_or(|row| !row.has_words()) && error.code() == Some(CREDENTIALS_REFUSED);
        if is_refused && class != Credential {
            return Self { class: Credential, scope: FailureScope::Model, wait: None };
        }
        Self { class, scope, wait: wait(class, row, statement, call.now) }
    }
}

/// How long to wait after a failure of this class, where a wait can help.
fn wait(class: FailureClass, row: Option<&CauseRow>, statement: &Statement, now: Millis) -> Option<Wait> {
    let is_limit = matches!(class, Rate | Quota);
    if !is_limit && !matches!(class, Overload | Capacity | Timeout | Unreachable | Credential) {
        return None;
    }
    let stated = asked_wait(statement, now).or_else(|| is_limit.then(|| until_reset(statement, now))?);
    let (otherwise, least) = row.map_or((None, None), |row| (row.wait, row.at_least));
    stated.or(otherwise).max(least).map(Wait::of)
}

/// What a provider stated; of an error whose format does not say, its type, code and message.
fn stated(error: &Error) -> Option<Cow<'_, Statement>> {
    if let Some(statement) = error.statement() {
        return Some(Cow::Borrowed(statement));
    }
    error.is_reported().then(|| {
        let words = error.code().into_iter().chain([error.kind()]).map(str::to_lowercase).collect();
        let texts = vec![error.message().to_lowercase()];
        Cow::Owned(Statement { status: error.status(), words, texts, ..Statement::default() })
    })
}

/// The gateway's code for an error that blames its own key.
const CREDENTIALS_REFUSED: &str = "upstream_credentials_refused";

/// The gateway's code for a provider that refuses the place from which it is called.
pub const REGION_REFUSED: &str = "provider_region_refused";

/// The gateway's own codes for failed calls, and for requests that cannot be sent to this target.
const OWN: &[(&str, FailureClass, FailureScope)] = &[
    ("upstream_timeout", Timeout, FailureScope::Model),
    ("upstream_unreachable", Unreachable, FailureScope::Host),
    // Whatever the proxy does, the provider has received nothing.
    ("proxy_unreachable", Unreachable, FailureScope::Host),
    ("proxy_auth", Credential, FailureScope::Host),
    ("proxy_refused", Unreachable, FailureScope::Host),
    ("proxy_protocol", Unreachable, FailureScope::Host),
    ("proxy_timeout", Unreachable, FailureScope::Host),
    ("upstream_certificate", Unreachable, FailureScope::Host),
    ("proxy_misconfigured", Unreachable, FailureScope::Host),
    ("stream_truncated", Truncated, FailureScope::Request),
    ("upstream_invalid_response", Hollow, FailureScope::Request),
    ("content_filter", Policy, FailureScope::Request),
    (CREDENTIALS_REFUSED, Credential, FailureScope::Key),
    ("provider_key_missing", Credential, FailureScope::Host),
    ("binding_missing", Unreachable, FailureScope::Host),
    (REGION_REFUSED, Region, FailureScope::Here),
    ("region_misplaced", Region, FailureScope::Here),
    ("region_full", Overload, FailureScope::Request),
    // It may have reached the provider.
    ("region_unreachable", Unreachable, FailureScope::Model),
    ("gateway_overloaded", Overload, FailureScope::Request),
    ("event_too_large", Unsupported, FailureScope::Request),
    ("answer_too_large", Unsupported, FailureScope::Request),
    ("unsupported_endpoint", Unsupported, FailureScope::Request),
    ("unsupported_parameter", Unsupported, FailureScope::Request),
    ("unsupported_input", Unsupported, FailureScope::Request),
    ("unsupported_value", Unsupported, FailureScope::Request),
    ("too_many_pieces", Unsupported, FailureScope::Request),
    ("too_many_texts", Unsupported, FailureScope::Request),
    ("unknown_tool_call", Unsupported, FailureScope::Request),
    ("invalid_request", Unsupported, FailureScope::Request),
];

/// The cause of an error that the gateway found itself.
fn of_own(error: &Error) -> Cause {
    let known = OWN.iter().find(|(code, ..)| error.code() == Some(code));
    if let Some((_, class, scope)) = known {
        return Cause { class: *class, scope: *scope, wait: None };
    }
    if error.fault() != Fault::Upstream {
        return Cause::of(Caller);
    }
    let by_status = StatedError { host: None, status: error.status(), words: &[], texts: &[] };
    let row = causes().iter().find(|row| row.holds(by_status));
    row.map_or(Cause::of(Hollow), |row| Cause { class: row.class, scope: row.scope, wait: None })
}

/// How long an error of the gateway itself asks to wait.
fn own_wait(error: &Error) -> Option<Wait> {
    let header = |wanted: &str| {
        let found = error.headers().iter().find(|(name, _)| *name == wanted);
        found.and_then(|(_, value)| value.parse::<Millis>().ok())
    };
    header("retry-after").map(|seconds| Wait::of(seconds.saturating_mul(1000)))
}

/// What the caller is told of several failures of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MostUseful {
    /// The index of the failure whose error the caller gets.
    pub index: usize,
    /// The least wait that any target asks for, in milliseconds; `None` if none asks for one.
    pub wait: Option<Millis>,
}

/// Which of several failures of one request the caller is told: the one that the caller can do most about. Of
/// equally useful ones it is the one with the least wait, then the first. `None` if there are none.
///
/// A caller can mend its request (`caller`, `policy`, `context`, `tpm_size`); wait for an end that is known
/// (`rate`, `capacity`), or tell the operator whose allowance is used up (`quota`). Of a host that fails it
/// learns less by each step: the host says that it is busy, it is silent, it breaks off, it cannot be
/// reached. Least useful is what concerns this gateway's choice of targets and its keys (`region`,
/// `unsupported`, `credential`): it is told only if there is nothing else.
pub fn most_useful(causes: &[Cause]) -> Option<MostUseful> {
    let key = |cause: &Cause| (usefulness(cause.class), cause.wait.map_or(Millis::MAX, Wait::stated));
    let (index, _) = causes.iter().enumerate().min_by_key(|(_, cause)| key(cause))?;
    let wait = causes.iter().filter_map(|cause| cause.wait).map(Wait::stated).min();
    Some(MostUseful { index, wait })
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

/// Official SDKs obey no longer wait than this, in milliseconds: some give up, and some come back early
/// (openai-node, vercel/ai).
const LONGEST_OBEYED: Millis = 60_000;

/// Whether the client may succeed by sending the same request again soon. If not, its response says
/// `x-should-retry: false`, which keeps official SDKs from repeating it.
///
/// It may not if the failure that the caller is told of is one of the request, nor if no target fails for a
/// cause that passes within the time that SDKs wait.
pub fn may_retry_help(causes: &[Cause]) -> bool {
    let is_of_request = |told: MostUseful| {
        let told = causes.get(told.index).map(|cause| cause.class);
        told.is_some_and(|class| matches!(class, Caller | Policy | Context | TpmSize))
    };
    let passes = |cause: &Cause| {
        let is_soon = cause.wait.is_none_or(|wait| wait.stated() <= LONGEST_OBEYED);
        match cause.class {
            Rate | Overload | Capacity | Unreachable | Timeout | Hollow | Truncated => is_soon,
            Quota => is_soon && cause.wait.is_some(),
            Credential | Context | TpmSize | Policy | Unsupported | Region | Caller => false,
        }
    };
    !most_useful(causes).is_some_and(is_of_request) && causes.iter().any(passes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOWHERE: FailedCall<'static> = FailedCall { host: None, now: 0 };

    fn reported(status: u16, kind: &str, code: Option<&str>) -> FailureClass {
        let error = Error::upstream(status, "upstream_error", "");
        Cause::of_error(&error.worded(Some(kind.to_owned()), code.map(str::to_owned), None), NOWHERE).class
    }

    fn waiting(class: FailureClass, seconds: u64) -> Cause {
        Cause { wait: Some(Wait::of(seconds * 1000)), ..Cause::of(class) }
    }

    #[test]
    fn an_error_without_a_statement_is_classified_by_its_type_and_code() {
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
    fn the_gateways_own_codes_are_not_taken_from_providers() {
        let own = Error::upstream(502, "upstream_timeout", "");
        assert_eq!(Cause::of_error(&own, NOWHERE), Cause::of(Timeout));
        assert_eq!(reported(502, "upstream_error", Some("upstream_timeout")), Overload);
    }

    #[test]
    fn what_a_target_cannot_do_is_not_the_callers_fault() {
        for (error, class) in [
            (Error::caller(400, "unsupported_endpoint", ""), Unsupported),
            (Error::caller(400, "unsupported_parameter", ""), Unsupported),
            (Error::caller(400, "invalid_type", ""), Caller),
            (Error::gateway(503, "provider_key_missing", ""), Credential),
            (Error::gateway(503, "gateway_overloaded", ""), Overload),
            (Error::gateway(500, "invalid_configuration", ""), Caller),
            (Error::upstream(400, "content_filter", ""), Policy),
            (Error::upstream(502, "anything", ""), Overload),
        ] {
            assert_eq!(Cause::of_error(&error, NOWHERE).class, class, "{error}");
        }
    }

    #[test]
    fn a_provider_that_refuses_the_key_in_unknown_words_concerns_the_model() {
        let statement = Statement { status: 403, texts: vec!["forbidden".to_owned()], ..Statement::default() };
        let error = Error::upstream(502, CREDENTIALS_REFUSED, "").stating(statement.clone());
        let cause = Cause::of_error(&error, NOWHERE);
        assert_eq!((cause.class, cause.scope), (Credential, FailureScope::Model));
        let error = Error::upstream(502, CREDENTIALS_REFUSED, "").stating(Statement { status: 401, ..statement });
        let cause = Cause::of_error(&error, NOWHERE);
        assert_eq!((cause.class, cause.scope), (Credential, FailureScope::Key));
    }

    #[test]
    fn only_what_passes_with_time_has_a_wait() {
        for (status, waits) in
            [(429, true), (503, true), (402, true), (401, true), (400, false), (404, false), (413, false)]
        {
            let headers = vec![("retry-after", "5".to_owned())];
            let error = Error::upstream(status, "x", "").stating(Statement { status, headers, ..Statement::default() });
            assert_eq!(Cause::of_error(&error, NOWHERE).wait.is_some(), waits, "{status}");
        }
    }

    #[test]
    fn the_most_useful_failure_is_told_and_not_the_last() {
        let told = |causes: &[Cause]| most_useful(causes).map(|told| (told.index, told.wait));
        assert_eq!(told(&[]), None);
        let timeout = Cause::of(Timeout);
        assert_eq!(told(&[waiting(Rate, 30), timeout, Cause::of(Unreachable)]), Some((0, Some(30_000))));
        assert_eq!(told(&[waiting(Rate, 30), waiting(Rate, 5), Cause::of(Rate)]), Some((1, Some(5_000))));
        assert_eq!(told(&[Cause::of(Overload), waiting(Quota, 90), Cause::of(Credential)]), Some((1, Some(90_000))));
        assert_eq!(told(&[waiting(Overload, 2), waiting(Rate, 30)]), Some((1, Some(2_000))));
        assert_eq!(told(&[timeout, timeout]), Some((0, None)));
    }

    #[test]
    fn useful_errors_are_ranked() {
        let order = [
            Caller,
            Policy,
            Context,
            TpmSize,
            Rate,
            Capacity,
            Quota,
            Overload,
            Timeout,
            Hollow,
            Truncated,
            Unreachable,
            Region,
            Unsupported,
            Credential,
        ];
        for (at, class) in order.iter().enumerate() {
            for less in order.iter().skip(at + 1) {
                let causes = [Cause::of(*less), Cause::of(*class)];
                assert_eq!(most_useful(&causes).map(|told| told.index), Some(1), "{class:?} over {less:?}");
            }
        }
    }

    #[test]
    fn a_retry_may_help_where_a_cause_passes_soon() {
        for (causes, helps) in [
            (&[Cause::of(Rate)][..], true),
            (&[waiting(Rate, 60)], true),
            (&[waiting(Rate, 61)], false),
            (&[waiting(Rate, 3600), Cause::of(Overload)], true),
            (&[Cause::of(Overload)], true),
            (&[Cause::of(Quota)], false),
            (&[waiting(Quota, 20)], true),
            (&[Cause::of(Credential), Cause::of(Unsupported)], false),
            (&[Cause::of(Overload), Cause::of(Policy)], false),
            (&[Cause::of(TpmSize)], false),
            (&[], false),
        ] {
            assert_eq!(may_retry_help(causes), helps, "{causes:?}");
        }
    }
}

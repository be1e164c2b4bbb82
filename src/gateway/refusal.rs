//! Refusals of accounts as errors, with their headers; and the headers of what is left of a key's limits.

use crate::config::{Millis, Nanos};
use crate::error::Error;
use crate::ledger::{AdmissionRefusal, RateLimit, RateLimitStatus};
use crate::wire::dollars::dollars;

/// The response header of a refusal that tells the largest limit with which the request would fit into the budget.
const LARGEST: &str = "x-llm-bridge-largest-max-tokens";

/// The key is none of ours.
pub fn unknown() -> Error {
    refusal_error(&AdmissionRefusal::Unknown, None)
}

/// The key was good once, and has to be given a new text.
pub fn outdated(id: &str) -> Error {
    let message = format!(
        "This API key has to be rotated: the secret that signs keys has changed since it was made. The operator of this gateway gives it a new text by POST /admin/api/keys/{id}/rotate."
    );
    unauthorized(message)
}

fn unauthorized(message: impl Into<String>) -> Error {
    Error::caller(401, "invalid_api_key", message).with_header("www-authenticate", "Bearer realm=\"llm-bridge\"")
}

/// A field could lead the provider to another model or another reading than this gateway's.
pub fn astray(name: &str) -> Error {
    let name: String = name.chars().take(64).collect();
    let message = format!(
        "`{name}` is not taken here: it could lead the provider past a limit of this API key or model. Leave it out, or write the name of the \
         field that you mean in lower case."
    );
    Error::caller(400, "unsupported_parameter", message).at(name)
}

/// A refusal in words. `tier`: in which the request was to be served, if not in the usual one.
pub fn refusal_error(refusal: &AdmissionRefusal, tier: Option<&str>) -> Error {
    let busy = |message: String, wait: Millis| {
        Error::caller(429, "rate_limit_exceeded", message)
            .with_header("retry-after", wait.div_ceil(1000).max(1).to_string())
            .with_header("retry-after-ms", wait.max(1).to_string())
    };
    match refusal {
        AdmissionRefusal::Unknown => unauthorized("The API key given is not one of this gateway's."),
        AdmissionRefusal::Inactive => {
            unauthorized("This API key, or the one above it, was switched off, or is past its end.")
        }
        AdmissionRefusal::Model => {
            Error::caller(403, "model_not_allowed", "This API key may not call this model.").at("model")
        }
        AdmissionRefusal::Body { limit } => {
            let message = format!("The body is longer than this API key may send ({limit} bytes).");
            Error::caller(413, "request_too_large", message)
        }
        AdmissionRefusal::Concurrent { limit } => {
            busy(format!("This API key may have {limit} requests under way at one time, and has."), 1_000)
        }
        AdmissionRefusal::Requests { wait } => busy("This API key has used its requests of this minute.".to_owned(), *wait),
        AdmissionRefusal::Counts { wait } => busy(
            "This API key has used its counts of this minute: it has ten for each request that it may make.".to_owned(),
            *wait,
        ),
        AdmissionRefusal::Tokens { wait } => busy(
            "This request could take more tokens than this API key has left in this minute. A smaller `max_tokens` asks for less."
                .to_owned(),
            *wait,
        ),
        AdmissionRefusal::Budget { needed, left, promised, largest, unsettable } => {
            over_budget((*needed, *left, *promised), *largest, *unsettable)
        }
        AdmissionRefusal::Price => unpriced(tier),
        AdmissionRefusal::StrayField { name } => astray(name),
    }
}

fn unpriced(tier: Option<&str>) -> Error {
    let Some(tier) = tier else {
        let message = "This API key has a budget, and what this model costs is not known here: its operator can set `price` (and `context`) \
                       in the model's row.";
        return Error::caller(403, "price_unknown", message).at("model");
    };
    let tier: String = tier.chars().take(64).collect();
    let message = format!(
        "This API key has a budget, and what this model costs in the tier, speed or region that was asked for (`{tier}`) is not known here. \
         Leave that field out."
    );
    Error::caller(403, "price_unknown", message).at("service_tier")
}

/// `largest`: the longest answer that would fit, in tokens; none if no limit makes it fit. `unsettable`: the gateway knows no name under which
/// to set it.
fn over_budget((needed, left, promised): (Nanos, Nanos, Nanos), largest: Option<u64>, unsettable: bool) -> Error {
    let (needed_usd, left_usd) = (dollars(needed), dollars(left));
    let advice = match largest {
        Some(largest) => format!("With a `max_tokens` of at most {largest} it would fit."),
        None => "No `max_tokens` makes it fit.".to_owned(),
    };
    let unset = if unsettable {
        " The gateway sets no limit itself, for it knows no name of the limit that this model's provider honours: its operator can set `limit_fields` \
         in the model's row."
    } else {
        ""
    };
    let message = format!(
        "This request could cost up to ${needed_usd}, and this API key has ${left_usd} of its budget left. {advice}{unset}"
    );
    let error = Error::caller(429, "insufficient_quota", message).typed("insufficient_quota");
    let error = largest.into_iter().fold(error, |error, largest| error.with_header(LARGEST, largest.to_string()));
    // Requests under way may give back most of what they were promised.
    if needed <= left.saturating_add(promised) {
        error.with_header("retry-after", "1")
    } else {
        error.with_header("x-should-retry", "false")
    }
}

pub(super) fn rate_limit_headers(gauges: &RateLimitStatus) -> Vec<(&'static str, String)> {
    let names = [
        ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"],
        ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"],
    ];
    let rows = names.into_iter().zip([gauges.requests, gauges.tokens]);
    let row = |(names, gauge): ([&'static str; 3], Option<RateLimit>)| {
        let gauge = gauge?;
        let values = [gauge.limit.to_string(), gauge.left.to_string(), duration(gauge.reset)];
        Some(names.into_iter().zip(values))
    };
    rows.filter_map(row).flatten().collect()
}

/// A duration as OpenAI writes it: `1m0.25s`, `250ms`.
fn duration(millis: Millis) -> String {
    let (minutes, rest) = (millis / 60_000, millis % 60_000);
    let seconds = format!("{}.{:03}", rest / 1000, rest % 1000);
    let seconds = seconds.trim_end_matches('0').trim_end_matches('.');
    match (minutes, rest) {
        (0, 0) => "0s".to_owned(),
        (0, 1..1000) => format!("{rest}ms"),
        (0, _) => format!("{seconds}s"),
        _ => format!("{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_like_openais() {
        for (millis, text) in
            [(0, "0s"), (250, "250ms"), (1_000, "1s"), (59_250, "59.25s"), (60_000, "1m0s"), (60_250, "1m0.25s")]
        {
            assert_eq!(duration(millis), text);
        }
    }
}

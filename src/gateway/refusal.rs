//! The errors of requests that an account refuses, and the headers of what is left of a key's limits.

use crate::config::{Millis, Nanos};
use crate::error::Error;
use crate::formats::bounds::FieldNames;
use crate::ledger::{AdmissionRefusal, RateLimit, RateLimitStatus};
use crate::wire::dense::max_nodes;
use crate::wire::dollars::dollars;

/// The response header with the largest limit of the response, in tokens, with which the request fits into
/// the budget.
const LARGEST: &str = "x-llm-bridge-largest-max-tokens";

/// What a refusal says of the request that is refused.
#[derive(Clone, Copy)]
pub(super) struct RefusedRequest<'a> {
    /// The tier that was asked for, if not the usual one.
    pub(super) tier: Option<&'a str>,
    /// The names of fields in the client's format.
    pub(super) names: FieldNames,
}

/// The error of a key that does not exist.
pub(super) fn unknown() -> Error {
    refusal_error(&AdmissionRefusal::Unknown, None)
}

/// The error of a key that was signed with a secret that is no longer valid.
pub(super) fn outdated(id: &str) -> Error {
    let message = format!(
        "it has to be rotated, because the secret that signs keys has changed since it was made. The operator of \
         this gateway rotates it by POST /admin/api/keys/{id}/rotate."
    );
    Error::key_refused(&message)
}

/// The error of a field that could lead the provider past a limit.
pub(super) fn stray_field(name: &str) -> Error {
    let name: String = name.chars().take(64).collect();
    let message = format!(
        "`{name}` is not supported: a provider could take it for a field that is limited for this API key or model. \
         Remove it, or write the field's name in lower case."
    );
    Error::caller(400, "unsupported_parameter", message).at(name)
}

/// The error of a refusal. `request`: the refused request, if there is one.
pub(super) fn refusal_error(refusal: &AdmissionRefusal, request: Option<RefusedRequest<'_>>) -> Error {
    let limit = request.map_or("the limit of the response".to_owned(), |request| format!("`{}`", request.names.limit));
    match refusal {
        AdmissionRefusal::Unknown => Error::key_unknown(),
        AdmissionRefusal::Inactive => Error::key_refused("it, or its parent, is switched off or has expired."),
        AdmissionRefusal::Model => {
            Error::caller(403, "model_not_allowed", "This API key may not call this model.").at("model")
        }
        AdmissionRefusal::Body { limit } => {
            let message = format!("The body is longer than this API key may send ({limit} bytes).");
            Error::caller(413, "request_too_large", message)
        }
        AdmissionRefusal::Concurrent { limit } => {
            let requests = if *limit == 1 { "request" } else { "requests" };
            let message = format!("Concurrency limit reached: this API key allows {limit} concurrent {requests}.");
            rate_limited(message, 1_000)
        }
        AdmissionRefusal::Requests { wait } => {
            rate_limited("Rate limit reached: this API key has used its requests of this minute.", *wait)
        }
        AdmissionRefusal::Counts { wait } => rate_limited(
            "Rate limit reached: this API key has used its token counts of this minute, ten for each request that it may make.",
            *wait,
        ),
        AdmissionRefusal::Tokens { wait } => {
            let message = format!(
                "Rate limit reached: this request could take more tokens than this API key has left in this minute. \
                 Reduce {limit} to reserve fewer tokens."
            );
            rate_limited(message, *wait)
        }
        AdmissionRefusal::Budget { needed, left, promised, largest, unsettable } => {
            let budget = Budget { needed: *needed, left: *left, reserved: *promised };
            budget.exceeded(&limit, *largest, *unsettable)
        }
        AdmissionRefusal::Price => price_unknown(request),
        AdmissionRefusal::StrayField { name } => stray_field(name),
    }
}

/// The error of a rate limit. `wait`: until it is worth trying again, in milliseconds.
fn rate_limited(message: impl Into<String>, wait: Millis) -> Error {
    Error::caller(429, "rate_limit_exceeded", message)
        .with_header("retry-after", wait.div_ceil(1000).max(1).to_string())
        .with_header("retry-after-ms", wait.max(1).to_string())
}

fn price_unknown(request: Option<RefusedRequest<'_>>) -> Error {
    let tier = request.and_then(|request| Some((request.tier?, request.names.tier)));
    let Some((tier, field)) = tier else {
        let message = "This API key has a budget, and the price of this model is not known: its operator can set `price` \
                       (and `context`) in the model's row.";
        return Error::caller(403, "price_unknown", message).at("model");
    };
    let tier: String = tier.chars().take(64).collect();
    let message = format!(
        "This API key has a budget, and the price of this model in the requested tier, speed or region (`{tier}`) is not known. \
         Remove that field."
    );
    Error::caller(403, "price_unknown", message).at(field)
}

/// The state of a budget that is too small, in nano-dollars.
#[derive(Clone, Copy)]
struct Budget {
    needed: Nanos,
    left: Nanos,
    /// Reserved for other requests, which may give it back.
    reserved: Nanos,
}

impl Budget {
    /// The error of a request that does not fit. `limit`: how the caller knows the limit of a response.
    /// `largest`: the largest of them that fits, in tokens, if one does. `unsettable`: the gateway knows no
    /// name under which to set it.
    fn exceeded(self, limit: &str, largest: Option<u64>, unsettable: bool) -> Error {
        let Self { needed, left, reserved } = self;
        let (needed_usd, left_usd) = (dollars(needed), dollars(left));
        let advice = match largest {
            Some(largest) => format!("With {limit} of at most {largest} it fits."),
            None => format!("No {limit} makes it fit."),
        };
        let unset = if unsettable {
            " The gateway cannot set a limit, because it knows no name of the limit that this model's provider honours: its \
             operator can set `limit_fields` in the model's row."
        } else {
            ""
        };
        let message = format!(
            "This request could cost up to ${needed_usd}, and this API key has ${left_usd} of its budget left. {advice}{unset}"
        );
        let error = Error::caller(429, "insufficient_quota", message).typed("insufficient_quota");
        let error = largest.into_iter().fold(error, |error, largest| error.with_header(LARGEST, largest.to_string()));
        // Concurrent requests may give back most of what is reserved for them.
        if needed <= left.saturating_add(reserved) {
            error.with_header("retry-after", "1")
        } else {
            error.with_header("x-should-retry", "false")
        }
    }
}

/// The headers of what is left of a key's limits.
pub(super) fn rate_limit_headers(status: &RateLimitStatus) -> Vec<(&'static str, String)> {
    let names = [
        ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"],
        ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"],
    ];
    let rows = names.into_iter().zip([status.requests, status.tokens]);
    let row = |(names, limit): ([&'static str; 3], Option<RateLimit>)| {
        let limit = limit?;
        let values = [limit.limit.to_string(), limit.left.to_string(), duration(limit.reset)];
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

/// The refusal of a body that would take too much memory to be translated.
pub(super) fn too_many_pieces(body: &[u8]) -> Error {
    let message = format!(
        "The body has too many pieces to be translated for this model's provider: {} bytes may hold {} members of objects and items of lists. \
         Send fewer messages, parts or tools, or longer ones.",
        body.len(),
        max_nodes(body.len())
    );
    Error::caller(400, "too_many_pieces", message)
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

//! The families that the gateway exposes. Their names and labels are public: dashboards use them.

use super::family::{AcrossIsolates, Family, FamilyKind, Scale};

/// Bounds of the duration of requests, in milliseconds: those of `gen_ai.client.operation.duration`, which
/// end at 81.92 s, and three more, because responses with reasoning take minutes.
const DURATION_BOUNDS: &[u64] =
    &[10, 20, 40, 80, 160, 320, 640, 1_280, 2_560, 5_120, 10_240, 20_480, 40_960, 81_920, 163_840, 327_680, 655_360];

/// Bounds of the time to the first token, in milliseconds: those of `gen_ai.server.time_to_first_token`,
/// which end at 10 s, and three more.
const FIRST_TOKEN_BOUNDS: &[u64] =
    &[1, 5, 10, 20, 40, 60, 80, 100, 250, 500, 750, 1_000, 2_500, 5_000, 7_500, 10_000, 20_000, 40_000, 80_000];

/// Bounds of the gateway's own time, in milliseconds.
const GATEWAY_BOUNDS: &[u64] = &[1, 2, 5, 10, 20, 50, 100, 250, 500, 1_000, 2_500];

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    Family { name, help, unit: None, kind: FamilyKind::Counter, scale: Scale::One, labels }
}

/// A gauge of what all isolates know, or will shortly.
const fn known(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    let kind = FamilyKind::Gauge(AcrossIsolates::Max);
    Family { name, help, unit: None, kind, scale: Scale::One, labels }
}

const fn dollars(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    Family { name, help, unit: Some("dollars"), kind: FamilyKind::Counter, scale: Scale::Nano, labels }
}

const fn seconds(name: &'static str, bounds: &'static [u64], help: &'static str) -> Family {
    let labels = &["provider", "model"];
    Family { name, help, unit: Some("seconds"), kind: FamilyKind::Histogram(bounds), scale: Scale::Milli, labels }
}

/// Requests that have ended.
pub static REQUESTS: Family = counter(
    "llm_bridge_requests",
    &["provider", "model", "status", "outcome"],
    "Requests that have ended, by the HTTP status that the client got and by how they ended.",
);

/// Tokens. The types do not overlap, so their sum is the total.
pub static TOKENS: Family = counter(
    "llm_bridge_tokens",
    &["provider", "model", "type"],
    "Tokens used. The types do not overlap: output is without reasoning, input without cache_read and cache_write.",
);

/// Requests whose tokens are not known: they are missing in [`TOKENS`], which is not the same as 0.
pub static REQUESTS_WITHOUT_TOKENS: Family = counter(
    "llm_bridge_requests_without_tokens",
    &["provider", "model"],
    "Requests that were served, whose tokens nobody reported or counted.",
);

/// Requests whose tokens are an estimate.
pub static ESTIMATED_REQUESTS: Family = counter(
    "llm_bridge_estimated_requests",
    &["provider", "model"],
    "Requests whose tokens are an estimate, because the provider reported none, or not all.",
);

/// Cost.
pub static COST: Family =
    dollars("llm_bridge_cost_dollars", &["provider", "model"], "Cost of requests whose price is known.");

/// Requests whose cost is not known: they are missing in [`COST`].
pub static UNPRICED_REQUESTS: Family = counter(
    "llm_bridge_unpriced_requests",
    &["provider", "model"],
    "Requests with tokens whose cost is not known, because the model has no price.",
);

/// Attempts, by what went wrong.
pub static ATTEMPTS: Family = counter(
    "llm_bridge_attempts",
    &["provider", "model", "class"],
    "Calls of providers, by the class of their failure; served if there was none.",
);

/// The duration of requests.
pub static DURATION: Family = seconds(
    "llm_bridge_request_duration_seconds",
    DURATION_BOUNDS,
    "Time from a request's arrival to the end of its response.",
);

/// The time to the first token.
pub static TIME_TO_FIRST_TOKEN: Family = seconds(
    "llm_bridge_time_to_first_token_seconds",
    FIRST_TOKEN_BOUNDS,
    "Time from a request's arrival to the first byte of the provider's response.",
);

/// The time in which no provider was being called.
pub static GATEWAY_TIME: Family = seconds(
    "llm_bridge_gateway_time_seconds",
    GATEWAY_BOUNDS,
    "Part of a request's time in which no provider was being called.",
);

/// Refusals by a limit of a key.
pub static LIMITS_HIT: Family =
    counter("llm_bridge_limits_hit", &["limit"], "Requests that a limit of their key refused.");

/// Receipts that did not reach their account.
pub static LOST_RECEIPTS: Family =
    counter("llm_bridge_lost_receipts", &[], "Receipts that did not reach their account.");

/// What an export to OpenTelemetry dropped.
pub static EXPORT_DROPS: Family = counter(
    "llm_bridge_export_drops",
    &["signal", "reason"],
    "Spans and log records, and exports of metrics or points of one, that were not taken, by the reason.",
);

/// Requests under way.
pub static OPEN_REQUESTS: Family = Family {
    kind: FamilyKind::Gauge(AcrossIsolates::Sum),
    ..known("llm_bridge_open_requests", &[], "Requests that are under way.")
};

/// Targets that are not called, or only by a probe. The model `ALL` stands for all models of the provider.
pub static OUT_TARGETS: Family = known(
    "llm_bridge_out_targets",
    &["provider", "model", "state"],
    "1 while a target is not called because of its failures; the model all stands for every model of the provider.",
);

/// Keys of providers that are not used.
pub static OUT_KEYS: Family = known(
    "llm_bridge_out_keys",
    &["provider", "model", "state"],
    "Keys of a provider that are not used because of their failures; the model all stands for every model.",
);

/// Requests that are not in [`REQUESTS`], because they ended before they were admitted.
pub static REFUSED_REQUESTS: Family = counter(
    "llm_bridge_refused_requests",
    &["caller", "status"],
    "Requests that ended before they were admitted, by whether their key was known and by their HTTP status.",
);

/// Requests that are in no other family.
pub static LOST_REPORTS: Family = counter(
    "llm_bridge_lost_reports",
    &[],
    "Requests that are missing here, because the report of them did not reach the object that counts.",
);

/// Requests by key.
pub static KEY_REQUESTS: Family =
    counter("llm_bridge_key_requests", &["key", "outcome"], "Requests that have ended, by key.");

/// Tokens by key.
pub static KEY_TOKENS: Family =
    counter("llm_bridge_key_tokens", &["key", "type"], "Tokens used, by key. The types do not overlap.");

/// Cost by key.
pub static KEY_COST: Family =
    dollars("llm_bridge_key_cost_dollars", &["key"], "Cost of requests whose price is known, by key.");

/// When the sums began.
pub static START_TIME: Family = Family {
    unit: Some("seconds"),
    scale: Scale::Milli,
    ..known("llm_bridge_start_time_seconds", &[], "When the counting began, in seconds since 1970.")
};

/// Gauges that the cap on samples excluded.
pub static EXCLUDED_GAUGES: Family =
    counter("llm_bridge_excluded_gauges", &[], "Values of gauges that the cap on samples excluded.");

/// All families, in the order in which they are exposed.
pub static FAMILIES: &[&Family] = &[
    &REQUESTS,
    &TOKENS,
    &REQUESTS_WITHOUT_TOKENS,
    &ESTIMATED_REQUESTS,
    &COST,
    &UNPRICED_REQUESTS,
    &ATTEMPTS,
    &DURATION,
    &TIME_TO_FIRST_TOKEN,
    &GATEWAY_TIME,
    &LIMITS_HIT,
    &LOST_RECEIPTS,
    &EXPORT_DROPS,
    &OPEN_REQUESTS,
    &OUT_TARGETS,
    &OUT_KEYS,
    &REFUSED_REQUESTS,
    &LOST_REPORTS,
    &KEY_REQUESTS,
    &KEY_TOKENS,
    &KEY_COST,
    &START_TIME,
    &EXCLUDED_GAUGES,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn is_name(text: &str) -> bool {
        text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') && !text.starts_with('_')
    }

    #[test]
    fn names_follow_the_rules_of_openmetrics() {
        const RESERVED: &[&str] = &["_total", "_count", "_sum", "_bucket", "_created", "_info"];
        for family in FAMILIES {
            let name = family.name;
            assert!(is_name(name) && name.starts_with("llm_bridge_"), "{name}");
            assert!(!RESERVED.iter().any(|suffix| name.ends_with(suffix)), "{name}");
            assert!(family.unit.is_none_or(|unit| name.ends_with(&format!("_{unit}"))), "{name}");
            assert!(family.labels.iter().all(|label| is_name(label) && *label != "le"), "{name}");
        }
    }

    #[test]
    fn names_are_unique_and_bounds_ascend() {
        let mut names: Vec<&str> = FAMILIES.iter().map(|family| family.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FAMILIES.len());
        for family in FAMILIES {
            if let FamilyKind::Histogram(bounds) = family.kind {
                assert!(bounds.windows(2).all(|pair| pair[0] < pair[1]), "{}", family.name);
            }
        }
    }
}

//! Counts a request that has ended.

use super::families::{
    ATTEMPTS, COST, DURATION, ESTIMATED_REQUESTS, GATEWAY_TIME, KEY_COST, KEY_REQUESTS, KEY_TOKENS, REQUESTS,
    REQUESTS_WITHOUT_TOKENS, TIME_TO_FIRST_TOKEN, TOKENS, UNPRICED_REQUESTS,
};
use super::label::{ConfiguredNames, status_label};
use super::registry::Registry;
use crate::ledger::TokenCounts;
use crate::telemetry::summary::RequestSummary;

/// The class of an attempt that served its request.
const SERVED: &str = "served";

/// Counts a request that has ended. Tokens, cost and times of a request with several attempts count for the
/// target that was called last.
pub fn observe(registry: &mut Registry, summary: &RequestSummary, names: &ConfiguredNames) {
    let [provider, model] = names.labels(&summary.provider, &summary.model);
    let labels = &[provider, model];
    let status = status_label(summary.status);
    registry.observe(&REQUESTS, &[provider, model, &status, &summary.outcome], 1);
    registry.observe(&DURATION, labels, summary.duration);
    registry.observe(&GATEWAY_TIME, labels, summary.gateway_time);
    if let Some(ttft) = summary.ttft {
        registry.observe(&TIME_TO_FIRST_TOKEN, labels, ttft);
    }
    observe_tokens(registry, summary, *labels);
    observe_cost(registry, summary, *labels);
    for attempt in &summary.attempts {
        let [provider, model] = names.labels(&attempt.provider, &attempt.model);
        let class = if attempt.class.is_empty() { SERVED } else { &attempt.class };
        registry.observe(&ATTEMPTS, &[provider, model, class], 1);
    }
}

/// Counts a request that has ended for its key.
pub(super) fn observe_key(registry: &mut Registry, summary: &RequestSummary) {
    let key = summary.key_id.as_str();
    registry.observe(&KEY_REQUESTS, &[key, &summary.outcome], 1);
    for (kind, count) in summary.tokens.as_ref().map(disjoint).into_iter().flatten() {
        if count > 0 {
            registry.observe(&KEY_TOKENS, &[key, kind], count);
        }
    }
    if let Some(cost) = summary.cost.filter(|cost| *cost > 0) {
        registry.observe(&KEY_COST, &[key], cost);
    }
}

/// Counts tokens. A request that was served without known tokens is counted as such, never as 0.
fn observe_tokens(registry: &mut Registry, summary: &RequestSummary, labels: [&str; 2]) {
    let [provider, model] = labels;
    let Some(tokens) = &summary.tokens else {
        if summary.attempts.iter().any(|attempt| attempt.class.is_empty()) {
            registry.observe(&REQUESTS_WITHOUT_TOKENS, &labels, 1);
        }
        return;
    };
    for (kind, count) in disjoint(tokens) {
        if count > 0 {
            registry.observe(&TOKENS, &[provider, model, kind], count);
        }
    }
    if summary.estimated {
        registry.observe(&ESTIMATED_REQUESTS, &labels, 1);
    }
}

/// Counts the cost. One that is not known is counted as such, never as 0.
fn observe_cost(registry: &mut Registry, summary: &RequestSummary, labels: [&str; 2]) {
    match summary.cost {
        Some(cost) if cost > 0 || summary.tokens.is_some() => registry.observe(&COST, &labels, cost),
        None if summary.tokens.is_some() => registry.observe(&UNPRICED_REQUESTS, &labels, 1),
        Some(_) | None => {}
    }
}

/// The tokens by type, none counted twice.
fn disjoint(tokens: &TokenCounts) -> [(&'static str, u64); 5] {
    let reasoning = tokens.reasoning.min(tokens.output);
    [
        ("input", tokens.uncached_input),
        ("cache_read", tokens.cache_read),
        ("cache_write", tokens.cache_write),
        ("output", tokens.output - reasoning),
        ("reasoning", reasoning),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::family::Family;
    use super::super::series::SeriesValue;
    use super::*;
    use crate::telemetry::summary::AttemptSummary;

    fn attempt(model: &str, class: &str) -> AttemptSummary {
        AttemptSummary { provider: "p".into(), model: model.into(), class: class.into(), started: 10, ended: 20 }
    }

    fn summary() -> RequestSummary {
        RequestSummary {
            provider: "p".into(),
            model: "m".into(),
            status: 200,
            outcome: "complete".into(),
            duration: 1_500,
            ttft: Some(300),
            gateway_time: 4,
            tokens: Some(TokenCounts {
                uncached_input: 7,
                cache_read: 2,
                output: 10,
                reasoning: 4,
                ..Default::default()
            }),
            cost: Some(12_750),
            attempts: vec![attempt("n", "rate"), attempt("m", "")],
            ..RequestSummary::default()
        }
    }

    fn counter(registry: &Registry, family: &'static Family, labels: &[&str]) -> Option<u64> {
        match registry.get(family, labels)? {
            SeriesValue::Counter(total) => Some(*total),
            SeriesValue::Gauge { .. } | SeriesValue::Histogram { .. } => None,
        }
    }

    fn names() -> ConfiguredNames {
        ConfiguredNames::new([("p", "m")])
    }

    #[test]
    fn a_request_is_counted_once_and_its_tokens_do_not_overlap() {
        let mut registry = Registry::default();
        observe(&mut registry, &summary(), &names());
        let count = |family, labels: &[&str]| counter(&registry, family, labels);
        assert_eq!(count(&REQUESTS, &["p", "m", "200", "complete"]), Some(1));
        let kinds = ["input", "cache_read", "cache_write", "output", "reasoning"];
        let tokens = kinds.map(|kind| count(&TOKENS, &["p", "m", kind]));
        assert_eq!(tokens, [Some(7), Some(2), None, Some(6), Some(4)]);
        assert_eq!(count(&COST, &["p", "m"]), Some(12_750));
        assert_eq!(count(&ATTEMPTS, &["p", "m", "served"]), Some(1));
    }

    #[test]
    fn a_model_that_is_not_configured_is_another() {
        let mut registry = Registry::default();
        observe(&mut registry, &summary(), &names());
        assert_eq!(counter(&registry, &ATTEMPTS, &["p", "other", "rate"]), Some(1));
        assert_eq!(counter(&registry, &ATTEMPTS, &["p", "n", "rate"]), None);
    }

    #[test]
    fn what_is_not_known_is_counted_as_such_and_not_as_0() {
        let mut registry = Registry::default();
        observe(&mut registry, &RequestSummary { cost: None, estimated: true, ..summary() }, &names());
        observe(&mut registry, &RequestSummary { tokens: None, cost: None, ttft: None, ..summary() }, &names());
        assert_eq!(counter(&registry, &COST, &["p", "m"]), None);
        assert_eq!(counter(&registry, &UNPRICED_REQUESTS, &["p", "m"]), Some(1));
        assert_eq!(counter(&registry, &ESTIMATED_REQUESTS, &["p", "m"]), Some(1));
        assert_eq!(counter(&registry, &REQUESTS_WITHOUT_TOKENS, &["p", "m"]), Some(1));
    }

    #[test]
    fn a_request_that_called_no_provider_has_no_names() {
        let mut registry = Registry::default();
        let refused = RequestSummary { status: 401, outcome: "refused".into(), ..RequestSummary::default() };
        observe(&mut registry, &refused, &names());
        assert_eq!(counter(&registry, &REQUESTS, &["none", "none", "401", "refused"]), Some(1));
        assert_eq!(counter(&registry, &REQUESTS_WITHOUT_TOKENS, &["none", "none"]), None);
    }
}

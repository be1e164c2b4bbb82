//! Counts requests that have ended.

use std::collections::BTreeMap;

use super::families::{
    ATTEMPTS, COST, DURATION, ESTIMATED_REQUESTS, GATEWAY_TIME, KEY_COST, KEY_REQUESTS, KEY_TOKENS, REQUESTS,
    REQUESTS_WITHOUT_TOKENS, TIME_TO_FIRST_TOKEN, TOKENS, UNPRICED_REQUESTS,
};
use super::label::{ConfiguredNames, status_label};
use super::registry::Registry;
use super::series::SeriesValue;
use crate::ledger::TokenCounts;
use crate::telemetry::summary::{AttemptSummary, RequestSummary};

/// The class of an attempt that served its request.
const SERVED: &str = "served";

/// Counts requests that have ended. Tokens, cost and times of a request with several attempts count for the
/// target that was called last. Most requests of a batch differ in their numbers alone, so these are summed
/// up first: each series is looked up once.
pub fn observe(registry: &mut Registry, summaries: &[RequestSummary], names: &ConfiguredNames) {
    let mut groups: BTreeMap<GroupName<'_>, Group<'_>> = BTreeMap::new();
    for summary in summaries {
        groups.entry(GroupName::of(summary)).or_insert_with(Group::new).count(summary);
    }
    for (name, group) in &groups {
        group.observe(registry, name, names);
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

/// What requests have in common that are summed up.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct GroupName<'s> {
    model: &'s str,
    provider: &'s str,
    outcome: &'s str,
    status: u16,
}

impl<'s> GroupName<'s> {
    fn of(summary: &'s RequestSummary) -> Self {
        let RequestSummary { provider, model, outcome, status, .. } = summary;
        Self { model, provider, outcome, status: *status }
    }
}

/// The sums of a group.
struct Group<'s> {
    requests: u64,
    duration: SeriesValue,
    gateway_time: SeriesValue,
    /// `None` if no request had a first token.
    ttft: Option<SeriesValue>,
    /// Of those with known tokens, in the order of [`disjoint`].
    tokens: [(&'static str, u64); 5],
    estimated: u64,
    without_tokens: u64,
    /// `None` if no cost is known.
    cost: Option<u64>,
    unpriced: u64,
    /// Attempts that served a request at the group's own target.
    served: u64,
    /// Other attempts, by provider, model and class.
    attempts: BTreeMap<[&'s str; 3], u64>,
}

impl<'s> Group<'s> {
    fn new() -> Self {
        Self {
            requests: 0,
            duration: SeriesValue::zero(&DURATION),
            gateway_time: SeriesValue::zero(&GATEWAY_TIME),
            ttft: None,
            tokens: disjoint(&TokenCounts::default()),
            estimated: 0,
            without_tokens: 0,
            cost: None,
            unpriced: 0,
            served: 0,
            attempts: BTreeMap::new(),
        }
    }

    fn count(&mut self, summary: &'s RequestSummary) {
        add(&mut self.requests, 1);
        self.duration.observe(&DURATION, summary.duration);
        self.gateway_time.observe(&GATEWAY_TIME, summary.gateway_time);
        if let Some(ttft) = summary.ttft {
            let zero = || SeriesValue::zero(&TIME_TO_FIRST_TOKEN);
            self.ttft.get_or_insert_with(zero).observe(&TIME_TO_FIRST_TOKEN, ttft);
        }
        self.count_tokens(summary);
        self.count_cost(summary);
        for attempt in &summary.attempts {
            let AttemptSummary { provider, model, class, .. } = attempt;
            if class.is_empty() && *model == summary.model && *provider == summary.provider {
                add(&mut self.served, 1);
            } else {
                let class = if class.is_empty() { SERVED } else { class };
                add(self.attempts.entry([provider, model, class]).or_default(), 1);
            }
        }
    }

    /// Counts tokens. A request that was served without known tokens is counted as such, never as 0.
    fn count_tokens(&mut self, summary: &RequestSummary) {
        let Some(tokens) = &summary.tokens else {
            let is_served = summary.attempts.iter().any(|attempt| attempt.class.is_empty());
            return add(&mut self.without_tokens, u64::from(is_served));
        };
        for ((_, sum), (_, count)) in self.tokens.iter_mut().zip(disjoint(tokens)) {
            add(sum, count);
        }
        add(&mut self.estimated, u64::from(summary.estimated));
    }

    /// Counts the cost. One that is not known is counted as such, never as 0.
    fn count_cost(&mut self, summary: &RequestSummary) {
        match summary.cost {
            Some(cost) if cost > 0 || summary.tokens.is_some() => add(self.cost.get_or_insert(0), cost),
            None if summary.tokens.is_some() => add(&mut self.unpriced, 1),
            Some(_) | None => {}
        }
    }

    fn observe(&self, registry: &mut Registry, name: &GroupName<'_>, names: &ConfiguredNames) {
        let labels = names.labels(name.provider, name.model);
        let [provider, model] = labels;
        registry.observe(&REQUESTS, &[provider, model, &status_label(name.status), name.outcome], self.requests);
        registry.add(&DURATION, &labels, &self.duration);
        registry.add(&GATEWAY_TIME, &labels, &self.gateway_time);
        if let Some(ttft) = &self.ttft {
            registry.add(&TIME_TO_FIRST_TOKEN, &labels, ttft);
        }
        for (kind, count) in self.tokens.into_iter().filter(|(_, count)| *count > 0) {
            registry.observe(&TOKENS, &[provider, model, kind], count);
        }
        if let Some(cost) = self.cost {
            registry.observe(&COST, &labels, cost);
        }
        let counts = [
            (&REQUESTS_WITHOUT_TOKENS, self.without_tokens),
            (&ESTIMATED_REQUESTS, self.estimated),
            (&UNPRICED_REQUESTS, self.unpriced),
        ];
        for (family, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
            registry.observe(family, &labels, count);
        }
        if self.served > 0 {
            registry.observe(&ATTEMPTS, &[provider, model, SERVED], self.served);
        }
        for ([provider, model, class], count) in &self.attempts {
            let [provider, model] = names.labels(provider, model);
            registry.observe(&ATTEMPTS, &[provider, model, class], *count);
        }
    }
}

fn add(sum: &mut u64, amount: u64) {
    *sum = sum.saturating_add(amount);
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
    use super::*;

    fn attempt(model: &str, class: &str) -> AttemptSummary {
        AttemptSummary {
            provider: "p".into(),
            model: model.into(),
            class: class.into(),
            started: 10,
            ended: 20,
            ..AttemptSummary::default()
        }
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
        observe(&mut registry, &[summary()], &names());
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
        observe(&mut registry, &[summary()], &names());
        assert_eq!(counter(&registry, &ATTEMPTS, &["p", "other", "rate"]), Some(1));
        assert_eq!(counter(&registry, &ATTEMPTS, &["p", "n", "rate"]), None);
    }

    #[test]
    fn what_is_not_known_is_counted_as_such_and_not_as_0() {
        let mut registry = Registry::default();
        let estimated = RequestSummary { cost: None, estimated: true, ..summary() };
        let unreported = RequestSummary { tokens: None, cost: None, ttft: None, ..summary() };
        observe(&mut registry, &[estimated, unreported], &names());
        assert_eq!(counter(&registry, &COST, &["p", "m"]), None);
        assert_eq!(counter(&registry, &UNPRICED_REQUESTS, &["p", "m"]), Some(1));
        assert_eq!(counter(&registry, &ESTIMATED_REQUESTS, &["p", "m"]), Some(1));
        assert_eq!(counter(&registry, &REQUESTS_WITHOUT_TOKENS, &["p", "m"]), Some(1));
    }

    #[test]
    fn a_request_that_called_no_provider_has_no_names() {
        let mut registry = Registry::default();
        let refused = RequestSummary { status: 401, outcome: "refused".into(), ..RequestSummary::default() };
        observe(&mut registry, &[refused], &names());
        assert_eq!(counter(&registry, &REQUESTS, &["none", "none", "401", "refused"]), Some(1));
        assert_eq!(counter(&registry, &REQUESTS_WITHOUT_TOKENS, &["none", "none"]), None);
    }

    /// All requests that differ in one respect, among others that do not.
    fn various() -> Vec<RequestSummary> {
        let tokens = TokenCounts { output: 3, reasoning: 9, cache_write: 1, ..Default::default() };
        let mut various = vec![
            summary(),
            RequestSummary { status: 429, outcome: "refused".into(), attempts: Vec::new(), ..summary() },
            RequestSummary { status: 418, tokens: None, cost: None, ..summary() },
            RequestSummary { model: "n".into(), ttft: None, estimated: true, ..summary() },
            RequestSummary { provider: "q".into(), tokens: None, ..summary() },
            RequestSummary { tokens: Some(tokens), cost: Some(0), duration: 90_000, ..summary() },
            RequestSummary { tokens: Some(tokens), cost: None, gateway_time: 70, ..summary() },
            RequestSummary { tokens: None, cost: Some(0), ..summary() },
            RequestSummary { attempts: vec![attempt("m", ""), attempt("n", "")], ..summary() },
            RequestSummary { provider: String::new(), model: String::new(), status: 401, ..summary() },
        ];
        various.extend(various.clone());
        various
    }

    #[test]
    fn a_batch_counts_as_its_requests_do_one_by_one() {
        let (mut together, mut single) = (Registry::default(), Registry::default());
        observe(&mut together, &various(), &names());
        various().chunks(1).for_each(|summary| observe(&mut single, summary, &names()));
        assert_eq!(together, single);
    }
}

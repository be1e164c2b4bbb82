//! What the requests that have ended say of alerts: the error rate, the spend of the hour, models without a
//! price, and targets that serve.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::observation::Observation;
use super::rules::AlertRules;
use super::window::{Counts, ErrorWindow};
use crate::catalogue::FailureClass;
use crate::config::{Millis, Nanos};
use crate::telemetry::RequestSummary;

/// The outcome of a request whose response is complete.
const COMPLETE: &str = "complete";

/// Counts requests, failures and spend of the latest time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestWatch {
    window: ErrorWindow,
    /// The latest hour in which a request ended, and what was spent in it.
    hour: u64,
    spent: Nanos,
}

impl RequestWatch {
    /// Counts requests.
    pub fn add(&mut self, requests: &[RequestSummary]) {
        for request in requests {
            self.window.add(request.at, counts_of(request));
            let hour = Observation::hour(request.at);
            if hour > self.hour {
                (self.hour, self.spent) = (hour, 0);
            }
            // What ends late belongs to an hour that has been judged.
            if hour == self.hour {
                self.spent = self.spent.saturating_add(request.cost.unwrap_or(0));
            }
        }
    }

    /// What is to be observed after these requests were counted.
    pub fn observations(&self, requests: &[RequestSummary], rules: &AlertRules, now: Millis) -> Vec<Observation> {
        if requests.is_empty() {
            return Vec::new();
        }
        let mut observations: Vec<Observation> = prices(requests);
        observations.extend(serving(requests));
        if let Some(rule) = rules.error_rate {
            observations.push(Observation::ErrorRate { counts: self.window.sum(now, rule.minutes) });
        }
        observations.push(Observation::Spend { at: Observation::hour_start(self.hour), spent: self.spent });
        observations
    }
}

/// A request in the error rate. One that failed by the caller's own fault is not counted at all, so that no
/// caller can hide failures, or raise an alert.
fn counts_of(request: &RequestSummary) -> Counts {
    match is_failure(&request.class) {
        Some(is_failure) => Counts { requests: 1, failures: u64::from(is_failure) },
        None => Counts::default(),
    }
}

/// Whether a class of failures counts as one; `None` for those that are the caller's fault.
fn is_failure(class: &str) -> Option<bool> {
    if class.is_empty() {
        return Some(false);
    }
    match FailureClass::named(class) {
        Some(
            FailureClass::Context
            | FailureClass::TpmSize
            | FailureClass::Policy
            | FailureClass::Unsupported
            | FailureClass::Caller,
        ) => None,
        Some(
            FailureClass::Rate
            | FailureClass::Quota
            | FailureClass::Credential
            | FailureClass::Overload
            | FailureClass::Capacity
            | FailureClass::Region
            | FailureClass::Unreachable
            | FailureClass::Timeout
            | FailureClass::Hollow
            | FailureClass::Truncated,
        )
        | None => Some(true),
    }
}

/// Whether the models that were used have a price. Of a request with several attempts, an unknown cost does
/// not say whose price is missing. One without an attempt was answered by the gateway itself.
fn prices(requests: &[RequestSummary]) -> Vec<Observation> {
    let mut known: BTreeMap<(&str, &str), bool> = BTreeMap::new();
    for request in requests {
        let is_used = request.outcome == COMPLETE && request.tokens.is_some() && !request.model.is_empty();
        if is_used && (request.cost.is_some() || request.attempts.len() == 1) {
            known.insert((&request.provider, &request.model), request.cost.is_some());
        }
    }
    let price = |((provider, model), is_known)| Observation::Price { model: target_name(provider, model), is_known };
    known.into_iter().map(price).collect()
}

/// The targets that have served a request, and their providers.
fn serving(requests: &[RequestSummary]) -> impl Iterator<Item = Observation> {
    let served = requests.iter().filter(|request| request.outcome == COMPLETE && request.class.is_empty());
    let targets: BTreeSet<(&str, &str)> =
        served.map(|request| (request.provider.as_str(), request.model.as_str())).collect();
    let names: BTreeSet<String> =
        targets.into_iter().flat_map(|(provider, model)| [provider.to_owned(), target_name(provider, model)]).collect();
    names.into_iter().map(|name| Observation::Target { name, is_down: false, reason: None })
}

/// The name of a model at a provider.
fn target_name(provider: &str, model: &str) -> String {
    format!("{provider}/{model}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::AttemptSummary;

    const HOUR: Millis = 3_600_000;

    fn request(at: Millis, class: &str, cost: Option<Nanos>) -> RequestSummary {
        let outcome = if class.is_empty() { COMPLETE } else { "refused" };
        RequestSummary {
            at,
            provider: "p".to_owned(),
            model: "m".to_owned(),
            class: class.to_owned(),
            outcome: outcome.to_owned(),
            tokens: RequestSummary::default().tokens.or(Some(Default::default())),
            cost,
            attempts: vec![AttemptSummary::default()],
            ..RequestSummary::default()
        }
    }

    fn observed(requests: &[RequestSummary], now: Millis) -> Vec<Observation> {
        let mut watch = RequestWatch::default();
        watch.add(requests);
        watch.observations(requests, &AlertRules::default(), now)
    }

    #[test]
    fn faults_of_callers_do_not_count() {
        let classes = ["", "", "caller", "context", "policy", "unsupported", "tpm_size", "rate", "timeout", "new"];
        let requests: Vec<RequestSummary> = classes.iter().map(|class| request(5, class, Some(1))).collect();
        let counts = Counts { requests: 5, failures: 3 };
        assert!(observed(&requests, 5).contains(&Observation::ErrorRate { counts }));
    }

    #[test]
    fn every_class_is_judged() {
        for class in ["rate", "quota", "credential", "overload", "capacity", "region", "unreachable", "hollow"] {
            assert_eq!(is_failure(class), Some(true), "{class}");
        }
    }

    #[test]
    fn spend_is_summed_by_the_hour_and_late_requests_change_no_other_hour() {
        let requests = [request(HOUR - 1, "", Some(5)), request(HOUR, "", Some(7)), request(HOUR - 1, "", Some(100))];
        let spend = |seen: &[Observation]| seen.iter().find(|seen| matches!(seen, Observation::Spend { .. })).cloned();
        assert_eq!(spend(&observed(&requests, HOUR)), Some(Observation::Spend { at: HOUR, spent: 7 }));
        assert_eq!(spend(&observed(&requests[..1], HOUR)), Some(Observation::Spend { at: 0, spent: 5 }));
        assert_eq!(observed(&[], HOUR), []);
    }

    #[test]
    fn a_model_without_a_price_is_observed_if_it_is_known_whose() {
        let priced = |is_known| Observation::Price { model: "p/m".to_owned(), is_known };
        assert!(observed(&[request(1, "", None)], 1).contains(&priced(false)));
        assert!(observed(&[request(1, "", Some(0))], 1).contains(&priced(true)));
        let attempts = vec![AttemptSummary::default(), AttemptSummary::default()];
        let retried = RequestSummary { attempts, ..request(1, "", None) };
        let untold = RequestSummary { tokens: None, ..request(1, "", None) };
        let local = RequestSummary { attempts: Vec::new(), ..request(1, "", None) };
        for requests in [[retried], [untold], [local], [request(1, "timeout", None)]] {
            assert!(!observed(&requests, 1).iter().any(|seen| matches!(seen, Observation::Price { .. })));
        }
    }

    #[test]
    fn a_target_serves_if_a_response_was_complete() {
        let serves = |name: &str| Observation::Target { name: name.to_owned(), is_down: false, reason: None };
        let seen = observed(&[request(1, "", None)], 1);
        assert!(seen.contains(&serves("p/m")) && seen.contains(&serves("p")));
        assert!(!observed(&[request(1, "timeout", None)], 1).contains(&serves("p")));
    }
}

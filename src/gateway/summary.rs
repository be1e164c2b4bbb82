//! Draws the summary of a request from its record, for reports, metrics, traces and alerts.

use super::ended_attempt::EndedAttempt;
use super::record::RequestRecord;
use crate::error::Error;
use crate::ledger::Receipt;
use crate::policy::failure::{Cause, FailedCall};
use crate::telemetry::{AttemptSummary, RequestSummary};

/// The most of the names of dropped fields that is kept, in characters. Callers invent them.
const MAX_DROPPED: usize = 500;

impl RequestRecord {
    /// The summary of a request that has ended. `receipt`: its receipt. `error`: what the client was told, if
    /// anything went wrong.
    pub(super) fn summary(&self, receipt: &Receipt, error: Option<&Error>) -> RequestSummary {
        let class = error.map_or("", |error| self.class_of(error));
        let attempts = self.attempt_summaries(class);
        let duration = receipt.ended.saturating_sub(receipt.started);
        let called = attempts.iter().fold(0, |sum: u64, attempt| sum.saturating_add(attempt.duration()));
        RequestSummary {
            at: receipt.ended,
            started: receipt.started,
            duration,
            ttft: receipt.ttft_ms,
            gateway_time: duration.saturating_sub(called),
            request_id: receipt.request_id.clone(),
            key_id: self.key_id().to_owned(),
            owner: self.admission().and_then(|admission| admission.owner.clone()).unwrap_or_default(),
            provider: receipt.provider.clone(),
            model: receipt.model.clone(),
            served: receipt.served.clone(),
            route: self.asked().to_owned(),
            status: receipt.status,
            outcome: receipt.outcome.clone(),
            class: class.to_owned(),
            tokens: receipt.tokens,
            estimated: receipt.estimated,
            cost: receipt.cost,
            attempts,
            stream: receipt.stream,
            tags: self.tags.clone(),
            dropped: self.dropped().map(|dropped| cut(&dropped.logged)).unwrap_or_default(),
            run: String::new(),
        }
    }

    /// The class of the request's failure: that of its last attempt, or else what the error means.
    fn class_of(&self, error: &Error) -> &'static str {
        let own = || Cause::of_error(error, FailedCall { host: None, now: 0 }).class.name();
        self.last_class().unwrap_or_else(own)
    }

    /// The calls of providers. A request whose first attempt was its last keeps no list of its own. `class`:
    /// of the last one, if that failed.
    fn attempt_summaries(&self, class: &str) -> Vec<AttemptSummary> {
        let mut attempts: Vec<AttemptSummary> = self.attempts().iter().map(summary_of).collect();
        if attempts.is_empty() {
            attempts.extend(self.only_attempt().as_ref().map(summary_of));
        }
        if let Some(last) = attempts.last_mut().filter(|last| last.class.is_empty()) {
            class.clone_into(&mut last.class);
        }
        attempts
    }
}

fn summary_of(attempt: &EndedAttempt) -> AttemptSummary {
    AttemptSummary {
        provider: attempt.target.provider.clone(),
        model: attempt.target.model.clone(),
        class: attempt.class.to_owned(),
        started: attempt.started,
        ended: attempt.ended,
        cost: attempt.charge.cost,
        bill: attempt.bill.clone(),
    }
}

/// The beginning of a list of names.
fn cut(names: &str) -> String {
    names.chars().take(MAX_DROPPED).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::admission::Admission;
    use crate::gateway::ended_attempt::AttemptTarget;
    use crate::gateway::metering::Metering;
    use crate::gateway::record::{Fact, Outcome, ResponseFacts};

    fn target(model: &str) -> AttemptTarget {
        AttemptTarget { provider: "p".into(), model: model.into(), key: 0 }
    }

    fn started(called: u64) -> Fact {
        Fact::AttemptStarted { metering: Some(Metering { called, ..Metering::default() }), dropped: None }
    }

    fn record(facts: Vec<Fact>) -> RequestRecord {
        let mut record = RequestRecord::accepted("r".into(), None, 100);
        record.apply(Fact::Read { model: "asked".into(), is_stream: true });
        facts.into_iter().for_each(|fact| record.apply(fact));
        record
    }

    fn summary(record: &RequestRecord, error: Option<&Error>) -> RequestSummary {
        record.summary(&record.receipt(&Admission::default(), false), error)
    }

    fn ended(status: u16, outcome: Outcome, at: u64) -> Fact {
        Fact::Ended { status, outcome, at }
    }

    #[test]
    fn the_only_attempt_is_in_the_summary() {
        let facts = vec![
            Fact::Routed(target("m")),
            started(103),
            Fact::HeadReceived { sent: 103 },
            Fact::FirstByte { at: 140 },
            Fact::AttemptEnded(ResponseFacts::default()),
            ended(200, Outcome::Complete, 200),
        ];
        let summary = summary(&record(facts), None);
        let only = AttemptSummary {
            provider: "p".into(),
            model: "m".into(),
            class: String::new(),
            started: 103,
            ended: 200,
            ..AttemptSummary::default()
        };
        assert_eq!(summary.attempts, [only]);
        assert_eq!((summary.duration, summary.ttft, summary.gateway_time), (100, Some(40), 3));
        assert_eq!((summary.route.as_str(), summary.model.as_str(), summary.class.as_str()), ("asked", "m", ""));
        assert_eq!(summary.tokens, None, "none were reported, which is not 0");
    }

    #[test]
    fn every_attempt_is_in_the_summary_with_its_class() {
        let facts = vec![
            Fact::Routed(target("a")),
            started(110),
            Fact::AttemptFailed { class: "rate", billable: false, at: 130 },
            Fact::Routed(target("b")),
            started(140),
            Fact::AttemptEnded(ResponseFacts::default()),
            ended(200, Outcome::Complete, 150),
        ];
        let summary = summary(&record(facts), None);
        let classes: Vec<&str> = summary.attempts.iter().map(|attempt| attempt.class.as_str()).collect();
        assert_eq!(classes, ["rate", ""]);
        assert_eq!(summary.model, "b");
        assert_eq!(summary.gateway_time, 20, "10 ms before the first attempt, and 10 between the two");
    }

    #[test]
    fn a_request_that_the_gateway_refuses_has_no_attempt() {
        let error = Error::caller(404, "model_not_found", "no such model");
        let summary = summary(&record(vec![ended(404, Outcome::Refused, 101)]), Some(&error));
        assert!(summary.attempts.is_empty());
        assert_eq!((summary.status, summary.class.as_str(), summary.gateway_time), (404, "caller", 1));
    }

    #[test]
    fn a_stream_that_breaks_off_is_a_failed_attempt() {
        let facts = vec![
            Fact::Routed(target("a")),
            started(110),
            Fact::AttemptFailed { class: "rate", billable: false, at: 130 },
            Fact::Routed(target("b")),
            started(140),
            Fact::AttemptEnded(ResponseFacts::default()),
            ended(200, Outcome::Truncated, 150),
        ];
        let error = Error::upstream(502, "stream_truncated", "");
        let summary = summary(&record(facts), Some(&error));
        let classes: Vec<&str> = summary.attempts.iter().map(|attempt| attempt.class.as_str()).collect();
        assert_eq!(classes, ["rate", "truncated"]);
        assert_eq!(summary.class, "truncated");
    }

    #[test]
    fn a_failure_has_the_class_of_its_last_attempt() {
        let facts = vec![
            Fact::Routed(target("a")),
            started(110),
            Fact::AttemptFailed { class: "quota", billable: false, at: 130 },
            ended(503, Outcome::Refused, 131),
        ];
        let error = Error::gateway(503, "all_failed", "all failed");
        let summary = summary(&record(facts), Some(&error));
        assert_eq!(summary.class, "quota");
        assert_eq!(summary.attempts.len(), 1);
    }
}

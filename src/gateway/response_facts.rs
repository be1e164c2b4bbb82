//! What a stream said of itself, as the record takes it.

use super::metering::{Reported, ResponseUsage};
use super::record::{Outcome, ResponseFacts};
use crate::config::Millis;
use crate::formats::summary::ResponseSummary;

/// What a stream reported of itself that did not get as far as a response.
pub(super) fn reported(summary: &ResponseSummary) -> ResponseFacts {
    let usage = summary.usage.map(|usage| {
        let is_total = summary.error.is_some() || summary.has_ended;
        let reported = if is_total { Reported::Total(usage) } else { Reported::Part(usage) };
        ResponseUsage { reported, tier: summary.tier.clone(), ..ResponseUsage::default() }
    });
    ResponseFacts { usage, ..ResponseFacts::default() }
}

/// What a stream said of itself that was given up after content had come.
pub(super) fn facts_so_far(summary: &ResponseSummary, now: Millis) -> ResponseFacts {
    facts_of(summary, if summary.error.is_some() { Outcome::UpstreamError } else { Outcome::Truncated }, now)
}

/// What a stream that has ended said of itself.
pub(super) fn facts_of(summary: &ResponseSummary, outcome: Outcome, now: Millis) -> ResponseFacts {
    let reported = match (summary.partial_usage(), summary.total_usage()) {
        (Some(part), _) => Reported::Part(part),
        (None, Some(total)) => Reported::Total(total),
        (None, None) => Reported::Nothing,
    };
    let is_counted = !matches!(reported, Reported::Total(_));
    let usage = ResponseUsage {
        reported,
        tier: summary.tier.clone(),
        countable: if is_counted { summary.countable.clone() } else { Vec::new() },
        length: summary.length,
    };
    let broke_off =
        matches!(outcome, Outcome::ClientClosed | Outcome::TimedOut | Outcome::Truncated | Outcome::EndedByAdmin);
    ResponseFacts {
        served: summary.model.clone(),
        malformed: summary.malformed,
        usage: Some(usage),
        unread_until: (broke_off && !summary.is_complete()).then_some(now),
    }
}

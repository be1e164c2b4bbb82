//! What an isolate reports to the operations object.

use serde::{Deserialize, Serialize};

use crate::alerts::Observation;
use crate::config::Millis;
use crate::telemetry::RequestSummary;
use crate::telemetry::metrics::SeriesRow;

/// What has happened in an isolate since its last batch. A batch that arrives twice counts once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Random.
    pub id: u64,
    /// The isolate: a random number.
    #[serde(default)]
    pub isolate: u64,
    /// The requests that have ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub summaries: Vec<RequestSummary>,
    /// What alerts are about, besides the requests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub observations: Vec<Observation>,
    /// Metrics, besides those that are drawn from the requests: what the isolate has counted since its last
    /// batch, and all of its gauges.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub series: Vec<SeriesRow>,
    /// How many requests are missing, because their batch did not arrive or there was no room for them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lost: u64,
}

/// The response to a batch that is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// Until when somebody watches requests live, so that isolates report their starts too; 0 if nobody does.
    #[serde(default)]
    pub live_until: Millis,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "required by serde")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

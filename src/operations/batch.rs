//! What an isolate reports to the operations object.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::live_event::LiveEvent;
use crate::alerts::Observation;
use crate::config::Millis;
use crate::telemetry::RequestSummary;
use crate::telemetry::log_file::LogLines;
use crate::telemetry::metrics::SeriesRow;

/// How long the JSON of a row is at most: SQLite in a Durable Object takes 2 MB.
const MAX_ROW_BYTES: usize = 1_000_000;

/// What has happened in an isolate since its last batch. A batch that arrives twice counts once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// A random number, by which the receiver recognises a batch that is sent again.
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
    /// Lines for log files, if they are few: then they need no call and no row of their own.
    #[serde(default, skip_serializing_if = "LogLines::is_empty")]
    pub lines: LogLines,
    /// What has happened to running requests, for watchers. It is never stored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub live: Vec<LiveEvent>,
    /// How many events for watchers had no room.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub live_dropped: u64,
}

/// A [`Batch`] without its requests, which are JSON already.
#[derive(Default, Serialize)]
pub(super) struct BatchText {
    pub(super) id: u64,
    pub(super) isolate: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) observations: Vec<Observation>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) series: Vec<SeriesRow>,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) lost: u64,
    #[serde(skip_serializing_if = "LogLines::is_empty")]
    pub(super) lines: LogLines,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) live: Vec<LiveEvent>,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) live_dropped: u64,
}

impl BatchText {
    /// The JSON of the batch with these requests, each of them JSON.
    pub(super) fn with(&self, summaries: &[String]) -> serde_json::Result<String> {
        let rest = serde_json::to_string(self)?;
        let members = rest.strip_prefix('{').unwrap_or_default();
        Ok(if summaries.is_empty() { rest } else { format!(r#"{{"summaries":[{}],{members}"#, summaries.join(",")) })
    }
}

/// A batch, or a part of one, as it is stored.
pub struct BatchRow {
    /// How many requests it has.
    pub requests: u64,
    /// The JSON of a [`Batch`].
    pub json: String,
}

/// A batch some of whose elements cannot be read, because another build wrote them.
#[derive(Deserialize)]
struct RawBatch<'j> {
    id: u64,
    #[serde(default)]
    isolate: u64,
    #[serde(default, borrow)]
    summaries: Vec<&'j RawValue>,
    #[serde(default, borrow)]
    observations: Vec<&'j RawValue>,
    #[serde(default, borrow)]
    series: Vec<&'j RawValue>,
    #[serde(default)]
    lost: u64,
    #[serde(default)]
    lines: LogLines,
    #[serde(default, borrow)]
    live: Vec<&'j RawValue>,
    #[serde(default)]
    live_dropped: u64,
}

#[derive(Deserialize)]
struct RawSummaries<'j> {
    #[serde(default, borrow)]
    summaries: Vec<&'j RawValue>,
}

impl Batch {
    /// Whether it has nothing that is stored.
    pub fn is_for_watchers_only(&self) -> bool {
        let is_empty = self.summaries.is_empty() && self.observations.is_empty() && self.series.is_empty();
        is_empty && self.lines.is_empty() && self.lost == 0
    }

    /// Reads a batch, and how many of its elements cannot be read. The requests among these are lost.
    ///
    /// # Errors
    /// It is no batch.
    pub fn read(json: &str) -> serde_json::Result<(Self, u64)> {
        if let Ok(batch) = serde_json::from_str(json) {
            return Ok((batch, 0));
        }
        let RawBatch { id, isolate, summaries, observations, series, lost, lines, live, live_dropped } =
            serde_json::from_str(json)?;
        let (summaries, lost_here) = readable(&summaries);
        let (observations, unknown) = readable(&observations);
        let (series, unreadable) = readable(&series);
        let (lost, (live, _)) = (lost.saturating_add(lost_here), readable(&live));
        let batch = Self { id, isolate, summaries, observations, series, lost, lines, live, live_dropped };
        Ok((batch, lost_here + unknown + unreadable))
    }

    /// The requests of a batch, each as JSON.
    ///
    /// # Errors
    /// It is no batch.
    pub fn raw_summaries(json: &str) -> serde_json::Result<Vec<&RawValue>> {
        serde_json::from_str(json).map(|RawSummaries { summaries }| summaries)
    }

    /// The batch as rows, each short enough for SQLite. `json`: what it was read from, if it was.
    ///
    /// # Errors
    /// JSON cannot be made of it.
    pub fn rows(&self, json: Option<&str>) -> serde_json::Result<Vec<BatchRow>> {
        let json = json.map_or_else(|| serde_json::to_string(self), |json| Ok(json.to_owned()))?;
        let (requests, observations) = (self.summaries.len(), self.observations.len());
        if json.len() <= MAX_ROW_BYTES || requests + observations <= 1 {
            return Ok(vec![BatchRow { requests: requests as u64, json }]);
        }
        let (summaries, later_summaries) = self.summaries.split_at(requests.div_ceil(2));
        let (observations, later_observations) = self.observations.split_at(observations / 2);
        let part = |summaries: &[RequestSummary], observations: &[Observation]| Self {
            id: self.id,
            isolate: self.isolate,
            summaries: summaries.to_vec(),
            observations: observations.to_vec(),
            ..Self::default()
        };
        let (series, lines) = (self.series.clone(), self.lines.clone());
        let first = Self { series, lost: self.lost, lines, ..part(summaries, observations) };
        let mut rows = first.rows(None)?;
        rows.extend(part(later_summaries, later_observations).rows(None)?);
        Ok(rows)
    }
}

/// The elements that can be read, and how many cannot.
fn readable<T: DeserializeOwned>(elements: &[&RawValue]) -> (Vec<T>, u64) {
    let read: Vec<T> = elements.iter().filter_map(|element| serde_json::from_str(element.get()).ok()).collect();
    let unreadable = elements.len().saturating_sub(read.len()) as u64;
    (read, unreadable)
}

/// The response to a batch that is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// Until when somebody watches requests live, so that isolates report their starts too; 0 if nobody does.
    #[serde(default)]
    pub live_until: Millis,
    /// What the object knows of running requests, by a random id: it begins anew when the object is
    /// restarted, and is to be told again.
    #[serde(default)]
    pub board: u64,
    /// The requests of the isolate that an admin has ended, by [`LiveRequest::run`](super::LiveRequest::run).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ending: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "required by serde")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(requests: u64, name: usize) -> Batch {
        let request = |at| RequestSummary { at, model: "m".repeat(name), ..RequestSummary::default() };
        Batch { id: 7, isolate: 3, summaries: (0..requests).map(request).collect(), lost: 2, ..Batch::default() }
    }

    #[test]
    fn an_element_that_cannot_be_read_hides_no_other() {
        let mut json = serde_json::to_value(batch(3, 1)).unwrap();
        json["summaries"][1] = serde_json::json!({"of": "another build"});
        let known = Observation::Spend { at: 1, spent: 2 };
        json["observations"] = serde_json::json!([{"Unknown": 1}, known]);
        let (read, unreadable) = Batch::read(&json.to_string()).unwrap();
        assert_eq!(read.summaries.iter().map(|request| request.at).collect::<Vec<_>>(), [0, 2]);
        assert_eq!(read.observations, [known]);
        assert_eq!((read.lost, unreadable), (3, 2));
        assert!(Batch::read("[]").is_err());
    }

    #[test]
    fn a_large_batch_is_several_rows() {
        let large = batch(250, 9_000);
        let rows = large.rows(None).unwrap();
        assert!(rows.len() > 1 && rows.iter().all(|row| row.json.len() <= MAX_ROW_BYTES));
        let parts: Vec<Batch> = rows.iter().map(|row| Batch::read(&row.json).unwrap().0).collect();
        assert!(rows.iter().zip(&parts).all(|(row, part)| row.requests == part.summaries.len() as u64));
        assert!(parts.iter().all(|part| part.id == large.id));
        assert_eq!(parts.iter().flat_map(|part| part.summaries.clone()).collect::<Vec<_>>(), large.summaries);
        let raw = rows.iter().flat_map(|row| Batch::raw_summaries(&row.json).unwrap());
        let raw: Vec<RequestSummary> = raw.map(|request| serde_json::from_str(request.get()).unwrap()).collect();
        assert_eq!(raw, large.summaries);
        assert_eq!(parts.iter().map(|part| part.lost).sum::<u64>(), large.lost);
        assert_eq!(batch(250, 9).rows(None).unwrap().len(), 1);
        let observations = vec![Observation::Spend { at: 1, spent: 2 }];
        let one_of_each = Batch { observations, ..batch(1, 2_000_000) };
        assert_eq!(one_of_each.rows(None).unwrap().len(), 2);
    }
}

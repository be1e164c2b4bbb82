//! Sums of requests as JSON and as cells of a table.

use std::collections::BTreeMap;

use serde::Serialize;

use super::token_view::TokenView;
use crate::config::{Millis, Nanos};
use crate::reports::{Group, Histogram, Resolution, Sums};

/// Sums as JSON.
#[derive(Serialize)]
pub struct SumsView {
    requests: u64,
    outcomes: BTreeMap<&'static str, u64>,
    tokens: TokenView,
    unreported_requests: u64,
    estimated_requests: u64,
    cost_nanos: Nanos,
    unpriced_requests: u64,
    ttft_ms: DurationView,
    duration_ms: DurationView,
}

/// Durations as JSON. A quantile is interpolated within its bucket; `None` if there are no durations.
#[derive(Serialize)]
struct DurationView {
    count: u64,
    sum: Millis,
    p50: Option<Millis>,
    p95: Option<Millis>,
    p99: Option<Millis>,
    /// How many are in each bucket: up to 10 ms, 20 ms, and so on to 81,920 ms; and the longer ones.
    buckets: Vec<u64>,
}

/// A row of a report as JSON.
#[derive(Serialize)]
pub struct ReportRowView<'r> {
    period: Option<String>,
    /// `null` stands for requests that have no such value.
    group: BTreeMap<&'r str, Option<&'r str>>,
    #[serde(flatten)]
    sums: SumsView,
}

impl From<&Histogram> for DurationView {
    fn from(histogram: &Histogram) -> Self {
        let [p50, p95, p99] = [500, 950, 990].map(|per_mille| histogram.quantile(per_mille));
        let (count, sum, buckets) = (histogram.count(), histogram.sum(), histogram.counts().to_vec());
        Self { count, sum, p50, p95, p99, buckets }
    }
}

impl From<&Sums> for SumsView {
    fn from(sums: &Sums) -> Self {
        Self {
            requests: sums.requests,
            outcomes: sums.outcomes().collect(),
            tokens: TokenView::from(&sums.tokens),
            unreported_requests: sums.unreported,
            estimated_requests: sums.estimated,
            cost_nanos: sums.cost,
            unpriced_requests: sums.unpriced,
            ttft_ms: DurationView::from(&sums.ttft),
            duration_ms: DurationView::from(&sums.duration),
        }
    }
}

impl<'r> ReportRowView<'r> {
    /// The row of a group. `dimensions`: the names of its values.
    pub fn of(resolution: Resolution, dimensions: &'r [String], (group, sums): (&'r Group, &'r Sums)) -> Self {
        let values = group.values.iter().map(Option::as_deref);
        let group_values = dimensions.iter().map(String::as_str).zip(values).collect();
        Self { period: group.period.label(resolution), group: group_values, sums: SumsView::from(sums) }
    }

    /// The names of the columns in a CSV file.
    pub fn columns(dimensions: &[String]) -> Vec<&str> {
        let counts = ["requests", "failed_requests", "unreported_requests", "estimated_requests"];
        let costs = ["cost_nanos", "unpriced_requests"];
        let durations =
            ["ttft_p50_ms", "ttft_p95_ms", "ttft_p99_ms", "duration_p50_ms", "duration_p95_ms", "duration_p99_ms"];
        let names = dimensions.iter().map(String::as_str);
        let columns = ["period"].into_iter().chain(names).chain(counts).chain(TokenView::COLUMNS);
        columns.chain(costs).chain(durations).collect()
    }

    /// The cells of these columns; an unknown value is an empty cell.
    pub fn cells(&self, dimensions: &[String]) -> Vec<String> {
        let Self { period, group, sums } = self;
        let failed = sums.outcomes.iter().filter(|(name, _)| **name != "complete").map(|(_, count)| count);
        let mut cells = vec![period.clone().unwrap_or_default()];
        let value = |name: &String| group.get(name.as_str()).copied().flatten().unwrap_or_default().to_owned();
        cells.extend(dimensions.iter().map(value));
        let counts = [sums.requests, failed.sum(), sums.unreported_requests, sums.estimated_requests];
        cells.extend(counts.map(|count| count.to_string()));
        cells.extend(sums.tokens.cells());
        cells.extend([sums.cost_nanos, sums.unpriced_requests].map(|count| count.to_string()));
        for durations in [&sums.ttft_ms, &sums.duration_ms] {
            let quantiles = [durations.p50, durations.p95, durations.p99];
            cells.extend(quantiles.map(|value| value.map(|value| value.to_string()).unwrap_or_default()));
        }
        cells
    }
}

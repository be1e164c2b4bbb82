//! The metrics of a deployment: sums of what all isolates report, kept by one object, because a scrape
//! reaches one isolate only.

use serde::{Deserialize, Serialize};

use super::exposition::expose;
use super::families::{EXCLUDED_GAUGES, LOST_RECEIPTS, LOST_REPORTS, START_TIME};
use super::format::ExpositionFormat;
use super::isolate_gauges::IsolateGauges;
use super::label::ConfiguredNames;
use super::observe::{observe, observe_key};
use super::registry::Registry;
use super::series::{SeriesRow, SeriesValue};
use crate::config::{MetricsSettings, Millis};
use crate::telemetry::summary::RequestSummary;

/// How many series a stored chunk has at most: less than 1 MB.
const MAX_CHUNK: usize = 1_000;

/// The metrics of a deployment.
#[derive(Clone, Debug)]
pub struct Collector {
    registry: Registry,
    gauges: IsolateGauges,
    names: ConfiguredNames,
    by_key: bool,
    /// When the first report came.
    since: Option<Millis>,
}

/// What one isolate reports.
#[derive(Clone, Copy, Debug)]
pub struct IsolateReport<'r> {
    /// Which isolate it is: a random number.
    pub isolate: u64,
    /// When the report came.
    pub at: Millis,
    /// The requests that have ended.
    pub summaries: &'r [RequestSummary],
    /// What it has counted besides, since its last report; and all of its gauges.
    pub series: &'r [SeriesRow],
    /// How many requests are missing.
    pub lost: u64,
}

/// A part of what is stored.
#[derive(Serialize, Deserialize)]
struct StoredChunk {
    since: Millis,
    rows: Vec<SeriesRow>,
}

impl Collector {
    /// The metrics that were stored as these chunks, or none, if there are no chunks. Series of names that
    /// are no longer configured are left out.
    ///
    /// A chunk that cannot be read is left out, too: its counters begin again, which Prometheus detects.
    pub fn open(settings: MetricsSettings, names: ConfiguredNames, chunks: &[String]) -> Self {
        let mut registry = Registry::with_cap(settings.max_samples);
        for family in [&LOST_RECEIPTS, &LOST_REPORTS, &EXCLUDED_GAUGES] {
            registry.observe(family, &[], 0);
        }
        let mut since = None;
        for chunk in chunks.iter().filter_map(|chunk| serde_json::from_str::<StoredChunk>(chunk).ok()) {
            since = Some(since.map_or(chunk.since, |since: Millis| since.min(chunk.since)));
            let is_configured = |row: &SeriesRow| names.relabeled(&row.family, &row.labels) == row.labels;
            let rows: Vec<SeriesRow> = chunk.rows.into_iter().filter(is_configured).collect();
            registry.merge(&rows);
        }
        Self { registry, gauges: IsolateGauges::default(), names, by_key: settings.key_label, since }
    }

    /// Takes a report. It must be taken once only.
    pub fn record(&mut self, report: IsolateReport<'_>) {
        self.since.get_or_insert(report.at);
        observe(&mut self.registry, report.summaries, &self.names);
        if self.by_key {
            report.summaries.iter().for_each(|summary| observe_key(&mut self.registry, summary));
        }
        self.registry.observe(&LOST_REPORTS, &[], report.lost);
        let rows = report
            .series
            .iter()
            .map(|row| SeriesRow { labels: self.names.relabeled(&row.family, &row.labels), ..row.clone() });
        let (gauges, sums): (Vec<_>, Vec<_>) = rows.partition(|row| matches!(row.value, SeriesValue::Gauge { .. }));
        self.registry.merge(&sums);
        self.gauges.replace(report.isolate, gauges);
    }

    /// What is to be stored. Gauges are not.
    pub fn chunks(&self) -> Vec<String> {
        let mut rows = self.registry.rows();
        rows.retain(|row| !matches!(row.value, SeriesValue::Gauge { .. }));
        let chunks = rows
            .chunks(MAX_CHUNK)
            .map(|rows| StoredChunk { since: self.since.unwrap_or_default(), rows: rows.to_vec() });
        chunks.map(|chunk| serde_json::to_string(&chunk).unwrap_or_default()).collect()
    }

    /// All metrics at `now`, as text.
    pub fn expose(&mut self, format: ExpositionFormat, now: Millis) -> String {
        expose(self.at(now), format, now)
    }

    /// All metrics at `now`.
    pub fn at(&mut self, now: Millis) -> &Registry {
        self.gauges.set(&mut self.registry, now);
        if let Some(since) = self.since {
            self.registry.set(&START_TIME, &[], since, now);
        }
        &self.registry
    }

    /// When the counting began.
    pub fn since(&self) -> Option<Millis> {
        self.since
    }
}

#[cfg(test)]
mod tests {
    use super::super::families::{KEY_COST, LIMITS_HIT, OPEN_REQUESTS, REQUESTS, TOKENS};
    use super::super::family::Family;
    use super::*;
    use crate::ledger::TokenCounts;
    use crate::telemetry::summary::AttemptSummary;

    fn names() -> ConfiguredNames {
        ConfiguredNames::new([("p", "m"), ("p", "n")])
    }

    fn open(settings: MetricsSettings, chunks: &[String]) -> Collector {
        Collector::open(settings, names(), chunks)
    }

    fn summary(model: &str) -> RequestSummary {
        let (provider, model) = ("p".to_owned(), model.to_owned());
        let attempt = AttemptSummary { provider: provider.clone(), model: model.clone(), ..AttemptSummary::default() };
        RequestSummary {
            key_id: "vk_1".into(),
            provider,
            model,
            status: 200,
            outcome: "complete".into(),
            tokens: Some(TokenCounts { uncached_input: 5, ..TokenCounts::default() }),
            cost: Some(7),
            attempts: vec![attempt],
            ..RequestSummary::default()
        }
    }

    fn record(collector: &mut Collector, summaries: &[RequestSummary], series: &[SeriesRow], lost: u64) {
        collector.record(IsolateReport { isolate: 1, at: 1_000, summaries, series, lost });
    }

    fn counter(collector: &mut Collector, family: &Family, labels: &[&str]) -> Option<u64> {
        match collector.at(2_000).get(family, labels) {
            Some(SeriesValue::Counter(total)) => Some(*total),
            _ => None,
        }
    }

    fn row(family: &Family, labels: &[&str], value: SeriesValue) -> SeriesRow {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        SeriesRow { family: family.name.to_owned(), labels, value }
    }

    #[test]
    fn what_was_stored_goes_on_where_it_was() {
        let mut collector = open(MetricsSettings::default(), &[]);
        let series = [
            row(&LIMITS_HIT, &["budget"], SeriesValue::Counter(3)),
            row(&OPEN_REQUESTS, &[], SeriesValue::Gauge { value: 2, at: 1_000 }),
        ];
        record(&mut collector, &[summary("m"), summary("invented")], &series, 4);
        let before = collector.expose(ExpositionFormat::Text, 2_000);
        let mut again = Collector::open(MetricsSettings::default(), names(), &collector.chunks());
        let without_gauges = |text: &str| -> Vec<String> {
            let is_gauge = |line: &&str| line.contains("open_requests");
            text.lines().filter(|line| !is_gauge(line)).map(str::to_owned).collect()
        };
        assert_eq!(without_gauges(&again.expose(ExpositionFormat::Text, 9_000)), without_gauges(&before));
        assert!(before.contains("\nllm_bridge_open_requests 2\n"), "{before}");
        assert_eq!(again.since(), Some(1_000));
        record(&mut again, &[summary("m")], &[], 0);
        assert_eq!(counter(&mut again, &REQUESTS, &["p", "m", "200", "complete"]), Some(2));
        assert_eq!(counter(&mut again, &LOST_REPORTS, &[]), Some(4));
    }

    #[test]
    fn names_that_are_no_longer_configured_make_room() {
        let mut collector = open(MetricsSettings::default(), &[]);
        let refused = RequestSummary { status: 503, ..RequestSummary::default() };
        record(&mut collector, &[summary("n"), summary("invented"), refused], &[], 0);
        let only = ConfiguredNames::new([("p", "m")]);
        let mut again = Collector::open(MetricsSettings::default(), only, &collector.chunks());
        assert_eq!(counter(&mut again, &TOKENS, &["p", "n", "input"]), None);
        assert_eq!(counter(&mut again, &TOKENS, &["p", "other", "input"]), Some(5));
        assert_eq!(counter(&mut again, &REQUESTS, &["none", "none", "503", ""]), Some(1));
        let mut kept = Collector::open(MetricsSettings::default(), ConfiguredNames::any(), &collector.chunks());
        assert_eq!(counter(&mut kept, &TOKENS, &["p", "n", "input"]), Some(5));
    }

    #[test]
    fn an_attack_by_invented_names_stays_bounded() {
        let settings = MetricsSettings { key_label: true, max_samples: 1_000 };
        let mut collector = open(settings, &[]);
        for number in 0..3_000 {
            let attack = RequestSummary { key_id: format!("vk_{number}"), ..summary(&format!("model-{number}")) };
            let name = format!("q{number}");
            let gauge = SeriesValue::Gauge { value: 1, at: 1_000 };
            let series = [row(&super::super::families::OUT_TARGETS, &[&name, &name, "open"], gauge)];
            record(&mut collector, &[attack], &series, 0);
        }
        assert_eq!(counter(&mut collector, &TOKENS, &["p", "other", "input"]), Some(15_000));
        let text = collector.expose(ExpositionFormat::Text, 2_000);
        assert!(!text.contains("model-") && !text.contains("q29"), "{text}");
        assert!(text.lines().count() < 1_200, "{}", text.lines().count());
    }

    #[test]
    fn there_is_a_label_of_keys_if_it_is_configured() {
        let key_label = MetricsSettings { key_label: true, ..MetricsSettings::default() };
        for (settings, cost) in [(MetricsSettings::default(), None), (key_label, Some(7))] {
            let mut collector = open(settings, &[]);
            record(&mut collector, &[summary("m")], &[], 0);
            assert_eq!(counter(&mut collector, &KEY_COST, &["vk_1"]), cost);
        }
    }

    #[test]
    fn many_series_are_stored_in_several_chunks_and_a_spoilt_one_spoils_no_other() {
        let settings = MetricsSettings { key_label: true, ..MetricsSettings::default() };
        let mut collector = open(settings, &[]);
        for number in 0..1_500 {
            record(&mut collector, &[RequestSummary { key_id: format!("vk_{number}"), ..summary("m") }], &[], 0);
        }
        let mut chunks = collector.chunks();
        assert_eq!(chunks.len(), 5);
        "{".clone_into(&mut chunks[0]);
        let mut again = open(settings, &chunks);
        assert_eq!(counter(&mut again, &TOKENS, &["p", "m", "input"]), Some(7_500));
    }
}

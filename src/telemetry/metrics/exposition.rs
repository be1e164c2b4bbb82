//! Writes a registry as text, in OpenMetrics 1.0 or in Prometheus' text format 0.0.4.

use super::families::FAMILIES;
use super::family::{Family, FamilyKind};
use super::format::ExpositionFormat;
use super::registry::Registry;
use super::series::SeriesValue;
use crate::config::Millis;

/// The usual length of a sample's line, in bytes.
const USUAL_LINE: usize = 110;

/// All series that are live at `now`, as text. Families without series are left out.
pub fn expose(registry: &Registry, format: ExpositionFormat, now: Millis) -> String {
    let mut text = String::with_capacity(registry.samples() * USUAL_LINE);
    for family in FAMILIES {
        let mut series = registry.live(family, now).peekable();
        if series.peek().is_none() {
            continue;
        }
        write_metadata(&mut text, family, format);
        for (labels, value) in series {
            write_series(&mut text, family, &Labels::of(family, labels), value);
        }
    }
    if format == ExpositionFormat::OpenMetrics {
        text.push_str("# EOF\n");
    }
    text
}

fn write_metadata(text: &mut String, family: &Family, format: ExpositionFormat) {
    let (kind, suffix) = match family.kind {
        FamilyKind::Counter => ("counter", "_total"),
        FamilyKind::Gauge(_) => ("gauge", ""),
        FamilyKind::Histogram(_) => ("histogram", ""),
    };
    let Family { name, help, unit, .. } = family;
    match format {
        ExpositionFormat::OpenMetrics => {
            text.extend(["# TYPE ", name, " ", kind, "\n"]);
            if let Some(unit) = unit {
                text.extend(["# UNIT ", name, " ", unit, "\n"]);
            }
            text.extend(["# HELP ", name, " ", help, "\n"]);
        }
        // The older format names a counter as its sample is named.
        ExpositionFormat::Text => {
            text.extend(["# HELP ", name, suffix, " ", help, "\n"]);
            text.extend(["# TYPE ", name, suffix, " ", kind, "\n"]);
        }
    }
}

fn write_series(text: &mut String, family: &Family, labels: &Labels, value: &SeriesValue) {
    match (value, family.kind) {
        (SeriesValue::Counter(total), _) => labels.write(text, family.name, "_total", &family.scale.write(*total)),
        (SeriesValue::Gauge { value, .. }, _) => labels.write(text, family.name, "", &family.scale.write(*value)),
        (SeriesValue::Histogram { buckets, sum }, FamilyKind::Histogram(bounds)) => {
            let mut count: u64 = 0;
            for (index, bucket) in buckets.iter().enumerate() {
                count = count.saturating_add(*bucket);
                let bound =
                    bounds.get(index).map_or_else(|| "+Inf".to_owned(), |bound| family.scale.write_bound(*bound));
                labels.with("le", &bound).write(text, family.name, "_bucket", &count.to_string());
            }
            labels.write(text, family.name, "_sum", &family.scale.write(*sum));
            labels.write(text, family.name, "_count", &count.to_string());
        }
        (SeriesValue::Histogram { .. }, _) => {}
    }
}

/// The labels of a sample, as text without braces.
struct Labels(String);

impl Labels {
    fn of(family: &Family, values: &[String]) -> Self {
        let none = Self(String::new());
        family.labels.iter().zip(values).fold(none, |labels, (name, value)| labels.with(name, value))
    }

    fn with(&self, name: &str, value: &str) -> Self {
        let separator = if self.0.is_empty() { "" } else { "," };
        Self(format!("{}{separator}{name}=\"{}\"", self.0, escaped(value)))
    }

    fn write(&self, text: &mut String, name: &str, suffix: &str, value: &str) {
        text.extend([name, suffix]);
        if !self.0.is_empty() {
            text.extend(["{", &self.0, "}"]);
        }
        text.extend([" ", value, "\n"]);
    }
}

/// The value of a label between its quotes.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::super::families::{COST, GATEWAY_TIME, LOST_RECEIPTS, OPEN_REQUESTS};
    use super::*;

    fn registry() -> Registry {
        let mut registry = Registry::default();
        registry.observe(&COST, &["p", "m\"\\\n"], 12_750);
        registry.observe(&LOST_RECEIPTS, &[], 2);
        registry.set(&OPEN_REQUESTS, &[], 4, 1_000);
        registry
    }

    #[test]
    fn openmetrics_names_the_family_and_ends_with_eof() {
        let expected = "\
# TYPE llm_bridge_cost_dollars counter
# UNIT llm_bridge_cost_dollars dollars
# HELP llm_bridge_cost_dollars Cost of requests whose price is known.
llm_bridge_cost_dollars_total{provider=\"p\",model=\"m\\\"\\\\\\n\"} 0.00001275
# TYPE llm_bridge_lost_receipts counter
# HELP llm_bridge_lost_receipts Receipts that did not reach their account.
llm_bridge_lost_receipts_total 2
# TYPE llm_bridge_open_requests gauge
# HELP llm_bridge_open_requests Requests that are under way.
llm_bridge_open_requests 4
# EOF
";
        assert_eq!(expose(&registry(), ExpositionFormat::OpenMetrics, 1_000), expected);
    }

    #[test]
    fn the_older_format_names_the_sample_and_has_no_end() {
        let text = expose(&registry(), ExpositionFormat::Text, 1_000);
        assert!(text.starts_with("# HELP llm_bridge_cost_dollars_total Cost"), "{text}");
        assert!(text.contains("\n# TYPE llm_bridge_lost_receipts_total counter\n"), "{text}");
        assert!(!text.contains("EOF") && !text.contains("UNIT"), "{text}");
    }

    #[test]
    fn the_buckets_of_a_histogram_are_cumulative() {
        let mut registry = Registry::default();
        for time in [1, 2, 2, 9_000] {
            registry.observe(&GATEWAY_TIME, &["p", "m"], time);
        }
        let text = expose(&registry, ExpositionFormat::OpenMetrics, 0);
        let name = "llm_bridge_gateway_time_seconds";
        let samples = [
            ("_bucket", ",le=\"0.001\"", "1"),
            ("_bucket", ",le=\"0.002\"", "3"),
            ("_bucket", ",le=\"1.0\"", "3"),
            ("_bucket", ",le=\"+Inf\"", "4"),
            ("_sum", "", "9.005"),
            ("_count", "", "4"),
        ];
        for (suffix, bound, value) in samples {
            let line = format!("\n{name}{suffix}{{provider=\"p\",model=\"m\"{bound}}} {value}\n");
            assert!(text.contains(&line), "{line}{text}");
        }
    }

    #[test]
    fn a_registry_without_series_exposes_nothing() {
        assert_eq!(expose(&Registry::default(), ExpositionFormat::OpenMetrics, 0), "# EOF\n");
        assert_eq!(expose(&Registry::default(), ExpositionFormat::Text, 0), "");
    }
}

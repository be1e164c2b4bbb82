//! The gauges of all isolates. Each isolate reports all of its own together, so what it no longer reports is
//! over; one that falls silent is forgotten.

use std::collections::BTreeMap;

use super::families::FAMILIES;
use super::family::{AcrossIsolates, FamilyKind};
use super::registry::{GAUGE_LIFE, Registry};
use super::series::{SeriesRow, SeriesValue};
use crate::config::Millis;

/// The most isolates that are known. Others are not counted until one of these falls silent.
const MAX_ISOLATES: usize = 1_000;

/// The most gauges that are kept of one isolate.
const MAX_ROWS: usize = 500;

/// The gauges of all isolates, by isolate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct IsolateGauges(BTreeMap<u64, Gauges>);

/// The gauges of one isolate.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Gauges {
    at: Millis,
    rows: Vec<SeriesRow>,
}

impl IsolateGauges {
    /// Replaces the gauges of an isolate.
    pub(super) fn replace(&mut self, isolate: u64, mut rows: Vec<SeriesRow>) {
        rows.truncate(MAX_ROWS);
        let at = rows.iter().map(time_of).max().unwrap_or(0);
        if self.0.len() >= MAX_ISOLATES {
            self.0.retain(|_, gauges| at < gauges.at.saturating_add(GAUGE_LIFE));
        }
        if self.0.contains_key(&isolate) || self.0.len() < MAX_ISOLATES {
            self.0.insert(isolate, Gauges { at, rows });
        }
    }

    /// Sets the gauges of a registry to what the isolates that are not silent at `now` make together.
    pub(super) fn set(&self, registry: &mut Registry, now: Millis) {
        let live = self.0.values().filter(|gauges| now < gauges.at.saturating_add(GAUGE_LIFE));
        let mut together: BTreeMap<(&str, &[String]), u64> = BTreeMap::new();
        for row in live.flat_map(|gauges| &gauges.rows) {
            let SeriesValue::Gauge { value, .. } = row.value else { continue };
            let sum = together.entry((&row.family, &row.labels)).or_default();
            *sum = match across(&row.family) {
                AcrossIsolates::Sum => sum.saturating_add(value),
                AcrossIsolates::Max => value.max(*sum),
            };
        }
        registry.remove_gauges();
        for ((name, labels), value) in together {
            let row = SeriesRow {
                family: name.to_owned(),
                labels: labels.to_vec(),
                value: SeriesValue::Gauge { value, at: now },
            };
            registry.merge(&[row]);
        }
    }
}

fn time_of(row: &SeriesRow) -> Millis {
    match row.value {
        SeriesValue::Gauge { at, .. } => at,
        SeriesValue::Counter(_) | SeriesValue::Histogram { .. } => 0,
    }
}

fn across(family: &str) -> AcrossIsolates {
    let kind = FAMILIES.iter().find(|own| own.name == family).map(|own| own.kind);
    match kind {
        Some(FamilyKind::Gauge(across)) => across,
        Some(FamilyKind::Counter | FamilyKind::Histogram(_)) | None => AcrossIsolates::Max,
    }
}

#[cfg(test)]
mod tests {
    use super::super::families::{OPEN_REQUESTS, OUT_TARGETS};
    use super::super::family::Family;
    use super::*;

    fn row(family: &Family, labels: &[&str], value: u64, at: Millis) -> SeriesRow {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        SeriesRow { family: family.name.to_owned(), labels, value: SeriesValue::Gauge { value, at } }
    }

    fn value(registry: &Registry, family: &Family, labels: &[&str]) -> Option<u64> {
        match registry.get(family, labels) {
            Some(SeriesValue::Gauge { value, .. }) => Some(*value),
            _ => None,
        }
    }

    #[test]
    fn isolates_add_up_what_is_their_own_and_share_what_all_know() {
        let out = ["p", "m", "open"];
        let mut gauges = IsolateGauges::default();
        gauges.replace(1, vec![row(&OPEN_REQUESTS, &[], 3, 0), row(&OUT_TARGETS, &out, 1, 0)]);
        gauges.replace(2, vec![row(&OPEN_REQUESTS, &[], 4, 1_000), row(&OUT_TARGETS, &out, 1, 1_000)]);
        let mut registry = Registry::default();
        gauges.set(&mut registry, 1_000);
        assert_eq!(value(&registry, &OPEN_REQUESTS, &[]), Some(7));
        assert_eq!(value(&registry, &OUT_TARGETS, &out), Some(1));
        gauges.replace(2, vec![row(&OPEN_REQUESTS, &[], 1, 2_000)]);
        gauges.set(&mut registry, GAUGE_LIFE);
        assert_eq!(value(&registry, &OPEN_REQUESTS, &[]), Some(1), "the first isolate has fallen silent");
        assert_eq!(value(&registry, &OUT_TARGETS, &out), None, "the second knows of its return");
    }

    #[test]
    fn the_number_of_isolates_is_bounded() {
        let mut gauges = IsolateGauges::default();
        for isolate in 0..5_000 {
            gauges.replace(isolate, vec![row(&OPEN_REQUESTS, &[], 1, 0)]);
        }
        assert_eq!(gauges.0.len(), MAX_ISOLATES);
        gauges.replace(9_999, vec![row(&OPEN_REQUESTS, &[], 1, GAUGE_LIFE)]);
        assert_eq!(gauges.0.len(), 1);
    }
}

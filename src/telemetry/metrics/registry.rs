//! All series of a deployment. An isolate gathers what it observes in a registry of its own and sends the
//! rows; one object merges them, because a scrape reaches one isolate only.

use std::collections::BTreeMap;

use super::families::{EXCLUDED_GAUGES, FAMILIES};
use super::family::{Family, FamilyKind};
use super::label::{MAX_VALUE, OTHER};
use super::series::{SeriesRow, SeriesValue};
use crate::config::Millis;

/// The most samples that a registry exposes, apart from those of the label value [`OTHER`].
pub const MAX_SAMPLES: usize = 20_000;

/// How long a gauge is exposed after it was set, in milliseconds.
pub const GAUGE_LIFE: Millis = 300_000;

/// The labels whose values the configuration or a client chooses. The values of all others are listed in the
/// code, so their combinations are bounded.
const OPEN_LABELS: &[&str] = &["provider", "model", KEY];

/// The label of families by key.
const KEY: &str = "key";

/// The most series of a family by key: many keys must not take the room of models.
const MAX_KEY_SERIES: usize = 2_000;

/// All series, by family and labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registry {
    families: BTreeMap<&'static str, BTreeMap<Vec<String>, SeriesValue>>,
    samples: usize,
    max_samples: usize,
}

impl Default for Registry {
    fn default() -> Self {
        Self::with_cap(MAX_SAMPLES)
    }
}

impl Registry {
    /// A registry without series that exposes at most so many samples, apart from those of [`OTHER`].
    pub fn with_cap(max_samples: usize) -> Self {
        Self { families: BTreeMap::new(), samples: 0, max_samples }
    }

    /// Adds an amount to a counter, or a value to a histogram. `labels` has the family's order.
    ///
    /// Beyond the cap, names count as [`OTHER`]: sums stay true, only their parts become coarser.
    pub fn observe(&mut self, family: &'static Family, labels: &[&str], amount: u64) {
        let labels = self.admitted(family, labels);
        self.entry(family, labels).observe(family, amount);
    }

    /// Adds what was observed elsewhere of this family.
    pub(super) fn add(&mut self, family: &'static Family, labels: &[&str], value: &SeriesValue) {
        let labels = self.admitted(family, labels);
        self.entry(family, labels).merge(value);
    }

    /// Sets a gauge. Beyond the cap, a new one is excluded and counted, because gauges cannot be added up.
    pub fn set(&mut self, family: &'static Family, labels: &[&str], value: u64, now: Millis) {
        let labels = owned(family, labels);
        if self.contains(family, &labels) || self.has_room_for(family) {
            *self.entry(family, labels) = SeriesValue::Gauge { value, at: now };
        } else {
            self.observe(&EXCLUDED_GAUGES, &[], 1);
        }
    }

    /// Removes all gauges.
    pub fn remove_gauges(&mut self) {
        let gauges = FAMILIES.iter().filter(|family| matches!(family.kind, FamilyKind::Gauge(_)));
        let removed = gauges.filter_map(|family| self.families.remove(family.name)).map(|series| series.len()).sum();
        self.samples = self.samples.saturating_sub(removed);
    }

    /// Adds the rows of another registry. Rows of unknown families, or of another shape, are ignored: another
    /// build wrote them. Returns how many were.
    pub fn merge(&mut self, rows: &[SeriesRow]) -> usize {
        let mut ignored = 0;
        for row in rows {
            let family = FAMILIES.iter().find(|family| family.name == row.family);
            match family.filter(|family| row.value.fits(family) && row.labels.len() == family.labels.len()) {
                Some(family) => self.merge_row(family, row),
                None => ignored += 1,
            }
        }
        ignored
    }

    fn merge_row(&mut self, family: &'static Family, row: &SeriesRow) {
        let labels: Vec<&str> = row.labels.iter().map(String::as_str).collect();
        if let SeriesValue::Gauge { value, at } = row.value {
            let is_newer = self.get(family, &labels).is_none_or(|old| match old {
                SeriesValue::Gauge { value: old, at: then } => (*then, *old) < (at, value),
                _ => false,
            });
            if is_newer {
                self.set(family, &labels, value, at);
            }
            return;
        }
        self.add(family, &labels, &row.value);
    }

    /// All series as rows.
    pub fn rows(&self) -> Vec<SeriesRow> {
        let rows = self.families.iter().flat_map(|(family, series)| {
            series.iter().map(|(labels, value)| SeriesRow {
                family: (*family).to_owned(),
                labels: labels.clone(),
                value: value.clone(),
            })
        });
        rows.collect()
    }

    /// How many samples it exposes.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// The series of a family that are live at `now`, by their labels.
    pub fn live(&self, family: &Family, now: Millis) -> impl Iterator<Item = (&Vec<String>, &SeriesValue)> + use<'_> {
        let series = self.families.get(family.name).into_iter().flatten();
        series.filter(move |(_, value)| is_live(value, now))
    }

    /// The value of a series.
    pub fn get(&self, family: &Family, labels: &[&str]) -> Option<&SeriesValue> {
        self.families.get(family.name)?.get(&owned(family, labels))
    }

    fn contains(&self, family: &Family, labels: &Vec<String>) -> bool {
        self.families.get(family.name).is_some_and(|series| series.contains_key(labels))
    }

    fn has_room_for(&self, family: &Family) -> bool {
        let is_full = || self.families.get(family.name).is_some_and(|series| series.len() >= MAX_KEY_SERIES);
        self.samples + family.samples() <= self.max_samples && !(family.labels.contains(&KEY) && is_full())
    }

    /// The labels under which an observation counts.
    fn admitted(&self, family: &Family, labels: &[&str]) -> Vec<String> {
        let mut labels = owned(family, labels);
        if !self.contains(family, &labels) && !self.has_room_for(family) {
            for (name, value) in family.labels.iter().zip(&mut labels) {
                if OPEN_LABELS.contains(name) {
                    OTHER.clone_into(value);
                }
            }
        }
        labels
    }

    fn entry(&mut self, family: &'static Family, labels: Vec<String>) -> &mut SeriesValue {
        let samples = &mut self.samples;
        self.families.entry(family.name).or_default().entry(labels).or_insert_with(|| {
            *samples += family.samples();
            SeriesValue::zero(family)
        })
    }
}

fn is_live(value: &SeriesValue, now: Millis) -> bool {
    match value {
        SeriesValue::Gauge { at, .. } => now < at.saturating_add(GAUGE_LIFE),
        SeriesValue::Counter(_) | SeriesValue::Histogram { .. } => true,
    }
}

/// The values of a family's labels: exactly as many as it has, none too long.
fn owned(family: &Family, labels: &[&str]) -> Vec<String> {
    let value = |index: usize| match labels.get(index) {
        Some(value) if value.len() <= MAX_VALUE => (*value).to_owned(),
        Some(_) => OTHER.to_owned(),
        None => String::new(),
    };
    (0..family.labels.len()).map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::super::families::{COST, DURATION, KEY_COST, OPEN_REQUESTS, OUT_TARGETS, TOKENS};
    use super::*;

    fn total(registry: &Registry, family: &Family) -> u64 {
        let values = registry.live(family, 0).map(|(_, value)| match value {
            SeriesValue::Counter(total) => *total,
            SeriesValue::Gauge { value, .. } => *value,
            SeriesValue::Histogram { sum, .. } => *sum,
        });
        values.sum()
    }

    #[test]
    fn beyond_the_cap_names_become_others_and_sums_stay_true() {
        let mut registry = Registry::with_cap(10);
        for number in 0..1_000 {
            registry.observe(&TOKENS, &["p", &format!("model-{number}"), "input"], 2);
        }
        assert_eq!(total(&registry, &TOKENS), 2_000);
        assert_eq!(registry.samples(), 11);
        assert_eq!(registry.get(&TOKENS, &[OTHER, OTHER, "input"]), Some(&SeriesValue::Counter(1_980)));
    }

    #[test]
    fn many_keys_leave_room_for_models() {
        let mut registry = Registry::default();
        for number in 0..MAX_KEY_SERIES + 3 {
            registry.observe(&KEY_COST, &[&format!("key-{number}")], 1);
        }
        assert_eq!(registry.samples(), MAX_KEY_SERIES + 1);
        assert_eq!(registry.get(&KEY_COST, &[OTHER]), Some(&SeriesValue::Counter(3)));
    }

    #[test]
    fn a_gauge_beyond_the_cap_is_excluded_and_counted() {
        let mut registry = Registry::with_cap(1);
        registry.set(&OUT_TARGETS, &["p", "m", "open"], 1, 0);
        registry.set(&OUT_TARGETS, &["p", "n", "open"], 1, 0);
        assert_eq!(registry.get(&OUT_TARGETS, &["p", "n", "open"]), None);
        assert_eq!(registry.get(&EXCLUDED_GAUGES, &[]), Some(&SeriesValue::Counter(1)));
    }

    #[test]
    fn gauges_expire_and_are_removed_and_counters_stay() {
        let mut registry = Registry::default();
        registry.set(&OPEN_REQUESTS, &[], 3, 1_000);
        registry.observe(&COST, &["p", "m"], 5);
        assert_eq!(registry.live(&OPEN_REQUESTS, 1_000 + GAUGE_LIFE - 1).count(), 1);
        assert_eq!(registry.live(&OPEN_REQUESTS, 1_000 + GAUGE_LIFE).count(), 0);
        registry.remove_gauges();
        assert_eq!(registry.samples(), 1);
        assert_eq!(registry.get(&OPEN_REQUESTS, &[]), None);
    }

    #[test]
    fn an_observation_falls_into_the_bucket_whose_bound_it_does_not_exceed() {
        let mut registry = Registry::default();
        for duration in [10, 11, 700_000] {
            registry.observe(&DURATION, &["p", "m"], duration);
        }
        let Some(SeriesValue::Histogram { buckets, sum }) = registry.get(&DURATION, &["p", "m"]) else {
            panic!("there is no histogram");
        };
        assert_eq!((&buckets[..3], buckets.last()), (&[1, 1, 0][..], Some(&1)));
        assert_eq!(*sum, 700_021);
    }

    #[test]
    fn rows_survive_json_and_rows_of_other_builds_are_ignored() {
        let mut registry = Registry::default();
        registry.observe(&DURATION, &["p", "m"], 5);
        registry.observe(&TOKENS, &["p", "m", "input"], 5);
        registry.set(&OPEN_REQUESTS, &[], 3, 9);
        let json = serde_json::to_string(&registry.rows()).unwrap();
        let mut rows: Vec<SeriesRow> = serde_json::from_str(&json).unwrap();
        rows.push(SeriesRow { family: "gone".into(), labels: vec![], value: SeriesValue::Counter(1) });
        let buckets = SeriesValue::Histogram { buckets: vec![1], sum: 1 };
        rows.push(SeriesRow { family: DURATION.name.into(), labels: vec!["p".into(), "m".into()], value: buckets });
        rows.push(SeriesRow { family: TOKENS.name.into(), labels: vec![], value: SeriesValue::Counter(1) });
        let mut restored = Registry::default();
        assert_eq!(restored.merge(&rows), 3);
        assert_eq!(restored, registry);
    }

    #[test]
    fn registries_merge_in_any_order() {
        let mut one = Registry::default();
        let mut other = Registry::default();
        for (registry, amount) in [(&mut one, 3), (&mut other, 400)] {
            registry.observe(&DURATION, &["p", "m"], amount);
            registry.observe(&TOKENS, &["p", "m", "input"], amount);
            registry.set(&OPEN_REQUESTS, &[], amount, amount);
        }
        let (rows, others) = (one.rows(), other.rows());
        one.merge(&others);
        other.merge(&rows);
        assert_eq!(one, other);
        assert_eq!(one.get(&OPEN_REQUESTS, &[]), Some(&SeriesValue::Gauge { value: 400, at: 400 }));
    }
}

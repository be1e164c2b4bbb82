//! What an isolate measures for metrics, besides the requests that it reports.

use std::collections::BTreeMap;

use super::bridge::Bridge;
use super::health::{OutState, StateRow};
use super::platform::Platform;
use super::record::RequestRecord;
use crate::config::{Meaning, MetricsSettings, Millis, ModelIndex};
use crate::ledger::AdmissionRefusal;
use crate::telemetry::metrics::{
    ALL, ConfiguredNames, Family, LIMITS_HIT, OPEN_REQUESTS, OUT_KEYS, OUT_TARGETS, REFUSED_REQUESTS, SeriesRow,
    SeriesValue, status_label,
};

impl Bridge {
    /// The settings of metrics.
    pub fn metrics(&self) -> MetricsSettings {
        self.config.metrics
    }

    /// The names of providers and models that may be values of labels.
    pub fn metric_names(&self) -> ConfiguredNames {
        let config = &self.config;
        let rows = config
            .providers
            .iter()
            .flat_map(|provider| provider.models.iter().map(|model| (provider.name.clone(), model.upstream.clone())));
        let targets = config.routes.iter().flat_map(|route| &route.targets).map(|target| &target.model);
        let meant = config.aliases.iter().filter_map(|alias| match &alias.meaning {
            Meaning::Model(model) => Some(model),
            Meaning::Route(_) => None,
        });
        let named = targets.chain(meant).filter_map(|ModelIndex { provider, upstream, .. }| {
            config.providers.get(*provider).map(|provider| (provider.name.clone(), upstream.clone()))
        });
        let names = ConfiguredNames::new(rows.chain(named));
        config.providers.iter().fold(names, |names, provider| names.with_provider(&provider.name))
    }

    /// All gauges of this isolate.
    pub fn gauges(&self, now: Millis) -> Vec<SeriesRow> {
        let mut values = BTreeMap::new();
        values.insert((OPEN_REQUESTS.name, Vec::new()), self.open_requests.count(now));
        for row in self.health.list_here(now) {
            let (family, value) = out_value(&row);
            let labels =
                vec![row.provider, row.model.unwrap_or_else(|| ALL.to_owned()), state_name(row.state).to_owned()];
            let sum: &mut u64 = values.entry((family.name, labels)).or_default();
            *sum = sum.saturating_add(value);
        }
        let rows = values.into_iter().map(|((family, labels), value)| SeriesRow {
            family: family.to_owned(),
            labels,
            value: SeriesValue::Gauge { value, at: now },
        });
        rows.collect()
    }
}

/// What a row of the health adds to which gauge.
fn out_value(row: &StateRow) -> (&'static Family, u64) {
    match &row.keys {
        Some(keys) => (&OUT_KEYS, keys.len() as u64),
        None => (&OUT_TARGETS, 1),
    }
}

fn state_name(state: OutState) -> &'static str {
    match state {
        OutState::Open => "open",
        OutState::HalfOpen => "half_open",
        OutState::Resting => "resting",
    }
}

/// Counts a refusal, if a limit of a key is its reason. It is reported even if no request of the key is
/// served.
pub(super) fn measure_limit<P: Platform>(platform: &P, refusal: &AdmissionRefusal) {
    if let Some(limit) = refusal.limit() {
        platform.measure(&LIMITS_HIT, &[limit], 1);
        platform.report_measured();
    }
}

/// Counts a request that ended before it was admitted. It is reported together with others only.
pub(super) fn measure_refused<P: Platform>(platform: &P, record: &RequestRecord) {
    let caller = if record.key_id().is_empty() { "unknown" } else { "known" };
    platform.measure(&REFUSED_REQUESTS, &[caller, &status_label(record.status())], 1);
}

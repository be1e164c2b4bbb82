//! `telemetry` in the file.

use super::metrics::MetricsSettings;
use super::otlp::Otlp;
use super::yaml::Node;

/// `telemetry` in the file.
#[derive(Default)]
pub(super) struct Telemetry {
    pub(super) otlp: Option<Otlp>,
    pub(super) metrics: MetricsSettings,
}

impl Telemetry {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let table = node.table(&["otlp", "metrics"])?;
        Some(Self {
            otlp: table.at("otlp").and_then(|node| Otlp::read(&node)),
            metrics: table.at("metrics").and_then(|node| MetricsSettings::read(&node)).unwrap_or_default(),
        })
    }
}

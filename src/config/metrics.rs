//! The settings of metrics (`telemetry.metrics`).

use super::yaml::Node;

const DEFAULT_SAMPLES: usize = 20_000;
/// A registry with fewer would have no room for one model.
const LEAST_SAMPLES: u64 = 1_000;
/// About 6 MB of text.
const MOST_SAMPLES: u64 = 50_000;

/// The settings of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricsSettings {
    /// Whether there are metrics with a label `key`, the id of a caller's key.
    pub key_label: bool,
    /// The most samples that are exposed, apart from those of the label value `other`.
    pub max_samples: usize,
}

impl Default for MetricsSettings {
    fn default() -> Self {
        Self { key_label: false, max_samples: DEFAULT_SAMPLES }
    }
}

impl MetricsSettings {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let table = node.table(&["key_label", "max_samples"])?;
        let default = Self::default();
        Some(Self {
            key_label: table.at("key_label").and_then(|node| node.flag()).unwrap_or(default.key_label),
            max_samples: table.at("max_samples").map_or(Some(default.max_samples), |node| read_samples(&node))?,
        })
    }
}

fn read_samples(node: &Node<'_>) -> Option<usize> {
    let samples = node.count(LEAST_SAMPLES)?;
    if samples > MOST_SAMPLES {
        node.fault(format!("expected at most {MOST_SAMPLES}"));
        return None;
    }
    usize::try_from(samples).ok()
}

#[cfg(test)]
mod tests {
    use serde_yaml::Value;

    use super::super::yaml::Report;
    use super::*;

    fn read(text: &str) -> (Option<MetricsSettings>, usize) {
        let value: Value = serde_yaml::from_str(text).unwrap();
        let report = Report::new(text);
        let settings = MetricsSettings::read(&Node::root(&value, &report));
        (settings, report.take().0.len())
    }

    #[test]
    fn settings_have_defaults_and_bounds() {
        assert_eq!(read("{}"), (Some(MetricsSettings::default()), 0));
        let settings = MetricsSettings { key_label: true, max_samples: 50_000 };
        assert_eq!(read("{ key_label: true, max_samples: 50000 }"), (Some(settings), 0));
        for text in ["max_samples: 50001", "max_samples: 999", "max_samples: many", "labels: [a]"] {
            assert_eq!(read(text).1, 1, "{text}");
        }
    }
}

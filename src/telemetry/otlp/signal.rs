//! The signals that isolates export.

/// A signal: a kind of telemetry with an endpoint of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Log records.
    Logs,
}

impl Signal {
    /// All signals.
    pub const ALL: [Self; 2] = [Self::Traces, Self::Logs];

    /// Its name, as the value of a label and of a log field.
    pub fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Logs => "logs",
        }
    }

    /// The path of its endpoint.
    pub fn path(self) -> &'static str {
        match self {
            Self::Traces => "/v1/traces",
            Self::Logs => "/v1/logs",
        }
    }
}

/// The path of the endpoint of metrics, which the operations object exports.
pub const METRICS_PATH: &str = "/v1/metrics";

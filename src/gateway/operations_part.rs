//! The parts of the operations object.

/// A part of the operations object, by what is sent to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationsPart {
    /// Batches of isolates, for all parts.
    Record,
    /// Reports and lists of requests.
    Reports,
    /// Metrics.
    Metrics,
    /// Alerts and their deliveries.
    Alerts,
    /// The audit log of admin actions.
    Audit,
    /// The requests that are running.
    Live,
    /// Lines for log files that wait there: a command has them moved to log files. Its response says whether
    /// all of them are.
    Lines,
}

impl OperationsPart {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::Reports => "reports",
            Self::Metrics => "metrics",
            Self::Alerts => "alerts",
            Self::Audit => "audit",
            Self::Live => "live",
            Self::Lines => "lines",
        }
    }
}

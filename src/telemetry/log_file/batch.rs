//! What an isolate sends to the writer of log files.

use serde::{Deserialize, Serialize};

use crate::config::Millis;

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRecord {
    /// When it was logged, in milliseconds since 1970.
    pub at: Millis,
    /// A JSON object without line breaks, whose first field is its timestamp (see [`super::in_file`]).
    pub line: String,
}

/// Lines of one isolate, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogBatch {
    /// A random number: a batch that comes twice is written once.
    pub id: u64,
    /// The lines.
    pub records: Vec<LogRecord>,
    /// How many earlier lines this isolate has lost, because they did not fit into its memory or could not be
    /// sent.
    pub lost: u64,
}

/// Lines of one isolate that travel with something else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLines {
    /// The lines, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<LogRecord>,
    /// As [`LogBatch::lost`].
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lost: u64,
}

impl LogLines {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.lost == 0
    }

    /// Adds later lines.
    pub fn append(&mut self, later: Self) {
        self.records.extend(later.records);
        self.lost = self.lost.saturating_add(later.lost);
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "required by serde")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

//! How full the log files are, and what is missing from them.

use serde::{Deserialize, Serialize};

/// What is missing from the log files, since they exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogCounts {
    /// Lines that isolates lost before they reached the object.
    pub lost_lines: u64,
    /// Lines that expired in the object before the bucket took them.
    pub unsent_lines: u64,
}

/// How full the log files are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogStatus {
    /// The number of segments.
    pub segments: u64,
    /// The bytes of all segments.
    pub bytes: u64,
    /// The most bytes that they can have together.
    pub capacity: u64,
    /// The bytes of those whose lines are in the object.
    pub object_bytes: u64,
    /// Whether the bucket's binding exists.
    pub has_bucket: bool,
    /// How often in a row the bucket has failed.
    pub bucket_failures: u32,
    /// What is missing.
    #[serde(flatten)]
    pub counts: LogCounts,
}

/// The closed segments that wait in the object for the bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogBacklog {
    /// Their bytes.
    pub bytes: u64,
    /// The most bytes of closed segments that the object keeps. Beyond it, the oldest expire unsent.
    pub capacity: u64,
}

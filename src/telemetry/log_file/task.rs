//! What the writer of log files wants done in the bucket.

/// A task in the bucket. Each may be repeated: a segment never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BucketTask {
    /// Store the lines of a segment under its key.
    Put {
        /// The segment's number.
        segment: u64,
        /// The segment's key.
        key: String,
    },
    /// Delete what is stored under a key.
    Delete {
        /// The segment's number.
        segment: u64,
        /// The segment's key.
        key: String,
    },
}

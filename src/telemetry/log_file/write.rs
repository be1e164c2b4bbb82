//! What the writer of log files wants stored in the object.

use super::row::LineRow;

/// A change to be stored, in the order in which changes are returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogWrite {
    /// Add lines to a segment.
    AddLines {
        /// The segment's number.
        segment: u64,
        /// What is stored beside them.
        row: LineRow,
        /// Whole lines, each with its line break.
        lines: String,
    },
    /// Store the description of a segment, as JSON, in place of an earlier one.
    PutSegment(u64, String),
    /// Delete the lines of a segment.
    DeleteLines(u64),
    /// Delete the description of a segment.
    DeleteSegment(u64),
    /// Store the number of the next segment, and the counts, as JSON.
    PutCounts(String),
}

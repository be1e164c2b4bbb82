//! A row of lines in the object that writes.

use serde::{Deserialize, Serialize};

use super::segment::Segment;
use crate::config::Millis;

/// What a row of lines tells of them, so that the description of their segment need not be stored with every
/// row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineRow {
    /// Where the lines begin in their segment, in bytes.
    pub offset: u64,
    /// Their length in bytes.
    pub bytes: u64,
    /// Their number.
    pub lines: u64,
    /// The earliest and the latest time of them.
    pub first: Millis,
    /// See [`LineRow::first`].
    pub last: Millis,
    /// The batch that is complete with this row, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<u64>,
}

/// Lines that are added to the open segment, but not stored yet.
#[derive(Debug)]
pub(super) struct PendingLines {
    pub(super) text: String,
    lines: u64,
    first: Millis,
    last: Millis,
}

impl Default for PendingLines {
    fn default() -> Self {
        Self { text: String::new(), lines: 0, first: Millis::MAX, last: 0 }
    }
}

impl PendingLines {
    pub(super) fn add(&mut self, at: Millis, line: &str) {
        self.text.push_str(line);
        self.lines = self.lines.saturating_add(1);
        self.first = self.first.min(at);
        self.last = self.last.max(at);
    }

    /// The row of these lines, which are the last ones of a segment of this length.
    pub(super) fn row(&self, segment_bytes: u64, batch: Option<u64>) -> LineRow {
        let bytes = self.text.len() as u64;
        let offset = segment_bytes.saturating_sub(bytes);
        LineRow { offset, bytes, lines: self.lines, first: self.first, last: self.last, batch }
    }
}

/// Adds the rows to an open segment that its stored description does not cover. Rows of a batch that was not
/// stored to its end are left out. Returns how many were added.
pub(super) fn resume(segment: &mut Segment, rows: &[LineRow]) -> usize {
    let described = rows.partition_point(|row| row.offset < segment.bytes);
    let newer = rows.get(described..).unwrap_or_default();
    let complete = newer.iter().rposition(|row| row.batch.is_some()).map_or(0, |last| last.saturating_add(1));
    for row in newer.iter().take(complete) {
        segment.bytes = segment.bytes.saturating_add(row.bytes);
        segment.lines = segment.lines.saturating_add(row.lines);
        segment.first = segment.first.min(row.first);
        segment.last = segment.last.max(row.last);
    }
    complete
}

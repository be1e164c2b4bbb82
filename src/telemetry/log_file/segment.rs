//! A segment of a log file.

use serde::{Deserialize, Serialize};

use crate::config::Millis;
use crate::wire::date::{DAY, write_day};

/// A segment: its key in the bucket, and what it contains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Counts all segments, from 1. Later segments have higher numbers, whatever the clock does.
    pub number: u64,
    /// `path/<date>/<number>.jsonl`, with the date in UTC of its first line. It keeps its key if the
    /// configuration names another path.
    pub key: String,
    /// When it was opened, in milliseconds since 1970.
    pub opened_at: Millis,
    /// The earliest and the latest time of its lines.
    pub first: Millis,
    /// See [`Segment::first`].
    pub last: Millis,
    /// Its length.
    pub bytes: u64,
    /// The number of its lines.
    pub lines: u64,
    /// Where its lines are.
    pub place: SegmentPlace,
}

/// Where the lines of a segment are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SegmentPlace {
    /// In the object; more may follow.
    Open,
    /// In the object; no more follow. With a bucket, it waits to be stored there.
    Object,
    /// In the bucket.
    Bucket,
    /// It has expired, and waits to be deleted from the bucket.
    Expired,
}

impl Segment {
    /// An empty segment, opened now.
    pub(super) fn open(path: &str, number: u64, now: Millis) -> Self {
        let key = format!("{path}/{}/{number:08}.jsonl", write_day(now / DAY));
        let place = SegmentPlace::Open;
        Self { number, key, opened_at: now, first: Millis::MAX, last: 0, bytes: 0, lines: 0, place }
    }

    /// When its day is over, in milliseconds since 1970.
    pub(super) fn day_end(&self) -> Millis {
        (self.opened_at / DAY + 1) * DAY
    }

    /// Whether no line may be added any more because its day is over, or has not begun by a clock that was
    /// set back.
    pub(super) fn is_of_another_day(&self, now: Millis) -> bool {
        self.opened_at / DAY != now / DAY
    }

    /// Notes a line of this length that is added, its line break included.
    pub(super) fn add(&mut self, at: Millis, bytes: usize) {
        self.first = self.first.min(at);
        self.last = self.last.max(at);
        self.bytes = self.bytes.saturating_add(bytes as u64);
        self.lines = self.lines.saturating_add(1);
    }

    /// Whether its lines are in the object.
    pub(super) fn is_in_object(&self) -> bool {
        matches!(self.place, SegmentPlace::Open | SegmentPlace::Object)
    }

    /// Whether it is closed and kept.
    pub(super) fn is_backup(&self) -> bool {
        matches!(self.place, SegmentPlace::Object | SegmentPlace::Bucket)
    }
}

//! The writer of log files: which segment a line goes to, when a segment is closed, stored in the bucket, and
//! deleted. No storage and no clock: the caller passes the time, and carries out what is returned.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::batch::{LogBatch, LogRecord};
use super::line::{self, MAX_LINE};
use super::row::{LineRow, PendingLines, resume};
use super::segment::{Segment, SegmentPlace};
use super::status::{LogBacklog, LogCounts, LogStatus};
use super::task::BucketTask;
use super::write::LogWrite;
use crate::config::{FileLog, Millis};
use crate::wire::date::DAY;

/// The maximum length of the lines of one write, in bytes. A row of the object's SQLite holds 2 MB.
const MAX_WRITE: usize = 1 << 20;
/// The maximum length of all lines in the object, in bytes, without those of the open segment. A bucket that
/// fails for long, or none, does not fill the object.
const MAX_OBJECT_BYTES: u64 = 256 << 20;
/// How many batches are remembered, so that a repeated one is not written again: also after the object was
/// closed, those whose rows are read then.
const REMEMBERED_BATCHES: usize = 64;
/// The description of the open segment is stored with every so many rows. When the object is opened, the rows
/// after it are read.
const ROWS_PER_DESCRIPTION: usize = 32;
/// The wait after the first failure of the bucket. It doubles with each further one, up to the longest.
const FIRST_WAIT: Millis = 5_000;
const LONGEST_WAIT: Millis = 300_000;
/// How often in a row the bucket has to fail before what waits for it says something.
const TELLING_FAILURES: u32 = 2;

/// The writer of log files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogWriter {
    settings: FileLog,
    has_bucket: bool,
    /// By number. The last one may be open.
    segments: VecDeque<Segment>,
    stored: StoredCounts,
    recent_batches: VecDeque<u64>,
    /// How many rows of the open segment its stored description does not cover.
    undescribed_rows: usize,
    bucket_failures: u32,
    /// Until then, nothing is asked of the bucket.
    bucket_wait: Millis,
}

/// What is stored of a writer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogSnapshot {
    /// The descriptions of segments, as JSON, by number.
    pub segments: Vec<String>,
    /// The last [`LogSnapshot::ROWS`] rows of the newest segment, without their lines, as JSON, in their
    /// order.
    pub rows: Vec<String>,
    /// The counts, as JSON.
    pub counts: Option<String>,
}

impl LogSnapshot {
    /// How many rows are read.
    pub const ROWS: usize = 2 * ROWS_PER_DESCRIPTION;
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct StoredCounts {
    /// The number of the newest segment there has been.
    newest: u64,
    #[serde(flatten)]
    counts: LogCounts,
}

impl LogWriter {
    /// The writer as it was stored. A description that cannot be read is left out: a log must go on.
    pub fn open(settings: FileLog, has_bucket: bool, snapshot: &LogSnapshot) -> Self {
        let mut segments: VecDeque<Segment> =
            snapshot.segments.iter().filter_map(|segment| serde_json::from_str(segment).ok()).collect();
        let stored = snapshot.counts.as_deref().and_then(|counts| serde_json::from_str(counts).ok());
        let stored: StoredCounts = stored.unwrap_or_default();
        let newest = segments.back().map_or(0, |segment| segment.number).max(stored.newest);
        let rows: Vec<LineRow> = snapshot.rows.iter().filter_map(|row| serde_json::from_str(row).ok()).collect();
        let open = segments.back_mut().filter(|segment| segment.place == SegmentPlace::Open);
        Self {
            undescribed_rows: open.map_or(0, |segment| resume(segment, &rows)),
            settings,
            has_bucket,
            segments,
            stored: StoredCounts { newest, ..stored },
            recent_batches: rows.iter().rev().filter_map(|row| row.batch).collect(),
            bucket_failures: 0,
            bucket_wait: 0,
        }
    }

    /// Adds the lines of a batch, in their order. Its loss becomes a line of its own before them.
    pub fn append(&mut self, batch: LogBatch, now: Millis, writes: &mut Vec<LogWrite>) {
        if self.recent_batches.contains(&batch.id) {
            return;
        }
        self.recent_batches.truncate(REMEMBERED_BATCHES - 1);
        self.recent_batches.push_front(batch.id);
        let mut pending = PendingLines::default();
        if batch.lost > 0 {
            self.stored.counts.lost_lines = self.stored.counts.lost_lines.saturating_add(batch.lost);
            writes.push(self.put_counts());
            let record = LogRecord { at: now, line: line::lost(batch.lost, now) };
            self.add(record, now, &mut pending, writes);
        }
        for record in batch.records {
            self.add(record, now, &mut pending, writes);
        }
        self.write_lines(&mut pending, Some(batch.id), writes);
        self.expire(now, writes);
    }

    /// Closes the segment of a day that is over, and lets old ones expire.
    pub fn tick(&mut self, now: Millis, writes: &mut Vec<LogWrite>) {
        if self.open_segment().is_some_and(|segment| segment.is_of_another_day(now)) {
            self.close(writes);
        }
        self.expire(now, writes);
    }

    /// Adds a line to the open segment, or to a new one if it does not fit. `pending` are lines of the open
    /// segment that are not written yet.
    fn add(&mut self, record: LogRecord, now: Millis, pending: &mut PendingLines, writes: &mut Vec<LogWrite>) {
        let LogRecord { at, mut line } = record;
        if line.len() >= MAX_LINE {
            line = line::too_long(&line, at);
        }
        if line.contains(['\n', '\r']) {
            line = line.replace(['\n', '\r'], " ");
        }
        line.push('\n');
        let max_size = self.settings.max_size;
        let fits = |segment: &mut Segment| {
            !segment.is_of_another_day(now) && segment.bytes.saturating_add(line.len() as u64) <= max_size
        };
        if !self.open_segment().is_some_and(fits) {
            self.write_lines(pending, None, writes);
            self.close(writes);
            self.begin(now, writes);
        } else if pending.text.len().saturating_add(line.len()) > MAX_WRITE {
            self.write_lines(pending, None, writes);
        }
        if let Some(segment) = self.open_segment() {
            segment.add(at, line.len());
        }
        pending.add(at, &line);
    }

    fn open_segment(&mut self) -> Option<&mut Segment> {
        self.segments.back_mut().filter(|segment| segment.place == SegmentPlace::Open)
    }

    /// Writes lines that have been added to the open segment; `batch` is complete with them.
    fn write_lines(&mut self, pending: &mut PendingLines, batch: Option<u64>, writes: &mut Vec<LogWrite>) {
        if pending.text.is_empty() {
            return;
        }
        let undescribed = self.undescribed_rows.saturating_add(1);
        let is_described = undescribed >= ROWS_PER_DESCRIPTION;
        let Some(segment) = self.open_segment() else { return };
        let row = pending.row(segment.bytes, batch);
        let lines = std::mem::take(pending).text;
        writes.push(LogWrite::AddLines { segment: segment.number, row, lines });
        if is_described {
            writes.push(put(segment));
        }
        self.undescribed_rows = if is_described { 0 } else { undescribed };
    }

    fn close(&mut self, writes: &mut Vec<LogWrite>) {
        if let Some(segment) = self.open_segment() {
            segment.place = SegmentPlace::Object;
            writes.push(put(segment));
        }
    }

    fn begin(&mut self, now: Millis, writes: &mut Vec<LogWrite>) {
        self.stored.newest = self.stored.newest.saturating_add(1);
        writes.push(self.put_counts());
        self.segments.push_back(Segment::open(&self.settings.path, self.stored.newest, now));
        self.undescribed_rows = ROWS_PER_DESCRIPTION;
    }

    fn put_counts(&self) -> LogWrite {
        LogWrite::PutCounts(serde_json::to_string(&self.stored).unwrap_or_default())
    }

    /// Lets closed segments expire, the oldest first: those beyond the number that is kept, those that are
    /// too old, and those for which the object has no room.
    fn expire(&mut self, now: Millis, writes: &mut Vec<LogWrite>) {
        let backups = self.segments.iter().filter(|segment| segment.is_backup()).count() as u64;
        let mut excess = backups.saturating_sub(self.settings.backup_count);
        let in_object = self.segments.iter().filter(|segment| segment.place == SegmentPlace::Object);
        let mut object_bytes: u64 = in_object.map(|segment| segment.bytes).sum();
        let mut unsent = 0;
        let has_bucket = self.has_bucket;
        for segment in self.segments.iter_mut().filter(|segment| segment.is_backup()) {
            let is_old = self.settings.keep_days.is_some_and(|days| expiry(segment, days) <= now);
            let is_in_object = segment.place == SegmentPlace::Object;
            if excess == 0 && !is_old && !(is_in_object && object_bytes > MAX_OBJECT_BYTES) {
                continue;
            }
            excess = excess.saturating_sub(1);
            if is_in_object {
                object_bytes = object_bytes.saturating_sub(segment.bytes);
                if self.bucket_failures > 0 {
                    unsent += segment.lines;
                }
                writes.push(LogWrite::DeleteLines(segment.number));
            }
            // The bucket may be about to store it, so it is deleted there in any case.
            segment.place = SegmentPlace::Expired;
            if has_bucket {
                writes.push(put(segment));
            }
        }
        if !has_bucket {
            self.forget(|segment| segment.place == SegmentPlace::Expired, writes);
        }
        if unsent > 0 {
            self.stored.counts.unsent_lines = self.stored.counts.unsent_lines.saturating_add(unsent);
            writes.push(self.put_counts());
        }
    }

    fn forget(&mut self, is_gone: impl Fn(&Segment) -> bool, writes: &mut Vec<LogWrite>) {
        let gone = self.segments.iter().filter(|segment| is_gone(segment));
        writes.extend(gone.map(|segment| LogWrite::DeleteSegment(segment.number)));
        self.segments.retain(|segment| !is_gone(segment));
    }

    /// What is to be done next in the bucket.
    pub fn next_task(&self, now: Millis) -> Option<BucketTask> {
        if !self.has_bucket || now < self.bucket_wait {
            return None;
        }
        let first = |place: SegmentPlace| self.segments.iter().find(|segment| segment.place == place);
        let put = first(SegmentPlace::Object)
            .map(|segment| BucketTask::Put { segment: segment.number, key: segment.key.clone() });
        put.or_else(|| {
            first(SegmentPlace::Expired)
                .map(|segment| BucketTask::Delete { segment: segment.number, key: segment.key.clone() })
        })
    }

    /// A task was done.
    pub fn task_done(&mut self, task: &BucketTask, writes: &mut Vec<LogWrite>) {
        self.bucket_failures = 0;
        self.bucket_wait = 0;
        match task {
            BucketTask::Put { segment: number, .. } => {
                let stored = self.segments.iter_mut().find(|segment| segment.number == *number);
                // It may have expired meanwhile.
                if let Some(segment) = stored.filter(|segment| segment.place == SegmentPlace::Object) {
                    segment.place = SegmentPlace::Bucket;
                    writes.extend([put(segment), LogWrite::DeleteLines(*number)]);
                }
            }
            BucketTask::Delete { segment: number, .. } => {
                self.forget(|segment| segment.number == *number && segment.place == SegmentPlace::Expired, writes);
            }
        }
    }

    /// A task has failed. The bucket is left alone for a while.
    pub fn task_failed(&mut self, now: Millis) {
        let doubled = FIRST_WAIT.saturating_mul(1 << self.bucket_failures.min(16));
        self.bucket_failures = self.bucket_failures.saturating_add(1);
        self.bucket_wait = now.saturating_add(doubled.min(LONGEST_WAIT));
    }

    /// When [`LogWriter::tick`] and [`LogWriter::next_task`] have something to do; `None` for never. It may
    /// be in the past.
    pub fn wake_at(&self) -> Option<Millis> {
        let has_task =
            self.segments.iter().any(|segment| matches!(segment.place, SegmentPlace::Object | SegmentPlace::Expired));
        let task = (self.has_bucket && has_task).then_some(self.bucket_wait);
        let open = self.segments.back().filter(|segment| segment.place == SegmentPlace::Open);
        let backups = self.segments.iter().filter(|segment| segment.is_backup());
        let expiry = self.settings.keep_days.and_then(|days| backups.map(|segment| expiry(segment, days)).min());
        [task, open.map(Segment::day_end), expiry].into_iter().flatten().min()
    }

    /// All segments, the newest first.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &Segment> {
        self.segments.iter().rev()
    }

    /// The most bytes that all segments can have together.
    fn capacity(&self) -> u64 {
        let FileLog { max_size, backup_count, .. } = self.settings;
        let closed = max_size.saturating_mul(backup_count);
        (if self.has_bucket { closed } else { closed.min(MAX_OBJECT_BYTES) }).saturating_add(max_size)
    }

    /// What waits for the bucket; `None` without one, and while it is not known whether it fails for long.
    pub fn backlog(&self) -> Option<LogBacklog> {
        if !self.has_bucket || (1..TELLING_FAILURES).contains(&self.bucket_failures) {
            return None;
        }
        let waiting = self.segments.iter().filter(|segment| segment.place == SegmentPlace::Object);
        let FileLog { max_size, backup_count, .. } = self.settings;
        let capacity = max_size.saturating_mul(backup_count).min(MAX_OBJECT_BYTES);
        Some(LogBacklog { bytes: waiting.map(|segment| segment.bytes).sum(), capacity })
    }

    /// How full the log files are.
    pub fn status(&self) -> LogStatus {
        let kept = || self.segments.iter().filter(|segment| segment.place != SegmentPlace::Expired);
        LogStatus {
            segments: kept().count() as u64,
            bytes: kept().map(|segment| segment.bytes).sum(),
            capacity: self.capacity(),
            object_bytes: kept().filter(|segment| segment.is_in_object()).map(|segment| segment.bytes).sum(),
            has_bucket: self.has_bucket,
            bucket_failures: self.bucket_failures,
            counts: self.stored.counts,
        }
    }
}

/// When a closed segment is too old, in milliseconds since 1970.
fn expiry(segment: &Segment, keep_days: u64) -> Millis {
    segment.last.saturating_add(keep_days.saturating_mul(DAY))
}

fn put(segment: &Segment) -> LogWrite {
    LogWrite::PutSegment(segment.number, serde_json::to_string(segment).unwrap_or_default())
}

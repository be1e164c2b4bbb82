//! The log of batches: what the parts of the object are made anew from after it was closed.
//!
//! A batch is one row until the parts have folded it. Then its requests move to a block of many, and the next
//! batches overwrite the rows, because a deleted row costs as much as a written one.

use std::collections::VecDeque;

use serde::Deserialize;
use serde_json::value::RawValue;
use worker::{Result, SqlStorage};

use super::unreadable_rows::{report_entries_once, report_once};
use crate::config::Millis;
use crate::edge::objects::sql::{Row, as_long_text, as_number, has_table, number, rows, run, text};
use crate::operations::Batch;
use crate::reports::RequestBlock;
use crate::telemetry::log_file::LogLines;

const CREATE: [&str; 3] = [
    "CREATE TABLE IF NOT EXISTS batches (slot INTEGER PRIMARY KEY, number INTEGER NOT NULL, received INTEGER NOT NULL, \
     first_request INTEGER NOT NULL, batch TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS blocks (first_request INTEGER PRIMARY KEY, first_at INTEGER NOT NULL, \
     last_at INTEGER NOT NULL, requests TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS folded (only_row INTEGER PRIMARY KEY CHECK (only_row = 0), batch INTEGER NOT NULL, \
     request INTEGER NOT NULL)",
];
/// How long a batch waits to be folded, if there are so many by then. A fold writes some ten rows, and an
/// object that is opened reads what waits: about so many make the two together cheapest.
const FOLD_AFTER: Millis = 900_000;
const FEW_BATCHES: u64 = 100;
/// How long it waits if there are fewer.
const LONGEST_WAIT: Millis = 6 * 3_600_000;
/// At so many bytes of lines for log files, they are folded: their rows are read at once then.
const MAX_LINE_BYTES: usize = 512 << 10;
/// At so many requests that wait, they are folded: about 5 MB, as requests usually are.
const MAX_REQUESTS: u64 = 10_000;
/// At so many batches that wait, they are folded.
const MAX_BATCHES: u64 = 2_000;

/// The log. No table is created before the first batch.
pub(super) struct BatchLog {
    sql: SqlStorage,
    /// The next batch and the next request, and the first of each that is not folded.
    next: Place,
    folded: Place,
    /// When the first batch came that is not folded.
    waiting_since: Option<Millis>,
    /// The bytes of their lines for log files.
    line_bytes: usize,
    /// The ids of the last batches, among them all that are not folded.
    ids: VecDeque<u64>,
}

/// The number of a batch, and that of a request, both counted from 0.
#[derive(Clone, Copy, Default)]
struct Place {
    batch: u64,
    request: u64,
}

impl BatchLog {
    /// Opens the log. Returns it and the batches that are not folded, in their order, each with the time when
    /// it came.
    pub(super) fn open(sql: SqlStorage) -> Result<(Self, Vec<(Batch, Millis)>)> {
        let (next, folded) = (Place::default(), Place::default());
        let mut log = Self { sql, next, folded, waiting_since: None, line_bytes: 0, ids: VecDeque::new() };
        if !has_table(&log.sql, "folded")? {
            return Ok((log, Vec::new()));
        }
        if let Some(row) = rows(&log.sql, "SELECT batch, request FROM folded", Vec::new())?.first() {
            log.folded = Place { batch: number_at(row, 0), request: number_at(row, 1) };
        }
        log.next = log.folded;
        let mut waiting = Vec::new();
        let query = "SELECT CAST(batch AS BLOB), number, first_request, received FROM batches ORDER BY number";
        for row in rows(&log.sql, query, Vec::new())? {
            let mut batch = read_batch(&row);
            let lines = std::mem::take(&mut batch.lines);
            log.remember(batch.id);
            let [number, request, received] = [1, 2, 3].map(|index| number_at(&row, index));
            if number >= log.folded.batch {
                log.waiting_since.get_or_insert(received);
                log.line_bytes = log.line_bytes.saturating_add(length(&lines));
                log.next = Place { batch: number, request }.after(batch.summaries.len() as u64);
                waiting.push((batch, received));
            }
        }
        Ok((log, waiting))
    }

    /// Stores a batch. Returns whether it is new. `json`: what it was read from, if it was.
    pub(super) fn add(&mut self, batch: &Batch, json: Option<&str>, now: Millis) -> Result<bool> {
        if self.ids.contains(&batch.id) {
            return Ok(false);
        }
        if self.next.batch == 0 {
            CREATE.iter().try_for_each(|table| run(&self.sql, table, Vec::new()))?;
        }
        for row in batch.rows(json)? {
            let slot = self.next.batch.saturating_sub(self.folded.batch);
            let numbers = [slot, self.next.batch, now, self.next.request].map(number);
            let mut values = numbers.into_iter().collect::<Result<Row>>()?;
            values.push(text(row.json));
            run(&self.sql, "INSERT OR REPLACE INTO batches VALUES (?, ?, ?, ?, ?)", values)?;
            self.next = self.next.after(row.requests);
        }
        self.waiting_since.get_or_insert(now);
        self.line_bytes = self.line_bytes.saturating_add(length(&batch.lines));
        self.remember(batch.id);
        Ok(true)
    }

    /// Whether what waits is so much, or so old, that it is to be folded.
    pub(super) fn is_fold_due(&self, now: Millis) -> bool {
        let batches = self.next.batch.saturating_sub(self.folded.batch);
        let longest = if batches < FEW_BATCHES { LONGEST_WAIT } else { FOLD_AFTER };
        let is_old = self.waiting_since.is_some_and(|since| now.saturating_sub(since) >= longest);
        is_old
            || self.next.request.saturating_sub(self.folded.request) >= MAX_REQUESTS
            || batches >= MAX_BATCHES
            || self.line_bytes >= MAX_LINE_BYTES
    }

    /// When lines for log files that wait are to be folded, whether more batches come or not.
    pub(super) fn wake_at(&self) -> Option<Millis> {
        self.waiting_since.filter(|_| self.line_bytes > 0).map(|since| since.saturating_add(LONGEST_WAIT))
    }

    /// The lines for log files in the batches that are not folded, from a batch on, and the number of the
    /// batch after them.
    pub(super) fn lines(&self, from: u64) -> Result<(LogLines, u64)> {
        let from = from.max(self.folded.batch);
        let mut lines = LogLines::default();
        if from < self.next.batch {
            let query = "SELECT CAST(batch AS BLOB) FROM batches WHERE number >= ? ORDER BY number";
            for row in rows(&self.sql, query, vec![number(from)?])? {
                lines.append(read_lines(&row));
            }
        }
        Ok((lines, self.next.batch))
    }

    /// Moves the requests that wait into blocks. The parts have stored what they made of them.
    pub(super) fn fold(&mut self) -> Result<()> {
        let query = "SELECT CAST(batch AS BLOB), number FROM batches WHERE number >= ? ORDER BY number";
        let waiting = rows(&self.sql, query, vec![number(self.folded.batch)?])?;
        let mut first = self.folded.request;
        for block in RequestBlock::cut(waiting.iter().flat_map(requests_of)) {
            let values = vec![number(first)?, number(block.first_at)?, number(block.last_at)?, text(block.json)];
            run(&self.sql, "INSERT INTO blocks VALUES (?, ?, ?, ?)", values)?;
            first = first.saturating_add(block.requests as u64);
        }
        let values = vec![number(self.next.batch)?, number(self.next.request)?];
        run(&self.sql, "INSERT OR REPLACE INTO folded VALUES (0, ?, ?)", values)?;
        self.folded = self.next;
        (self.waiting_since, self.line_bytes) = (None, 0);
        Ok(())
    }

    fn remember(&mut self, id: u64) {
        self.ids.push_back(id);
        if self.ids.len() as u64 > MAX_BATCHES {
            self.ids.pop_front();
        }
    }
}

impl Place {
    /// The place after a row with so many requests.
    fn after(self, requests: u64) -> Self {
        Self { batch: self.batch.saturating_add(1), request: self.request.saturating_add(requests) }
    }
}

/// The batch in the first column of a row, read as a BLOB, whose number is in the second. What cannot be read
/// of it, because another build wrote it, is reported once.
pub(super) fn read_batch(row: &Row) -> Batch {
    let name = format!("batch {}", number_at(row, 1));
    let (batch, unreadable) = Batch::read(as_long_text(row.first()).unwrap_or_default()).unwrap_or_else(|error| {
        report_once(&name, || format!("a stored batch cannot be read: {error}"));
        Default::default()
    });
    report_entries_once(&name, unreadable);
    batch
}

/// The requests of such a batch, each as JSON.
fn requests_of(row: &Row) -> Vec<&RawValue> {
    Batch::raw_summaries(as_long_text(row.first()).unwrap_or_default()).unwrap_or_else(|error| {
        report_once(&format!("batch {}", number_at(row, 1)), || format!("a stored batch cannot be read: {error}"));
        Vec::new()
    })
}

/// The lines in a batch.
#[derive(Default, Deserialize)]
struct WithLines {
    #[serde(default)]
    lines: LogLines,
}

/// The lines for log files of the batch in the first column of a row, read as a BLOB.
fn read_lines(row: &Row) -> LogLines {
    let with_lines: WithLines =
        as_long_text(row.first()).and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
    with_lines.lines
}

fn length(lines: &LogLines) -> usize {
    lines.records.iter().fold(0, |sum, record| sum.saturating_add(record.line.len()))
}

fn number_at(row: &Row, index: usize) -> u64 {
    as_number(row.get(index)).unwrap_or(0)
}

//! Lines for log files that came along with batches. They are in the rows of these, and move on to the object
//! that writes log files before the rows are used again, or when somebody reads the log: many at a time, so
//! that a line costs next to nothing.
//!
//! What moves is stored as a chunk first, under an id by which that object takes it once.

use std::collections::VecDeque;

use serde::Deserialize;
use worker::{Error, Result, SqlStorage};

use super::batch_log::BatchLog;
use crate::config::Millis;
use crate::edge::delivery::random_id;
use crate::edge::objects::sql::{as_number, as_text, has_table, number, rows, run, text};
use crate::telemetry::log_file::{LogBatch, LogCommand, LogLines};

/// `until`: the number of the first batch whose lines are in no chunk yet. A chunk that has moved is empty,
/// and kept for this number until the next one has moved.
const CREATE: &str = "CREATE TABLE IF NOT EXISTS line_chunks (number INTEGER PRIMARY KEY, until INTEGER NOT NULL, \
     chunk TEXT NOT NULL)";
/// How many chunks wait at most, each of about 0.5 MB. If the other object takes none, the oldest is lost.
const MAX_CHUNKS: usize = 16;
/// The pause after a chunk that was not taken.
const PAUSE: Millis = 300_000;

/// The chunks.
pub(super) struct LogLineChunks {
    sql: SqlStorage,
    /// The numbers of those that wait.
    waiting: VecDeque<u64>,
    next: u64,
    until: u64,
    /// No chunk is sent by the alarm before this time.
    not_before: Millis,
}

/// A chunk that is to be sent.
pub(super) struct LogLineChunk {
    pub(super) number: u64,
    /// The command to the object that writes log files.
    pub(super) command: String,
}

/// What is read of a chunk to count it.
#[derive(Deserialize)]
struct Sizes {
    records: Vec<serde::de::IgnoredAny>,
    lost: u64,
}

impl LogLineChunks {
    /// The chunks as they are stored.
    pub(super) fn open(sql: SqlStorage) -> Result<Self> {
        let mut chunks = Self { sql, waiting: VecDeque::new(), next: 0, until: 0, not_before: 0 };
        if has_table(&chunks.sql, "line_chunks")? {
            let query = "SELECT number, until, chunk != '' FROM line_chunks ORDER BY number";
            for row in rows(&chunks.sql, query, Vec::new())? {
                let [number, until, waits] = [0, 1, 2].map(|index| as_number(row.get(index)).unwrap_or(0));
                (chunks.next, chunks.until) = (number.saturating_add(1), until);
                chunks.waiting.extend((waits > 0).then_some(number));
            }
        }
        Ok(chunks)
    }

    /// Makes a chunk of the lines that are in no chunk yet, if there are any.
    pub(super) fn add(&mut self, log: &BatchLog) -> Result<()> {
        let (mut lines, until) = log.lines(self.until)?;
        if lines.is_empty() {
            return Ok(());
        }
        run(&self.sql, CREATE, Vec::new())?;
        lines.lost = lines.lost.saturating_add(self.drop_oldest()?);
        let LogLines { records, lost } = lines;
        let chunk = serde_json::to_string(&LogBatch { id: random_id(), records, lost })?;
        let values = vec![number(self.next)?, number(until)?, text(chunk)];
        run(&self.sql, "INSERT INTO line_chunks VALUES (?, ?, ?)", values)?;
        self.waiting.push_back(self.next);
        (self.next, self.until) = (self.next.saturating_add(1), until);
        Ok(())
    }

    /// Drops the oldest chunk, if there are too many. Returns how many lines are lost with it.
    fn drop_oldest(&mut self) -> Result<u64> {
        if self.waiting.len() < MAX_CHUNKS {
            return Ok(0);
        }
        let Some(oldest) = self.waiting.pop_front() else { return Ok(0) };
        let sizes = self.chunk(oldest)?.and_then(|chunk| serde_json::from_str::<Sizes>(&chunk).ok());
        run(&self.sql, "DELETE FROM line_chunks WHERE number = ?", vec![number(oldest)?])?;
        Ok(sizes.map_or(0, |Sizes { records, lost }| lost.saturating_add(records.len() as u64)))
    }

    /// The oldest chunk, if one waits.
    pub(super) fn first(&mut self) -> Result<Option<LogLineChunk>> {
        while let Some(number) = self.waiting.front().copied() {
            let batch = self.chunk(number)?.and_then(|chunk| serde_json::from_str(&chunk).ok());
            if let Some(batch) = batch {
                let command = serde_json::to_string(&LogCommand::Append(batch)).map_err(Error::from)?;
                return Ok(Some(LogLineChunk { number, command }));
            }
            // Another build wrote it.
            self.moved(number)?;
        }
        Ok(None)
    }

    fn chunk(&self, chunk: u64) -> Result<Option<String>> {
        let query = "SELECT chunk FROM line_chunks WHERE number = ?";
        let rows = rows(&self.sql, query, vec![number(chunk)?])?;
        Ok(rows.first().and_then(|row| as_text(row.first())))
    }

    /// Notes what came of sending a chunk. One that has arrived twice is no matter.
    pub(super) fn sent(&mut self, chunk: u64, has_arrived: bool, now: Millis) -> Result<()> {
        self.not_before = if has_arrived { 0 } else { now.saturating_add(PAUSE) };
        if has_arrived { self.moved(chunk) } else { Ok(()) }
    }

    fn moved(&mut self, chunk: u64) -> Result<()> {
        self.waiting.retain(|waiting| *waiting != chunk);
        run(&self.sql, "UPDATE line_chunks SET chunk = '' WHERE number = ? AND chunk != ''", vec![number(chunk)?])?;
        run(&self.sql, "DELETE FROM line_chunks WHERE number < ? AND chunk = ''", vec![number(chunk)?])
    }

    /// When the next chunk is to be sent.
    pub(super) fn wake_at(&self) -> Option<Millis> {
        (!self.waiting.is_empty()).then_some(self.not_before)
    }
}

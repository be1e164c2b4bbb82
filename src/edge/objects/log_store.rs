//! The tables of the object that writes log files, in its own SQLite.

use worker::{Result, SqlStorage};

use super::sql::{Row, as_text, has_table, number, rows, run, text};
use crate::telemetry::log_file::{LogSnapshot, LogWrite, Segment};

/// The last rows of the newest segment.
const LAST_ROWS: &str = "SELECT place, about FROM line_rows \
     WHERE place >= (SELECT MAX(number) FROM segments) * ? ORDER BY place DESC LIMIT ?";
const TABLE: &str = "segments";
const CREATE: [&str; 3] = [
    "CREATE TABLE IF NOT EXISTS segments (number INTEGER PRIMARY KEY, description TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS line_rows (place INTEGER PRIMARY KEY, about TEXT NOT NULL, lines TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS counts (only_row INTEGER PRIMARY KEY CHECK (only_row = 0), counts TEXT NOT NULL)",
];
/// The offset of lines in a segment is below 2^24, the largest size of a segment. So the place of lines is
/// one integer, and lines need no index.
const OFFSETS: u64 = 1 << 24;

/// The tables. None is created before the first write.
pub(super) struct LogStore {
    sql: SqlStorage,
}

impl LogStore {
    pub(super) fn new(sql: SqlStorage) -> Self {
        Self { sql }
    }

    /// The bytes that the database takes.
    pub(super) fn bytes(&self) -> u64 {
        self.sql.database_size() as u64
    }

    /// Everything but the lines.
    pub(super) fn snapshot(&self) -> Result<LogSnapshot> {
        if !has_table(&self.sql, TABLE)? {
            return Ok(LogSnapshot::default());
        }
        let texts = |query| -> Result<Vec<String>> {
            let rows = rows(&self.sql, query, Vec::new())?;
            Ok(rows.iter().filter_map(|row| as_text(row.first())).collect())
        };
        let mut last = rows(&self.sql, LAST_ROWS, vec![number(OFFSETS)?, number(LogSnapshot::ROWS as u64)?])?;
        last.reverse();
        Ok(LogSnapshot {
            rows: last.iter().filter_map(|row| as_text(row.get(1))).collect(),
            segments: texts("SELECT description FROM segments ORDER BY number")?,
            counts: texts("SELECT counts FROM counts")?.pop(),
        })
    }

    /// Stores changes, in their order.
    pub(super) fn write(&self, writes: &[LogWrite]) -> Result<()> {
        if writes.is_empty() {
            return Ok(());
        }
        CREATE.iter().try_for_each(|table| run(&self.sql, table, Vec::new()))?;
        writes.iter().try_for_each(|write| self.write_one(write))
    }

    fn write_one(&self, write: &LogWrite) -> Result<()> {
        let (statement, values) = match write {
            LogWrite::AddLines { segment, row, lines } => {
                let place = number(place(*segment).saturating_add(row.offset))?;
                let about = serde_json::to_string(row)?;
                ("INSERT OR REPLACE INTO line_rows VALUES (?, ?, ?)", vec![place, text(about), text(lines)])
            }
            LogWrite::PutSegment(segment, description) => {
                ("INSERT OR REPLACE INTO segments VALUES (?, ?)", vec![number(*segment)?, text(description)])
            }
            LogWrite::DeleteLines(segment) => {
                ("DELETE FROM line_rows WHERE place >= ? AND place < ?", range(*segment)?)
            }
            LogWrite::DeleteSegment(segment) => ("DELETE FROM segments WHERE number = ?", vec![number(*segment)?]),
            LogWrite::PutCounts(counts) => ("INSERT OR REPLACE INTO counts VALUES (0, ?)", vec![text(counts)]),
        };
        run(&self.sql, statement, values)
    }

    /// Deletes lines beyond the end of the open segment: a write that failed in its middle leaves such.
    pub(super) fn cut(&self, segment: &Segment) -> Result<()> {
        let end = number(place(segment.number).saturating_add(segment.bytes))?;
        run(&self.sql, "DELETE FROM line_rows WHERE place >= ?", vec![end])
    }

    /// The lines of a segment that are in the object.
    pub(super) fn lines(&self, segment: u64) -> Result<String> {
        let query = "SELECT lines FROM line_rows WHERE place >= ? AND place < ? ORDER BY place";
        let rows = rows(&self.sql, query, range(segment)?)?;
        Ok(rows.iter().filter_map(|row| as_text(row.first())).collect())
    }
}

/// The place of the first line of a segment.
fn place(segment: u64) -> u64 {
    segment.saturating_mul(OFFSETS)
}

/// The places of a segment's lines.
fn range(segment: u64) -> Result<Row> {
    Ok(vec![number(place(segment))?, number(place(segment.saturating_add(1)))?])
}

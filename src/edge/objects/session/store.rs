//! Where a session is stored while no client is connected: one text in the object's own SQLite, cut to fit
//! into rows.

use worker::{Error, Result, SqlStorage};

use crate::edge::objects::sql::{as_text, has_table, number, rows, run, text};
use crate::session::{SessionSnapshot, StoredSession};

/// Separates the snapshot from the frames.
const SEPARATOR: &str = "\n\n";
const TABLE: &str = "session";
const CREATE: &str = "CREATE TABLE IF NOT EXISTS session (slice INTEGER PRIMARY KEY, text TEXT NOT NULL)";
/// A row holds 2 MB, and a character takes up to four bytes.
const SLICE_CHARACTERS: usize = 400_000;

/// Stores a session in place of what was stored.
pub(super) fn write(sql: &SqlStorage, snapshot: &SessionSnapshot, frames: &str) -> Result<()> {
    let whole = [&snapshot.write(), SEPARATOR, frames].concat();
    run(sql, CREATE, Vec::new())?;
    clear(sql)?;
    let mut rest = whole.as_str();
    let mut slice = 0;
    while !rest.is_empty() {
        let end = rest.char_indices().nth(SLICE_CHARACTERS).map_or(rest.len(), |(at, _)| at);
        let (first, others) = rest.split_at(end);
        run(sql, "INSERT INTO session VALUES (?, ?)", vec![number(slice)?, text(first)])?;
        (rest, slice) = (others, slice + 1);
    }
    Ok(())
}

/// Deletes what was stored, because it is out of date.
pub(super) fn clear(sql: &SqlStorage) -> Result<()> {
    run(sql, "DELETE FROM session", Vec::new())
}

/// The stored session, if there is one. Reading creates no table.
///
/// # Errors
/// The session cannot be read.
pub(super) fn read(sql: &SqlStorage) -> Result<Option<StoredSession>> {
    if !has_table(sql, TABLE)? {
        return Ok(None);
    }
    let slices = rows(sql, "SELECT text FROM session ORDER BY slice", Vec::new())?;
    let whole: String = slices.iter().filter_map(|row| as_text(row.first())).collect();
    if whole.is_empty() {
        return Ok(None);
    }
    let (snapshot, frames) = whole.split_once(SEPARATOR).unwrap_or((&whole, ""));
    let snapshot = SessionSnapshot::read(snapshot).map_err(|error| Error::RustError(error.to_string()))?;
    Ok(Some(StoredSession { snapshot, frames: frames.to_owned() }))
}

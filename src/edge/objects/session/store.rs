//! Where a session is stored while no client is connected: one text in the object's own SQLite, cut to fit
//! into rows.

use worker::{Result, SqlStorage};

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

/// The stored session. Looking creates nothing.
pub(super) fn read(sql: &SqlStorage) -> Option<StoredSession> {
    if !has_table(sql, TABLE).ok()? {
        return None;
    }
    let slices = rows(sql, "SELECT text FROM session ORDER BY slice", Vec::new()).ok()?;
    let whole: String = slices.iter().filter_map(|row| as_text(row.first())).collect();
    let (snapshot, frames) = whole.split_once(SEPARATOR)?;
    Some(StoredSession { snapshot: SessionSnapshot::read(snapshot)?, frames: frames.to_owned() })
}

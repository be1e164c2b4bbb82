//! Where a session is written down while nobody is connected, in the object's own SQLite: one text, in slices that fit into rows.

use worker::{Result, SqlStorage, SqlStorageValue};

use super::account_store::{as_text, number, text};
use crate::session::SessionSnapshot;

/// Ends what is kept besides frames.
const END: &str = "\n\n";
const CREATE: &str = "CREATE TABLE IF NOT EXISTS session (slice INTEGER PRIMARY KEY, text TEXT NOT NULL)";
/// A row takes 2 MB; a character, up to four bytes of it.
const SLICE: usize = 400_000;

/// A session as it was written down, and its frames.
pub(super) type Stored = (SessionSnapshot, String);

/// Writes a session down, in place of what was there.
pub(super) fn write(sql: &SqlStorage, kept: &SessionSnapshot, frames: &str) -> Result<()> {
    let whole = [&kept.write(), END, frames].concat();
    sql.exec(CREATE, Vec::<SqlStorageValue>::new())?;
    sql.exec("DELETE FROM session", Vec::<SqlStorageValue>::new())?;
    let mut rest = whole.as_str();
    let mut slice = 0;
    while !rest.is_empty() {
        let end = rest.char_indices().nth(SLICE).map_or(rest.len(), |(at, _)| at);
        let (first, others) = rest.split_at(end);
        sql.exec("INSERT INTO session VALUES (?, ?)", vec![number(slice)?, text(first)])?;
        (rest, slice) = (others, slice + 1);
    }
    Ok(())
}

/// What was written down is not true any more.
pub(super) fn clear(sql: &SqlStorage) -> Result<()> {
    sql.exec("DELETE FROM session", Vec::<SqlStorageValue>::new()).map(drop)
}

/// The session that was written down. Nothing is made by looking.
pub(super) fn read(sql: &SqlStorage) -> Option<Stored> {
    let rows = |query: &str| -> Option<Vec<Vec<SqlStorageValue>>> {
        sql.exec(query, Vec::<SqlStorageValue>::new()).and_then(|cursor| cursor.raw().collect()).ok()
    };
    if rows("SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'session'")?.is_empty() {
        return None;
    }
    let slices = rows("SELECT text FROM session ORDER BY slice")?;
    let whole: String = slices.iter().filter_map(|row| as_text(row.first())).collect();
    let (kept, frames) = whole.split_once(END)?;
    Some((SessionSnapshot::read(kept)?, frames.to_owned()))
}

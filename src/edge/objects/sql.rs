//! Statements to an object's own SQLite, and the values of its rows.

use worker::{Error, Result, SqlStorage, SqlStorageValue};

use crate::ledger::UnreadableRecord;

/// A row's values, in the order of the columns.
pub(super) type Row = Vec<SqlStorageValue>;

/// Runs a statement.
pub(super) fn run(sql: &SqlStorage, statement: &str, values: Row) -> Result<()> {
    sql.exec(statement, values).map(drop)
}

/// The rows of a query.
pub(super) fn rows(sql: &SqlStorage, query: &str, values: Row) -> Result<Vec<Row>> {
    sql.exec(query, values)?.raw().collect()
}

/// Whether there is such a table. Looking creates nothing.
pub(super) fn has_table(sql: &SqlStorage, name: &str) -> Result<bool> {
    let query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name = ?";
    rows(sql, query, vec![text(name)]).map(|rows| !rows.is_empty())
}

/// The failure of an object one of whose records cannot be read: the caller logs it as `object_failed`.
#[expect(clippy::needless_pass_by_value, reason = "passed to map_err")]
pub(super) fn unreadable(record: UnreadableRecord) -> Error {
    Error::RustError(record.to_string())
}

pub(super) fn text(text: impl AsRef<str>) -> SqlStorageValue {
    SqlStorageValue::from(text.as_ref())
}

pub(super) fn number(number: u64) -> Result<SqlStorageValue> {
    SqlStorageValue::try_from_i64(i64::try_from(number).unwrap_or(i64::MAX))
}

pub(super) fn as_text(value: Option<&SqlStorageValue>) -> Option<String> {
    match value {
        Some(SqlStorageValue::String(text)) => Some(text.clone()),
        _ => None,
    }
}

/// A long text that was read with `CAST(… AS BLOB)`: bytes cross to the wasm at once, a text character by
/// character.
pub(super) fn as_long_text(value: Option<&SqlStorageValue>) -> Option<&str> {
    match value {
        Some(SqlStorageValue::Blob(bytes)) => std::str::from_utf8(bytes).ok(),
        _ => None,
    }
}

pub(super) fn as_number(value: Option<&SqlStorageValue>) -> Option<u64> {
    match value {
        Some(SqlStorageValue::Integer(number)) => u64::try_from(*number).ok(),
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number that we wrote")]
        Some(SqlStorageValue::Float(number)) => Some(*number as u64),
        _ => None,
    }
}

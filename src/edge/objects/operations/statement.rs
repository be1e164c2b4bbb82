//! Runs the statements of reports.

use worker::{Result, SqlStorage, SqlStorageValue};

use crate::edge::objects::sql::{self, Row, number, text};
use crate::reports::{SqlStatement, SqlValue};

/// Runs a statement that returns no rows.
pub(super) fn run(sql: &SqlStorage, statement: SqlStatement) -> Result<()> {
    sql::run(sql, &statement.text, values(statement.values)?)
}

/// The rows of a query.
pub(super) fn rows(sql: &SqlStorage, statement: SqlStatement) -> Result<Vec<Row>> {
    sql::rows(sql, &statement.text, values(statement.values)?)
}

fn values(values: Vec<SqlValue>) -> Result<Row> {
    let value = |value| match value {
        SqlValue::Null => Ok(SqlStorageValue::Null),
        SqlValue::Number(value) => number(value),
        SqlValue::Text(value) => Ok(text(value)),
    };
    values.into_iter().map(value).collect()
}

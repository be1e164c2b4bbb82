//! The index of requests in SQLite: one row for each request, found by id, listed by time. It holds summaries
//! only.

use super::report_table::tags_json;
use super::request_filter::{ColumnValue, Comparison, Condition, INDEX_COLUMNS, IndexColumn, RequestFilter};
use super::request_page::Cursor;
use super::sql_statement::{SqlStatement, SqlValue, tag_path};
use crate::config::Millis;
use crate::telemetry::RequestSummary;

/// The statements of the index of requests.
pub struct RequestIndex;

impl RequestIndex {
    /// Creates the table, if there is none.
    pub fn create() -> [String; 3] {
        [
            format!(
                "CREATE TABLE IF NOT EXISTS requests \
                 (number INTEGER PRIMARY KEY AUTOINCREMENT, {}, tags TEXT NOT NULL, summary TEXT NOT NULL)",
                definitions().join(", ")
            ),
            "CREATE INDEX IF NOT EXISTS requests_by_time ON requests (at)".into(),
            "CREATE INDEX IF NOT EXISTS requests_by_id ON requests (request_id)".into(),
        ]
    }

    /// Adds a request.
    pub fn add(request: &RequestSummary) -> SqlStatement {
        let marks = vec!["?"; INDEX_COLUMNS.len() + 2].join(", ");
        let columns = column_names().join(", ");
        let tags = tags_json(&request.tags.iter().cloned().collect());
        let summary = serde_json::to_string(request).unwrap_or_default();
        let mut statement = SqlStatement::default();
        statement.push(
            &format!("INSERT INTO requests ({columns}, tags, summary) VALUES ({marks})"),
            INDEX_COLUMNS.iter().map(|column| sql_value((column.of)(request))),
        );
        statement.values.extend([SqlValue::Text(tags), SqlValue::Text(summary)]);
        statement
    }

    /// Reads the number and the summary of requests, the newest first: one more than `limit`, if there are so
    /// many ([`super::RequestPage::of`]).
    pub fn read(filter: &RequestFilter, before: Option<Cursor>, limit: u64) -> SqlStatement {
        let mut statement = SqlStatement::default();
        statement.push("SELECT number, summary FROM requests WHERE 1", []);
        for condition in filter.conditions() {
            statement.push(" AND ", []);
            push_condition(&mut statement, condition);
        }
        if let Some(Cursor { at, number }) = before {
            statement.push(" AND (at, number) < (?, ?)", [SqlValue::Number(at), SqlValue::Number(number)]);
        }
        statement.push(" ORDER BY at DESC, number DESC LIMIT ?", [SqlValue::Number(limit.saturating_add(1))]);
        statement
    }

    /// Deletes the requests that ended before this time.
    pub fn delete_before(time: Millis) -> SqlStatement {
        SqlStatement { text: "DELETE FROM requests WHERE at < ?".into(), values: vec![SqlValue::Number(time)] }
    }

    /// Deletes the requests of a key.
    pub fn delete_key(key_id: &str) -> SqlStatement {
        let values = vec![SqlValue::Text(key_id.to_owned())];
        SqlStatement { text: "DELETE FROM requests WHERE key_id = ?".into(), values }
    }
}

/// The columns with their types. The runtime binds numbers as floats, which the type makes integers again.
fn definitions() -> Vec<String> {
    let any = RequestSummary::default();
    let definition = |column: &IndexColumn| match (column.of)(&any) {
        ColumnValue::Number(_) => format!("{} INTEGER NOT NULL", column.name),
        ColumnValue::Text(_) => format!("{} TEXT NOT NULL", column.name),
    };
    INDEX_COLUMNS.iter().map(definition).collect()
}

fn column_names() -> Vec<&'static str> {
    INDEX_COLUMNS.iter().map(|column| column.name).collect()
}

fn sql_value(value: ColumnValue) -> SqlValue {
    match value {
        ColumnValue::Number(number) => SqlValue::Number(number),
        ColumnValue::Text(text) => SqlValue::Text(text),
    }
}

fn push_condition(statement: &mut SqlStatement, condition: Condition) {
    match condition {
        Condition::Tag(name, value) => {
            statement.push("json_extract(tags, ?) = ?", [tag_path(&name), SqlValue::Text(value)]);
        }
        Condition::Column(name, comparison, value) => {
            let operator = match comparison {
                Comparison::Equal => "=",
                Comparison::AtLeast => ">=",
                Comparison::Below => "<",
            };
            statement.push(&format!("{name} {operator} ?"), [sql_value(value)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mark_has_a_value() {
        let added = RequestIndex::add(&RequestSummary { request_id: "what?".into(), ..RequestSummary::default() });
        assert_eq!(added.text.matches('?').count(), added.values.len());
    }

    #[test]
    fn conditions_are_selected_by_the_store() {
        let filter = RequestFilter {
            from: Some(5),
            model: Some("m'?".into()),
            tags: vec![("team".into(), "x".into())],
            ..RequestFilter::default()
        };
        let read = RequestIndex::read(&filter, Some(Cursor { at: 9, number: 3 }), 50);
        assert_eq!(
            read.text,
            "SELECT number, summary FROM requests WHERE 1 AND at >= ? AND model = ? AND json_extract(tags, ?) = ? \
             AND (at, number) < (?, ?) ORDER BY at DESC, number DESC LIMIT ?"
        );
        let (text, number) = (|text: &str| SqlValue::Text(text.to_owned()), SqlValue::Number);
        let expected = [number(5), text("m'?"), text("$.\"team\""), text("x"), number(9), number(3), number(51)];
        assert_eq!(read.values, expected);
    }

    #[test]
    fn a_list_reads_no_conversation() {
        let summary = serde_json::to_value(RequestSummary::default()).unwrap();
        for field in ["messages", "prompt", "response", "text", "body"] {
            assert!(summary.get(field).is_none(), "{field}");
        }
    }
}

//! The table of sums in SQLite: one row for each cell, one column for each number. A report is grouped by the
//! store, so that its rows and not its cells are read.

use std::collections::BTreeMap;

use super::cell::{Cell, Dimension};
use super::period::Span;
use super::quarter::Quarter;
use super::report::{Group, Report, ReportQuery};
use super::report_command::MAX_ROWS;
use super::request_filter::RequestFilter;
use super::rollup::{Piece, Source};
use super::sql_statement::{SqlStatement, SqlValue, tag_path};
use super::sums::Sums;

/// The columns that name a cell.
const CELL_COLUMNS: [&str; 5] = ["quarter", "key_id", "provider", "model", "tags"];

/// Where the column `tags` has the owner: no tag has such a name. The columns of the table are its key, which
/// cannot be changed in databases that exist.
const OWNER: &str = "@owner";

/// The statements of the table of sums.
pub struct ReportTable;

impl ReportTable {
    /// Creates the table, if there is none.
    pub fn create() -> String {
        let sums = Sums::columns().into_iter().map(|column| format!("{column} INTEGER NOT NULL DEFAULT 0"));
        // The runtime binds numbers as floats, which the type of the column makes integers again.
        let kind = |column| if column == "quarter" { "INTEGER" } else { "TEXT" };
        let cell = CELL_COLUMNS.map(|column| format!("{column} {} NOT NULL", kind(column)));
        let columns: Vec<String> = cell.into_iter().chain(sums).collect();
        let (columns, key) = (columns.join(", "), CELL_COLUMNS.join(", "));
        format!("CREATE TABLE IF NOT EXISTS cells ({columns}, PRIMARY KEY ({key})) WITHOUT ROWID")
    }

    /// Adds sums to the row of a cell.
    pub fn add(cell: &Cell, sums: &Sums) -> SqlStatement {
        let (columns, values) = (Sums::columns(), sums.values());
        let added = columns.iter().map(|column| format!("{column} = {column} + excluded.{column}"));
        let added: Vec<String> = added.collect();
        let marks = vec!["?"; CELL_COLUMNS.len() + columns.len()].join(", ");
        let mut statement = SqlStatement::default();
        let named = [&CELL_COLUMNS.map(str::to_owned)[..], &columns].concat().join(", ");
        let insert = format!("INSERT INTO cells ({named}) VALUES ({marks})");
        statement.push(&insert, cell_values(cell).into_iter().chain(values.into_iter().map(SqlValue::Number)));
        statement.push(&format!(" ON CONFLICT DO UPDATE SET {}", added.join(", ")), []);
        statement
    }

    /// Deletes the rows of the oldest quarter, if it lies before this one.
    pub fn delete_oldest(before: Quarter) -> SqlStatement {
        let text = "DELETE FROM cells WHERE quarter = (SELECT MIN(quarter) FROM cells WHERE quarter < ?)";
        SqlStatement { text: text.into(), values: vec![SqlValue::Number(before.0)] }
    }

    /// Reads the cells of a quarter as rows for [`ReportTable::cell_of`].
    pub fn cells_of(quarter: Quarter) -> SqlStatement {
        let mut statement = SqlStatement::default();
        let columns = CELL_COLUMNS.join(", ");
        statement.push(&format!("SELECT {columns} FROM cells WHERE quarter = ?"), [SqlValue::Number(quarter.0)]);
        statement
    }

    /// Reads at most `limit` cells of the key and the owner and with all tags of a filter, as rows for
    /// [`ReportTable::cell_of`], each followed by an array of its sums as JSON.
    pub fn cells_with_tags(filter: &RequestFilter, limit: u64) -> SqlStatement {
        let (columns, sums) = (CELL_COLUMNS.join(", "), Sums::columns().join(", "));
        let mut statement = SqlStatement::default();
        let key = filter.key_id.clone().map_or(SqlValue::Null, SqlValue::Text);
        statement.push(
            &format!("SELECT {columns}, json_array({sums}) FROM cells WHERE key_id = COALESCE(?, key_id)"),
            [key],
        );
        let owner = filter.owner.as_deref().map(|owner| (OWNER, owner));
        let tags = filter.tags.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in owner.into_iter().chain(tags) {
            statement.push(" AND json_extract(tags, ?) = ?", [tag_path(name), SqlValue::Text(value.to_owned())]);
        }
        statement.push(" LIMIT ?", [SqlValue::Number(limit)]);
        statement
    }

    /// Deletes the row of a cell.
    pub fn delete(cell: &Cell) -> SqlStatement {
        let equal = CELL_COLUMNS.map(|column| format!("{column} = ?")).join(" AND ");
        SqlStatement { text: format!("DELETE FROM cells WHERE {equal}"), values: cell_values(cell).into() }
    }

    /// The cell of a row: its quarter, and its other columns.
    pub fn cell_of(quarter: Quarter, [key_id, provider, model, tags]: [String; 4]) -> Cell {
        let mut tags: BTreeMap<String, String> = serde_json::from_str(&tags).unwrap_or_default();
        Cell { quarter, key_id, owner: tags.remove(OWNER).unwrap_or_default(), provider, model, tags }
    }

    /// Reads those pieces of a report that come from the cells: the index of a span, the values of the
    /// dimensions, and an array of sums as JSON; at most one row more than a report may have. `None` if there
    /// are no such pieces.
    pub fn read(query: &ReportQuery, pieces: &[Piece]) -> Option<SqlStatement> {
        let pieces = pieces.iter().filter(|piece| piece.source == Source::Cells);
        let ranges: Vec<(usize, u64, u64)> = pieces.map(|piece| (piece.span, piece.first.0, piece.last.0)).collect();
        let text = serde_json::to_string(&ranges).unwrap_or_default();
        (!ranges.is_empty()).then(|| Self::read_ranges(query, text))
    }

    fn read_ranges(query: &ReportQuery, ranges: String) -> SqlStatement {
        let mut statement = SqlStatement::default();
        statement.push(
            "WITH spans AS (SELECT value ->> 0 AS span, value ->> 1 AS first, value ->> 2 AS last \
             FROM json_each(?)) SELECT span",
            [SqlValue::Text(ranges)],
        );
        let sums = json_sums();
        if query.group_by.is_empty() {
            // Nothing has to be sorted, which takes as long as adding up.
            statement.push(&format!(", (SELECT {sums} FROM cells WHERE quarter BETWEEN first AND last"), []);
            push_filters(&mut statement, query);
            statement.push(") FROM spans", []);
            return statement;
        }
        for (number, dimension) in query.group_by.iter().enumerate() {
            statement.push(", ", []);
            push_value(&mut statement, dimension);
            statement.push(&format!(" AS by{number}"), []);
        }
        statement.push(&format!(", {sums} FROM spans CROSS JOIN cells WHERE quarter BETWEEN first AND last"), []);
        push_filters(&mut statement, query);
        let groups: String = (0..query.group_by.len()).map(|number| format!(", by{number}")).collect();
        statement.push(&format!(" GROUP BY span{groups} LIMIT ?"), [SqlValue::Number(MAX_ROWS as u64 + 1)]);
        statement
    }

    /// Adds a row that [`ReportTable::read`] has read to a report. `None` if it is no such row.
    pub fn add_row(report: &mut Report, spans: &[Span], row: ReportRow) -> Option<()> {
        let period = spans.get(row.span)?.period;
        let sums: Vec<u64> = serde_json::from_str(&row.sums).ok()?;
        report.add(Group { period, values: row.values }, &Sums::of_values(sums));
        Some(())
    }
}

/// A row that [`ReportTable::read`] has read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportRow {
    /// The index of its span.
    pub span: usize,
    /// The values of the dimensions.
    pub values: Vec<Option<String>>,
    /// Its sums, a JSON array in the order of [`Sums::columns`].
    pub sums: String,
}

/// The sums of the columns of [`Sums::columns`].
pub(super) fn summed() -> String {
    let sums: Vec<String> = Sums::columns().iter().map(|column| format!("SUM({column})")).collect();
    sums.join(", ")
}

/// [`summed`] as an array.
pub(super) fn json_sums() -> String {
    format!("json_array({})", summed())
}

/// The values of [`CELL_COLUMNS`].
fn cell_values(cell: &Cell) -> [SqlValue; CELL_COLUMNS.len()] {
    let text = |text: &str| SqlValue::Text(text.to_owned());
    [
        SqlValue::Number(cell.quarter.0),
        text(&cell.key_id),
        text(&cell.provider),
        text(&cell.model),
        SqlValue::Text(tags_json(cell)),
    ]
}

/// Tags and the owner as JSON, in the order of their names.
fn tags_json(cell: &Cell) -> String {
    let owner = (OWNER, cell.owner.as_str());
    let tags = cell.tags.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let named: BTreeMap<&str, &str> = tags.chain([owner].into_iter().filter(|(_, owner)| !owner.is_empty())).collect();
    serde_json::to_string(&named).unwrap_or_default()
}

/// The value of a dimension, as [`Cell::value`] has it: NULL stands for none.
pub(super) fn push_value(statement: &mut SqlStatement, dimension: &Dimension) {
    match dimension {
        Dimension::Key => statement.push("NULLIF(key_id, '')", []),
        Dimension::Provider => statement.push("NULLIF(provider, '')", []),
        Dimension::Model => statement.push("NULLIF(model, '')", []),
        Dimension::Owner => statement.push("NULLIF(json_extract(tags, ?), '')", [tag_path(OWNER)]),
        Dimension::Tag(name) => statement.push("NULLIF(json_extract(tags, ?), '')", [tag_path(name)]),
    }
}

fn push_filters(statement: &mut SqlStatement, query: &ReportQuery) {
    for filter in &query.filters {
        statement.push(" AND (0", []);
        for value in &filter.values {
            statement.push(" OR ", []);
            push_value(statement, &filter.dimension);
            statement.push(" IS ?", [value.clone().map_or(SqlValue::Null, SqlValue::Text)]);
        }
        statement.push(")", []);
    }
}

#[cfg(test)]
mod tests {
    use super::super::period::{DayRange, Period, Resolution};
    use super::super::report::Filter;
    use std::collections::BTreeSet;

    use super::*;

    fn marks(statement: &SqlStatement) -> usize {
        statement.text.matches('?').count()
    }

    fn span(first: u64, last: u64) -> Span {
        Span { period: Period::default(), first: Quarter(first), last: Quarter(last) }
    }

    fn query() -> ReportQuery {
        let team = Dimension::Tag("team".into());
        ReportQuery {
            days: DayRange { from: 0, to: 1 },
            quarters: None,
            resolution: Resolution::Day,
            group_by: vec![Dimension::Key, team.clone()],
            filters: vec![
                Filter { dimension: Dimension::Model, values: vec![Some("m'?".into()), None] },
                Filter { dimension: team, values: vec![Some("x".into())] },
            ],
        }
    }

    #[test]
    fn every_mark_has_a_value() {
        let forgotten = RequestFilter { key_id: Some("vk_?".into()), tags: tags(), ..RequestFilter::default() };
        let added = ReportTable::add(&Cell::default(), &Sums::default());
        let others = [ReportTable::cells_with_tags(&forgotten, 5), ReportTable::delete(&Cell::default())];
        for statement in others.iter().chain([&added]) {
            assert_eq!(marks(statement), statement.values.len());
        }
        assert!(added.values.len() < 100, "SQLite in a Durable Object takes 100 values");
        let pieces = query().pieces(&[span(0, 95)], &BTreeSet::new());
        let ungrouped = ReportTable::read(&ReportQuery { group_by: Vec::new(), ..query() }, &pieces).unwrap();
        assert_eq!(marks(&ungrouped), ungrouped.values.len());
        let read = ReportTable::read(&query(), &pieces).unwrap();
        assert_eq!(ReportTable::read(&query(), &[]), None);
        assert_eq!(marks(&read), read.values.len());
        assert!(!read.text.contains("m'"), "values are no part of the text");
    }

    #[test]
    fn a_report_is_grouped_by_the_store() {
        let pieces = query().pieces(&[span(0, 95), span(96, 191)], &BTreeSet::new());
        let read = ReportTable::read(&query(), &pieces).unwrap();
        let text = |text: &str| SqlValue::Text(text.to_owned());
        let expected = [
            text("[[0,0,95],[1,96,191]]"),
            text("$.\"team\""),
            text("m'?"),
            SqlValue::Null,
            text("$.\"team\""),
            text("x"),
            SqlValue::Number(MAX_ROWS as u64 + 1),
        ];
        assert_eq!(read.values, expected);
        assert!(read.text.ends_with(
            " FROM spans CROSS JOIN cells WHERE quarter BETWEEN first AND last \
             AND (0 OR NULLIF(model, '') IS ? OR NULLIF(model, '') IS ?) \
             AND (0 OR NULLIF(json_extract(tags, ?), '') IS ?) GROUP BY span, by0, by1 LIMIT ?"
        ));
    }

    fn tags() -> Vec<(String, String)> {
        [("a", "1"), ("b", "2")].map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    #[test]
    fn what_is_forgotten_has_the_key_and_all_tags() {
        let filter = RequestFilter { key_id: Some("vk_1".into()), tags: tags(), ..RequestFilter::default() };
        let read = ReportTable::cells_with_tags(&filter, 5);
        let condition =
            "key_id = COALESCE(?, key_id) AND json_extract(tags, ?) = ? AND json_extract(tags, ?) = ? LIMIT ?";
        assert!(read.text.ends_with(condition));
        let text = |text: &str| SqlValue::Text(text.to_owned());
        let expected = ["vk_1", "$.\"a\"", "1", "$.\"b\"", "2"].map(text);
        assert_eq!(read.values, [&expected[..], &[SqlValue::Number(5)]].concat());
        let of_all_keys = ReportTable::cells_with_tags(&RequestFilter { key_id: None, ..filter }, 5);
        assert_eq!(of_all_keys.values.first(), Some(&SqlValue::Null));
    }

    #[test]
    fn the_owner_is_stored_beside_the_tags() {
        let tags = BTreeMap::from([("team".to_owned(), "x".to_owned())]);
        let cell = Cell { key_id: "vk_1".into(), owner: "ann \"a\"".into(), tags, ..Cell::default() };
        for cell in [Cell { owner: String::new(), ..cell.clone() }, cell] {
            let names =
                cell_values(&cell).map(|value| if let SqlValue::Text(text) = value { text } else { String::new() });
            let [_, key_id, provider, model, tags] = names;
            assert_eq!(ReportTable::cell_of(cell.quarter, [key_id, provider, model, tags]), cell);
        }
        let forgotten = RequestFilter { owner: Some("ann".into()), ..RequestFilter::default() };
        let read = ReportTable::cells_with_tags(&forgotten, 5);
        let text = |text: &str| SqlValue::Text(text.to_owned());
        assert_eq!(read.values, [SqlValue::Null, text("$.\"@owner\""), text("ann"), SqlValue::Number(5)]);
        assert!(!crate::config::is_tag_name(OWNER));
    }

    #[test]
    fn a_row_that_was_read_counts_in_its_period() {
        let spans = [Span { period: Period::default(), first: Quarter(0), last: Quarter(3) }];
        let mut report = Report::default();
        let row = ReportRow { span: 0, values: vec![Some("vk_1".into()), None], sums: "[2,1,1]".into() };
        assert_eq!(ReportTable::add_row(&mut report, &spans, row.clone()), Some(()));
        assert_eq!(report.totals.requests, 2);
        assert_eq!(report.totals.outcomes().collect::<Vec<_>>(), [("complete", 1), ("refused", 1)]);
        assert_eq!(ReportTable::add_row(&mut report, &spans, ReportRow { span: 1, ..row.clone() }), None);
        assert_eq!(ReportTable::add_row(&mut report, &spans, ReportRow { sums: "{}".into(), ..row }), None);
    }
}

//! The tables of rollups in SQLite: which there are, and their sums.

use std::collections::BTreeSet;

use super::cell::Dimension;
use super::quarter::Quarter;
use super::report::ReportQuery;
use super::report_command::MAX_ROWS;
use super::report_table::{json_sums, push_value, summed};
use super::rollup::{Piece, Rollup, Source};
use super::sql_statement::{SqlStatement, SqlValue};
use super::sums::Sums;

/// The length of the rows that have the single quarters of a day without a dimension.
const QUARTERS: u64 = 1;

/// The statements of the tables of rollups. `name`: the name of a dimension, which is empty for none.
pub struct RollupTable;

impl RollupTable {
    /// The name of the table that says which rollups there are. One without requests has no sums.
    pub const NAME: &str = "rollups";

    /// Creates the tables, if there are none.
    pub fn create() -> [String; 2] {
        let sums = Sums::columns().into_iter().map(|column| format!("{column} INTEGER NOT NULL"));
        let sums = sums.collect::<Vec<String>>().join(", ");
        let rollup = "dimension TEXT NOT NULL, length INTEGER NOT NULL, first INTEGER NOT NULL";
        let key = "PRIMARY KEY (dimension, length, first";
        [
            format!("CREATE TABLE IF NOT EXISTS rollups ({rollup}, {key})) WITHOUT ROWID"),
            format!(
                "CREATE TABLE IF NOT EXISTS rollup_sums ({rollup}, value TEXT NOT NULL, {sums}, {key}, value)) \
                 WITHOUT ROWID"
            ),
        ]
    }

    /// Reads the length and the first quarter of the rollups of a dimension that begin between two quarters.
    pub fn existing(name: &str, (first, last): (Quarter, Quarter)) -> SqlStatement {
        let mut statement = SqlStatement::default();
        statement.push(
            "SELECT length, first FROM rollups WHERE dimension = ? AND first BETWEEN ? AND ?",
            [text(name), SqlValue::Number(first.0), SqlValue::Number(last.0)],
        );
        statement
    }

    /// Makes a rollup: of a day from the cells, of eight days from those of days. The last statement says
    /// that it is there.
    pub fn make(dimension: Option<&Dimension>, rollup: Rollup) -> Vec<SqlStatement> {
        let name = dimension.map(Dimension::name).unwrap_or_default();
        let Rollup { length, first } = rollup;
        let last = rollup.last();
        let mut statements = match dimension {
            _ if rollup.is_of_eight_days() => vec![add_up(&name, rollup, Rollup::day_of(first).length)],
            None => vec![add_up_quarters(first, last), add_up(&name, rollup, QUARTERS)],
            Some(dimension) => vec![add_up_cells(dimension, rollup)],
        };
        let mut noted = SqlStatement::default();
        noted.push("INSERT INTO rollups VALUES (?, ?, ?)", [text(&name), number(length), number(first.0)]);
        statements.push(noted);
        statements
    }

    /// Deletes the rollups of a quarter's day and of its eight days, in all dimensions.
    pub fn forget(quarter: Quarter) -> Vec<SqlStatement> {
        let (day, week) = (Rollup::day_of(quarter), Rollup::eight_days_of(quarter));
        let sums = [(QUARTERS, day), (day.length, day), (week.length, Rollup { length: 1, ..week })];
        let delete = |(length, within): (u64, Rollup)| {
            let mut statement = SqlStatement::default();
            statement.push(
                "DELETE FROM rollup_sums WHERE dimension IN (SELECT dimension FROM rollups) AND length = ? \
                 AND first BETWEEN ? AND ?",
                [number(length), number(within.first.0), number(within.last().0)],
            );
            statement
        };
        let mut noted = SqlStatement::default();
        noted.push(
            "DELETE FROM rollups WHERE (length = ? AND first = ?) OR (length = ? AND first = ?)",
            [number(day.length), number(day.first.0), number(week.length), number(week.first.0)],
        );
        sums.into_iter().map(delete).chain([noted]).collect()
    }

    /// Deletes the rollups that begin before a quarter.
    pub fn expire(before: Quarter) -> [SqlStatement; 2] {
        // In the order of the key, so that what stays is not read.
        let lengths = [QUARTERS, Rollup::day_of(before).length, Rollup::eight_days_of(before).length];
        let [quarters, day, week] = lengths.map(|length| length.to_string());
        let within = format!(
            "dimension IN (SELECT dimension FROM rollups) AND length IN ({quarters}, {day}, {week}) AND first < ?"
        );
        let sums = format!("DELETE FROM rollup_sums WHERE {within}");
        [sums, "DELETE FROM rollups WHERE first < ?".to_owned()]
            .map(|text| SqlStatement { text, values: vec![number(before.0)] })
    }

    /// Reads the pieces of a report that do not come from cells, as [`super::ReportTable::read`] does; `None`
    /// if there are none.
    pub fn read(query: &ReportQuery, name: &str, pieces: &[Piece]) -> Option<SqlStatement> {
        let row = |piece: &Piece| {
            let length = match piece.source {
                Source::Cells => return None,
                Source::Quarters => QUARTERS,
                Source::Rollups(length) => length,
            };
            Some((piece.span, length, piece.first.0, piece.last.0))
        };
        let rows: BTreeSet<(usize, u64, u64, u64)> = pieces.iter().filter_map(row).collect();
        if rows.is_empty() {
            return None;
        }
        let value = if query.group_by.is_empty() { "" } else { ", NULLIF(value, '') AS by0" };
        let group = if query.group_by.is_empty() { "" } else { ", by0" };
        let mut statement = SqlStatement::default();
        statement.push(
            &format!(
                "WITH pieces AS (SELECT value ->> 0 AS span, value ->> 1 AS size, value ->> 2 AS begins, \
                 value ->> 3 AS ends FROM json_each(?)) \
                 SELECT span{value}, {} FROM pieces CROSS JOIN rollup_sums \
                 WHERE dimension = ? AND length = size AND first BETWEEN begins AND ends \
                 GROUP BY span{group} LIMIT ?",
                json_sums()
            ),
            [SqlValue::Text(serde_json::to_string(&rows).unwrap_or_default()), text(name), number(MAX_ROWS as u64 + 1)],
        );
        Some(statement)
    }
}

fn add_up_cells(dimension: &Dimension, rollup: Rollup) -> SqlStatement {
    let mut statement = SqlStatement::default();
    let named = [text(&dimension.name()), number(rollup.length), number(rollup.first.0)];
    statement.push("INSERT OR REPLACE INTO rollup_sums SELECT ?, ?, ?, COALESCE(", named);
    push_value(&mut statement, dimension);
    let quarters = [number(rollup.first.0), number(rollup.last().0)];
    statement.push(
        &format!(", '') AS named, {} FROM cells WHERE quarter BETWEEN ? AND ? GROUP BY named", summed()),
        quarters,
    );
    statement
}

fn add_up_quarters(first: Quarter, last: Quarter) -> SqlStatement {
    let mut statement = SqlStatement::default();
    statement.push(
        &format!(
            "INSERT OR REPLACE INTO rollup_sums SELECT '', {QUARTERS}, quarter, '', {} FROM cells \
             WHERE quarter BETWEEN ? AND ? GROUP BY quarter",
            summed()
        ),
        [number(first.0), number(last.0)],
    );
    statement
}

/// Adds up the sums of shorter rollups.
fn add_up(name: &str, rollup: Rollup, part: u64) -> SqlStatement {
    let mut statement = SqlStatement::default();
    let values = [number(rollup.length), number(rollup.first.0), text(name), number(part)];
    statement.push(
        &format!(
            "INSERT OR REPLACE INTO rollup_sums SELECT dimension, ?, ?, value, {} FROM rollup_sums \
             WHERE dimension = ? AND length = ? AND first BETWEEN ? AND ? GROUP BY value",
            summed()
        ),
        values.into_iter().chain([number(rollup.first.0), number(rollup.last().0)]),
    );
    statement
}

fn text(text: &str) -> SqlValue {
    SqlValue::Text(text.to_owned())
}

fn number(number: u64) -> SqlValue {
    SqlValue::Number(number)
}

#[cfg(test)]
mod tests {
    use super::super::period::{DayRange, Resolution};
    use super::*;

    #[test]
    fn every_mark_has_a_value() {
        let day = Rollup::day_of(Quarter(100));
        let tag = Dimension::Tag("team".into());
        let days = DayRange { from: 0, to: 1 };
        let query = ReportQuery {
            days,
            quarters: None,
            resolution: Resolution::Range,
            group_by: vec![tag.clone()],
            filters: Vec::new(),
        };
        let piece = Piece { span: 0, source: Source::Rollups(day.length), first: day.first, last: day.last() };
        let mut all = RollupTable::make(Some(&tag), day);
        all.extend(RollupTable::make(None, day));
        all.extend(RollupTable::make(Some(&tag), Rollup::eight_days_of(Quarter(100))));
        all.extend(RollupTable::forget(Quarter(100)));
        all.extend(RollupTable::expire(Quarter(100)));
        all.push(RollupTable::existing("tag.team", (day.first, day.last())));
        all.extend(RollupTable::read(&query, "tag.team", &[piece]));
        for statement in &all {
            assert_eq!(statement.text.matches('?').count(), statement.values.len(), "{}", statement.text);
        }
        assert_eq!(RollupTable::read(&query, "tag.team", &[Piece { source: Source::Cells, ..piece }]), None);
    }

    #[test]
    fn what_a_late_request_changes_is_forgotten_whole() {
        let forgotten = RollupTable::forget(Quarter(96 * 9 + 5));
        let values: Vec<Vec<SqlValue>> = forgotten.into_iter().map(|statement| statement.values).collect();
        let expected: [&[u64]; 4] = [&[1, 864, 959], &[96, 864, 959], &[768, 768, 768], &[96, 864, 768, 768]];
        let expected = expected.map(|values| values.iter().copied().map(SqlValue::Number).collect::<Vec<_>>());
        assert_eq!(values, expected);
    }
}

//! The rollups of the sums: made when a report wants them, and forgotten when what they are of changes.

use std::collections::BTreeSet;

use worker::{Result, SqlStorage};

use super::statement;
use crate::config::Millis;
use crate::edge::objects::sql::{as_number, has_table, run};
use crate::reports::{Piece, Quarter, ReportQuery, Rollup, RollupTable, Span, SqlStatement};

/// Stores and reads the sums of whole days in the object's database.
pub(super) struct Rollups {
    sql: SqlStorage,
    has_tables: bool,
}

impl Rollups {
    pub(super) fn open(sql: SqlStorage) -> Result<Self> {
        let has_tables = has_table(&sql, RollupTable::NAME)?;
        Ok(Self { sql, has_tables })
    }

    /// Makes the rollups that a report wants. `oldest`: the first quarter that is stored.
    pub(super) fn make(&mut self, query: &ReportQuery, spans: &[Span], oldest: Quarter, now: Millis) -> Result<()> {
        let Some(name) = query.rolled_up_by() else { return Ok(()) };
        let existing = self.existing(&name, spans)?;
        let mut wanted = query.wanted_rollups(spans, oldest, now);
        wanted.retain(|rollup| !existing.contains(rollup));
        if wanted.is_empty() {
            return Ok(());
        }
        for create in RollupTable::create() {
            run(&self.sql, &create, Vec::new())?;
        }
        self.has_tables = true;
        for rollup in wanted {
            RollupTable::make(query.group_by.first(), rollup).into_iter().try_for_each(|make| self.run(make))?;
        }
        Ok(())
    }

    /// Cuts the spans of a report into what is read from cells, and what from rollups.
    pub(super) fn pieces(&self, query: &ReportQuery, spans: &[Span]) -> Result<Vec<Piece>> {
        let rollups = match query.rolled_up_by() {
            Some(name) => self.existing(&name, spans)?,
            None => BTreeSet::new(),
        };
        Ok(query.pieces(spans, &rollups))
    }

    fn existing(&self, name: &str, spans: &[Span]) -> Result<BTreeSet<Rollup>> {
        let range = (spans.iter().map(|span| span.first).min(), spans.iter().map(|span| span.last).max());
        let (Some(first), Some(last), true) = (range.0, range.1, self.has_tables) else { return Ok(BTreeSet::new()) };
        let existing = RollupTable::existing(name, (Rollup::day_of(first).first, last));
        let rollup =
            |row: Vec<_>| Some(Rollup { length: as_number(row.first())?, first: Quarter(as_number(row.get(1))?) });
        Ok(statement::rows(&self.sql, existing)?.into_iter().filter_map(rollup).collect())
    }

    /// Forgets the rollups of quarters whose sums change.
    pub(super) fn forget(&self, quarters: impl Iterator<Item = Quarter>, now: Millis) -> Result<()> {
        if !self.has_tables {
            return Ok(());
        }
        let days: BTreeSet<Rollup> = quarters.map(Rollup::day_of).filter(|day| day.is_over(now)).collect();
        for day in days {
            RollupTable::forget(day.first).into_iter().try_for_each(|forget| self.run(forget))?;
        }
        Ok(())
    }

    /// Forgets the rollups of time before a quarter, which is gone.
    pub(super) fn expire(&self, before: Quarter) -> Result<()> {
        if !self.has_tables {
            return Ok(());
        }
        RollupTable::expire(before).into_iter().try_for_each(|delete| self.run(delete))
    }

    fn run(&self, statement: SqlStatement) -> Result<()> {
        statement::run(&self.sql, statement)
    }
}

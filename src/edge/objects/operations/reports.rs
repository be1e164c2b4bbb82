//! The reports of the operations object: its tables of sums, and the requests in its log.

use worker::{Result, SqlStorage};

use super::part::Part;
use super::request_log::RequestLog;
use super::rollups::Rollups;
use super::statement;
use crate::config::{Millis, Reporting};
use crate::edge::objects::sql::{Row, as_number, as_text, has_table, number, rows, run};
use crate::operations::Batch;
use crate::reports::{
    Cell, DELETED, MAX_ROWS, Quarter, Report, ReportCommand, ReportQuery, ReportResponse, ReportRow, ReportTable,
    RequestFilter, Resolution, RollupTable, Span, SqlStatement, StoreSizes, Sums, UnfoldedSums, Zone,
};
use crate::wire::date::DAY;

const CREATE_LOST: &str = "CREATE TABLE IF NOT EXISTS lost (quarter INTEGER PRIMARY KEY, requests INTEGER NOT NULL)";
/// A Durable Object has 10 GB at most; on the free plan, all of an account have 5 GB together
/// (<https://developers.cloudflare.com/durable-objects/platform/limits/>).
const MAX_BYTES: u64 = 10_000_000_000;
/// How many cells one command renames, and how many blocks and quarters one alarm deletes.
const MAX_RENAMED: u64 = 500;
const MAX_EXPIRED: u64 = 100;
/// The pause between two searches for expired entries.
const PAUSE: Millis = 3_600_000;

/// The reports.
pub(super) struct Reports {
    sql: SqlStorage,
    requests: RequestLog,
    settings: Reporting,
    sums: UnfoldedSums,
    rollups: Rollups,
    has_tables: bool,
    /// When entries are next looked for that have expired.
    expires_at: Option<Millis>,
}

impl Part for Reports {
    fn record(&mut self, batch: &Batch, now: Millis) -> Result<()> {
        if !self.has_tables {
            self.expires_at.get_or_insert(self.expiry(now, now));
        }
        self.count(batch, now)
    }

    fn replay(&mut self, batch: &Batch, received: Millis) -> Result<()> {
        self.count(batch, received)
    }

    fn fold(&mut self, now: Millis) -> Result<()> {
        self.create_tables()?;
        self.rollups.forget(self.sums.cells().keys().map(|cell| cell.quarter), now)?;
        for (cell, sums) in self.sums.cells() {
            statement::run(&self.sql, ReportTable::add(cell, sums))?;
        }
        for (quarter, lost) in self.sums.lost() {
            let add =
                "INSERT INTO lost VALUES (?, ?) ON CONFLICT DO UPDATE SET requests = requests + excluded.requests";
            run(&self.sql, add, vec![number(quarter.0)?, number(*lost)?])?;
        }
        self.sums.clear();
        // The blocks of earlier folds: those of this one are written after it.
        self.requests.index()?;
        self.expires_at = self.next_expiry()?;
        Ok(())
    }

    /// What is to be deleted should be in blocks.
    fn needs_fold(&self, command: &str) -> bool {
        matches!(serde_json::from_str(command), Ok(ReportCommand::Delete { before: None, .. }))
    }

    fn prepare(&mut self, command: &str, now: Millis) -> Result<()> {
        let (Ok(ReportCommand::Report { query, zone }), true) = (serde_json::from_str(command), self.has_tables) else {
            return Ok(());
        };
        let Some(oldest) = self.oldest_quarter()? else { return Ok(()) };
        self.rollups.make(&query, &query.spans(&zone), oldest, now)
    }

    fn handle(&mut self, command: &str, now: Millis) -> Result<String> {
        let response = match serde_json::from_str(command) {
            Ok(ReportCommand::Report { query, zone }) => self.report(&query, &zone)?,
            Ok(ReportCommand::Requests { filter, before, limit }) => {
                ReportResponse::Requests(self.requests.page(filter, before, limit)?)
            }
            Ok(ReportCommand::Delete { filter, before }) => self.delete(&filter, before, now)?,
            Ok(ReportCommand::Size) => ReportResponse::Size(self.sizes()?),
            Err(_) => ReportResponse::Malformed,
        };
        Ok(serde_json::to_string(&response)?)
    }

    fn wake_at(&self) -> Option<Millis> {
        self.expires_at
    }

    fn expire(&mut self, now: Millis) -> Result<()> {
        // The alarm may have been that of another part.
        self.expires_at = self.next_expiry()?;
        if self.expires_at.is_none_or(|at| at > now) {
            return Ok(());
        }
        let before = now.saturating_sub(days(self.settings.keep_requests_days));
        let has_more = self.requests.expire(before, MAX_EXPIRED)? | self.expire_sums(now)?;
        let earliest = now.saturating_add(if has_more { 0 } else { PAUSE });
        self.expires_at = self.next_expiry()?.map(|at| at.max(earliest));
        Ok(())
    }
}

impl Reports {
    /// Opens the reports. The alarm of an earlier instance still stands, so that none has to be set.
    pub(super) fn open(sql: SqlStorage, settings: Reporting) -> Result<Self> {
        let has_tables = has_table(&sql, "cells")?;
        let (requests, rollups) = (RequestLog::new(sql.clone()), Rollups::open(sql.clone())?);
        Ok(Self { sql, requests, rollups, settings, sums: UnfoldedSums::default(), has_tables, expires_at: None })
    }

    /// When something stored will have expired, at the latest a day later.
    fn next_expiry(&self) -> Result<Option<Millis>> {
        let (request, quarter) = (self.requests.oldest_block()?, self.oldest_quarter()?);
        let times = (request.unwrap_or(Millis::MAX), quarter.map_or(Millis::MAX, Quarter::start));
        Ok((request.is_some() || quarter.is_some()).then(|| self.expiry(times.0, times.1)))
    }

    /// When a request that ended at a time, or the sums of a time, have expired; a day later at the latest.
    fn expiry(&self, request: Millis, sums: Millis) -> Millis {
        let Reporting { keep_requests_days, keep_sums_days, .. } = self.settings;
        let request = request.saturating_add(days(keep_requests_days));
        request.min(sums.saturating_add(days(keep_sums_days))).saturating_add(DAY)
    }

    fn create_tables(&mut self) -> Result<()> {
        if !self.has_tables {
            run(&self.sql, &ReportTable::create(), Vec::new())?;
            run(&self.sql, CREATE_LOST, Vec::new())?;
        }
        self.has_tables = true;
        Ok(())
    }

    fn count(&mut self, batch: &Batch, at: Millis) -> Result<()> {
        for quarter in self.sums.unknown_quarters(&batch.summaries) {
            let cells = self.stored_cells(ReportTable::cells_of(quarter))?;
            self.sums.know(quarter, cells.into_iter().map(|(cell, _)| cell));
        }
        self.sums.count(&batch.summaries, batch.lost, at);
        Ok(())
    }

    /// The stored cells that a statement reads, with their sums, if it reads these.
    fn stored_cells(&self, statement: SqlStatement) -> Result<Vec<(Cell, Sums)>> {
        if !self.has_tables {
            return Ok(Vec::new());
        }
        let cell = |row: Row| {
            let names = [1, 2, 3, 4].map(|index| as_text(row.get(index)).unwrap_or_default());
            let sums: Vec<u64> =
                as_text(row.get(5)).and_then(|sums| serde_json::from_str(&sums).ok()).unwrap_or_default();
            let quarter = Quarter(as_number(row.first()).unwrap_or(0));
            (ReportTable::cell_of(quarter, names), Sums::of_values(sums))
        };
        Ok(statement::rows(&self.sql, statement)?.into_iter().map(cell).collect())
    }

    fn report(&self, query: &ReportQuery, zone: &Zone) -> Result<ReportResponse> {
        let mut report = Report::of(query, zone, self.sums.cells());
        let spans = query.spans(zone);
        if self.has_tables {
            let pieces = self.rollups.pieces(query, &spans)?;
            let name = query.rolled_up_by().unwrap_or_default();
            let reads = [ReportTable::read(query, &pieces), RollupTable::read(query, &name, &pieces)];
            for read in reads.into_iter().flatten() {
                for row in statement::rows(&self.sql, read)? {
                    let span = as_number(row.first()).and_then(|span| usize::try_from(span).ok());
                    let values = (1..=query.group_by.len()).map(|index| as_text(row.get(index))).collect();
                    let (span, sums) = (span.unwrap_or(usize::MAX), as_text(row.last()).unwrap_or_default());
                    ReportTable::add_row(&mut report, &spans, ReportRow { span, values, sums });
                }
            }
        }
        if report.rows.len() > MAX_ROWS {
            return Ok(ReportResponse::TooManyRows);
        }
        Ok(ReportResponse::Report { rows: report.lines(), lost: self.lost(query, zone)? })
    }

    /// How many requests were lost in the days of a report.
    fn lost(&self, query: &ReportQuery, zone: &Zone) -> Result<u64> {
        let mut lost = 0u64;
        let all = ReportQuery { resolution: Resolution::Range, ..query.clone() };
        for Span { first, last, .. } in all.spans(zone) {
            lost = self.sums.lost().range(first..=last).fold(lost, |sum, (_, lost)| sum.saturating_add(*lost));
            if self.has_tables {
                let query = "SELECT SUM(requests) FROM lost WHERE quarter BETWEEN ? AND ?";
                let sums = rows(&self.sql, query, vec![number(first.0)?, number(last.0)?])?;
                lost = lost.saturating_add(first_number(&sums).unwrap_or(0));
            }
        }
        Ok(lost)
    }

    fn delete(&mut self, filter: &RequestFilter, before: Option<u64>, now: Millis) -> Result<ReportResponse> {
        let (requests, mut next) = self.requests.delete(filter, before)?;
        // All sums are searched for the tags, which takes as long as a report: after the last block only.
        if next.is_none() && self.rename_cells(filter, now)? {
            next = Some(1);
        }
        // What came since the first command is not meant.
        let waiting = before.is_none() && self.requests.is_waiting()?;
        Ok(ReportResponse::Deleted { requests, next, waiting })
    }

    /// Takes the owner and the values of the filter's tags from the sums of its key that have all of them.
    /// Returns whether some are left.
    fn rename_cells(&self, filter: &RequestFilter, now: Millis) -> Result<bool> {
        if filter.tags.iter().map(|(_, value)| value).chain(&filter.owner).all(|value| value == DELETED) {
            return Ok(false);
        }
        let cells = self.stored_cells(ReportTable::cells_with_tags(filter, MAX_RENAMED))?;
        let has_more = cells.len() as u64 == MAX_RENAMED;
        self.rollups.forget(cells.iter().map(|(cell, _)| cell.quarter), now)?;
        for (mut cell, sums) in cells {
            statement::run(&self.sql, ReportTable::delete(&cell))?;
            if filter.owner.is_some() {
                DELETED.clone_into(&mut cell.owner);
            }
            cell.tags.extend(filter.tags.iter().map(|(name, _)| (name.clone(), DELETED.to_owned())));
            statement::run(&self.sql, ReportTable::add(&cell, &sums))?;
        }
        Ok(has_more)
    }

    /// Deletes sums whose time is over. Returns whether there may be more of them.
    fn expire_sums(&self, now: Millis) -> Result<bool> {
        if !self.has_tables {
            return Ok(false);
        }
        let before = Quarter::of(now.saturating_sub(days(self.settings.keep_sums_days)));
        run(&self.sql, "DELETE FROM lost WHERE quarter < ?", vec![number(before.0)?])?;
        self.rollups.expire(before)?;
        for _ in 0..MAX_EXPIRED {
            match self.oldest_quarter()? {
                Some(oldest) if oldest < before => statement::run(&self.sql, ReportTable::delete_oldest(before))?,
                _ => return Ok(false),
            }
        }
        Ok(true)
    }

    fn oldest_quarter(&self) -> Result<Option<Quarter>> {
        if !self.has_tables {
            return Ok(None);
        }
        let oldest = rows(&self.sql, "SELECT MIN(quarter) FROM cells", Vec::new())?;
        Ok(first_number(&oldest).map(Quarter))
    }

    fn sizes(&self) -> Result<StoreSizes> {
        let stored = self.oldest_quarter()?;
        let oldest = stored.into_iter().chain(self.sums.cells().keys().map(|cell| cell.quarter)).min();
        Ok(StoreSizes {
            bytes: self.sql.database_size() as u64,
            max_bytes: MAX_BYTES,
            recorded_requests: self.requests.count()?,
            oldest_request_at: self.requests.oldest()?,
            oldest_sum_at: oldest.map(Quarter::start),
        })
    }
}

fn days(days: u64) -> Millis {
    days.saturating_mul(DAY)
}

/// The number in the first column of the first row; `None` if it is NULL.
fn first_number(rows: &[Row]) -> Option<u64> {
    rows.first().and_then(|row| as_number(row.first()))
}

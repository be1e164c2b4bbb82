//! The requests in the log of batches: listed, deleted and expired. See [`super::batch_log`] for its tables.

use worker::{Result, SqlStorage};

use super::batch_log::read_batch;
use super::request_index::RequestIndex;
use super::unreadable_rows::report_entries_once;
use crate::config::Millis;
use crate::edge::objects::sql::{Row, as_long_text, as_number, has_table, number, rows, run, text};
use crate::reports::{RequestFilter, RequestPage, RequestSearch, delete_from};
use crate::telemetry::RequestSummary;

/// How many blocks one command reads: about 50 MB.
const MAX_BLOCKS: u64 = 200;
/// How many are in memory at a time.
const BLOCKS_PER_QUERY: u64 = 4;
/// The largest number that JavaScript holds exactly.
const LARGEST: u64 = (1 << 53) - 1;

/// The requests in the log.
pub(super) struct RequestLog {
    sql: SqlStorage,
    index: RequestIndex,
}

impl RequestLog {
    pub(super) fn new(sql: SqlStorage) -> Self {
        Self { index: RequestIndex::new(sql.clone()), sql }
    }

    /// Indexes some of the blocks that are not indexed.
    pub(super) fn index(&self) -> Result<()> {
        if self.has_tables()? { self.index.extend() } else { Ok(()) }
    }

    /// A page of requests. What one command cannot search is left to the next page.
    pub(super) fn page(&self, filter: RequestFilter, before: Option<u64>, limit: usize) -> Result<RequestPage> {
        let times = (filter.from.unwrap_or(0), filter.to.unwrap_or(LARGEST));
        let before = before.unwrap_or(LARGEST);
        let mut search = RequestSearch::new(filter, before, limit);
        if !self.has_tables()? {
            return Ok(search.finish(0));
        }
        for (first, requests) in self.waiting(before)?.into_iter().rev() {
            search.search(first, &serde_json::to_string(&requests)?);
        }
        let indexed = self.index.end()?;
        let wanted = search.request_id().map(ToOwned::to_owned);
        let (mut unread, mut read) = (before, 0);
        while !search.is_full() && unread > 0 && read < MAX_BLOCKS {
            if let Some(id) = wanted.as_deref().filter(|_| unread <= indexed) {
                unread = self.search_indexed(&mut search, id, unread)?;
                break;
            }
            let query = "SELECT first_request, CAST(requests AS BLOB) FROM blocks \
                         WHERE first_request < ? AND last_at >= ? AND first_at < ? ORDER BY first_request DESC LIMIT ?";
            let values = vec![number(unread)?, number(times.0)?, number(times.1)?, number(BLOCKS_PER_QUERY)?];
            let blocks = rows(&self.sql, query, values)?;
            unread = if (blocks.len() as u64) < BLOCKS_PER_QUERY { 0 } else { unread };
            for row in &blocks {
                unread = unread.min(search_block(&mut search, row));
            }
            read += BLOCKS_PER_QUERY;
        }
        Ok(search.finish(unread))
    }

    /// Searches the blocks that may have a request id, below a number. Returns below which number nothing has
    /// been searched.
    fn search_indexed(&self, search: &mut RequestSearch, id: &str, below: u64) -> Result<u64> {
        let blocks = self.index.blocks(id)?;
        for (first, count) in blocks.range(..below).rev().zip(1..) {
            let query = "SELECT first_request, CAST(requests AS BLOB) FROM blocks WHERE first_request = ?";
            for row in &rows(&self.sql, query, vec![number(*first)?])? {
                search_block(search, row);
            }
            if search.is_full() || count >= MAX_BLOCKS {
                return Ok(*first);
            }
        }
        Ok(0)
    }

    /// Deletes requests from some blocks. Returns how many, and the `before` of the next blocks, if there are
    /// any. Requests that wait to be folded are left.
    pub(super) fn delete(&self, filter: &RequestFilter, before: Option<u64>) -> Result<(u64, Option<u64>)> {
        if !self.has_tables()? {
            return Ok((0, None));
        }
        // Rows of folded batches hold copies.
        self.delete_folded()?;
        let (mut deleted, mut unread) = (0u64, before.unwrap_or(LARGEST));
        for _ in 0..MAX_BLOCKS {
            let query = "SELECT first_request, CAST(requests AS BLOB) FROM blocks WHERE first_request < ? \
                         ORDER BY first_request DESC LIMIT 1";
            let blocks = rows(&self.sql, query, vec![number(unread)?])?;
            let Some(row) = blocks.first() else { return Ok((deleted, None)) };
            unread = as_number(row.first()).unwrap_or(0);
            if let Some((block, count)) = delete_from(filter, as_long_text(row.get(1)).unwrap_or_default()) {
                let update = "UPDATE blocks SET requests = ? WHERE first_request = ?";
                run(&self.sql, update, vec![text(block), number(unread)?])?;
                deleted = deleted.saturating_add(count);
            }
        }
        Ok((deleted, Some(unread).filter(|unread| *unread > 0)))
    }

    /// Deletes blocks whose requests all ended before this time, at most so many. Returns whether there may
    /// be more of them.
    pub(super) fn expire(&self, before: Millis, most: u64) -> Result<bool> {
        if !self.has_tables()? {
            return Ok(false);
        }
        self.delete_folded()?;
        let query = "SELECT first_request FROM blocks WHERE last_at < ? ORDER BY first_request LIMIT ?";
        let expired = rows(&self.sql, query, vec![number(before)?, number(most)?])?;
        for row in &expired {
            let first = as_number(row.first()).unwrap_or(0);
            run(&self.sql, "DELETE FROM blocks WHERE first_request = ?", vec![number(first)?])?;
        }
        self.index.expire()?;
        Ok(expired.len() as u64 == most)
    }

    /// How many requests have been recorded.
    pub(super) fn count(&self) -> Result<u64> {
        if !self.has_tables()? {
            return Ok(0);
        }
        let (folded, waiting) = (self.folded()?, self.waiting(LARGEST)?);
        let waiting = waiting.iter().map(|(_, requests)| requests.len() as u64).sum::<u64>();
        Ok(folded.1.saturating_add(waiting))
    }

    /// When the last request of the block ended that expires first.
    pub(super) fn oldest_block(&self) -> Result<Option<Millis>> {
        if !self.has_tables()? {
            return Ok(None);
        }
        let oldest = rows(&self.sql, "SELECT MIN(last_at) FROM blocks", Vec::new())?;
        Ok(oldest.first().and_then(|row| as_number(row.first())))
    }

    /// When the oldest request ended.
    pub(super) fn oldest(&self) -> Result<Option<Millis>> {
        if !self.has_tables()? {
            return Ok(None);
        }
        let blocks = rows(&self.sql, "SELECT first_at FROM blocks ORDER BY first_request LIMIT 1", Vec::new())?;
        let oldest = blocks.first().and_then(|row| as_number(row.first()));
        let waiting = || self.waiting(LARGEST).map(|batches| batches.first()?.1.first().map(|request| request.at));
        oldest.map_or_else(waiting, |oldest| Ok(Some(oldest)))
    }

    /// Whether requests wait to be folded.
    pub(super) fn is_waiting(&self) -> Result<bool> {
        Ok(self.has_tables()? && !self.waiting(LARGEST)?.is_empty())
    }

    /// The requests that are not folded, by batch, each with the number of its first request.
    fn waiting(&self, before: u64) -> Result<Vec<(u64, Vec<RequestSummary>)>> {
        let query = "SELECT CAST(batch AS BLOB), number, first_request FROM batches WHERE number >= ? AND first_request < ? ORDER BY number";
        let mut waiting = Vec::new();
        for row in rows(&self.sql, query, vec![number(self.folded()?.0)?, number(before)?])? {
            waiting.push((as_number(row.get(2)).unwrap_or(0), read_batch(&row).summaries));
        }
        Ok(waiting)
    }

    /// The first batch and the first request that are not folded.
    fn folded(&self) -> Result<(u64, u64)> {
        let rows = rows(&self.sql, "SELECT batch, request FROM folded", Vec::new())?;
        let number = |index: usize| rows.first().and_then(|row| as_number(row.get(index))).unwrap_or(0);
        Ok((number(0), number(1)))
    }

    /// Deletes the rows of batches that are folded.
    fn delete_folded(&self) -> Result<()> {
        run(&self.sql, "DELETE FROM batches WHERE number < ?", vec![number(self.folded()?.0)?])
    }

    fn has_tables(&self) -> Result<bool> {
        has_table(&self.sql, "folded")
    }
}

/// Searches the block of a row, and returns its number.
fn search_block(search: &mut RequestSearch, row: &Row) -> u64 {
    let (first, before) = (as_number(row.first()).unwrap_or(0), search.unreadable());
    search.search(first, as_long_text(row.get(1)).unwrap_or_default());
    report_entries_once(&format!("block {first}"), search.unreadable().saturating_sub(before));
    first
}

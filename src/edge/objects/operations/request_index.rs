//! The table that finds requests by their ids. See [`crate::reports::IndexKey`].

use std::collections::BTreeSet;

use worker::{Result, SqlStorage};

use crate::edge::objects::sql::{as_long_text, as_number, as_text, has_table, number, rows, run, text};
use crate::reports::{BlockEntries, IndexKey, IndexRow, first_epoch};

const TABLE: &str = "request_ids";
const CREATE: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS request_ids (bucket INTEGER, epoch INTEGER, entries TEXT NOT NULL, \
     PRIMARY KEY (bucket, epoch)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS indexed (only_row INTEGER PRIMARY KEY CHECK (only_row = 0), request INTEGER NOT NULL)",
];
const ADD: &str = "INSERT INTO request_ids VALUES (?, ?, ?) \
                   ON CONFLICT DO UPDATE SET entries = entries || excluded.entries";
/// How many blocks are indexed at a time. As many may be left out: they are searched one by one.
const BLOCKS: usize = 50;
/// How often, in one fold. A store of an earlier build has many that are not indexed.
const ROUNDS: usize = 4;

/// The index. There is none before it has blocks.
pub(super) struct RequestIndex {
    sql: SqlStorage,
}

impl RequestIndex {
    pub(super) fn new(sql: SqlStorage) -> Self {
        Self { sql }
    }

    /// The first request that is not indexed; all before it are.
    pub(super) fn end(&self) -> Result<u64> {
        if !has_table(&self.sql, TABLE)? {
            return Ok(0);
        }
        let rows = rows(&self.sql, "SELECT request FROM indexed", Vec::new())?;
        Ok(rows.first().and_then(|row| as_number(row.first())).unwrap_or(0))
    }

    /// Indexes the oldest blocks that are not, if they are enough to be worth the rows.
    pub(super) fn extend(&self) -> Result<()> {
        for _ in 0..ROUNDS {
            let query = "SELECT first_request FROM blocks WHERE first_request >= ? ORDER BY first_request LIMIT ?";
            let next = rows(&self.sql, query, vec![number(self.end()?)?, number(BLOCKS as u64 + 1)?])?;
            let mut blocks: Vec<u64> = next.iter().filter_map(|row| as_number(row.first())).collect();
            // The last one says where those before it end.
            let end = blocks.pop();
            let Some(end) = end.filter(|_| blocks.len() == BLOCKS) else { return Ok(()) };
            self.add(&blocks, end)?;
        }
        Ok(())
    }

    /// Indexes blocks, and reads one at a time to bound memory. `end`: the first request after them.
    fn add(&self, blocks: &[u64], end: u64) -> Result<()> {
        CREATE.iter().try_for_each(|table| run(&self.sql, table, Vec::new()))?;
        let mut entries = BlockEntries::default();
        for first in blocks {
            let query = "SELECT CAST(requests AS BLOB) FROM blocks WHERE first_request = ?";
            for row in rows(&self.sql, query, vec![number(*first)?])? {
                entries.add(*first, as_long_text(row.first()).unwrap_or_default());
            }
        }
        for IndexRow { bucket, epoch, entries } in entries.rows() {
            run(&self.sql, ADD, vec![number(bucket)?, number(epoch)?, text(entries)])?;
        }
        run(&self.sql, "INSERT OR REPLACE INTO indexed VALUES (0, ?)", vec![number(end)?])
    }

    /// The indexed blocks that may have a request with this id.
    pub(super) fn blocks(&self, id: &str) -> Result<BTreeSet<u64>> {
        let key = IndexKey::of(id);
        let query = "SELECT entries FROM request_ids WHERE bucket = ? AND instr(entries, ?) > 0";
        let found = rows(&self.sql, query, vec![number(key.bucket)?, text(&key.text)])?;
        Ok(found.iter().flat_map(|row| key.blocks(&as_text(row.first()).unwrap_or_default())).collect())
    }

    /// Deletes what has no blocks any more.
    pub(super) fn expire(&self) -> Result<()> {
        if !has_table(&self.sql, TABLE)? {
            return Ok(());
        }
        let oldest = rows(&self.sql, "SELECT MIN(first_request) FROM blocks", Vec::new())?;
        let oldest = oldest.first().and_then(|row| as_number(row.first()));
        let before = oldest.map_or_else(|| self.end(), Ok)?;
        run(&self.sql, "DELETE FROM request_ids WHERE epoch < ?", vec![number(first_epoch(before))?])
    }
}

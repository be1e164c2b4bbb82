//! The tables of an account, in its object's own SQLite.

use std::cell::RefCell;

use worker::{Error, Result, SqlStorage, SqlStorageValue};

use super::sql::{Row, as_number, as_text, has_table, number, rows, run, text, unreadable};
use crate::config::Accounting;
use crate::ledger::{AccountLedger, AccountSnapshot, AccountWrite, Receipt, ReceiptRow, UsageReport, day_of};

/// Receipts are stored in one table for this many days: old ones are deleted by dropping a table.
const DAYS_PER_TABLE: u64 = 7;
/// Rows of receipts that are read at a time.
const PAGE_ROWS: u64 = 100;

/// The id of the count quota among the reservations, whose own ids are hexadecimal digits.
const COUNT_QUOTA: &str = "counting";

const CREATE: &str = "
    CREATE TABLE IF NOT EXISTS terms (only_row INTEGER PRIMARY KEY CHECK (only_row = 0), terms TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS promises (id TEXT PRIMARY KEY, promise TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS days (day INTEGER PRIMARY KEY, sums TEXT NOT NULL);
";

/// The tables of an account. None is created before the first write: a request for an account that does not
/// exist leaves no trace.
pub(super) struct AccountStore {
    sql: SqlStorage,
    accounting: Accounting,
    /// The tables of receipts, newest first, once they have been looked up.
    tables: RefCell<Option<Vec<u64>>>,
    /// A failed read. Its result and later ones are not used.
    fault: RefCell<Option<Error>>,
}

impl AccountStore {
    pub(super) fn new(sql: SqlStorage, accounting: Accounting) -> Self {
        Self { sql, accounting, tables: RefCell::new(None), fault: RefCell::new(None) }
    }

    /// Reports a failed read.
    ///
    /// # Errors
    /// A table could not be read since the last check.
    pub(super) fn check(&self) -> Result<()> {
        self.fault.take().map_or(Ok(()), |fault| {
            *self.tables.borrow_mut() = None;
            Err(fault)
        })
    }

    /// Writes one change of the ledger.
    pub(super) fn write(&self, write: &AccountWrite) -> Result<()> {
        match write {
            AccountWrite::Receipts(row) => self.insert_receipts(row),
            AccountWrite::ReplaceReceipt(number, at, receipt) => self.replace_receipt(*number, *at, receipt),
            AccountWrite::Sums(number, at, sums) => self.put_sums(*number, *at, sums),
            AccountWrite::AmendDay(day, old, new) => self.amend_day(*day, old, new),
            AccountWrite::Limits(limits) => self.put("INSERT OR REPLACE INTO terms VALUES (0, ?)", vec![text(limits)]),
            AccountWrite::Reservation(id, reservation) => self.put_reservation(id, reservation),
            AccountWrite::CountQuota(quota) => self.put_reservation(COUNT_QUOTA, quota),
            AccountWrite::EndReservation(id) => self.put("DELETE FROM promises WHERE id = ?", vec![text(id)]),
            AccountWrite::DaySums(day, sums) => {
                self.put("INSERT OR REPLACE INTO days VALUES (?, ?)", vec![number(*day)?, text(sums)])
            }
        }
    }

    /// Runs a statement on tables that may have to be created.
    fn put(&self, statement: &str, values: Row) -> Result<()> {
        self.prepare(None)?;
        self.run(statement, values)
    }

    fn put_reservation(&self, id: &str, reservation: &str) -> Result<()> {
        self.put("INSERT OR REPLACE INTO promises VALUES (?, ?)", vec![text(id), text(reservation)])
    }

    fn insert_receipts(&self, row: &ReceiptRow) -> Result<()> {
        let table = day_of(row.at) / DAYS_PER_TABLE;
        self.prepare(Some(table))?;
        let sums = row.sums.as_deref().map_or(SqlStorageValue::Null, text);
        let values = vec![number(row.number)?, number(row.at)?, text(&row.receipts), sums];
        self.run(&format!("INSERT INTO entries_{table} VALUES (?, ?, ?, ?)"), values)
    }

    /// The table with the receipts of that time, unless it was dropped.
    fn existing_table(&self, at: u64) -> Option<u64> {
        let table = day_of(at) / DAYS_PER_TABLE;
        let mut tables = self.tables.borrow_mut();
        tables.get_or_insert_with(|| self.find_tables()).contains(&table).then_some(table)
    }

    fn replace_receipt(&self, row: u64, at: u64, receipt: &Receipt) -> Result<()> {
        let Some(table) = self.existing_table(at) else { return Ok(()) };
        // The newest row below the next number.
        let Some(row) = self.page(table, Some(row.saturating_add(1)), 1).pop().filter(|found| found.number == row)
        else {
            return Ok(());
        };
        self.rewrite_receipts(&row, &row.replacing(receipt).map_err(unreadable)?)
    }

    /// Replaces the receipts of a row, as JSON.
    pub(super) fn rewrite_receipts(&self, row: &ReceiptRow, receipts: &str) -> Result<()> {
        let table = day_of(row.at) / DAYS_PER_TABLE;
        let values = vec![text(receipts), number(row.number)?];
        self.run(&format!("UPDATE entries_{table} SET entries = ? WHERE number = ?"), values)
    }

    fn put_sums(&self, row: u64, at: u64, sums: &str) -> Result<()> {
        let Some(table) = self.existing_table(at) else { return Ok(()) };
        self.run(&format!("UPDATE entries_{table} SET sums = ? WHERE number = ?"), vec![text(sums), number(row)?])
    }

    fn amend_day(&self, day: u64, old: &Receipt, new: &Receipt) -> Result<()> {
        let rows = self.rows_of("SELECT sums FROM days WHERE day = ?", vec![number(day)?]);
        let Some(sums) = rows.first().map(|row| as_text(row.first()).unwrap_or_default()) else { return Ok(()) };
        let sums = AccountLedger::amend_day(day, &sums, old, new).map_err(unreadable)?;
        self.run("UPDATE days SET sums = ? WHERE day = ?", vec![text(sums), number(day)?])
    }

    /// Creates missing tables; `table` is one of receipts.
    fn prepare(&self, table: Option<u64>) -> Result<()> {
        let mut tables = self.tables.borrow_mut();
        let known = tables.get_or_insert_with(|| self.find_tables());
        if known.is_empty() && table.is_none() {
            return self.run(CREATE, Vec::new());
        }
        let Some(table) = table.filter(|table| !known.contains(table)) else { return Ok(()) };
        self.run(CREATE, Vec::new())?;
        self.run(
            &format!(
                "CREATE TABLE IF NOT EXISTS entries_{table} (number INTEGER PRIMARY KEY, at INTEGER NOT NULL, entries TEXT NOT NULL, sums TEXT)"
            ),
            Vec::new(),
        )?;
        known.insert(0, table);
        known.sort_unstable_by(|a, b| b.cmp(a));
        self.drop_expired(table, known)
    }

    /// After a new table was created, drops those that are older than the configuration keeps.
    fn drop_expired(&self, newest: u64, known: &mut Vec<u64>) -> Result<()> {
        let today = newest.saturating_mul(DAYS_PER_TABLE);
        let is_expired = |table: u64| (table + 1) * DAYS_PER_TABLE + self.accounting.keep_receipts_days < today;
        for table in known.iter().filter(|table| is_expired(**table)) {
            self.run(&format!("DROP TABLE entries_{table}"), Vec::new())?;
        }
        known.retain(|table| !is_expired(*table));
        let first = number(today.saturating_sub(self.accounting.keep_usage_days))?;
        self.run("DELETE FROM days WHERE day < ?", vec![first])
    }

    /// The tables of receipts, newest first.
    fn find_tables(&self) -> Vec<u64> {
        let names = self.rows_of("SELECT name FROM sqlite_master WHERE type = 'table'", Vec::new());
        let table = |row: Row| as_text(row.first())?.strip_prefix("entries_")?.parse().ok();
        let mut tables: Vec<u64> = names.into_iter().filter_map(table).collect();
        tables.sort_unstable_by(|a, b| b.cmp(a));
        tables
    }

    fn exists(&self) -> bool {
        self.checked(has_table(&self.sql, "terms")).unwrap_or_default()
    }

    /// Everything but the receipts.
    pub(super) fn snapshot(&self) -> Result<AccountSnapshot> {
        if !self.exists() {
            return Ok(AccountSnapshot::default());
        }
        let limits = self.rows_of("SELECT terms FROM terms", Vec::new());
        let reservations = self.rows_of("SELECT id, promise FROM promises", Vec::new());
        // A value that is not a text fails to parse there.
        let pair = |row: Row| (as_text(row.first()).unwrap_or_default(), as_text(row.get(1)).unwrap_or_default());
        let (count_quota, reservations): (Vec<_>, Vec<_>) =
            reservations.into_iter().map(pair).partition(|(id, _)| id == COUNT_QUOTA);
        Ok(AccountSnapshot {
            limits: limits.first().map(|row| as_text(row.first()).unwrap_or_default()),
            reservations,
            count_quota: count_quota.into_iter().next().map(|(_, quota)| quota),
        })
    }

    /// Rows of receipts with a number below `before`, or all; the newest first.
    pub(super) fn rows(&self, before: Option<u64>) -> impl Iterator<Item = ReceiptRow> {
        let tables = self.tables.borrow_mut().get_or_insert_with(|| self.find_tables()).clone();
        tables.into_iter().flat_map(move |table| {
            let mut before = before;
            let mut page = Vec::new().into_iter();
            std::iter::from_fn(move || {
                let row = page.next().or_else(|| {
                    page = self.page(table, before, PAGE_ROWS).into_iter();
                    page.next()
                });
                before = row.as_ref().map(|row: &ReceiptRow| row.number);
                row
            })
        })
    }

    fn page(&self, table: u64, before: Option<u64>, limit: u64) -> Vec<ReceiptRow> {
        let query = format!(
            "SELECT number, at, entries, sums FROM entries_{table} WHERE number < ? ORDER BY number DESC LIMIT {limit}"
        );
        // Up to the largest integer that a JavaScript number represents exactly.
        let before = before.unwrap_or(1 << 53).min((1 << 53) - 1);
        let Ok(before) = number(before) else { return Vec::new() };
        let row = |row: Row| ReceiptRow {
            number: as_number(row.first()).unwrap_or_default(),
            at: as_number(row.get(1)).unwrap_or_default(),
            receipts: as_text(row.get(2)).unwrap_or_default(),
            sums: as_text(row.get(3)),
        };
        self.rows_of(&query, vec![before]).into_iter().map(row).collect()
    }

    /// The receipts of a row; none if it cannot be read, which [`AccountStore::check`] reports.
    pub(super) fn receipts(&self, row: &ReceiptRow) -> Vec<Receipt> {
        self.checked(row.read().map_err(unreadable)).unwrap_or_default()
    }

    /// The usage of these days, without the current one.
    pub(super) fn days(&self, from: u64, to: u64) -> Vec<UsageReport> {
        let (Ok(first), Ok(last)) = (number(from), number(to)) else { return Vec::new() };
        if !self.exists() {
            return Vec::new();
        }
        let query = "SELECT day, sums FROM days WHERE day BETWEEN ? AND ? ORDER BY day";
        let report = |row: Row| {
            let (day, sums) = (as_number(row.first()).unwrap_or_default(), as_text(row.get(1)).unwrap_or_default());
            self.checked(AccountLedger::usage_of_day(day, &sums).map_err(unreadable)).unwrap_or_default()
        };
        self.rows_of(query, vec![first, last]).into_iter().flat_map(report).collect()
    }

    fn run(&self, statement: &str, values: Row) -> Result<()> {
        run(&self.sql, statement, values)
    }

    fn rows_of(&self, query: &str, values: Row) -> Vec<Row> {
        self.checked(rows(&self.sql, query, values)).unwrap_or_default()
    }

    /// Notes a failed read, for [`AccountStore::check`].
    fn checked<T>(&self, read: Result<T>) -> Option<T> {
        read.map_err(|fault| *self.fault.borrow_mut() = Some(fault)).ok()
    }
}

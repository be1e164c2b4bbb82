//! The part that keeps the audit log.

use std::collections::VecDeque;

use worker::{Result, SqlStorage};

use super::part::Part;
use crate::admin::{
    AuditCommand, AuditEntry, AuditPage, AuditQuery, AuditResponse, FailedSignIns, MAX_ENTRIES, MAX_NUMBER,
    MAX_REFUSALS,
};
use crate::config::Millis;
use crate::edge::objects::sql::{Row, as_number, as_text, has_table, number, rows, run, text};
use crate::operations::Batch;
use crate::wire::date::DAY;

const TABLE: &str = "audit";
const CREATE: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS audit (number INTEGER PRIMARY KEY, at INTEGER NOT NULL, actor TEXT NOT NULL, \
     action TEXT NOT NULL, refused INTEGER NOT NULL, entry TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS failed_sign_ins (day INTEGER PRIMARY KEY, count INTEGER NOT NULL)",
];
const SELECT: &str = "SELECT number, entry FROM audit WHERE number < ? AND at >= ? AND at < ? \
     AND (? OR actor = ?) AND (? OR action = ?) ORDER BY number DESC LIMIT ?";
/// How many entries are recognized if they arrive again.
const REMEMBERED: usize = 64;
/// How many expired entries are deleted with each command.
const MAX_DELETED: u64 = 100;
/// For how many days failed sign-ins are counted.
const SIGN_IN_DAYS: u64 = 90;

/// The audit log.
pub(super) struct AuditLog {
    sql: SqlStorage,
    /// How long an entry is kept.
    keep: Millis,
    counts: Option<Counts>,
    /// The ids of the newest entries.
    newest: VecDeque<String>,
}

/// How many entries are stored. They are counted by the first command.
#[derive(Clone, Copy, Default)]
struct Counts {
    entries: u64,
    refusals: u64,
}

impl Part for AuditLog {
    fn record(&mut self, _batch: &Batch, _now: Millis) -> Result<()> {
        Ok(())
    }

    fn handle(&mut self, command: &str, now: Millis) -> Result<String> {
        let response = match serde_json::from_str(command)? {
            AuditCommand::Record { entry, failed_sign_ins } => {
                self.create()?;
                self.count_sign_ins(failed_sign_ins, now)?;
                self.expire(now)?;
                self.add(&entry)?;
                AuditResponse::Recorded
            }
            AuditCommand::Read(query) => {
                if query.failed_sign_ins > 0 {
                    self.create()?;
                    self.count_sign_ins(query.failed_sign_ins, now)?;
                }
                AuditResponse::Page(self.page(&query, now)?)
            }
        };
        Ok(serde_json::to_string(&response)?)
    }
}

impl AuditLog {
    /// Opens the log, whose entries are kept for so many days.
    pub(super) fn new(sql: SqlStorage, keep_days: u64) -> Self {
        Self { sql, keep: keep_days.saturating_mul(DAY), counts: None, newest: VecDeque::new() }
    }

    fn create(&self) -> Result<()> {
        CREATE.iter().try_for_each(|table| run(&self.sql, table, Vec::new()))
    }

    fn add(&mut self, entry: &AuditEntry) -> Result<()> {
        if self.newest.contains(&entry.id) {
            return Ok(());
        }
        let mut counts = self.counts()?;
        let statement = "INSERT INTO audit (at, actor, action, refused, entry) VALUES (?, ?, ?, ?, ?)";
        let refused = u64::from(entry.is_refused());
        let json = text(serde_json::to_string(entry)?);
        run(
            &self.sql,
            statement,
            vec![number(entry.at)?, text(&entry.actor), text(&entry.action), number(refused)?, json],
        )?;
        counts = Counts { entries: counts.entries + 1, refusals: counts.refusals + refused };
        if counts.refusals > MAX_REFUSALS {
            self.delete("SELECT number FROM audit WHERE refused = 1 ORDER BY number LIMIT 1", Vec::new())?;
            counts = Counts { entries: counts.entries - 1, refusals: counts.refusals - 1 };
        }
        self.counts = Some(counts);
        if counts.entries > MAX_ENTRIES {
            self.delete("SELECT number FROM audit ORDER BY number LIMIT 1", Vec::new())?;
            self.counts = None;
        }
        self.newest.truncate(REMEMBERED - 1);
        self.newest.push_front(entry.id.clone());
        Ok(())
    }

    /// Deletes entries that have expired.
    fn expire(&mut self, now: Millis) -> Result<()> {
        let (expired, limit) = (number(now.saturating_sub(self.keep))?, number(MAX_DELETED)?);
        let oldest = rows(&self.sql, "SELECT at FROM audit ORDER BY number LIMIT 1", Vec::new())?;
        let oldest = oldest.first().and_then(|row| as_number(row.first()));
        if oldest.is_none_or(|at| at >= now.saturating_sub(self.keep)) {
            return Ok(());
        }
        self.counts = None;
        self.delete("SELECT number FROM audit WHERE at < ? ORDER BY number LIMIT ?", vec![expired, limit])
    }

    fn delete(&self, which: &str, values: Row) -> Result<()> {
        run(&self.sql, &format!("DELETE FROM audit WHERE number IN ({which})"), values)
    }

    fn counts(&mut self) -> Result<Counts> {
        if let Some(counts) = self.counts {
            return Ok(counts);
        }
        let found = rows(&self.sql, "SELECT COUNT(*), COALESCE(SUM(refused), 0) FROM audit", Vec::new())?;
        let count = |column: usize| found.first().and_then(|row| as_number(row.get(column))).unwrap_or_default();
        let counts = Counts { entries: count(0), refusals: count(1) };
        self.counts = Some(counts);
        Ok(counts)
    }

    fn count_sign_ins(&self, count: u64, now: Millis) -> Result<()> {
        if count == 0 {
            return Ok(());
        }
        let today = now / DAY;
        let add =
            "INSERT INTO failed_sign_ins VALUES (?, ?) ON CONFLICT (day) DO UPDATE SET count = count + excluded.count";
        run(&self.sql, add, vec![number(today)?, number(count)?])?;
        let expired = vec![number(today.saturating_sub(SIGN_IN_DAYS))?];
        run(&self.sql, "DELETE FROM failed_sign_ins WHERE day < ?", expired)
    }

    fn page(&mut self, query: &AuditQuery, now: Millis) -> Result<AuditPage> {
        if !has_table(&self.sql, TABLE)? {
            return Ok(AuditPage::default());
        }
        let found = rows(&self.sql, SELECT, self.values(query, now)?)?;
        let entry = |row: &Row| -> Option<(u64, AuditEntry)> {
            Some((as_number(row.first())?, serde_json::from_str(&as_text(row.get(1))?).ok()?))
        };
        let mut entries: Vec<(u64, AuditEntry)> = found.iter().filter_map(entry).collect();
        let has_more = found.len() as u64 > query.limit;
        entries.truncate(usize::try_from(query.limit).unwrap_or(usize::MAX));
        let days = rows(&self.sql, "SELECT day, count FROM failed_sign_ins ORDER BY day DESC", Vec::new())?;
        let day = |row: &Row| Some(FailedSignIns { day: as_number(row.first())?, count: as_number(row.get(1))? });
        let failed_sign_ins = days.iter().filter_map(day).collect();
        Ok(AuditPage { entries, has_more, failed_sign_ins, stored: self.counts()?.entries })
    }

    /// The values of [`SELECT`]: one more entry than asked for shows whether there are more.
    fn values(&self, query: &AuditQuery, now: Millis) -> Result<Row> {
        let kept_from = now.saturating_sub(self.keep);
        let is_any = |name: &Option<String>| number(u64::from(name.is_none()));
        Ok(vec![
            number(query.before.unwrap_or(MAX_NUMBER))?,
            number(query.from.unwrap_or_default().max(kept_from))?,
            number(query.to.unwrap_or(MAX_NUMBER).min(MAX_NUMBER))?,
            is_any(&query.actor)?,
            text(query.actor.as_deref().unwrap_or_default()),
            is_any(&query.action)?,
            text(query.action.as_deref().unwrap_or_default()),
            number(query.limit.saturating_add(1))?,
        ])
    }
}

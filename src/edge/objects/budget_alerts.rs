//! Thresholds of a budget that were reached, kept by the account until the operations object has them.

use worker::{Env, Result, SqlStorage};

use super::sql::{Row, as_number, as_text, has_table, number, rows, run, text};
use crate::alerts::Observation;
use crate::config::Millis;
use crate::edge::log::report_failure;
use crate::edge::operations_queue;
use crate::telemetry::RuntimeFailure;

/// When delivery is tried again, and the longest pause between two tries.
pub(super) const FIRST_PAUSE: Millis = 60_000;
const LONGEST_PAUSE: Millis = 3_600_000;
/// For how long delivery is tried.
const PATIENCE: Millis = 86_400_000;
/// How many observations are kept; the oldest make room.
const MAX_KEPT: u64 = 16;

const TABLE: &str = "alerts";
const CREATE: &str =
    "CREATE TABLE IF NOT EXISTS alerts (number INTEGER PRIMARY KEY, since INTEGER NOT NULL, observation TEXT NOT NULL)";

/// The table, which exists once something was to be reported.
#[derive(Clone)]
pub(super) struct BudgetAlerts {
    sql: SqlStorage,
}

/// What is kept, oldest first.
#[derive(Default)]
struct Kept {
    /// The number of the newest, and since when the oldest waits.
    last: u64,
    since: Millis,
    observations: Vec<Observation>,
}

impl BudgetAlerts {
    pub(super) fn new(sql: SqlStorage) -> Self {
        Self { sql }
    }

    /// Keeps an observation.
    pub(super) fn keep(&self, observation: &Observation, now: Millis) -> Result<()> {
        run(&self.sql, CREATE, Vec::new())?;
        let observation = text(serde_json::to_string(observation)?);
        run(&self.sql, "INSERT INTO alerts (since, observation) VALUES (?, ?)", vec![number(now)?, observation])?;
        let bound = "DELETE FROM alerts WHERE number <= (SELECT max(number) FROM alerts) - ?";
        run(&self.sql, bound, vec![number(MAX_KEPT)?])
    }

    /// Sends what is kept. Returns when to try again; `None` if nothing is left.
    pub(super) async fn deliver(self, env: &Env, now: Millis) -> Option<Millis> {
        let report = |error: worker::Error| report_failure(RuntimeFailure::ObjectFailed(&error.to_string()));
        let kept = self.kept(now).map_err(report).ok()?;
        if kept.observations.is_empty() {
            return None;
        }
        if operations_queue::send_observations(env, kept.observations).await {
            // Meanwhile more may have come.
            let delivered = number(kept.last).and_then(|last| self.delete("number <= ?", last));
            return delivered.map_err(report).err().map(|()| now.saturating_add(FIRST_PAUSE));
        }
        let pause = now.saturating_sub(kept.since).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        Some(now.saturating_add(pause))
    }

    /// What is kept, without what nobody needs any more.
    fn kept(&self, now: Millis) -> Result<Kept> {
        if !has_table(&self.sql, TABLE)? {
            return Ok(Kept::default());
        }
        self.delete("since < ?", number(now.saturating_sub(PATIENCE))?)?;
        let rows = rows(&self.sql, "SELECT number, since, observation FROM alerts ORDER BY number", Row::new())?;
        let number_at = |row: Option<&Row>, at: usize| row.and_then(|row| as_number(row.get(at))).unwrap_or_default();
        // One of another build that cannot be read is not sent, and deleted with the others.
        let observation = |row: &Row| serde_json::from_str(&as_text(row.get(2))?).ok();
        Ok(Kept {
            last: number_at(rows.last(), 0),
            since: number_at(rows.first(), 1),
            observations: rows.iter().filter_map(observation).collect(),
        })
    }

    fn delete(&self, which: &str, value: worker::SqlStorageValue) -> Result<()> {
        run(&self.sql, &format!("DELETE FROM alerts WHERE {which}"), vec![value])
    }
}

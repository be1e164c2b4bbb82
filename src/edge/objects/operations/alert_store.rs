//! The table of alerts, in the operations object's own SQLite.

use serde::de::DeserializeOwned;
use worker::{Result, SqlStorage};

use super::unreadable_rows::report_once;
use crate::alerts::{AlertWrite, OpenDelivery, RequestWatch};
use crate::edge::objects::sql::{Row, as_text, has_table, number, rows, run, text};

const TABLE: &str = "alerts";
/// One table for all, whose rows are in the order of their names. It needs no index, which would be charged
/// like rows of its own.
const CREATE: &str = "CREATE TABLE IF NOT EXISTS alerts (name TEXT PRIMARY KEY, row TEXT NOT NULL) WITHOUT ROWID";
const PUT: &str = "INSERT OR REPLACE INTO alerts VALUES (?, ?)";
/// The name of the row with what was counted of requests.
const WATCH: &str = "watch";
/// The names of deliveries are in the order of their notices.
const DELIVERIES: &str = "name >= 'delivery/' AND name < 'delivery0'";
/// How many deliveries are kept.
const MAX_DELIVERIES: u64 = 500;

/// The table. It is not created before the first write.
pub(super) struct AlertStore {
    sql: SqlStorage,
}

impl AlertStore {
    pub(super) fn new(sql: SqlStorage) -> Self {
        Self { sql }
    }

    /// What was stored of alerts, deliveries in the order of their beginning. A row of another build that
    /// cannot be read is skipped: it must not close the other parts of the object.
    pub(super) fn writes(&self) -> Result<Vec<AlertWrite>> {
        let query = "SELECT row FROM alerts WHERE name != 'watch' ORDER BY name";
        Ok(self.texts(query, Vec::new())?.iter().filter_map(|row| read(row)).collect())
    }

    /// What was counted of requests when that was last stored.
    pub(super) fn watch(&self) -> Result<RequestWatch> {
        let row = self.texts("SELECT row FROM alerts WHERE name = ?", vec![text(WATCH)])?.pop();
        Ok(row.and_then(|row| read(&row)).unwrap_or_default())
    }

    /// The latest deliveries, newest first.
    pub(super) fn deliveries(&self, most: u64) -> Result<Vec<OpenDelivery>> {
        let query = format!("SELECT row FROM alerts WHERE {DELIVERIES} ORDER BY name DESC LIMIT ?");
        let rows = self.texts(&query, vec![number(most)?])?;
        let delivery = |row: &String| match serde_json::from_str(row) {
            Ok(AlertWrite::Delivery(open)) => Some(open),
            _ => None,
        };
        Ok(rows.iter().filter_map(delivery).collect())
    }

    /// Stores changes, in their order.
    pub(super) fn write(&self, writes: &[AlertWrite]) -> Result<()> {
        if writes.is_empty() {
            return Ok(());
        }
        run(&self.sql, CREATE, Vec::new())?;
        for write in writes {
            let name = text(name_of(write));
            match write {
                AlertWrite::Forget { .. } => run(&self.sql, "DELETE FROM alerts WHERE name = ?", vec![name])?,
                _ => run(&self.sql, PUT, vec![name, text(serde_json::to_string(write)?)])?,
            }
        }
        Ok(())
    }

    /// Stores what was counted of requests, and deletes the oldest deliveries.
    pub(super) fn fold(&self, watch: &RequestWatch) -> Result<()> {
        run(&self.sql, CREATE, Vec::new())?;
        run(&self.sql, PUT, vec![text(WATCH), text(serde_json::to_string(watch)?)])?;
        let oldest = format!(
            "DELETE FROM alerts WHERE name IN \
             (SELECT name FROM alerts WHERE {DELIVERIES} ORDER BY name DESC LIMIT -1 OFFSET {MAX_DELIVERIES})"
        );
        run(&self.sql, &oldest, Vec::new())
    }

    fn texts(&self, query: &str, values: Row) -> Result<Vec<String>> {
        if !has_table(&self.sql, TABLE)? {
            return Ok(Vec::new());
        }
        Ok(rows(&self.sql, query, values)?.iter().filter_map(|row| as_text(row.first())).collect())
    }
}

/// Reads a row. One that cannot be read is reported once.
fn read<T: DeserializeOwned>(row: &str) -> Option<T> {
    let failed = |error| report_once(row, || format!("a stored alert cannot be read: {error}"));
    serde_json::from_str(row).map_err(failed).ok()
}

/// The name of a row.
fn name_of(write: &AlertWrite) -> String {
    match write {
        AlertWrite::State { name, .. } | AlertWrite::Forget { name } => format!("state/{name}"),
        AlertWrite::Cap { .. } => "cap".to_owned(),
        AlertWrite::Gone { destination, .. } => format!("gone/{}", destination.name()),
        AlertWrite::Delivery(OpenDelivery { notice, delivery, .. }) => {
            format!("delivery/{:015}/{}/{}", notice.at, notice.id, delivery.destination.name())
        }
    }
}

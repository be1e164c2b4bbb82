//! The metrics: sums in memory, stored at folds.

use worker::{Error, Result, SqlStorage};

use super::metrics_export::MetricsExport;
use super::part::Part;
use crate::config::Millis;
use crate::edge::objects::sql::{as_text, has_table, number, rows, run, text};
use crate::edge::otlp_request::OtlpRequest;
use crate::gateway::Opened;
use crate::operations::Batch;
use crate::telemetry::metrics::{Collector, ConfiguredNames, IsolateReport, MetricsCommand};

const TABLE: &str = "metrics";
const CREATE: &str = "CREATE TABLE IF NOT EXISTS metrics (number INTEGER PRIMARY KEY, series TEXT NOT NULL)";

/// The part that keeps metrics.
pub(super) struct Metrics {
    sql: SqlStorage,
    collector: Collector,
    export: Option<MetricsExport>,
}

impl Metrics {
    /// Opens the metrics as they were stored at the last fold.
    pub(super) fn open(sql: SqlStorage, bridge: &Opened) -> Result<Self> {
        let chunks = if has_table(&sql, TABLE)? {
            let rows = rows(&sql, "SELECT series FROM metrics ORDER BY number", Vec::new())?;
            rows.iter().filter_map(|row| as_text(row.first())).collect()
        } else {
            Vec::new()
        };
        let (settings, names) = match bridge {
            Ok(bridge) => (bridge.metrics(), bridge.metric_names()),
            Err(_) => (Default::default(), ConfiguredNames::any()),
        };
        let collector = Collector::open(settings, names, &chunks);
        Ok(Self { sql, collector, export: MetricsExport::open(bridge) })
    }

    /// The request of an export, if one is due.
    pub(super) fn begin_export(&mut self, now: Millis) -> Option<OtlpRequest> {
        self.export.as_mut()?.begin(&mut self.collector, now)
    }

    fn add(&mut self, batch: &Batch, at: Millis) {
        let Batch { isolate, summaries, series, lost, .. } = batch;
        let report = IsolateReport { isolate: *isolate, at, summaries, series, lost: *lost };
        if report.is_news() {
            self.export.iter_mut().for_each(|export| export.plan.add(at));
        }
        self.collector.record(report);
    }
}

impl Part for Metrics {
    fn record(&mut self, batch: &Batch, now: Millis) -> Result<()> {
        self.add(batch, now);
        Ok(())
    }

    fn replay(&mut self, batch: &Batch, received: Millis) -> Result<()> {
        self.add(batch, received);
        // An export that was due went with this batch, unless it failed: then the next one has all of it.
        if let Some(export) = &mut self.export {
            export.plan.begin(received);
        }
        Ok(())
    }

    fn fold(&mut self, _now: Millis) -> Result<()> {
        run(&self.sql, CREATE, Vec::new())?;
        let chunks = self.collector.chunks();
        for (index, chunk) in (0..).zip(&chunks) {
            run(&self.sql, "INSERT OR REPLACE INTO metrics VALUES (?, ?)", vec![number(index)?, text(chunk)])?;
        }
        run(&self.sql, "DELETE FROM metrics WHERE number >= ?", vec![number(chunks.len() as u64)?])
    }

    fn wake_at(&self) -> Option<Millis> {
        self.export.as_ref().and_then(|export| export.plan.wake_at())
    }

    fn handle(&mut self, command: &str, now: Millis) -> Result<String> {
        match serde_json::from_str(command) {
            Ok(MetricsCommand::Expose(format)) => Ok(self.collector.expose(format, now)),
            Err(fault) => Err(Error::from(fault)),
        }
    }
}

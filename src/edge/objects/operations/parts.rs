//! All parts of the operations object.

use worker::{Result, State};

use super::alerts::Alerts;
use super::audit::AuditLog;
use super::batch_log::BatchLog;
use super::log_lines::LogLineChunks;
use super::metrics::Metrics;
use super::part::Part;
use super::reports::Reports;
use crate::config::{AdminSettings, Millis};
use crate::gateway::Opened;
use crate::gateway::platform::OperationsPart;
use crate::operations::Batch;

/// The parts, opened.
pub(super) struct Parts {
    /// What the parts are opened from, and made anew from.
    log: BatchLog,
    reports: Reports,
    pub(super) metrics: Metrics,
    audit: AuditLog,
    pub(super) alerts: Alerts,
    pub(super) lines: LogLineChunks,
}

impl Parts {
    /// Opens all parts from what is stored.
    pub(super) fn open(state: &State, bridge: &Opened) -> Result<Self> {
        let sql = state.storage().sql();
        let (log, waiting) = BatchLog::open(sql.clone())?;
        let settings = bridge.as_ref().map(|bridge| bridge.reporting().clone()).unwrap_or_default();
        let (reports, metrics) = (Reports::open(sql.clone(), settings)?, Metrics::open(sql.clone(), bridge)?);
        let admin = bridge.as_ref().map_or_else(|_| AdminSettings::default(), |bridge| bridge.admin_settings().clone());
        let alerts = Alerts::open(&sql, bridge)?;
        let lines = LogLineChunks::open(sql.clone())?;
        let audit = AuditLog::new(sql, admin.keep_audit_days);
        let mut parts = Self { log, reports, metrics, audit, alerts, lines };
        for (batch, received) in &waiting {
            parts.all().into_iter().try_for_each(|(_, part)| part.replay(batch, *received))?;
        }
        Ok(parts)
    }

    /// Gives a command to the part of this name; `None` if there is none.
    pub(super) fn handle(&mut self, name: &str, command: &str, now: Millis) -> Option<Result<String>> {
        Some(self.named(name)?.handle(command, now))
    }

    /// Whether the parts are to be folded before this command.
    pub(super) fn needs_fold(&mut self, name: &str, command: &str) -> bool {
        self.named(name).is_some_and(|part| part.needs_fold(command))
    }

    /// Stores what makes this command cheaper.
    pub(super) fn prepare(&mut self, name: &str, command: &str, now: Millis) -> Result<()> {
        self.named(name).map_or(Ok(()), |part| part.prepare(command, now))
    }

    fn named(&mut self, name: &str) -> Option<&mut dyn Part> {
        self.all().into_iter().find(|(part, _)| *part == name).map(|(_, part)| part)
    }

    /// Gives a batch to all parts, unless it is one that has been recorded. `json`: what it was read from, if
    /// it was. Returns whether it is new.
    pub(super) fn record(&mut self, batch: &Batch, json: Option<&str>, now: Millis) -> Result<bool> {
        let is_new = self.log.add(batch, json, now)?;
        if is_new {
            self.all().into_iter().try_for_each(|(_, part)| part.record(batch, now))?;
            if self.log.is_fold_due(now) {
                self.fold(now)?;
            }
        }
        Ok(is_new)
    }

    /// Stores what the parts keep in memory alone.
    pub(super) fn fold(&mut self, now: Millis) -> Result<()> {
        self.all().into_iter().try_for_each(|(_, part)| part.fold(now))?;
        self.lines.add(&self.log)?;
        self.log.fold()
    }

    /// Makes a chunk of the lines for log files that are in none yet.
    pub(super) fn take_lines(&mut self, _now: Millis) -> Result<()> {
        self.lines.add(&self.log)
    }

    /// Deletes what is no longer to be kept.
    pub(super) fn expire(&mut self, now: Millis) -> Result<()> {
        self.all().into_iter().try_for_each(|(_, part)| part.expire(now))
    }

    /// Folds, if that is due.
    pub(super) fn fold_due(&mut self, now: Millis) -> Result<()> {
        if self.log.is_fold_due(now) { self.fold(now) } else { Ok(()) }
    }

    /// When the first part wants to be woken.
    pub(super) fn wake_at(&mut self, now: Millis) -> Option<Millis> {
        // A fold that is overdue has failed, after which the alarm is set for another reason.
        let fold = self.log.wake_at().filter(|at| *at > now);
        let lines = self.lines.wake_at();
        self.all().into_iter().filter_map(|(_, part)| part.wake_at()).chain(fold).chain(lines).min()
    }

    /// The parts by name, in the order in which they are given a batch.
    fn all(&mut self) -> Vec<(&'static str, &mut dyn Part)> {
        vec![
            (OperationsPart::Reports.name(), &mut self.reports),
            (OperationsPart::Metrics.name(), &mut self.metrics),
            (OperationsPart::Audit.name(), &mut self.audit),
            (OperationsPart::Alerts.name(), &mut self.alerts),
        ]
    }
}

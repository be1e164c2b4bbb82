//! When metrics are exported.

use super::collector::IsolateReport;
use super::families::EXPORT_DROPS;
use super::series::SeriesRow;
use crate::config::Millis;

/// The label `signal` of exports of metrics that were dropped.
pub const EXPORT_OF_METRICS: &str = "metrics";
/// The shortest time between two exports.
const INTERVAL: Millis = 60_000;
/// How long after an export the alarm makes another, if there is something new and nothing comes that would
/// make it. An alarm costs more than a report, so it is the exception.
const ALARM_INTERVAL: Millis = 300_000;

/// When metrics are exported: at most once a minute, with the report that brings something new.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExportPlan {
    begun_at: Option<Millis>,
    due: Option<Millis>,
}

impl ExportPlan {
    /// Plans an export, because there is something new.
    pub fn add(&mut self, now: Millis) {
        // A clock that was set back does not stop exports.
        let begun_at = self.begun_at.filter(|at| *at <= now);
        let earliest = begun_at.map_or(now, |at| now.max(at.saturating_add(INTERVAL)));
        self.due = Some(self.due.map_or(earliest, |due| due.min(earliest)));
    }

    /// When the alarm makes the next export; `None` if there is nothing new.
    pub fn wake_at(&self) -> Option<Millis> {
        let due = self.due?;
        let begun_at = self.begun_at.filter(|at| *at <= due);
        Some(begun_at.map_or(due, |at| due.max(at.saturating_add(ALARM_INTERVAL))))
    }

    /// Whether an export begins now.
    pub fn begin(&mut self, now: Millis) -> bool {
        let is_due = self.due.take_if(|due| *due <= now).is_some();
        if is_due {
            self.begun_at = Some(now);
        }
        is_due
    }
}

impl IsolateReport<'_> {
    /// Whether it says anything but that exports of metrics were dropped.
    pub fn is_news(&self) -> bool {
        !self.summaries.is_empty() || self.lost > 0 || !self.series.iter().all(is_own_drop)
    }
}

fn is_own_drop(row: &SeriesRow) -> bool {
    row.family == EXPORT_DROPS.name && row.labels.first().is_some_and(|signal| signal == EXPORT_OF_METRICS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::SeriesValue;

    fn drop_of(signal: &str) -> SeriesRow {
        let labels = vec![signal.to_owned(), "refused".to_owned()];
        SeriesRow { family: EXPORT_DROPS.name.to_owned(), labels, value: SeriesValue::Counter(1) }
    }

    #[test]
    fn exports_have_a_minute_between_them() {
        let mut plan = ExportPlan::default();
        assert!(!plan.begin(5));
        plan.add(5);
        assert_eq!(plan.wake_at(), Some(5));
        assert!(plan.begin(5) && !plan.begin(6));
        plan.add(10);
        plan.add(20);
        assert_eq!(plan.wake_at(), Some(300_005), "unless a report comes before");
        assert!(!plan.begin(60_004) && plan.begin(60_005));
        assert_eq!(plan.wake_at(), None);
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_stop_them() {
        let mut plan = ExportPlan::default();
        plan.add(900_000_000);
        assert!(plan.begin(900_000_000));
        plan.add(900_000_001);
        plan.add(1_000);
        assert_eq!(plan.wake_at(), Some(1_000));
        assert!(plan.begin(1_000));
    }

    #[test]
    fn that_an_export_was_dropped_plans_no_export() {
        let news =
            |series: &[SeriesRow], lost| IsolateReport { isolate: 0, at: 0, summaries: &[], series, lost }.is_news();
        assert!(!news(&[drop_of(EXPORT_OF_METRICS)], 0));
        assert!(news(&[drop_of("logs")], 0));
        assert!(news(&[drop_of(EXPORT_OF_METRICS)], 1));
    }
}

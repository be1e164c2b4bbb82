//! The settings of alerts (`alerts` in the file). Where notices are sent comes from variables, because their
//! addresses are secrets.

use super::units::{Millis, Nanos};
use super::yaml::{Node, Table};

/// When alerts are raised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alerting {
    /// The thresholds of budgets, in percent, of keys without their own.
    pub budget_percents: Vec<u32>,
    /// How long a target has to be down.
    pub target_down: Millis,
    /// How long a target that was down has to serve again.
    pub target_back: Millis,
    /// When the error rate is high; `None` if it is not watched.
    pub error_rate: Option<ErrorRate>,
    /// The spend of all keys per hour that is high; `None` if it is not watched.
    pub spend_per_hour: Option<Nanos>,
    /// How full a store is when it is nearly full, in percent.
    pub store_percent: u32,
    /// The most notices in an hour.
    pub per_hour: u32,
    /// Whether notices may be sent to private hosts, and without TLS.
    pub allow_private_addresses: bool,
}

/// When the error rate is high.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorRate {
    /// The share of failed requests, in percent.
    pub percent: u32,
    /// The number of requests in the window from which a share says something.
    pub min_requests: u64,
    /// The length of the window.
    pub minutes: u64,
}

/// The most thresholds of a budget.
pub const MAX_THRESHOLDS: usize = 10;
/// The highest threshold of budgets, in percent: requests under way can exceed a budget that was lowered.
pub const MAX_BUDGET_PERCENT: u64 = 1_000;
/// The longest window of the error rate: a day.
const MAX_MINUTES: u64 = 24 * 60;
/// The highest cap of notices in an hour.
const MAX_PER_HOUR: u64 = 1_000;

impl Default for Alerting {
    fn default() -> Self {
        Self {
            budget_percents: vec![50, 80, 100],
            target_down: 60_000,
            target_back: 120_000,
            error_rate: Some(ErrorRate::default()),
            spend_per_hour: None,
            store_percent: 90,
            per_hour: 20,
            allow_private_addresses: false,
        }
    }
}

impl Default for ErrorRate {
    fn default() -> Self {
        Self { percent: 20, min_requests: 20, minutes: 10 }
    }
}

const KEYS: &[&str] =
    &["budget", "target", "error_rate", "spend_per_hour", "store_percent", "per_hour", "allow_private_addresses"];

impl Alerting {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let table = node.table(KEYS)?;
        let mut alerting = Self::default();
        if let Some(node) = table.at("budget") {
            alerting.budget_percents = read_thresholds(&node)?;
        }
        if let Some(target) = table.at("target").and_then(|node| node.table(&["down_seconds", "back_seconds"])) {
            let seconds = |key: &str| target.at(key).and_then(|node| node.seconds());
            alerting.target_down = seconds("down_seconds").unwrap_or(alerting.target_down);
            alerting.target_back = seconds("back_seconds").unwrap_or(alerting.target_back);
        }
        if let Some(node) = table.at("error_rate") {
            alerting.error_rate = ErrorRate::read(&node);
        }
        alerting.spend_per_hour = table.at("spend_per_hour").and_then(|node| read_spend(&node));
        let bounded = |key, greatest| u32::try_from(read_bounded(&table, key, greatest)?).ok();
        alerting.store_percent = bounded("store_percent", 100).unwrap_or(alerting.store_percent);
        alerting.per_hour = bounded("per_hour", MAX_PER_HOUR).unwrap_or(alerting.per_hour);
        alerting.allow_private_addresses =
            table.at("allow_private_addresses").and_then(|node| node.flag()).unwrap_or(false);
        Some(alerting)
    }
}

impl ErrorRate {
    /// Reads the rule; `None` for `false`, or after a fault.
    fn read(node: &Node<'_>) -> Option<Self> {
        if node.is_false() {
            return None;
        }
        let table = node.table(&["percent", "min_requests", "minutes"])?;
        let default = Self::default();
        let percent = read_bounded(&table, "percent", 100).and_then(|percent| u32::try_from(percent).ok());
        Some(Self {
            percent: percent.unwrap_or(default.percent),
            min_requests: read_bounded(&table, "min_requests", u64::MAX).unwrap_or(default.min_requests),
            minutes: read_bounded(&table, "minutes", MAX_MINUTES).unwrap_or(default.minutes),
        })
    }
}

/// A list of percentages. An empty one watches no budgets.
fn read_thresholds(node: &Node<'_>) -> Option<Vec<u32>> {
    let nodes = node.list()?;
    if nodes.len() > MAX_THRESHOLDS {
        node.fault(format!("expected at most {MAX_THRESHOLDS} thresholds"));
    }
    let percents = nodes.iter().filter_map(|node| read_within(node, MAX_BUDGET_PERCENT));
    let mut percents: Vec<u32> = percents.filter_map(|percent| u32::try_from(percent).ok()).collect();
    percents.sort_unstable();
    percents.dedup();
    Some(percents)
}

fn read_spend(node: &Node<'_>) -> Option<Nanos> {
    let spend = node.dollars(9)?;
    if spend == 0 {
        node.fault("expected an amount above 0; leave it out to watch no spend");
    }
    Some(spend).filter(|spend| *spend > 0)
}

fn read_bounded(table: &Table<'_>, key: &str, greatest: u64) -> Option<u64> {
    table.at(key).and_then(|node| read_within(&node, greatest))
}

/// A whole number from 1 to the greatest.
fn read_within(node: &Node<'_>, greatest: u64) -> Option<u64> {
    let number = node.count(1)?;
    if number > greatest {
        node.fault(format!("expected at most {greatest}"));
    }
    Some(number.min(greatest))
}

#[cfg(test)]
mod tests {
    use serde_yaml::Value;

    use super::super::yaml::{Problem, Report};
    use super::*;

    fn read(text: &str) -> (Option<Alerting>, Vec<Problem>) {
        let value: Value = serde_yaml::from_str(text).unwrap();
        let report = Report::new(text);
        let alerting = Alerting::read(&Node::root(&value, &report));
        (alerting, report.take().0)
    }

    #[test]
    fn what_is_not_written_has_its_default() {
        assert_eq!(read("{}"), (Some(Alerting::default()), Vec::new()));
    }

    #[test]
    fn every_setting_can_be_written() {
        let text = "{ budget: [90, 75.0e0, 90], store_percent: 70 }";
        assert_eq!(read(text).1.len(), 1, "75.0e0 is no whole number");
        let (alerting, faults) = read(
            "{ budget: [90, 75, 90], target: { down_seconds: 5, back_seconds: 0.5 }, \
             error_rate: { percent: 3, min_requests: 7, minutes: 60 }, spend_per_hour: 2.5, store_percent: 70, \
             per_hour: 3, allow_private_addresses: true }",
        );
        let expected = Alerting {
            budget_percents: vec![75, 90],
            target_down: 5_000,
            target_back: 500,
            error_rate: Some(ErrorRate { percent: 3, min_requests: 7, minutes: 60 }),
            spend_per_hour: Some(2_500_000_000),
            store_percent: 70,
            per_hour: 3,
            allow_private_addresses: true,
        };
        assert_eq!((alerting, faults), (Some(expected), Vec::new()));
    }

    #[test]
    fn what_is_not_watched_is_written_so() {
        let (alerting, faults) = read("{ budget: [], error_rate: false }");
        let alerting = alerting.unwrap();
        assert_eq!((alerting.budget_percents, alerting.error_rate, faults), (Vec::new(), None, Vec::new()));
    }

    #[test]
    fn faults_name_their_value() {
        for (text, path) in [
            ("budget: 50", "budget"),
            ("budget: [0]", "budget.0"),
            ("budget: [1001]", "budget.0"),
            ("budget: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]", "budget"),
            ("error_rate: { percent: 101 }", "error_rate.percent"),
            ("error_rate: { minutes: 1441 }", "error_rate.minutes"),
            ("error_rate: { window: 5 }", "error_rate.window"),
            ("spend_per_hour: 0", "spend_per_hour"),
            ("store_percent: 0", "store_percent"),
            ("per_hour: 1001", "per_hour"),
            ("webhook: https://example.com", "webhook"),
        ] {
            let (_, faults) = read(text);
            assert_eq!(faults.iter().map(|fault| fault.path.as_str()).collect::<Vec<_>>(), [path], "{text}");
        }
    }
}

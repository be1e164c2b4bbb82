//! The settings of alerts, and what an observation means by them.

use super::condition::ConditionRule;
use super::observation::Observation;
use super::threshold::{PeriodReading, Recovery, ThresholdRule};
use super::window::Counts;
use crate::config::{Alerting, ErrorRate, Nanos};

/// When alerts are raised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertRules {
    /// The thresholds of budgets, in percent, of keys without their own.
    pub budget_percents: Vec<u32>,
    /// How long a target has to be down, and to be back.
    pub target: ConditionRule,
    /// When the error rate is high; `None` if it is not watched.
    pub error_rate: Option<ErrorRate>,
    /// The spend of all keys per hour that is high, in nano-dollars; `None` if it is not watched.
    pub spend_per_hour: Option<Nanos>,
    /// How full a store is when it is nearly full, in percent.
    pub store_percent: u32,
    /// The most notices in an hour.
    pub per_hour: u32,
}

/// What an observation means to the state machine of its alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// An amount in a period.
    Amount(PeriodReading, ThresholdRule),
    /// Whether a condition holds.
    Condition(bool, ConditionRule),
}

/// The points of a percentage by which a store has to fall below its threshold before it has room again.
const STORE_MARGIN: u32 = 5;
/// The part of the error rate's threshold, in percent, below which the rate is normal again.
const RATE_MARGIN: u32 = 80;

impl Default for AlertRules {
    fn default() -> Self {
        Self::of(&Alerting::default())
    }
}

impl AlertRules {
    /// The rules of the configuration.
    pub fn of(alerting: &Alerting) -> Self {
        Self {
            budget_percents: alerting.budget_percents.clone(),
            target: ConditionRule { raise_after: alerting.target_down, clear_after: alerting.target_back },
            error_rate: alerting.error_rate,
            spend_per_hour: alerting.spend_per_hour,
            store_percent: alerting.store_percent,
            per_hour: alerting.per_hour,
        }
    }

    /// What an observation means; `None` if nothing is watched for it, or if it lies in the margin between
    /// raised and recovered.
    pub fn read(&self, observation: &Observation) -> Option<Reading> {
        match observation {
            Observation::Budget { period, spent, budget, percents, .. } => {
                let percents = percents.as_ref().unwrap_or(&self.budget_percents).clone();
                let rule = ThresholdRule { percents, recovery: Recovery::AtOnce };
                Some(Reading::Amount(PeriodReading { period: *period, amount: *spent, limit: *budget }, rule))
            }
            Observation::Spend { at, spent } => {
                let rule = ThresholdRule { percents: vec![100], recovery: Recovery::AfterCalmPeriod };
                let period = Observation::hour(*at);
                Some(Reading::Amount(PeriodReading { period, amount: *spent, limit: self.spend_per_hour? }, rule))
            }
            Observation::Target { is_down, .. } => Some(Reading::Condition(*is_down, self.target)),
            Observation::ErrorRate { counts } => at_once(is_high(self.error_rate?, *counts)),
            Observation::Price { is_known, .. } => at_once(Some(!is_known)),
            Observation::Store { used, capacity, .. } => at_once(self.is_nearly_full(*used, *capacity)),
        }
    }

    fn is_nearly_full(&self, used: u64, capacity: u64) -> Option<bool> {
        if has_share(used, capacity, u128::from(self.store_percent) * 100) {
            return Some(true);
        }
        let margin = u128::from(self.store_percent.saturating_sub(STORE_MARGIN)) * 100;
        (!has_share(used, capacity, margin)).then_some(false)
    }
}

/// Whether the error rate is high. `None` in the margin below the threshold, and for few requests: silence
/// does not end an alert.
fn is_high(rule: ErrorRate, counts: Counts) -> Option<bool> {
    if counts.requests < rule.min_requests.max(1) {
        return None;
    }
    if has_share(counts.failures, counts.requests, u128::from(rule.percent) * 100) {
        return Some(true);
    }
    let margin = u128::from(rule.percent) * u128::from(RATE_MARGIN);
    (!has_share(counts.failures, counts.requests, margin)).then_some(false)
}

fn at_once(holds: Option<bool>) -> Option<Reading> {
    holds.map(|holds| Reading::Condition(holds, ConditionRule::default()))
}

/// Whether a part has at least a share of the whole, in hundredths of a percent. Nothing has a share of zero.
fn has_share(part: u64, whole: u64, share: u128) -> bool {
    whole > 0 && u128::from(part) * 10_000 >= u128::from(whole) * share
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_rate(requests: u64, failures: u64) -> Option<Reading> {
        AlertRules::default().read(&Observation::ErrorRate { counts: Counts { requests, failures } })
    }

    fn store(used: u64, capacity: u64) -> Option<Reading> {
        AlertRules::default().read(&Observation::Store { name: "receipts".to_owned(), used, capacity })
    }

    const HOLDS: Option<Reading> = Some(Reading::Condition(true, ConditionRule { raise_after: 0, clear_after: 0 }));
    const IS_OVER: Option<Reading> = Some(Reading::Condition(false, ConditionRule { raise_after: 0, clear_after: 0 }));

    #[test]
    fn an_error_rate_has_a_margin_and_needs_requests() {
        assert_eq!(error_rate(100, 20), HOLDS);
        assert_eq!(error_rate(100, 19), None);
        assert_eq!(error_rate(100, 16), None);
        assert_eq!(error_rate(100, 15), IS_OVER);
        assert_eq!(error_rate(19, 19), None);
        assert_eq!(error_rate(0, 0), None);
    }

    #[test]
    fn a_store_has_a_margin() {
        assert_eq!(store(90, 100), HOLDS);
        assert_eq!(store(89, 100), None);
        assert_eq!(store(85, 100), None);
        assert_eq!(store(84, 100), IS_OVER);
        assert_eq!(store(u64::MAX, u64::MAX), HOLDS);
        assert_eq!(store(5, 0), IS_OVER);
    }

    #[test]
    fn what_is_not_watched_means_nothing() {
        assert_eq!(AlertRules::default().read(&Observation::Spend { at: 0, spent: 5 }), None);
        let rules = AlertRules { error_rate: None, ..AlertRules::default() };
        let counts = Counts { requests: 100, failures: 100 };
        assert_eq!(rules.read(&Observation::ErrorRate { counts }), None);
    }
}

//! Commands about alerts and their responses, as JSON.

use serde::{Deserialize, Serialize};

use super::destination::DestinationKind;
use super::ledger::{AlertLedger, OpenDelivery};
use super::states::AlertState;
use crate::config::Millis;

/// A command about alerts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertCommand {
    /// Reads what is raised, and the latest deliveries.
    Read {
        /// The most deliveries.
        deliveries: u64,
    },
    /// Sends a test to all destinations.
    Test,
}

/// The response to a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertResponse {
    /// What is known of alerts.
    Report(AlertReport),
    /// The id of the test's notice, and where it goes.
    Tested {
        /// The id of the notice.
        notice: String,
        /// The destinations.
        destinations: Vec<DestinationKind>,
    },
    /// The command could not be read.
    Malformed,
}

/// What is known of alerts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertReport {
    /// What is raised, by name.
    pub raised: Vec<RaisedAlert>,
    /// Whether more is raised.
    pub has_more: bool,
    /// The latest deliveries, newest first.
    pub deliveries: Vec<OpenDelivery>,
    /// The destinations that responded that they do not exist any more.
    pub gone: Vec<DestinationKind>,
}

/// An alert that is raised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RaisedAlert {
    /// Its kind, such as `budget`.
    pub kind: String,
    /// The length of the period, such as `day`; empty for what has none.
    pub per: String,
    /// What it is about. May be empty.
    pub subject: String,
    /// The threshold that was reached, in percent, if it is about an amount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u32>,
    /// Since when it holds, in milliseconds since 1970, if it is about a condition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Millis>,
}

/// The most alerts in a report.
const MAX_RAISED: usize = 1_000;

impl AlertLedger {
    /// What is raised. Returns also whether there is more.
    pub fn raised(&self) -> (Vec<RaisedAlert>, bool) {
        let mut raised: Vec<RaisedAlert> =
            self.states().filter_map(|(name, state)| raised_alert(name, state)).take(MAX_RAISED + 1).collect();
        let has_more = raised.len() > MAX_RAISED;
        raised.truncate(MAX_RAISED);
        (raised, has_more)
    }
}

fn raised_alert(name: &str, state: AlertState) -> Option<RaisedAlert> {
    let (percent, since) = match state {
        AlertState::Threshold(state) => (Some(state.reported()).filter(|percent| *percent > 0), None),
        AlertState::Condition(state) => (None, state.raised_since()),
    };
    if percent.is_none() && since.is_none() {
        return None;
    }
    let mut parts = name.splitn(3, '/').map(str::to_owned);
    let mut part = || parts.next().unwrap_or_default();
    Some(RaisedAlert { kind: part(), per: part(), subject: part(), percent, since })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::{AlertRules, AlertSettings, Observation};

    #[test]
    fn what_is_raised_is_listed() {
        let (mut ledger, rules) = (AlertLedger::default(), AlertRules::default());
        let settings = AlertSettings { rules: &rules, destinations: &[] };
        let budget = |key: &str, spent| {
            let (key, per) = (key.into(), "day".to_owned());
            Observation::Budget { key, per, period: 7, spent, budget: 100, percents: None }
        };
        let price = |is_known| Observation::Price { model: "p/a/b".to_owned(), is_known };
        for seen in [budget("vk_a", 85), budget("vk_b", 10), price(false)] {
            ledger.observe(&seen, settings, 5);
        }
        let (kind, per, subject) = ("budget".to_owned(), "day".to_owned(), "vk_a".to_owned());
        let of_key = RaisedAlert { kind, per, subject, percent: Some(80), since: None };
        let (kind, per, subject) = ("price".to_owned(), String::new(), "p/a/b".to_owned());
        let of_model = RaisedAlert { kind, per, subject, percent: None, since: Some(5) };
        assert_eq!(ledger.raised(), (vec![of_key.clone(), of_model], false));
        ledger.observe(&price(true), settings, 6);
        assert_eq!(ledger.raised(), (vec![of_key], false));
    }
}

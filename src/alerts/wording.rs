//! The words of notices.

use super::condition::ConditionEvent;
use super::observation::Observation;
use super::threshold::ThresholdEvent;
use crate::config::Millis;
use crate::wire::dollars::dollars;

/// What happened to an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertEvent {
    /// An amount reached a threshold, or its alert is over.
    Threshold(ThresholdEvent),
    /// A condition holds, or does not any more.
    Condition(ConditionEvent),
}

/// The longest shown name of a target, a model or a store, in characters.
const MAX_NAME: usize = 120;

impl AlertEvent {
    /// Whether the alert begins.
    pub fn is_raised(self) -> bool {
        matches!(self, Self::Threshold(ThresholdEvent::Reached { .. }) | Self::Condition(ConditionEvent::Raised { .. }))
    }
}

/// One sentence for people.
pub fn title(observation: &Observation, event: AlertEvent) -> String {
    let begins = event.is_raised();
    match observation {
        Observation::Budget { key, per, .. } => match event {
            AlertEvent::Threshold(ThresholdEvent::Reached { percent }) => {
                format!("The key {key} has used {percent} % of its budget ({}).", period(per))
            }
            _ => format!("The key {key} has budget again ({}).", period(per)),
        },
        Observation::Target { name, .. } if begins => format!("The target {} is down.", short(name)),
        Observation::Target { name, .. } => format!("The target {} serves again.", short(name)),
        Observation::ErrorRate { counts } if begins => {
            format!("{} of the latest {} requests failed.", counts.failures, counts.requests)
        }
        Observation::ErrorRate { .. } => "The error rate is normal again.".to_owned(),
        Observation::Spend { spent, .. } if begins => format!("${} were spent within an hour.", dollars(*spent)),
        Observation::Spend { .. } => "The spend per hour is normal again.".to_owned(),
        Observation::Price { model, .. } if begins => {
            format!("The model {} has no price: its use is not counted as spend.", short(model))
        }
        Observation::Price { model, .. } => format!("The model {} has a price now.", short(model)),
        Observation::Store { name, .. } if begins => format!("The store {} is nearly full.", short(name)),
        Observation::Store { name, .. } => format!("The store {} has room again.", short(name)),
    }
}

/// Names and values for people and machines.
pub fn facts(observation: &Observation, event: AlertEvent) -> Vec<(String, String)> {
    let mut facts = match observation {
        Observation::Budget { key, per, spent, budget, .. } => vec![
            ("key", key.to_string()),
            ("period", per.clone()),
            ("spent_usd", dollars(*spent)),
            ("budget_usd", dollars(*budget)),
            ("used_percent", percent(*spent, *budget)),
        ],
        Observation::Target { name, reason, .. } => {
            let mut facts = vec![("target", short(name))];
            facts.extend(reason.as_deref().map(|reason| ("reason", short(reason))));
            facts
        }
        Observation::ErrorRate { counts } => vec![
            ("requests", counts.requests.to_string()),
            ("failures", counts.failures.to_string()),
            ("failed_percent", percent(counts.failures, counts.requests)),
        ],
        Observation::Spend { spent, .. } => vec![("spent_usd", dollars(*spent))],
        Observation::Price { model, .. } => vec![("model", short(model))],
        Observation::Store { name, used, capacity } => vec![
            ("store", short(name)),
            ("used_bytes", used.to_string()),
            ("capacity_bytes", capacity.to_string()),
            ("used_percent", percent(*used, *capacity)),
        ],
    };
    if let AlertEvent::Threshold(ThresholdEvent::Reached { percent }) = event {
        facts.push(("threshold_percent", percent.to_string()));
    }
    if let AlertEvent::Condition(ConditionEvent::Recovered { lasted }) = event {
        facts.push(("lasted_seconds", seconds(lasted)));
    }
    facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn period(per: &str) -> String {
    if per == "total" { "in total".to_owned() } else { format!("per {per}") }
}

fn seconds(time: Millis) -> String {
    (time / 1000).to_string()
}

/// A share in whole percent, rounded down; empty for a share of nothing.
fn percent(part: u64, whole: u64) -> String {
    let share = (u128::from(part) * 100).checked_div(u128::from(whole));
    share.map(|share| share.to_string()).unwrap_or_default()
}

/// A name that others chose, on one line and of bounded length.
fn short(name: &str) -> String {
    let mut letters = name.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    let mut short: String = letters.by_ref().take(MAX_NAME).collect();
    if letters.next().is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_others_are_bounded_and_on_one_line() {
        assert_eq!(short("a\nb\u{0}c"), "a b c");
        assert_eq!(short(&"ä".repeat(MAX_NAME)), "ä".repeat(MAX_NAME));
        assert_eq!(short(&"ä".repeat(500)), format!("{}…", "ä".repeat(MAX_NAME)));
    }

    #[test]
    fn a_share_is_rounded_down_and_may_exceed_the_whole() {
        assert_eq!(percent(999, 1000), "99");
        assert_eq!(percent(u64::MAX, 1), "1844674407370955161500");
        assert_eq!(percent(1, 0), "");
    }
}

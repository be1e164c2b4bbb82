//! The states of all alerts. A state changes by compare-and-set: of several that report the same event, one
//! succeeds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::condition::{ConditionEvent, ConditionState};
use super::notice::{AlertKind, Notice, Phase};
use super::observation::Observation;
use super::rules::{AlertRules, Reading};
use super::threshold::{ThresholdEvent, ThresholdState};
use super::wording::{self, AlertEvent};
use crate::config::Millis;

/// The most states. Names of models can come from clients, so there has to be a bound; models
/// without a price are watched only while half of it is free.
const MAX_STATES: usize = 20_000;

/// The state of one alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// Of an amount in periods.
    Threshold(ThresholdState),
    /// Of a condition.
    Condition(ConditionState),
}

/// The change of a state, as an observer computed it from the state that it knew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The name of the state.
    pub name: String,
    /// What was observed.
    pub observation: Observation,
    /// The state that the observer knew; `None` if it knew none.
    pub expected: Option<AlertState>,
    /// The new state.
    pub next: AlertState,
    /// What is to be reported if the change succeeds.
    pub notice: Option<Notice>,
}

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Commit {
    /// It succeeded: store the state, and send the notice.
    Done,
    /// The state is another one than expected, namely this. Compute the change again.
    Stale(Option<AlertState>),
    /// There are too many states. The notice is not sent.
    Full,
}

/// The states of all alerts, by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AlertStates {
    states: BTreeMap<String, AlertState>,
}

impl AlertState {
    /// Whether nothing is reported that has to be taken back, or must not be reported again.
    fn is_resting(self) -> bool {
        match self {
            Self::Threshold(state) => state == state.unreported(),
            Self::Condition(state) => state.is_resting(),
        }
    }

    /// When the observation that led to this state is to be observed again, because its alert is raised or
    /// over only when it has lasted; `None` if it is not.
    pub fn due(&self, observation: &Observation, rules: &AlertRules) -> Option<Millis> {
        match (self, rules.read(observation)?) {
            (Self::Condition(state), Reading::Condition(_, rule)) => state.due(rule),
            _ => None,
        }
    }
}

impl Change {
    /// The change of a state by an observation; `None` if nothing changes.
    pub fn of(known: Option<AlertState>, observation: &Observation, rules: &AlertRules, now: Millis) -> Option<Self> {
        let (next, event) = step(known, rules.read(observation)?, now);
        let is_new = known.is_none() && event.is_none() && next == unreported(next);
        if known == Some(next) || is_new {
            return None;
        }
        let name = observation.state_name();
        let notice = event.map(|event| notice(&name, observation, event, now));
        Some(Self { name, observation: observation.clone(), expected: known, next, notice })
    }
}

impl AlertStates {
    /// Applies a change if the state is the one that it expects.
    pub fn commit(&mut self, change: &Change) -> Commit {
        let current = self.get(&change.name);
        if current != change.expected {
            return Commit::Stale(current);
        }
        let is_price = change.observation.kind() == AlertKind::Price;
        let most = if is_price { MAX_STATES / 2 } else { MAX_STATES };
        if current.is_none() && self.states.len() >= most {
            return Commit::Full;
        }
        self.states.insert(change.name.clone(), change.next);
        Commit::Done
    }

    /// Applies an observation. Returns the change that was made, if there was one.
    pub fn observe(&mut self, observation: &Observation, rules: &AlertRules, now: Millis) -> Option<Change> {
        let change = Change::of(self.get(&observation.state_name()), observation, rules, now)?;
        (self.commit(&change) == Commit::Done).then_some(change)
    }

    /// The state with a name.
    pub fn get(&self, name: &str) -> Option<AlertState> {
        self.states.get(name).copied()
    }

    /// Sets a state that was stored.
    pub fn restore(&mut self, name: String, state: AlertState) {
        self.states.insert(name, state);
    }

    /// The states by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, AlertState)> {
        self.states.iter().map(|(name, state)| (name.as_str(), *state))
    }

    /// Forgets the states that have nothing to report, because there are too many. Returns their names.
    pub fn forget_resting(&mut self) -> Vec<String> {
        let resting = self.states.iter().filter(|(_, state)| state.is_resting()).map(|(name, _)| name.clone());
        let names: Vec<String> = resting.collect();
        self.states.retain(|_, state| !state.is_resting());
        names
    }
}

fn step(known: Option<AlertState>, reading: Reading, now: Millis) -> (AlertState, Option<AlertEvent>) {
    match reading {
        Reading::Amount(reading, rule) => {
            let state = match known {
                Some(AlertState::Threshold(state)) => state,
                _ => ThresholdState::default(),
            };
            let (next, event) = state.step(&reading, &rule);
            (AlertState::Threshold(next), event.map(AlertEvent::Threshold))
        }
        Reading::Condition(holds, rule) => {
            let state = match known {
                Some(AlertState::Condition(state)) => state,
                _ => ConditionState::default(),
            };
            let (next, event) = state.step(holds, now, rule);
            (AlertState::Condition(next), event.map(AlertEvent::Condition))
        }
    }
}

/// The state of the same kind that has reported nothing. It need not be stored.
fn unreported(state: AlertState) -> AlertState {
    match state {
        AlertState::Threshold(state) => AlertState::Threshold(state.unreported()),
        AlertState::Condition(_) => AlertState::Condition(ConditionState::default()),
    }
}

fn notice(name: &str, observation: &Observation, event: AlertEvent, now: Millis) -> Notice {
    let phase = if event.is_raised() { Phase::Raised } else { Phase::Recovered };
    Notice {
        id: Notice::make_id(&[name, &occasion(observation, event, now)]),
        kind: observation.kind(),
        phase,
        at: now,
        subject: observation.subject().to_owned(),
        title: wording::title(observation, event),
        facts: wording::facts(observation, event),
    }
}

/// What tells an event of an alert from its other events: the period and the threshold, or the time.
fn occasion(observation: &Observation, event: AlertEvent, now: Millis) -> String {
    let period = match observation {
        Observation::Budget { period, budget, .. } => format!("{period}/{budget}"),
        Observation::Spend { at, .. } => Observation::hour(*at).to_string(),
        _ => now.to_string(),
    };
    match event {
        AlertEvent::Threshold(ThresholdEvent::Reached { percent }) => format!("{period}/{percent}"),
        AlertEvent::Condition(ConditionEvent::Raised { since }) => format!("raised/{since}"),
        AlertEvent::Threshold(ThresholdEvent::Recovered) | AlertEvent::Condition(ConditionEvent::Recovered { .. }) => {
            format!("{period}/recovered")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::notice::AlertKind;

    fn budget(period: u64, spent: u64) -> Observation {
        let (key, per, budget) = ("vk_a".into(), "day".to_owned(), 10_000_000_000);
        Observation::Budget { key, per, period, spent, budget, percents: None }
    }

    fn price(model: &str, is_known: bool) -> Observation {
        Observation::Price { model: model.to_owned(), is_known }
    }

    #[test]
    fn of_two_who_see_the_same_crossing_one_reports_it() {
        let (mut states, rules) = (AlertStates::default(), AlertRules::default());
        let first = Change::of(None, &budget(1, 8_000_000_000), &rules, 5).unwrap();
        let second = Change::of(None, &budget(1, 9_000_000_000), &rules, 6).unwrap();
        assert_eq!(first.notice.as_ref().unwrap().id, second.notice.as_ref().unwrap().id, "one event has one id");
        assert_eq!(states.commit(&first), Commit::Done);
        assert_eq!(states.commit(&second), Commit::Stale(Some(first.next)));
        assert_eq!(states.commit(&first), Commit::Stale(Some(first.next)), "a repeated command does nothing");
        assert_eq!(Change::of(Some(first.next), &budget(1, 9_000_000_000), &rules, 6), None);
    }

    #[test]
    fn an_observer_that_knows_the_state_asks_only_when_something_changes() {
        let rules = AlertRules::default();
        assert_eq!(Change::of(None, &budget(1, 1), &rules, 0), None);
        assert_eq!(Change::of(None, &price("p/m", true), &rules, 0), None);
        let raised = Change::of(None, &price("p/m", false), &rules, 0).unwrap();
        assert_eq!(Change::of(Some(raised.next), &price("p/m", false), &rules, 9), None);
        let recovered = Change::of(Some(raised.next), &price("p/m", true), &rules, 9).unwrap();
        assert_eq!(recovered.notice.unwrap().event_type(), "price.known");
    }

    #[test]
    fn a_notice_says_what_happened() {
        let mut states = AlertStates::default();
        let change = states.observe(&budget(1, 8_500_000_000), &AlertRules::default(), 77).unwrap();
        let notice = change.notice.unwrap();
        assert_eq!(notice.kind, AlertKind::Budget);
        assert_eq!(notice.subject, "vk_a");
        assert_eq!(notice.title, "The key vk_a has used 80 % of its budget (per day).");
        let facts: Vec<String> = notice.facts.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let expected =
            ["key=vk_a", "period=day", "spent_usd=8.5", "budget_usd=10", "used_percent=85", "threshold_percent=80"];
        assert_eq!(facts, expected);
    }

    #[test]
    fn budgets_of_two_periods_are_two_alerts() {
        let mut states = AlertStates::default();
        let week = Observation::Budget {
            key: "vk_a".into(),
            per: "week".to_owned(),
            period: 1,
            spent: 9_000_000_000,
            budget: 10_000_000_000,
            percents: None,
        };
        let rules = AlertRules::default();
        assert!(states.observe(&budget(1, 9_000_000_000), &rules, 0).is_some());
        assert!(states.observe(&week, &rules, 0).is_some());
        assert!(states.observe(&week, &rules, 0).is_none());
    }

    #[test]
    fn names_from_clients_cannot_fill_the_memory() {
        let (mut states, rules) = (AlertStates::default(), AlertRules::default());
        for number in 0..MAX_STATES + 5 {
            let is_reported = states.observe(&price(&number.to_string(), false), &rules, 0).is_some();
            assert_eq!(is_reported, number < MAX_STATES / 2, "{number}");
        }
        assert_eq!(states.forget_resting(), [""; 0]);
        assert!(states.observe(&price("7", true), &rules, 1).is_some());
        assert_eq!(states.forget_resting(), ["price//7"]);
        assert!(states.observe(&price("one more", false), &rules, 0).is_some());
        assert!(states.observe(&budget(1, 9_000_000_000), &rules, 0).is_some(), "there is room for a budget");
    }

    #[test]
    fn stored_states_go_on_where_they_were() {
        let (mut states, rules) = (AlertStates::default(), AlertRules::default());
        let change = states.observe(&budget(1, 8_000_000_000), &rules, 0).unwrap();
        let stored = serde_json::to_string(&change.next).unwrap();
        let mut restored = AlertStates::default();
        restored.restore(change.name, serde_json::from_str(&stored).unwrap());
        assert_eq!(restored, states);
        assert!(restored.observe(&budget(1, 9_000_000_000), &rules, 0).is_none());
        assert!(restored.observe(&budget(2, 9_000_000_000), &rules, 0).is_some());
    }
}

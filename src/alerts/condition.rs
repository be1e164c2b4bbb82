//! Conditions that hold or do not: a target is down, a store is nearly full. A change is reported when it has
//! lasted for a while, so that flapping is not.

use serde::{Deserialize, Serialize};

use crate::config::Millis;

/// How long a change has to last until it is reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConditionRule {
    /// How long the condition has to hold.
    pub raise_after: Millis,
    /// How long the condition must not hold.
    pub clear_after: Millis,
}

/// What has been reported of a condition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConditionState {
    /// Whether the last report said that the condition holds.
    is_raised: bool,
    /// Since when the reported state is the case.
    since: Millis,
    /// Since when readings have contradicted the last report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    changing_since: Option<Millis>,
}

/// What is to be reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConditionEvent {
    /// The condition holds.
    Raised {
        /// Since when.
        since: Millis,
    },
    /// It does not hold any more.
    Recovered {
        /// How long it held.
        lasted: Millis,
    },
}

impl ConditionState {
    /// The state after a reading, and what is to be reported.
    pub fn step(&self, holds: bool, now: Millis, rule: ConditionRule) -> (Self, Option<ConditionEvent>) {
        if holds == self.is_raised {
            return (Self { changing_since: None, ..*self }, None);
        }
        let since = self.changing_since.unwrap_or(now);
        if now.saturating_sub(since) < self.delay(rule) {
            return (Self { changing_since: Some(since), ..*self }, None);
        }
        let event = if holds {
            ConditionEvent::Raised { since }
        } else {
            ConditionEvent::Recovered { lasted: since.saturating_sub(self.since) }
        };
        (Self { is_raised: holds, since, changing_since: None }, Some(event))
    }

    /// When a change has lasted long enough. [`Self::step`] with the last
    /// reading reports it then.
    pub fn due(&self, rule: ConditionRule) -> Option<Millis> {
        self.changing_since.map(|since| since.saturating_add(self.delay(rule)))
    }

    /// Whether the condition does not hold, and no reading says that it does.
    pub fn is_resting(&self) -> bool {
        !self.is_raised && self.changing_since.is_none()
    }

    /// Since when the condition holds, if that was reported.
    pub fn raised_since(&self) -> Option<Millis> {
        self.is_raised.then_some(self.since)
    }

    /// How long a contradiction of the last report has to last.
    fn delay(&self, rule: ConditionRule) -> Millis {
        if self.is_raised { rule.clear_after } else { rule.raise_after }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULE: ConditionRule = ConditionRule { raise_after: 10, clear_after: 100 };

    /// The events of readings: when, and whether the condition holds.
    fn events(readings: &[(Millis, bool)]) -> Vec<Option<ConditionEvent>> {
        let mut state = ConditionState::default();
        let step = |(now, holds): &(Millis, bool)| {
            let (next, event) = state.step(*holds, *now, RULE);
            state = next;
            event
        };
        readings.iter().map(step).collect()
    }

    #[test]
    fn a_change_is_reported_when_it_has_lasted() {
        let readings =
            [(0, false), (5, true), (14, true), (15, true), (16, true), (20, false), (119, false), (120, false)];
        let raised = Some(ConditionEvent::Raised { since: 5 });
        let recovered = Some(ConditionEvent::Recovered { lasted: 15 });
        assert_eq!(events(&readings), [None, None, None, raised, None, None, None, recovered]);
    }

    #[test]
    fn flapping_is_not_reported() {
        let readings: Vec<_> = (0..50).map(|turn| (turn * 9, turn % 2 == 0)).collect();
        assert!(events(&readings).iter().all(Option::is_none));
    }

    #[test]
    fn a_change_is_due_when_it_has_lasted() {
        let (state, _) = ConditionState::default().step(true, 5, RULE);
        assert_eq!(state.due(RULE), Some(15));
        assert_eq!(state.step(true, 14, RULE).1, None);
        let (raised, event) = state.step(true, 15, RULE);
        assert_eq!(event, Some(ConditionEvent::Raised { since: 5 }));
        assert_eq!(raised.due(RULE), None);
        assert_eq!(raised.step(false, 20, RULE).0.due(RULE), Some(120));
    }

    #[test]
    fn without_delays_every_change_is_reported_at_once() {
        let (raised, event) = ConditionState::default().step(true, 5, ConditionRule::default());
        assert_eq!(event, Some(ConditionEvent::Raised { since: 5 }));
        let (_, event) = raised.step(false, 7, ConditionRule::default());
        assert_eq!(event, Some(ConditionEvent::Recovered { lasted: 2 }));
    }

    proptest! {
        #[test]
        fn reports_alternate(readings in prop::collection::vec((0u64..60, any::<bool>()), 0..80)) {
            let (mut now, mut raised, mut state) = (0, false, ConditionState::default());
            for (passed, holds) in readings {
                now += passed;
                let (next, event) = state.step(holds, now, RULE);
                match event {
                    Some(ConditionEvent::Raised { .. }) => prop_assert!(holds && !std::mem::replace(&mut raised, true)),
                    Some(ConditionEvent::Recovered { .. }) => prop_assert!(!holds && std::mem::take(&mut raised)),
                    None => {}
                }
                state = next;
            }
        }
    }
}

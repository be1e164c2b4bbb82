//! Thresholds of an amount that starts at zero in each period: a budget, the spend of an hour. Each threshold
//! is reported once per period.

use serde::{Deserialize, Serialize};

/// When an alert is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// As soon as the limit is not reached any more: a budget is available again when its period begins.
    AtOnce,
    /// When a whole period has passed below the limit: an hour that has just begun says nothing yet.
    AfterCalmPeriod,
}

/// The thresholds of an amount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThresholdRule {
    /// Percentages of the limit, in any order.
    pub percents: Vec<u32>,
    /// When an alert about the whole limit is over.
    pub recovery: Recovery,
}

/// An amount, as it stands in a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeriodReading {
    /// The number of the period; later periods have greater numbers.
    pub period: u64,
    /// The amount in this period.
    pub amount: u64,
    /// The amount that is 100 %. Zero has no thresholds.
    pub limit: u64,
}

/// What has been reported of an amount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThresholdState {
    period: u64,
    limit: u64,
    /// The highest threshold that was reported in this period, in percent; 0 for none.
    reported: u32,
    /// Whether an alert about the whole limit awaits its recovery notice.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    open: bool,
}

/// What is to be reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThresholdEvent {
    /// The amount has reached a threshold. Of several at once, the highest.
    Reached {
        /// The threshold.
        percent: u32,
    },
    /// The limit, which was reached before, is not reached any more.
    Recovered,
}

/// The percentage that is the whole limit.
const WHOLE: u32 = 100;

impl PeriodReading {
    fn has_reached(&self, percent: u32) -> bool {
        u128::from(self.amount) * u128::from(WHOLE) >= u128::from(self.limit) * u128::from(percent)
    }

    /// The highest threshold that the amount has reached; 0 for none.
    pub fn highest(&self, percents: &[u32]) -> u32 {
        percents.iter().copied().filter(|percent| self.has_reached(*percent)).max().unwrap_or(0)
    }
}

/// The highest threshold that an amount has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReachedThreshold {
    period: u64,
    limit: u64,
    /// In percent; 0 for none.
    percent: u32,
}

impl PeriodReading {
    /// The highest of some thresholds that the amount has reached.
    pub fn reached(&self, percents: &[u32]) -> ReachedThreshold {
        ReachedThreshold { period: self.period, limit: self.limit, percent: self.highest(percents) }
    }
}

impl ReachedThreshold {
    /// Whether an alert can begin or be over: a threshold is reached, or was before, and it is not the same,
    /// or not of the same period and limit.
    pub fn is_news(&self, before: Option<&Self>) -> bool {
        let has_reached = |reached: &Self| reached.limit > 0 && reached.percent > 0;
        before != Some(self) && (has_reached(self) || before.is_some_and(has_reached))
    }
}

impl ThresholdState {
    /// The state after a reading, and what is to be reported. A reading of an earlier period, which arrives
    /// late, changes nothing. Without thresholds, nothing is raised any more, and nothing is reported.
    pub fn step(&self, reading: &PeriodReading, rule: &ThresholdRule) -> (Self, Option<ThresholdEvent>) {
        if reading.limit == 0 || reading.period < self.period {
            return (*self, None);
        }
        if rule.percents.is_empty() {
            return (Self { period: reading.period, limit: reading.limit, ..Self::default() }, None);
        }
        let mut next = self.entered(reading, rule);
        let highest = reading.highest(&rule.percents);
        if highest > next.reported {
            next.reported = highest;
            next.open |= highest >= WHOLE;
            return (next, Some(ThresholdEvent::Reached { percent: highest }));
        }
        let is_over = self.open && next.reported < WHOLE && self.may_recover(reading, rule.recovery);
        next.open &= !is_over;
        (next, is_over.then_some(ThresholdEvent::Recovered))
    }

    /// The state in the period and with the limit of a reading. A new period has reported nothing. With a new
    /// limit, the thresholds that are not reached any more can be reported again.
    fn entered(&self, reading: &PeriodReading, rule: &ThresholdRule) -> Self {
        let reported = match reading.period == self.period {
            false => 0,
            true if reading.limit == self.limit => self.reported,
            true => self.reported.min(reading.highest(&rule.percents)),
        };
        Self { period: reading.period, limit: reading.limit, reported, open: self.open }
    }

    fn may_recover(&self, reading: &PeriodReading, recovery: Recovery) -> bool {
        match recovery {
            Recovery::AtOnce => true,
            // A period without any reading was calm as well.
            Recovery::AfterCalmPeriod if reading.period > self.period => {
                self.reported < WHOLE || reading.period - self.period > 1
            }
            Recovery::AfterCalmPeriod => false,
        }
    }

    /// The state in the same period that has reported nothing.
    pub fn unreported(&self) -> Self {
        Self { period: self.period, limit: self.limit, ..Self::default() }
    }

    /// The highest threshold that was reported in the period of the last reading; 0 for none.
    pub fn reported(&self) -> u32 {
        self.reported
    }

    /// The period of the last reading.
    pub fn period(&self) -> u64 {
        self.period
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REACHED_50: Option<ThresholdEvent> = Some(ThresholdEvent::Reached { percent: 50 });
    const REACHED_80: Option<ThresholdEvent> = Some(ThresholdEvent::Reached { percent: 80 });
    const REACHED_100: Option<ThresholdEvent> = Some(ThresholdEvent::Reached { percent: 100 });
    const RECOVERED: Option<ThresholdEvent> = Some(ThresholdEvent::Recovered);

    fn rule(recovery: Recovery) -> ThresholdRule {
        ThresholdRule { percents: vec![80, 50, 100], recovery }
    }

    /// The events of readings: period, amount, limit.
    fn events(recovery: Recovery, readings: &[(u64, u64, u64)]) -> Vec<Option<ThresholdEvent>> {
        let mut state = ThresholdState::default();
        let step = |(period, amount, limit): &(u64, u64, u64)| {
            let reading = PeriodReading { period: *period, amount: *amount, limit: *limit };
            let (next, event) = state.step(&reading, &rule(recovery));
            state = next;
            event
        };
        readings.iter().map(step).collect()
    }

    #[test]
    fn each_threshold_is_reported_once_per_period() {
        let readings =
            [(7, 49, 100), (7, 50, 100), (7, 79, 100), (7, 80, 100), (7, 90, 100), (7, 100, 100), (7, 200, 100)];
        let expected = [None, REACHED_50, None, REACHED_80, None, REACHED_100, None];
        assert_eq!(events(Recovery::AtOnce, &readings), expected);
    }

    #[test]
    fn of_several_thresholds_at_once_the_highest_is_reported() {
        assert_eq!(events(Recovery::AtOnce, &[(1, 95, 100), (1, 95, 100)]), [REACHED_80, None]);
    }

    #[test]
    fn the_next_period_reports_again_and_a_late_reading_does_not() {
        let readings = [(1, 100, 100), (2, 10, 100), (1, 100, 100), (2, 60, 100), (3, 55, 100)];
        assert_eq!(events(Recovery::AtOnce, &readings), [REACHED_100, RECOVERED, None, REACHED_50, REACHED_50]);
    }

    #[test]
    fn a_correction_does_not_report_a_threshold_twice() {
        assert_eq!(events(Recovery::AtOnce, &[(1, 80, 100), (1, 70, 100), (1, 85, 100)]), [REACHED_80, None, None]);
    }

    #[test]
    fn a_raised_budget_is_over_and_reports_its_own_thresholds() {
        let readings = [(1, 100, 100), (1, 100, 200), (1, 160, 200), (1, 200, 200)];
        assert_eq!(events(Recovery::AtOnce, &readings), [REACHED_100, RECOVERED, REACHED_80, REACHED_100]);
        assert_eq!(events(Recovery::AtOnce, &[(1, 60, 100), (1, 60, 60)]), [REACHED_50, REACHED_100]);
    }

    #[test]
    fn an_hour_that_has_just_begun_is_no_recovery() {
        let calm = Recovery::AfterCalmPeriod;
        let readings = [(1, 100, 100), (2, 0, 100), (2, 40, 100), (3, 0, 100), (4, 0, 100)];
        assert_eq!(events(calm, &readings), [REACHED_100, None, None, RECOVERED, None]);
        assert_eq!(events(calm, &[(1, 100, 100), (2, 100, 100), (3, 0, 100)]), [REACHED_100, REACHED_100, None]);
        assert_eq!(events(calm, &[(1, 100, 100), (9, 0, 100)]), [REACHED_100, RECOVERED]);
    }

    #[test]
    fn only_readings_that_can_begin_or_end_an_alert_are_news() {
        let reading = |(period, amount, limit)| PeriodReading { period, amount, limit };
        for (before, after, is_news) in [
            ((1, 0, 100), (1, 49, 100), false),
            ((1, 49, 100), (1, 50, 100), true),
            ((1, 50, 100), (1, 79, 100), false),
            ((1, 79, 100), (1, 100, 100), true),
            ((1, 49, 100), (2, 1, 100), false),
            ((1, 50, 100), (2, 1, 100), true),
            ((1, 100, 100), (1, 100, 150), true),
            ((1, 10, 100), (1, 10, 20), true),
            ((1, 10, 0), (1, 20, 0), false),
        ] {
            let reached = |of| reading(of).reached(&[50, 80, 100]);
            let (before, after) = (reached(before), reached(after));
            assert_eq!(after.is_news(Some(&before)), is_news, "{before:?} {after:?}");
        }
        assert!(reading((1, 50, 100)).reached(&[50]).is_news(None));
        assert!(!reading((1, 49, 100)).reached(&[50]).is_news(None));
    }

    #[test]
    fn other_thresholds_are_news_if_they_are_reached() {
        let full = PeriodReading { period: 1, amount: 100, limit: 100 };
        for (before, after, is_news) in [
            (&[80][..], &[80, 100][..], true),
            (&[80, 100], &[], true),
            (&[80, 100], &[50, 100], false),
            (&[], &[200], false),
        ] {
            let before = full.reached(before);
            assert_eq!(full.reached(after).is_news(Some(&before)), is_news, "{before:?} {after:?}");
        }
    }

    #[test]
    fn an_amount_that_is_not_watched_any_more_is_neither_raised_nor_recovered() {
        let full = PeriodReading { period: 1, amount: 100, limit: 100 };
        let none = ThresholdRule { percents: Vec::new(), recovery: Recovery::AtOnce };
        let (raised, event) = ThresholdState::default().step(&full, &rule(Recovery::AtOnce));
        assert_eq!(event, REACHED_100);
        let (state, event) = raised.step(&full, &none);
        assert_eq!((state.reported(), event), (0, None));
        let later = PeriodReading { period: 2, ..full };
        assert_eq!(state.step(&later, &none).1, None);
        assert_eq!(state.step(&PeriodReading { amount: 10, ..later }, &rule(Recovery::AtOnce)).1, None);
    }

    #[test]
    fn no_limit_has_no_thresholds_and_no_amount_overflows() {
        assert_eq!(events(Recovery::AtOnce, &[(1, 5, 0), (1, u64::MAX, u64::MAX)]), [None, REACHED_100]);
    }

    proptest! {
        #[test]
        fn no_threshold_is_reported_twice_in_a_period(
            readings in prop::collection::vec((0u64..5, 0u64..150), 0..60),
        ) {
            let mut state = ThresholdState::default();
            let mut seen = Vec::new();
            let mut open = false;
            for (period, amount) in readings {
                let reading = PeriodReading { period, amount, limit: 100 };
                let (next, event) = state.step(&reading, &rule(Recovery::AtOnce));
                match event {
                    Some(ThresholdEvent::Reached { percent }) => {
                        prop_assert!(amount >= u64::from(percent));
                        prop_assert!(!seen.contains(&(period, percent)));
                        seen.push((period, percent));
                        open |= percent == 100;
                    }
                    Some(ThresholdEvent::Recovered) => {
                        prop_assert!(open && amount < 100);
                        open = false;
                    }
                    None => {}
                }
                prop_assert!(next.period() >= state.period());
                state = next;
            }
        }
    }
}

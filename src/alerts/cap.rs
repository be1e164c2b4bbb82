//! The hourly cap: the most notices in an hour, and how many were withheld.

use serde::{Deserialize, Serialize};

use super::notice::{AlertKind, Notice};
use super::observation::Observation;
use crate::config::Millis;

/// The part of an hour's notices that may be about prices is one in so many.
const PRICE_SHARE: u32 = 4;

/// Counts the notices of the current hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HourlyCap {
    hour: u64,
    sent: u32,
    /// How many of them were about prices.
    #[serde(default)]
    prices: u32,
    /// The notices that were withheld and are not reported yet.
    withheld: u64,
    /// The hour of the first of them.
    withheld_in: u64,
}

impl HourlyCap {
    /// Whether a notice may be sent. Tests, and the notice about the cap itself, always may.
    pub fn admit(&mut self, notice: &Notice, now: Millis, per_hour: u32) -> bool {
        if matches!(notice.kind, AlertKind::Test | AlertKind::Cap) {
            return true;
        }
        // A clock that goes back a little does not start another hour. One that was far ahead does.
        let hour = Observation::hour(now);
        if hour > self.hour || hour.saturating_add(1) < self.hour {
            (self.hour, self.sent, self.prices) = (hour, 0, 0);
        }
        // Callers can invent models, and must not use up the notices about budgets and targets.
        let is_price = notice.kind == AlertKind::Price;
        if self.sent >= per_hour || (is_price && self.prices >= (per_hour / PRICE_SHARE).max(1)) {
            if self.withheld == 0 {
                self.withheld_in = self.hour;
            }
            self.withheld = self.withheld.saturating_add(1);
            return false;
        }
        self.sent = self.sent.saturating_add(1);
        self.prices = self.prices.saturating_add(u32::from(is_price));
        true
    }

    /// The notice about the notices that were withheld, once their hour is over.
    pub fn take_withheld(&mut self, now: Millis) -> Option<Notice> {
        if self.withheld == 0 || Observation::hour(now) <= self.withheld_in {
            return None;
        }
        Some(Notice::withheld(now, self.withheld_in, std::mem::take(&mut self.withheld)))
    }

    /// When [`Self::take_withheld`] has something to return.
    pub fn due(&self) -> Option<Millis> {
        (self.withheld > 0).then(|| Observation::hour_start(self.withheld_in.saturating_add(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Millis = 3_600_000;

    fn notice() -> Notice {
        Notice { kind: AlertKind::Budget, ..Notice::test(0, "a") }
    }

    #[test]
    fn what_exceeds_the_cap_is_counted_and_reported_once() {
        let mut cap = HourlyCap::default();
        let admitted: Vec<bool> = (0..5).map(|_| cap.admit(&notice(), HOUR, 3)).collect();
        assert_eq!(admitted, [true, true, true, false, false]);
        assert!(cap.admit(&Notice::test(0, "b"), HOUR, 3), "a test is not capped");
        assert_eq!(cap.take_withheld(2 * HOUR - 1), None);
        assert_eq!(cap.due(), Some(2 * HOUR));
        let withheld = cap.take_withheld(2 * HOUR).unwrap();
        assert_eq!(withheld.event_type(), "alerts.withheld");
        assert_eq!(withheld.facts, [("withheld".to_owned(), "2".to_owned())]);
        assert_eq!(cap.take_withheld(2 * HOUR), None);
        assert_eq!(cap.due(), None);
        assert!(cap.admit(&notice(), 2 * HOUR, 3));
    }

    #[test]
    fn a_clock_that_goes_back_opens_nothing() {
        let mut cap = HourlyCap::default();
        assert!(cap.admit(&notice(), 5 * HOUR, 1));
        assert!(!cap.admit(&notice(), 4 * HOUR, 1));
        assert!(!cap.admit(&notice(), 5 * HOUR, 1));
        assert!(cap.admit(&notice(), 2 * HOUR, 1), "the clock was far ahead");
    }

    #[test]
    fn invented_models_leave_room_for_other_notices() {
        let mut cap = HourlyCap::default();
        let price = Notice { kind: AlertKind::Price, ..Notice::test(0, "a") };
        let admitted = (0..20).filter(|_| cap.admit(&price, HOUR, 8)).count();
        assert_eq!(admitted, 2);
        assert!(cap.admit(&notice(), HOUR, 8));
    }
}

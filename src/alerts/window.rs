//! Counts requests and failures in a sliding window of whole minutes.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::config::Millis;

/// The milliseconds of a minute.
const MINUTE: Millis = 60_000;
/// The longest window, in minutes.
pub const MAX_MINUTES: u64 = 24 * 60;

/// Requests, and how many of them failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// The requests that did not fail by the caller's fault.
    pub requests: u64,
    /// Those that failed, by no fault of the caller.
    pub failures: u64,
}

/// The counts of the latest minutes. A minute without requests is not stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorWindow {
    minutes: VecDeque<(u64, Counts)>,
}

impl ErrorWindow {
    /// Adds requests that ended at `now`. A clock that went back adds them to the latest minute.
    pub fn add(&mut self, now: Millis, counts: Counts) {
        if counts == Counts::default() {
            return;
        }
        let minute = now / MINUTE;
        match self.minutes.back_mut() {
            Some((latest, sum)) if *latest >= minute => sum.add(counts),
            _ => self.minutes.push_back((minute, counts)),
        }
        let latest = self.minutes.back().map_or(minute, |(latest, _)| *latest);
        while self.minutes.front().is_some_and(|(oldest, _)| latest - oldest >= MAX_MINUTES) {
            self.minutes.pop_front();
        }
    }

    /// The sum of the last `minutes`, the current one included.
    pub fn sum(&self, now: Millis, minutes: u64) -> Counts {
        let current = now / MINUTE;
        let mut sum = Counts::default();
        let recent = self.minutes.iter().rev().take_while(|(minute, _)| current.saturating_sub(*minute) < minutes);
        recent.for_each(|(_, counts)| sum.add(*counts));
        sum
    }
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.failures = self.failures.saturating_add(other.failures);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(requests: u64, failures: u64) -> Counts {
        Counts { requests, failures }
    }

    #[test]
    fn old_minutes_leave_the_window() {
        let mut window = ErrorWindow::default();
        window.add(0, counts(10, 1));
        window.add(4 * MINUTE, counts(10, 2));
        window.add(4 * MINUTE + 1, counts(1, 0));
        assert_eq!(window.sum(4 * MINUTE, 5), counts(21, 3));
        assert_eq!(window.sum(5 * MINUTE, 5), counts(11, 2));
        assert_eq!(window.sum(9 * MINUTE, 5), counts(0, 0));
    }

    #[test]
    fn a_clock_that_goes_back_loses_nothing() {
        let mut window = ErrorWindow::default();
        window.add(10 * MINUTE, counts(1, 1));
        window.add(3 * MINUTE, counts(1, 0));
        assert_eq!(window.sum(10 * MINUTE, 1), counts(2, 1));
        assert_eq!(window.sum(3 * MINUTE, 1), counts(2, 1));
    }

    #[test]
    fn a_day_is_the_most_that_is_kept() {
        let mut window = ErrorWindow::default();
        (0..3 * MAX_MINUTES).for_each(|minute| window.add(minute * MINUTE, counts(1, 0)));
        assert_eq!(window.minutes.len(), 1440);
        assert_eq!(window.sum(3 * MAX_MINUTES * MINUTE - 1, u64::MAX), counts(MAX_MINUTES, 0));
    }
}

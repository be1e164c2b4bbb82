//! Spend by day, week, month and in total.

use serde::{Deserialize, Serialize};

use super::limits::Period;
use crate::config::{Millis, Nanos};
use crate::wire::date;

/// The spend of the current day, week and month (UTC) and in total, in nano-dollars. Each period has its
/// number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spend {
    day: (u64, Nanos),
    week: (u64, Nanos),
    month: (u64, Nanos),
    total: Nanos,
}

impl Spend {
    /// Adds an amount that is spent at `now`.
    pub fn add(&mut self, now: Millis, nanos: Nanos) {
        for (counter, period) in
            [(&mut self.day, Period::Day), (&mut self.week, Period::Week), (&mut self.month, Period::Month)]
        {
            let number = period_number(period, now);
            if counter.0 != number {
                *counter = (number, 0);
            }
            counter.1 = counter.1.saturating_add(nanos);
        }
        self.total = self.total.saturating_add(nanos);
    }

    /// Replaces an amount that was spent at `at` by another.
    pub fn correct(&mut self, at: Millis, old: Nanos, new: Nanos) {
        let replace = |sum: &mut Nanos| *sum = sum.saturating_sub(old).saturating_add(new);
        for (counter, period) in
            [(&mut self.day, Period::Day), (&mut self.week, Period::Week), (&mut self.month, Period::Month)]
        {
            if counter.0 == period_number(period, at) {
                replace(&mut counter.1);
            }
        }
        replace(&mut self.total);
    }

    /// The spend of the period that contains `now`.
    pub fn in_period(&self, period: Period, now: Millis) -> Nanos {
        let (number, nanos) = match period {
            Period::Day => self.day,
            Period::Week => self.week,
            Period::Month => self.month,
            Period::Total => return self.total,
        };
        if number == period_number(period, now) { nanos } else { 0 }
    }
}

/// The day of a time, counted from 1970-01-01 as 0.
pub fn day_of(time: Millis) -> u64 {
    time / date::DAY
}

/// The number of the day, week or month that contains a time, counted from some fixed start.
fn period_number(period: Period, time: Millis) -> u64 {
    let day = day_of(time);
    match period {
        Period::Day => day,
        // 1970-01-01 was a Thursday.
        Period::Week => (day + 3) / 7,
        Period::Month => {
            let date = date::date(day);
            date.year * 12 + date.month
        }
        Period::Total => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Millis {
        date::read_time(text).unwrap()
    }

    #[test]
    fn a_new_period_begins_at_zero() {
        let mut spent = Spend::default();
        // A Sunday, the last of a month, and the Monday after it.
        let (sunday, monday) = (at("2026-05-31T23:59:59.999Z"), at("2026-06-01T00:00:00Z"));
        spent.add(at("2026-05-29T12:00:00Z"), 1);
        spent.add(sunday, 10);
        let all = |spent: &Spend, now| {
            [Period::Day, Period::Week, Period::Month, Period::Total].map(|per| spent.in_period(per, now))
        };
        assert_eq!(all(&spent, sunday), [10, 11, 11, 11]);
        assert_eq!(all(&spent, monday), [0, 0, 0, 11]);
        spent.add(monday, 5);
        assert_eq!(all(&spent, monday), [5, 5, 5, 16]);
    }
}

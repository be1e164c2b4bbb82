//! Money spent by day, week, month and in all.

use serde::{Deserialize, Serialize};

use super::limits::Period;
use crate::config::{Millis, Nanos};
use crate::wire::date;

/// What was spent in the current day, week and month (UTC), and in all; in nano-dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spend {
    day: (u64, Nanos),
    week: (u64, Nanos),
    month: (u64, Nanos),
    total: Nanos,
}

impl Spend {
    /// Spends.
    pub fn add(&mut self, now: Millis, nanos: Nanos) {
        for (counter, period) in
            [(&mut self.day, Period::Day), (&mut self.week, Period::Week), (&mut self.month, Period::Month)]
        {
            let number = number(period, now);
            if counter.0 != number {
                *counter = (number, 0);
            }
            counter.1 = counter.1.saturating_add(nanos);
        }
        self.total = self.total.saturating_add(nanos);
    }

    /// What was spent at a time was another amount.
    pub fn correct(&mut self, at: Millis, was: Nanos, is: Nanos) {
        let replace = |sum: &mut Nanos| *sum = sum.saturating_sub(was).saturating_add(is);
        for (counter, period) in
            [(&mut self.day, Period::Day), (&mut self.week, Period::Week), (&mut self.month, Period::Month)]
        {
            if counter.0 == number(period, at) {
                replace(&mut counter.1);
            }
        }
        replace(&mut self.total);
    }

    /// What was spent in the period that `now` lies in.
    pub fn of(&self, period: Period, now: Millis) -> Nanos {
        let (kept, nanos) = match period {
            Period::Day => self.day,
            Period::Week => self.week,
            Period::Month => self.month,
            Period::Total => return self.total,
        };
        if kept == number(period, now) { nanos } else { 0 }
    }
}

/// The day of a time, counted from 1970-01-01 as 0.
pub fn day_of(time: Millis) -> u64 {
    time / date::DAY
}

/// Which day, week or month a time lies in, counted from any beginning.
fn number(period: Period, time: Millis) -> u64 {
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
    fn periods_begin_anew() {
        let mut spent = Spend::default();
        // A Sunday, the last of a month, and the Monday after it.
        let (sunday, monday) = (at("2026-05-31T23:59:59.999Z"), at("2026-06-01T00:00:00Z"));
        spent.add(at("2026-05-29T12:00:00Z"), 1);
        spent.add(sunday, 10);
        let all = |spent: &Spend, now| {
            [Period::Day, Period::Week, Period::Month, Period::Total].map(|per| spent.of(per, now))
        };
        assert_eq!(all(&spent, sunday), [10, 11, 11, 11]);
        assert_eq!(all(&spent, monday), [0, 0, 0, 11]);
        spent.add(monday, 5);
        assert_eq!(all(&spent, monday), [5, 5, 5, 16]);
    }
}

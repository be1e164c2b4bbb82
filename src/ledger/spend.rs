//! Spend by day, week, month and in total.

use serde::{Deserialize, Serialize};

use super::limits::{Budget, Period};
use crate::config::{Millis, Nanos};
use crate::wire::date;
use crate::wire::zone::Zone;

/// The spend of the current day, week and month and in total, in nano-dollars.
///
/// A period begins by the clocks of the zone that is configured at the time, and ends as it began: if the
/// zone changes meanwhile, the next period lasts from there to its end in the new zone. So no amount is lost
/// or counted in two periods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "StoredSpend", into = "StoredSpend")]
pub struct Spend {
    day: Counter,
    week: Counter,
    month: Counter,
    total: Nanos,
}

/// The spend of one period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counter {
    /// The number of the period in UTC.
    number: u64,
    nanos: Nanos,
    /// When the period is one of a zone; otherwise it is the one with this number.
    span: Option<Span>,
}

/// A period that does not begin or end as in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Span {
    /// When its first amount was spent.
    first: Millis,
    /// When the next period begins.
    end: Millis,
}

/// A spend as JSON. The spans are apart, so that a build that knows no zones can read it.
#[derive(Serialize, Deserialize)]
struct StoredSpend {
    day: (u64, Nanos),
    week: (u64, Nanos),
    month: (u64, Nanos),
    total: Nanos,
    /// Of day, week and month.
    #[serde(default, skip_serializing_if = "has_none")]
    spans: [Option<Span>; 3],
}

fn has_none(spans: &[Option<Span>; 3]) -> bool {
    spans.iter().all(Option::is_none)
}

impl From<StoredSpend> for Spend {
    fn from(StoredSpend { day, week, month, total, spans: [in_day, in_week, in_month] }: StoredSpend) -> Self {
        let counter = |(number, nanos): (u64, Nanos), span: Option<Span>| Counter { number, nanos, span };
        Self { day: counter(day, in_day), week: counter(week, in_week), month: counter(month, in_month), total }
    }
}

impl From<Spend> for StoredSpend {
    fn from(Spend { day, week, month, total }: Spend) -> Self {
        let pair = |counter: Counter| (counter.number, counter.nanos);
        let spans = [day.span, week.span, month.span];
        Self { day: pair(day), week: pair(week), month: pair(month), total, spans }
    }
}

impl Spend {
    /// Adds an amount that is spent at `now`, no earlier than the amounts before it. A period that is over
    /// makes room for the one of this zone. Returns whether one that is not of UTC has begun: it has to be
    /// stored, because the zone may have changed when receipts are counted again.
    pub fn add(&mut self, now: Millis, nanos: Nanos, zone: &Zone) -> bool {
        let mut begins = false;
        for (period, counter) in self.counters() {
            if !counter.contains(period, now) {
                *counter = counter.next(period, now, zone);
                begins |= counter.span.is_some();
            }
            counter.nanos = counter.nanos.saturating_add(nanos);
        }
        self.total = self.total.saturating_add(nanos);
        begins
    }

    /// Replaces an amount that was spent at `at` by another.
    pub fn correct(&mut self, at: Millis, old: Nanos, new: Nanos) {
        let replace = |sum: &mut Nanos| *sum = sum.saturating_sub(old).saturating_add(new);
        for (period, counter) in self.counters() {
            if counter.contains(period, at) {
                replace(&mut counter.nanos);
            }
        }
        replace(&mut self.total);
    }

    /// The spend of the period that contains `now`.
    pub fn in_period(&self, period: Period, now: Millis) -> Nanos {
        let counter = match period {
            Period::Day => &self.day,
            Period::Week => &self.week,
            Period::Month => &self.month,
            Period::Total => return self.total,
        };
        if counter.contains(period, now) { counter.nanos } else { 0 }
    }

    fn counters(&mut self) -> [(Period, &mut Counter); 3] {
        [(Period::Day, &mut self.day), (Period::Week, &mut self.week), (Period::Month, &mut self.month)]
    }
}

/// What has been spent of a budget in one of its periods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetSpend {
    /// The length of the period.
    pub per: Period,
    /// When the period began, or when its first amount was spent: later periods have greater numbers.
    pub period: u64,
    /// The spend in it, in nano-dollars.
    pub spent: Nanos,
    /// The budget, in nano-dollars.
    pub budget: Nanos,
}

impl Spend {
    /// The spend of a budget in the latest period in which anything was spent.
    pub fn of_budget(&self, budget: Budget) -> BudgetSpend {
        let (period, spent) = match budget.per {
            Period::Day => self.day.begun(budget.per),
            Period::Week => self.week.begun(budget.per),
            Period::Month => self.month.begun(budget.per),
            Period::Total => (0, self.total),
        };
        BudgetSpend { per: budget.per, period, spent, budget: budget.nanos }
    }
}

impl Counter {
    /// When the period began, in milliseconds since 1970, and its spend.
    fn begun(&self, period: Period) -> (Millis, Nanos) {
        let in_utc = || first_day(period, self.number).saturating_mul(date::DAY);
        (self.span.map_or_else(in_utc, |span| span.first), self.nanos)
    }

    fn contains(&self, period: Period, time: Millis) -> bool {
        match self.span {
            Some(span) => (span.first..span.end).contains(&time),
            None => self.number == number_of(period, day_of(time)),
        }
    }

    /// The period of this zone that contains `now`, when this one is over.
    fn next(&self, period: Period, now: Millis, zone: &Zone) -> Self {
        let number = number_of(period, day_of(now));
        // After a change to UTC, the first period of UTC is cut short as well.
        let is_cut = self.span.is_some_and(|past| number_of(period, day_of(past.end.saturating_sub(1))) == number);
        let span = (is_cut || !zone.is_utc()).then(|| Span { first: now, end: period_end(period, now, zone) });
        Self { number, nanos: 0, span }
    }
}

/// When the period that contains a time is over by the zone's clocks.
fn period_end(period: Period, time: Millis, zone: &Zone) -> Millis {
    let day = zone.day_at(time);
    let next = match period {
        Period::Day => day.saturating_add(1),
        Period::Week => (week_of(day).saturating_add(1)).saturating_mul(7).saturating_sub(3),
        Period::Month => date::next_month(day),
        Period::Total => return Millis::MAX,
    };
    zone.first_at_day(next, time)
}

/// The UTC day of a time, counted from 1970-01-01 as 0.
pub fn day_of(time: Millis) -> u64 {
    time / date::DAY
}

/// The number of the day, week or month that contains a day, counted from some fixed start.
fn number_of(period: Period, day: u64) -> u64 {
    match period {
        Period::Day => day,
        Period::Week => week_of(day),
        Period::Month => {
            let date = date::date(day);
            date.year * 12 + date.month
        }
        Period::Total => 0,
    }
}

/// The first day of the day, week or month with a number.
fn first_day(period: Period, number: u64) -> u64 {
    match period {
        Period::Day => number,
        Period::Week => number.saturating_mul(7).saturating_sub(3),
        Period::Month => {
            let (year, month) = (number.saturating_sub(1) / 12, number.saturating_sub(1) % 12 + 1);
            date::read_day(&format!("{year:04}-{month:02}-01")).unwrap_or(0)
        }
        Period::Total => 0,
    }
}

/// 1970-01-01 was a Thursday, and weeks begin on Monday.
fn week_of(day: u64) -> u64 {
    (day + 3) / 7
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::zone::OffsetChange;

    const PERIODS: [Period; 4] = [Period::Day, Period::Week, Period::Month, Period::Total];

    fn at(text: &str) -> Millis {
        date::read_time(text).unwrap()
    }

    fn shanghai() -> Zone {
        Zone::new(28_800, Vec::new()).unwrap()
    }

    fn all(spend: &Spend, now: &str) -> [Nanos; 4] {
        PERIODS.map(|per| spend.in_period(per, at(now)))
    }

    #[test]
    fn the_spend_of_a_budget_is_that_of_its_latest_period() {
        let mut spent = Spend::default();
        let read = |spent: &Spend| PERIODS.map(|per| spent.of_budget(Budget { nanos: 100, per, fit: false }));
        let periods = |spent: &Spend| read(spent).map(|reading| reading.period);
        spent.add(at("2026-05-31T23:59:59.999Z"), 10, &Zone::utc());
        let starts = ["2026-05-31T00:00:00Z", "2026-05-25T00:00:00Z", "2026-05-01T00:00:00Z", "1970-01-01T00:00:00Z"];
        assert_eq!(periods(&spent), starts.map(at));
        spent.add(at("2026-06-01T00:00:00Z"), 5, &Zone::utc());
        let starts = ["2026-06-01T00:00:00Z", "2026-06-01T00:00:00Z", "2026-06-01T00:00:00Z", "1970-01-01T00:00:00Z"];
        assert_eq!(periods(&spent), starts.map(at));
        assert_eq!(read(&spent).map(|reading| reading.spent), [5, 5, 5, 15]);
    }

    #[test]
    fn later_periods_of_a_zone_have_greater_numbers() {
        let mut spent = Spend::default();
        let budget = Budget { nanos: 100, per: Period::Day, fit: false };
        let times = [
            ("2026-05-19T12:00:00Z", Zone::utc()),
            // The next day of UTC, cut at Shanghai's midnight, and Shanghai's, which begins on that day.
            ("2026-05-20T01:00:00Z", shanghai()),
            ("2026-05-20T17:00:00Z", shanghai()),
            ("2026-05-21T17:00:00Z", Zone::utc()),
            ("2026-05-22T00:00:00Z", Zone::utc()),
        ];
        let periods = times.map(|(time, zone)| {
            spent.add(at(time), 1, &zone);
            spent.of_budget(budget).period
        });
        assert!(periods.is_sorted_by(|one, next| one < next), "{periods:?}");
    }

    #[test]
    fn a_new_period_begins_at_zero() {
        let mut spent = Spend::default();
        // A Sunday, the last of a month, and the Monday after it.
        let (sunday, monday) = ("2026-05-31T23:59:59.999Z", "2026-06-01T00:00:00Z");
        spent.add(at("2026-05-29T12:00:00Z"), 1, &Zone::utc());
        spent.add(at(sunday), 10, &Zone::utc());
        assert_eq!(all(&spent, sunday), [10, 11, 11, 11]);
        assert_eq!(all(&spent, monday), [0, 0, 0, 11]);
        spent.add(at(monday), 5, &Zone::utc());
        assert_eq!(all(&spent, monday), [5, 5, 5, 16]);
    }

    #[test]
    fn periods_begin_by_the_clocks_of_the_zone() {
        let mut spent = Spend::default();
        // The last moment of that Sunday in Shanghai, and the Monday.
        let (sunday, monday) = ("2026-05-31T23:59:59.999+08:00", "2026-06-01T00:00:00+08:00");
        spent.add(at(sunday), 10, &shanghai());
        assert_eq!(all(&spent, sunday), [10, 10, 10, 10]);
        assert_eq!(all(&spent, monday), [0, 0, 0, 10]);
        spent.add(at(monday), 5, &shanghai());
        assert_eq!(all(&spent, "2026-06-01T23:59:59.999+08:00"), [5, 5, 5, 15]);
        assert_eq!(all(&spent, "2026-06-02T00:00:00+08:00"), [0, 5, 5, 15]);
    }

    #[test]
    fn days_have_23_and_25_hours_where_clocks_change() {
        let changes = [("2026-03-29T01:00:00Z", 7_200), ("2026-10-25T01:00:00Z", 3_600)];
        let changes = changes.map(|(time, offset)| OffsetChange { at: at(time), offset });
        let berlin = Zone::new(3_600, changes.into()).unwrap();
        let hours = |midnight: &str| {
            let end = period_end(Period::Day, at(midnight), &berlin);
            (end - at(midnight)) / 3_600_000
        };
        assert_eq!(hours("2026-03-29T00:00:00+01:00"), 23);
        assert_eq!(hours("2026-10-25T00:00:00+02:00"), 25);
        assert_eq!(hours("2026-10-26T00:00:00+01:00"), 24);
        assert_eq!(period_end(Period::Month, at("2026-10-25T12:00:00Z"), &berlin), at("2026-11-01T00:00:00+01:00"));
        assert_eq!(period_end(Period::Week, at("2026-10-25T12:00:00Z"), &berlin), at("2026-10-26T00:00:00+01:00"));
    }

    #[test]
    fn a_period_that_has_begun_ends_as_it_began() {
        let mut spent = Spend::default();
        spent.add(at("2026-05-20T12:00:00Z"), 1, &Zone::utc());
        // Already the 21st in Shanghai, but the day of UTC goes on.
        spent.add(at("2026-05-20T23:00:00Z"), 2, &shanghai());
        assert_eq!(all(&spent, "2026-05-20T23:59:59Z"), [3, 3, 3, 3]);
        // The next day begins with UTC's and ends with Shanghai's.
        spent.add(at("2026-05-21T01:00:00Z"), 4, &shanghai());
        assert_eq!(all(&spent, "2026-05-21T15:59:59Z"), [4, 7, 7, 7]);
        assert_eq!(all(&spent, "2026-05-21T16:00:00Z"), [0, 7, 7, 7]);
        spent.add(at("2026-05-21T17:00:00Z"), 8, &shanghai());
        // Back to UTC: the day of Shanghai goes on, and the one after it ends with UTC's.
        spent.add(at("2026-05-22T10:00:00Z"), 16, &Zone::utc());
        assert_eq!(all(&spent, "2026-05-22T15:59:59Z"), [24, 31, 31, 31]);
        spent.add(at("2026-05-22T16:00:00Z"), 32, &Zone::utc());
        assert_eq!(all(&spent, "2026-05-22T23:59:59Z")[0], 32);
        // What is corrected was spent before this day began.
        spent.correct(at("2026-05-22T10:00:00Z"), 16, 0);
        assert_eq!(all(&spent, "2026-05-22T23:59:59Z"), [32, 47, 47, 47]);
        spent.add(at("2026-05-23T00:00:00Z"), 1, &Zone::utc());
        assert_eq!(spent.day.span, None);
    }

    #[test]
    fn what_is_spent_in_utc_is_stored_as_ever() {
        let mut spent = Spend::default();
        spent.add(at("2026-05-20T12:00:00Z"), 7, &Zone::utc());
        let json = r#"{"day":[20593,7],"week":[2942,7],"month":[24317,7],"total":7}"#;
        assert_eq!(serde_json::to_string(&spent).unwrap(), json);
        assert_eq!(serde_json::from_str::<Spend>(json).unwrap(), spent);
    }

    #[test]
    fn what_is_spent_in_a_zone_is_stored_with_its_periods() {
        let mut spent = Spend::default();
        spent.add(at("2026-05-20T12:00:00Z"), 7, &shanghai());
        let json = serde_json::to_string(&spent).unwrap();
        assert_eq!(serde_json::from_str::<Spend>(&json).unwrap(), spent);
        assert!(json.starts_with(r#"{"day":[20593,7],"week":[2942,7],"month":[24317,7],"total":7,"spans":[{"first":"#));
    }
}

//! Rolls quarters of an hour up into the hours and days of a time zone.

use serde::{Deserialize, Serialize};

use super::quarter::{PER_DAY, Quarter};
use crate::config::Millis;
use crate::wire::date::write_day;
use crate::wire::zone::Zone;

const DAY_SECONDS: i64 = 86_400;
const HOUR_SECONDS: i64 = 3_600;

/// How long the periods of a report are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Resolution {
    /// Quarters of an hour.
    Quarter,
    /// Hours by the zone's clocks. One that is repeated when clocks go back is two hours.
    Hour,
    /// Calendar days of the zone.
    Day,
    /// All days of the report together.
    Range,
}

/// Calendar days of a zone, each counted from 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayRange {
    /// The first day.
    pub from: u64,
    /// The last day, included.
    pub to: u64,
}

impl DayRange {
    fn contains(self, day: u64) -> bool {
        (self.from..=self.to).contains(&day)
    }
}

/// A quarter, an hour, a day or a whole range. Periods of one resolution are ordered by time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Period {
    /// When the zone's clocks show its beginning, in seconds since 1970 UTC; of a day, its date at 00:00 UTC.
    start: i64,
    /// In seconds east of UTC; 0 for days, which may have more than one offset.
    offset: i64,
}

impl Period {
    /// Its name: `2026-11-23` for a day, `2026-11-23T05:00:00+05:30` for an hour or a quarter; `None` for a
    /// whole range.
    pub fn label(&self, resolution: Resolution) -> Option<String> {
        let local = self.start.saturating_add(self.offset);
        let day = write_day(day_of(local));
        let seconds = local.rem_euclid(DAY_SECONDS);
        match resolution {
            Resolution::Range => None,
            Resolution::Day => Some(day),
            Resolution::Hour | Resolution::Quarter => {
                Some(format!("{day}T{}{}", write_clock(seconds), write_offset(self.offset)))
            }
        }
    }
}

/// `05:00:00`.
fn write_clock(seconds: i64) -> String {
    format!("{:02}:{:02}:{:02}", seconds / HOUR_SECONDS, seconds / 60 % 60, seconds % 60)
}

/// `+05:30`.
fn write_offset(offset: i64) -> String {
    let (sign, minutes) = (if offset < 0 { '-' } else { '+' }, offset.abs() / 60);
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

/// The day of a local time in seconds; times before 1970 are in day 0.
fn day_of(local: i64) -> u64 {
    u64::try_from(local.div_euclid(DAY_SECONDS)).unwrap_or(0)
}

/// When a quarter begins by the zone's clocks.
#[derive(Clone, Copy)]
struct LocalTime {
    /// In seconds, as if the zone were UTC.
    seconds: i64,
    offset: i64,
}

impl LocalTime {
    fn of(zone: &Zone, quarter: Quarter) -> Self {
        let offset = zone.offset_at(quarter.start());
        let start = i64::try_from(quarter.start() / 1_000).unwrap_or(i64::MAX);
        Self { seconds: start.saturating_add(offset), offset }
    }

    fn period(self, resolution: Resolution) -> Period {
        let Self { seconds, offset } = self;
        match resolution {
            Resolution::Quarter => Period { start: seconds - offset, offset },
            Resolution::Hour => Period { start: seconds - seconds.rem_euclid(HOUR_SECONDS) - offset, offset },
            Resolution::Day => Period { start: seconds - seconds.rem_euclid(DAY_SECONDS), offset: 0 },
            Resolution::Range => Period::default(),
        }
    }
}

/// The day that the zone's clocks show at a time.
pub fn date_at(zone: &Zone, time: Millis) -> u64 {
    let seconds = i64::try_from(time / 1_000).unwrap_or(i64::MAX);
    day_of(seconds.saturating_add(zone.offset_at(time)))
}

/// The period of a quarter; `None` if the quarter begins outside these days of the zone.
pub fn period_of(zone: &Zone, resolution: Resolution, days: DayRange, quarter: Quarter) -> Option<Period> {
    let local = LocalTime::of(zone, quarter);
    days.contains(day_of(local.seconds)).then(|| local.period(resolution))
}

/// Successive quarters of one period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The period.
    pub period: Period,
    /// Its first quarter.
    pub first: Quarter,
    /// Its last quarter.
    pub last: Quarter,
}

/// The quarters of these days of the zone, by period, in the order of time. A store selects and groups its
/// rows by them. Nearly every period is one span; it is two if clocks went back over its beginning.
pub fn spans(zone: &Zone, resolution: Resolution, days: DayRange) -> Vec<Span> {
    // No zone is a day away from UTC.
    let first = days.from.saturating_sub(1).saturating_mul(PER_DAY);
    let end = days.to.saturating_add(2).saturating_mul(PER_DAY);
    let mut spans: Vec<Span> = Vec::new();
    for quarter in (first..end).map(Quarter) {
        let Some(period) = period_of(zone, resolution, days, quarter) else { continue };
        match spans.last_mut() {
            Some(span) if span.period == period && span.last.0 + 1 == quarter.0 => span.last = quarter,
            _ => spans.push(Span { period, first: quarter, last: quarter }),
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::date::{read_day, read_time};
    use crate::wire::zone::OffsetChange;

    fn zone(first: i64, changes: &[(&str, i64)]) -> Zone {
        let change = |(at, offset): &(&str, i64)| OffsetChange { at: read_time(at).unwrap(), offset: *offset };
        Zone::new(first, changes.iter().map(change).collect()).unwrap()
    }

    fn day(text: &str) -> DayRange {
        let day = read_day(text).unwrap();
        DayRange { from: day, to: day }
    }

    /// The labels of a day's periods, and how many quarters each has.
    fn rows(zone: &Zone, resolution: Resolution, days: DayRange) -> Vec<(String, u64)> {
        let spans = spans(zone, resolution, days);
        let row = |span: &Span| (span.period.label(resolution).unwrap_or_default(), span.last.0 - span.first.0 + 1);
        spans.iter().map(row).collect()
    }

    fn berlin() -> Zone {
        zone(3_600, &[("2026-03-29T01:00:00Z", 7_200), ("2026-10-25T01:00:00Z", 3_600)])
    }

    #[test]
    fn days_are_as_long_as_the_zone_makes_them() {
        assert_eq!(rows(&berlin(), Resolution::Day, day("2026-03-29")), [("2026-03-29".to_owned(), 92)]);
        assert_eq!(rows(&berlin(), Resolution::Day, day("2026-10-25")), [("2026-10-25".to_owned(), 100)]);
        assert_eq!(rows(&berlin(), Resolution::Day, day("2026-10-26")), [("2026-10-26".to_owned(), 96)]);
    }

    #[test]
    fn an_hour_that_is_repeated_is_two() {
        let hours = rows(&berlin(), Resolution::Hour, day("2026-10-25"));
        assert_eq!(hours.len(), 25);
        assert_eq!(hours[2], ("2026-10-25T02:00:00+02:00".to_owned(), 4));
        assert_eq!(hours[3], ("2026-10-25T02:00:00+01:00".to_owned(), 4));
    }

    #[test]
    fn an_hour_that_is_skipped_is_none() {
        let hours = rows(&berlin(), Resolution::Hour, day("2026-03-29"));
        assert_eq!(hours.len(), 23);
        assert_eq!(hours[1].0, "2026-03-29T01:00:00+01:00");
        assert_eq!(hours[2].0, "2026-03-29T03:00:00+02:00");
    }

    #[test]
    fn zones_at_half_and_quarter_hours_have_whole_days() {
        let kolkata = zone(19_800, &[]);
        let hours = rows(&kolkata, Resolution::Hour, day("2026-11-23"));
        assert_eq!(hours.len(), 24);
        assert_eq!(hours[5], ("2026-11-23T05:00:00+05:30".to_owned(), 4));
        let kathmandu = zone(20_700, &[]);
        let days = spans(&kathmandu, Resolution::Day, day("2026-11-23"));
        assert_eq!(days[0].first.start(), read_time("2026-11-23T00:00:00+05:45").unwrap());
        assert_eq!(days[0].last.start(), read_time("2026-11-23T23:45:00+05:45").unwrap());
    }

    #[test]
    fn clocks_that_go_back_by_half_an_hour_split_an_hour() {
        let lord_howe = zone(39_600, &[("2026-04-04T15:00:00Z", 37_800)]);
        let hours = rows(&lord_howe, Resolution::Hour, day("2026-04-05"));
        assert_eq!(hours[1], ("2026-04-05T01:00:00+11:00".to_owned(), 4));
        assert_eq!(hours[2], ("2026-04-05T01:00:00+10:30".to_owned(), 2));
        assert_eq!(hours[3], ("2026-04-05T02:00:00+10:30".to_owned(), 4));
        assert_eq!(hours.iter().map(|(_, quarters)| quarters).sum::<u64>(), 98);
    }

    #[test]
    fn a_day_that_a_zone_skipped_is_none() {
        let apia = zone(-36_000, &[("2011-12-30T10:00:00Z", 50_400)]);
        let days = DayRange { from: read_day("2011-12-29").unwrap(), to: read_day("2011-12-31").unwrap() };
        let labels: Vec<String> = rows(&apia, Resolution::Day, days).into_iter().map(|(label, _)| label).collect();
        assert_eq!(labels, ["2011-12-29", "2011-12-31"]);
    }

    #[test]
    fn a_range_is_one_span_without_a_name() {
        let days = DayRange { from: read_day("2026-10-24").unwrap(), to: read_day("2026-10-26").unwrap() };
        assert_eq!(rows(&berlin(), Resolution::Range, days), [(String::new(), 292)]);
    }
}

//! Time zones as values: the UTC offsets of a zone over some time. The runtime knows the rules of all zones
//! and keeps them up to date; what it is asked for is this list.

use serde::{Deserialize, Serialize};

use super::date::DAY;

/// No zone is this far from UTC, in seconds.
const DAY_SECONDS: u64 = 86_400;

/// The UTC offsets of a time zone over some time, such as the days of a report. Times are in milliseconds
/// since 1970 UTC. As JSON: `{"first":3600,"changes":[{"at":1774746000000,"offset":7200}]}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zone {
    /// The offset before the first change, in seconds east of UTC.
    first: i64,
    /// In the order of their times.
    changes: Vec<OffsetChange>,
}

/// A change of a zone's offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OffsetChange {
    /// When.
    pub at: u64,
    /// The offset from then on, in seconds east of UTC.
    pub offset: i64,
}

impl Zone {
    /// UTC.
    pub fn utc() -> Self {
        Self::default()
    }

    /// A zone with these changes. `None` if they are not in the order of their times, or an offset is a day
    /// or more.
    pub fn new(first: i64, changes: Vec<OffsetChange>) -> Option<Self> {
        let is_ordered = changes.is_sorted_by(|one, next| one.at < next.at);
        let mut offsets = changes.iter().map(|change| change.offset).chain([first]);
        let is_near = offsets.all(|offset| offset.unsigned_abs() < DAY_SECONDS);
        (is_ordered && is_near).then_some(Self { first, changes })
    }

    /// The zone that its JSON describes; `None` as in [`Zone::new`], and if it is no such JSON.
    pub fn read(json: &str) -> Option<Self> {
        let Self { first, changes } = serde_json::from_str(json).ok()?;
        Self::new(first, changes)
    }

    /// The offset at a time, in seconds east of UTC.
    pub fn offset_at(&self, time: u64) -> i64 {
        let past = self.changes.partition_point(|change| change.at <= time);
        let last = past.checked_sub(1).and_then(|last| self.changes.get(last));
        last.map_or(self.first, |change| change.offset)
    }

    /// Whether its clocks show UTC.
    pub fn is_utc(&self) -> bool {
        self.first == 0 && self.changes.is_empty()
    }

    /// The day that the clocks show at a time, counted from 1970-01-01; times before are in day 0.
    pub fn day_at(&self, time: u64) -> u64 {
        let local = local_time(time, self.offset_at(time));
        u64::try_from(local).unwrap_or(0) / DAY
    }

    /// When the clocks first show a day or a later one, at `after` or later.
    pub fn first_at_day(&self, day: u64, after: u64) -> u64 {
        let midnight = day.saturating_mul(DAY);
        let starts = [(0, self.first)].into_iter().chain(self.changes.iter().map(|change| (change.at, change.offset)));
        let ends = self.changes.iter().map(|change| change.at).chain([u64::MAX]);
        let mut times = starts.zip(ends).filter(|(_, end)| *end > after).filter_map(|((start, offset), end)| {
            let time = u64::try_from(local_time(midnight, -offset)).unwrap_or(0).max(start).max(after);
            (time < end).then_some(time)
        });
        times.next().unwrap_or(u64::MAX)
    }
}

/// A time plus an offset in seconds.
fn local_time(time: u64, offset: i64) -> i64 {
    i64::try_from(time).unwrap_or(i64::MAX).saturating_add(offset.saturating_mul(1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(at: u64, offset: i64) -> OffsetChange {
        OffsetChange { at, offset }
    }

    #[test]
    fn an_offset_holds_from_its_change_on() {
        let zone = Zone::new(3_600, vec![change(1_000, 7_200), change(2_000, 3_600)]).unwrap();
        let offsets = [0, 999, 1_000, 1_999, 2_000, 9_000].map(|time| zone.offset_at(time));
        assert_eq!(offsets, [3_600, 3_600, 7_200, 7_200, 3_600, 3_600]);
        assert_eq!(Zone::utc().offset_at(5), 0);
    }

    #[test]
    fn a_day_begins_when_the_clocks_show_it() {
        // A day of 23 hours, and one whose midnight is skipped.
        let berlin = Zone::new(3_600, vec![change(1_774_746_000_000, 7_200)]).unwrap();
        let sunday = 20_541;
        let begin = |day| berlin.first_at_day(day, 0);
        assert_eq!(begin(sunday + 1) - begin(sunday), 23 * 3_600_000);
        assert_eq!(berlin.day_at(begin(sunday) - 1), sunday - 1);
        assert_eq!(berlin.day_at(begin(sunday)), sunday);
        let cairo = Zone::new(7_200, vec![change(sunday * DAY - 7_200_000, 10_800)]).unwrap();
        assert_eq!(cairo.first_at_day(sunday, 0), sunday * DAY - 7_200_000);
        assert_eq!(cairo.first_at_day(sunday, u64::MAX - 1), u64::MAX - 1, "it is that day, or a later one");
    }

    #[test]
    fn a_zone_is_read_from_json() {
        let json = r#"{"first":3600,"changes":[{"at":1774746000000,"offset":7200}]}"#;
        let zone = Zone::read(json).unwrap();
        assert_eq!(zone, Zone::new(3_600, vec![change(1_774_746_000_000, 7_200)]).unwrap());
        assert_eq!(serde_json::to_string(&zone).unwrap(), json);
    }

    #[test]
    fn zones_that_cannot_be_are_refused() {
        assert_eq!(Zone::new(0, vec![change(2_000, 0), change(1_000, 60)]), None);
        assert_eq!(Zone::new(0, vec![change(1_000, 0), change(1_000, 60)]), None);
        assert_eq!(Zone::new(86_400, Vec::new()), None);
        assert_eq!(Zone::read(r#"{"first":0,"changes":[{"at":0,"offset":-86400}]}"#), None);
        assert_eq!(Zone::read("[]"), None);
    }
}

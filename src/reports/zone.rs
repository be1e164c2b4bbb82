//! Time zones as values: the UTC offsets of a zone over some time. The runtime knows the rules of all zones
//! and keeps them up to date; what it is asked for is this list.

use serde::{Deserialize, Serialize};

use crate::config::Millis;

/// No zone is this far from UTC, in seconds.
const DAY_SECONDS: u64 = 86_400;

/// The UTC offsets of a time zone over some time, such as the days of a report. As JSON:
/// `{"first":3600,"changes":[{"at":1774746000000,"offset":7200}]}`.
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
    pub at: Millis,
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
    pub fn offset_at(&self, time: Millis) -> i64 {
        let past = self.changes.partition_point(|change| change.at <= time);
        let last = past.checked_sub(1).and_then(|last| self.changes.get(last));
        last.map_or(self.first, |change| change.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(at: Millis, offset: i64) -> OffsetChange {
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

//! Rollups: sums of whole days of UTC, and of eight of them, by one dimension. A long report of many keys
//! adds these up instead of its quarters of an hour, and reads quarters at its ends only.

use std::collections::BTreeSet;

use super::cell::Dimension;
use super::period::Span;
use super::quarter::{PER_DAY, Quarter};
use super::report::ReportQuery;
use crate::config::Millis;

/// Eight days in quarters.
const EIGHT_DAYS: u64 = 8 * PER_DAY;
/// How many quarters after its end a day is rolled up: by then nearly all of its requests are known.
const GRACE: u64 = 4;

/// The quarters that some sums are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rollup {
    /// How many quarters: a day's, or those of eight days. It begins at a multiple of this.
    pub length: u64,
    /// The first quarter.
    pub first: Quarter,
}

impl Rollup {
    /// The day of a quarter.
    pub fn day_of(quarter: Quarter) -> Self {
        Self::containing(quarter, PER_DAY)
    }

    /// The eight days of a quarter.
    pub fn eight_days_of(quarter: Quarter) -> Self {
        Self::containing(quarter, EIGHT_DAYS)
    }

    fn containing(Quarter(quarter): Quarter, length: u64) -> Self {
        Self { length, first: Quarter(quarter - quarter % length) }
    }

    /// Whether it is one of eight days.
    pub fn is_of_eight_days(self) -> bool {
        self.length == EIGHT_DAYS
    }

    /// Its last quarter.
    pub fn last(self) -> Quarter {
        Quarter(self.first.0.saturating_add(self.length - 1))
    }

    /// Whether its time is over, so that it can be rolled up.
    pub fn is_over(self, now: Millis) -> bool {
        self.last().0.saturating_add(GRACE) < Quarter::of(now).0
    }
}

/// Where a part of a report is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// From the cells.
    Cells,
    /// From the sums of single quarters that belong to the rollup of a day.
    Quarters,
    /// From rollups of this length.
    Rollups(u64),
}

/// Successive quarters of a span, and where their sums are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The index of the span.
    pub span: usize,
    /// Where.
    pub source: Source,
    /// The first quarter.
    pub first: Quarter,
    /// The last quarter.
    pub last: Quarter,
}

impl ReportQuery {
    /// The name of the dimension whose rollups it can be read from, which is empty if it has none; `None` if
    /// only cells have what it is about.
    pub fn rolled_up_by(&self) -> Option<String> {
        match self.group_by.as_slice() {
            _ if !self.filters.is_empty() => None,
            [] => Some(String::new()),
            [dimension] => Some(dimension.name()),
            _ => None,
        }
    }

    /// The rollups that it would be read from if there were all, days first. `oldest`: the first quarter of
    /// which there are sums.
    pub fn wanted_rollups(&self, spans: &[Span], oldest: Quarter, now: Millis) -> Vec<Rollup> {
        let range = (spans.iter().map(|span| span.first).min(), spans.iter().map(|span| span.last).max());
        let (Some(first), Some(last)) = range else { return Vec::new() };
        let begin = first.max(Rollup::day_of(oldest).first);
        // The rollup of a day without a dimension has the day's quarters as well.
        let is_partly_useful = self.group_by.is_empty();
        let mut days = BTreeSet::new();
        let mut day = Rollup::day_of(begin);
        while day.first <= last && day.is_over(now) {
            let is_within = |span: &Span| day.first >= span.first && day.last() <= span.last;
            if is_partly_useful || spans.iter().any(is_within) {
                days.insert(day);
            }
            day = Rollup::day_of(Quarter(day.last().0 + 1));
        }
        let weeks: BTreeSet<Rollup> = days.iter().map(|day| Rollup::eight_days_of(day.first)).collect();
        let is_whole = |week: &Rollup| {
            let mut parts = (week.first.0..=week.last().0).step_by(usize::try_from(PER_DAY).unwrap_or(1));
            parts.all(|first| days.contains(&Rollup::day_of(Quarter(first))))
        };
        let weeks: Vec<Rollup> = weeks.into_iter().filter(is_whole).collect();
        days.into_iter().chain(weeks).collect()
    }

    /// Cuts spans into pieces, of which the rollups that there are make as few rows as can be.
    pub fn pieces(&self, spans: &[Span], rollups: &BTreeSet<Rollup>) -> Vec<Piece> {
        let mut pieces: Vec<Piece> = Vec::new();
        for (index, span) in spans.iter().enumerate() {
            let mut at = span.first;
            while at <= span.last {
                let (source, last) = self.source(at, span.last, rollups);
                match pieces.last_mut() {
                    Some(before) if before.span == index && before.source == source => before.last = last,
                    _ => pieces.push(Piece { span: index, source, first: at, last }),
                }
                at = Quarter(last.0.saturating_add(1));
            }
        }
        pieces
    }

    /// Where the sums that begin with a quarter are read, and how far they go.
    fn source(&self, at: Quarter, last: Quarter, rollups: &BTreeSet<Rollup>) -> (Source, Quarter) {
        let (day, week) = (Rollup::day_of(at), Rollup::eight_days_of(at));
        let whole = [week, day]
            .into_iter()
            .find(|rollup| rollup.first == at && rollup.last() <= last && rollups.contains(rollup));
        if let Some(rollup) = whole {
            return (Source::Rollups(rollup.length), rollup.last());
        }
        let has_quarters = self.group_by.is_empty() && rollups.contains(&day);
        (if has_quarters { Source::Quarters } else { Source::Cells }, day.last().min(last))
    }
}

impl Dimension {
    /// Its name, as [`Dimension::named`] takes it.
    pub fn name(&self) -> String {
        match self {
            Self::Key => "key".to_owned(),
            Self::Owner => "owner".to_owned(),
            Self::Provider => "provider".to_owned(),
            Self::Model => "model".to_owned(),
            Self::Tag(name) => format!("tag.{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::period::{DayRange, Period, Resolution};
    use super::*;

    const DAY: u64 = 86_400_000;

    fn query(group_by: Vec<Dimension>) -> ReportQuery {
        let days = DayRange { from: 0, to: 0 };
        ReportQuery { days, quarters: None, resolution: Resolution::Range, group_by, filters: Vec::new() }
    }

    fn span(first: u64, last: u64) -> Span {
        Span { period: Period::default(), first: Quarter(first), last: Quarter(last) }
    }

    fn by_key() -> ReportQuery {
        query(vec![Dimension::Key])
    }

    /// What the pieces are (`c` cells, `q` quarters, `1` days, `8` eight days), and their first and last
    /// quarter.
    fn cut(query: &ReportQuery, spans: &[Span], rollups: &[Rollup]) -> Vec<(char, u64, u64)> {
        let kind = |source| match source {
            Source::Cells => 'c',
            Source::Quarters => 'q',
            Source::Rollups(PER_DAY) => '1',
            Source::Rollups(_) => '8',
        };
        let pieces = query.pieces(spans, &rollups.iter().copied().collect());
        pieces.iter().map(|piece| (kind(piece.source), piece.first.0, piece.last.0)).collect()
    }

    #[test]
    fn a_range_is_cut_into_the_longest_rollups_that_there_are() {
        let spans = [span(90, 96 * 17 + 5)];
        let wanted = by_key().wanted_rollups(&spans, Quarter(0), 100 * DAY);
        assert_eq!(wanted.iter().filter(|rollup| !rollup.is_of_eight_days()).count(), 16);
        let pieces = cut(&by_key(), &spans, &wanted);
        assert_eq!(pieces, [('c', 90, 95), ('1', 96, 767), ('8', 768, 1535), ('1', 1536, 1631), ('c', 1632, 1637)]);
        assert_eq!(cut(&by_key(), &spans, &[]), [('c', 90, 1637)]);
        assert_eq!(cut(&by_key(), &spans, &wanted[1..2]), [('c', 90, 191), ('1', 192, 287), ('c', 288, 1637)]);
    }

    #[test]
    fn pieces_are_the_spans_whatever_is_rolled_up() {
        let spans = [span(3, 80), span(81, 200), span(500, 1200)];
        for grouped in [by_key(), query(Vec::new())] {
            let wanted = grouped.wanted_rollups(&spans, Quarter(0), 100 * DAY);
            for missing in 0..=wanted.len() {
                let rollups = wanted.iter().copied().skip(missing).collect();
                let mut read: Vec<(usize, u64)> = Vec::new();
                for Piece { span, first, last, .. } in grouped.pieces(&spans, &rollups) {
                    read.extend((first.0..=last.0).map(|at| (span, at)));
                }
                let expected: Vec<(usize, u64)> = (3..=80)
                    .map(|at| (0, at))
                    .chain((81..=200).map(|at| (1, at)))
                    .chain((500..=1200).map(|at| (2, at)))
                    .collect();
                assert_eq!(read, expected);
            }
        }
    }

    #[test]
    fn days_of_other_zones_are_read_from_the_quarters_of_sums_without_dimension() {
        let total = query(Vec::new());
        let spans = [span(74, 169), span(170, 265)];
        let wanted = total.wanted_rollups(&spans, Quarter(0), 100 * DAY);
        let expected = [('q', 74, 169), ('q', 170, 265)];
        assert_eq!(cut(&total, &spans, &wanted), expected);
        assert!(by_key().wanted_rollups(&spans, Quarter(0), 100 * DAY).is_empty(), "no day is in one of these days");
    }

    #[test]
    fn a_day_is_rolled_up_an_hour_after_its_end_and_not_before_there_were_sums() {
        let spans = [span(0, 96 * 20)];
        let wanted = |oldest, now| by_key().wanted_rollups(&spans, Quarter(oldest), now);
        assert!(wanted(0, DAY + 3_600_000 - 1).is_empty());
        assert_eq!(wanted(0, DAY + 3_600_000 + 900_000), [Rollup { length: PER_DAY, first: Quarter(0) }]);
        assert!(!wanted(0, 8 * DAY).iter().any(|rollup| rollup.is_of_eight_days()));
        assert!(wanted(0, 9 * DAY).iter().any(|rollup| rollup.is_of_eight_days()));
        assert_eq!(wanted(500, 9 * DAY).first().map(|rollup| rollup.first), Some(Quarter(480)));
        assert!(!wanted(500, 9 * DAY).iter().any(|rollup| rollup.is_of_eight_days()));
    }

    #[test]
    fn only_reports_by_one_dimension_at_most_can_be_read_from_rollups() {
        assert_eq!(query(Vec::new()).rolled_up_by().as_deref(), Some(""));
        assert_eq!(query(vec![Dimension::Tag("team".into())]).rolled_up_by().as_deref(), Some("tag.team"));
        assert_eq!(query(vec![Dimension::Key, Dimension::Model]).rolled_up_by(), None);
        let filters = vec![super::super::report::Filter { dimension: Dimension::Key, values: Vec::new() }];
        assert_eq!(ReportQuery { filters, ..by_key() }.rolled_up_by(), None);
        for name in ["key", "owner", "provider", "model", "tag.team"] {
            assert_eq!(Dimension::named(name).map(|dimension| dimension.name()).as_deref(), Some(name));
        }
    }
}

//! A report: the sums of some days of a zone, by period and by dimensions.

use serde::{Deserialize, Serialize};

use std::collections::BTreeMap;

use super::cell::{Cell, Dimension};
use super::period::{DayRange, Period, Resolution, Span, period_of, spans};
use super::quarter::Quarter;
use super::sums::Sums;
use crate::wire::zone::Zone;

/// What a report is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportQuery {
    /// The days, by the zone's calendar.
    pub days: DayRange,
    /// The first and the last quarter of these days that it is about; `None` for all.
    #[serde(default)]
    pub quarters: Option<(Quarter, Quarter)>,
    /// The periods of its rows.
    pub resolution: Resolution,
    /// The dimensions of its rows.
    pub group_by: Vec<Dimension>,
    /// What it is limited to. A request has to meet all of them.
    pub filters: Vec<Filter>,
}

/// Limits a report to some values of a dimension.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// The dimension.
    pub dimension: Dimension,
    /// The values, of which one has to be met. `None` stands for having none.
    pub values: Vec<Option<String>>,
}

/// What a row of a report is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// The period.
    pub period: Period,
    /// The values of the dimensions in the order of [`ReportQuery::group_by`]; `None` for requests that have
    /// none.
    pub values: Vec<Option<String>>,
}

/// The sums of a report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The rows, in the order of their periods and values. A period without requests has no row.
    pub rows: BTreeMap<Group, Sums>,
    /// The sums of all requests of the report; its rows add up to them.
    pub totals: Sums,
}

impl ReportQuery {
    /// The quarters that it is about, by period ([`spans`]).
    pub fn spans(&self, zone: &Zone) -> Vec<Span> {
        let (first, last) = self.quarters.unwrap_or((Quarter(0), Quarter(u64::MAX)));
        let cut = |span: Span| Span { first: span.first.max(first), last: span.last.min(last), ..span };
        spans(zone, self.resolution, self.days).into_iter().map(cut).filter(|span| span.first <= span.last).collect()
    }

    /// The row in which a cell counts; `None` if the report is not about it.
    pub fn group_of(&self, zone: &Zone, cell: &Cell) -> Option<Group> {
        if self.quarters.is_some_and(|(first, last)| !(first..=last).contains(&cell.quarter)) {
            return None;
        }
        let period = period_of(zone, self.resolution, self.days, cell.quarter)?;
        let is_selected = self.filters.iter().all(|filter| filter.selects(cell));
        let values = || self.group_by.iter().map(|dimension| cell.value(dimension).map(str::to_owned)).collect();
        is_selected.then(|| Group { period, values: values() })
    }
}

impl Filter {
    fn selects(&self, cell: &Cell) -> bool {
        let value = cell.value(&self.dimension);
        self.values.iter().any(|wanted| wanted.as_deref() == value)
    }
}

impl Report {
    /// The report of some cells. A store that has grouped its rows by span and dimension already adds them
    /// with [`Report::add`].
    pub fn of<'c>(query: &ReportQuery, zone: &Zone, cells: impl IntoIterator<Item = (&'c Cell, &'c Sums)>) -> Self {
        let mut report = Self::default();
        for (cell, sums) in cells {
            if let Some(group) = query.group_of(zone, cell) {
                report.add(group, sums);
            }
        }
        report
    }

    /// Adds sums to a row, and to the totals.
    pub fn add(&mut self, group: Group, sums: &Sums) {
        self.rows.entry(group).or_default().add(sums);
        self.totals.add(sums);
    }
}

//! Sums that are kept in memory until they are stored, so that a store writes one row for each cell and not
//! for each request.

use std::collections::{BTreeMap, BTreeSet};

use super::accumulate::accumulate;
use super::cell::Cell;
use super::name_caps::NameCaps;
use super::quarter::Quarter;
use super::sums::Sums;
use crate::config::Millis;
use crate::telemetry::RequestSummary;

/// The names of how many quarters are remembered after their sums were stored.
const REMEMBERED: usize = 2;

/// Sums that are not stored yet.
#[derive(Debug, Default)]
pub struct UnfoldedSums {
    caps: BTreeMap<Quarter, NameCaps>,
    cells: BTreeMap<Cell, Sums>,
    /// How many requests were lost on their way to the store, by the quarter in which that was learnt.
    lost: BTreeMap<Quarter, u64>,
}

impl UnfoldedSums {
    /// The quarters of these requests whose names are not known: [`UnfoldedSums::know`] has to be told of
    /// them before the requests are counted.
    pub fn unknown_quarters(&self, requests: &[RequestSummary]) -> BTreeSet<Quarter> {
        let quarters = requests.iter().map(|request| Quarter::of(request.at));
        quarters.filter(|quarter| !self.caps.contains_key(quarter)).collect()
    }

    /// Takes the cells that are stored of a quarter.
    pub fn know(&mut self, quarter: Quarter, stored: impl IntoIterator<Item = Cell>) {
        self.caps.insert(quarter, NameCaps::of(stored));
    }

    /// Counts requests, and some that were lost before this time.
    pub fn count(&mut self, requests: &[RequestSummary], lost: u64, now: Millis) {
        for (cell, sums) in accumulate(requests, &mut self.caps) {
            self.cells.entry(cell).or_default().add(&sums);
        }
        if lost > 0 {
            let count = self.lost.entry(Quarter::of(now)).or_default();
            *count = count.saturating_add(lost);
        }
    }

    /// The sums by cell.
    pub fn cells(&self) -> &BTreeMap<Cell, Sums> {
        &self.cells
    }

    /// The lost requests by quarter.
    pub fn lost(&self) -> &BTreeMap<Quarter, u64> {
        &self.lost
    }

    /// Forgets the sums, once they are stored.
    pub fn clear(&mut self) {
        self.cells.clear();
        self.lost.clear();
        while self.caps.len() > REMEMBERED {
            self.caps.pop_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(at: Millis, model: &str) -> RequestSummary {
        RequestSummary { at, provider: "p".into(), model: model.into(), ..RequestSummary::default() }
    }

    #[test]
    fn sums_are_kept_until_they_are_stored() {
        let mut sums = UnfoldedSums::default();
        let requests = [request(1, "m"), request(2, "m"), request(900_000, "m")];
        let unknown: Vec<u64> = sums.unknown_quarters(&requests).into_iter().map(|quarter| quarter.0).collect();
        assert_eq!(unknown, [0, 1]);
        sums.count(&requests, 3, 900_001);
        assert_eq!(sums.cells().values().map(|sums| sums.requests).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(sums.lost().get(&Quarter(1)), Some(&3));
        sums.clear();
        assert!(sums.cells().is_empty() && sums.lost().is_empty());
        assert!(sums.unknown_quarters(&requests).is_empty(), "their names are remembered");
    }

    #[test]
    fn names_that_are_stored_count_towards_the_bound() {
        let mut sums = UnfoldedSums::default();
        let stored = |n: u64| Cell { provider: "p".into(), model: format!("m{n}"), ..Cell::default() };
        sums.know(Quarter(0), (0..10_000).map(stored));
        sums.count(&[request(1, "new"), request(1, "m7")], 0, 1);
        let models: Vec<&str> = sums.cells().keys().map(|cell| cell.model.as_str()).collect();
        assert_eq!(models, ["(other)", "m7"]);
    }
}

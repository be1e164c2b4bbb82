//! Adds up a batch of requests, so that a store writes one row for each cell and not for each request.

use std::collections::BTreeMap;

use super::cell::Cell;
use super::name_caps::NameCaps;
use super::quarter::Quarter;
use super::sums::Sums;
use crate::telemetry::RequestSummary;

/// The sums of a batch, by cell. `caps`: the names of the quarters that the batch touches; those of a quarter
/// without an entry are taken to be none yet.
pub fn accumulate(batch: &[RequestSummary], caps: &mut BTreeMap<Quarter, NameCaps>) -> BTreeMap<Cell, Sums> {
    let mut cells: BTreeMap<Cell, Sums> = BTreeMap::new();
    // A busy key sends most requests of a batch, one after the other.
    for requests in batch.chunk_by(Cell::is_same_of) {
        let Some(first) = requests.first() else { continue };
        let cell = Cell::of(first);
        let cell = caps.entry(cell.quarter).or_default().admit(cell);
        let sums = cells.entry(cell).or_default();
        requests.iter().for_each(|request| sums.count(request));
    }
    cells
}

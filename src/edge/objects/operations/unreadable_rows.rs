//! Stored rows that cannot be read, because another build wrote them. They are read again and again, and
//! reported once.

use std::cell::RefCell;
use std::collections::BTreeSet;

use crate::edge::log::report_failure;
use crate::telemetry::RuntimeFailure;

/// How many rows are remembered. Further ones are not reported: the log has enough of them.
const MAX_ROWS: usize = 1_000;
/// As much of a name is remembered, in characters.
const MAX_NAME: usize = 200;

thread_local! {
    /// The rows that this isolate has reported.
    static REPORTED: RefCell<BTreeSet<String>> = const { RefCell::new(BTreeSet::new()) };
}

/// Reports a row, unless this isolate has done so. `name`: what tells it from all others.
pub(super) fn report_once(name: &str, message: impl FnOnce() -> String) {
    let name: String = name.chars().take(MAX_NAME).collect();
    let is_new = REPORTED.with_borrow_mut(|rows| rows.len() < MAX_ROWS && rows.insert(name));
    if is_new {
        report_failure(RuntimeFailure::ObjectFailed(&message()));
    }
}

/// Reports that so many entries of a row cannot be read, unless this isolate has done so.
pub(super) fn report_entries_once(name: &str, count: u64) {
    if count > 0 {
        report_once(name, || unreadable_entries(count));
    }
}

/// Reports so many entries of what has just arrived.
pub(super) fn report_entries(count: u64) {
    if count > 0 {
        report_failure(RuntimeFailure::ObjectFailed(&unreadable_entries(count)));
    }
}

fn unreadable_entries(count: u64) -> String {
    format!("{count} entries cannot be read, because another build wrote them")
}

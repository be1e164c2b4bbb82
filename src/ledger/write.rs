//! What a book wants written down. It knows no storage.

use super::receipt::{Receipt, Reservation};
use super::snapshot::ReceiptRow;
use crate::config::Millis;

/// Something to be written down. All that one order gives is written together or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountWrite {
    /// The key and its terms, in the place of others.
    Terms(String),
    /// A promise to a request, in the place of the one there is.
    Promise(String, String),
    /// It is void.
    Void(String),
    /// The questions for counts, in the place of others.
    Counting(String),
    /// Entries.
    Entries(ReceiptRow),
    /// The truth of a request that had been taken for lost, in the place of the entry with its id: the number of the row, when that was
    /// written, and the entry.
    Truth(u64, Millis, Box<Receipt>),
    /// The sums, now and then, beside the entries of this row: its number, and when it was written.
    Sums(u64, Millis, String),
    /// The sums of a day that is over.
    Day(u64, String),
    /// The sums of a day that is over, changed by [`super::AccountLedger::amended`]: what an entry was, and what it is.
    Amend(u64, Box<Receipt>, Box<Receipt>),
}

/// The writing of a promise.
pub(super) fn written(id: &str, promise: &Reservation) -> AccountWrite {
    AccountWrite::Promise(id.to_owned(), serde_json::to_string(promise).unwrap_or_default())
}

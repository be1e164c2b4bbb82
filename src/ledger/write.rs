//! What an account writes.

use super::receipt::{Receipt, Reservation};
use super::snapshot::ReceiptRow;
use crate::config::Millis;

/// One write. All writes of one command are stored together, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountWrite {
    /// Replaces the hash and the limits.
    Limits(String),
    /// Inserts or replaces the reservation of a request: its id, and the record.
    Reservation(String, String),
    /// Deletes the reservation of a request.
    EndReservation(String),
    /// Replaces the quota of token counts.
    CountQuota(String),
    /// Appends a row of receipts.
    Receipts(ReceiptRow),
    /// Replaces the receipt of a lost request: the number and the time of its row, and the receipt.
    ReplaceReceipt(u64, Millis, Box<Receipt>),
    /// Replaces the sums in a row of receipts: its number, when it was written, and the sums.
    Sums(u64, Millis, String),
    /// Inserts the sums of a day that is over.
    DaySums(u64, String),
    /// Changes the sums of a day that is over, by [`super::AccountLedger::amend_day`]: the day, the
    /// receipt as it was, and as it is.
    AmendDay(u64, Box<Receipt>, Box<Receipt>),
}

/// The write of a reservation.
pub(super) fn reservation_write(id: &str, reservation: &Reservation) -> AccountWrite {
    AccountWrite::Reservation(id.to_owned(), serde_json::to_string(reservation).unwrap_or_default())
}

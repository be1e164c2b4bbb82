//! The stored data of an account, as it is read when the account is opened.

use super::receipt::Receipt;
use super::unreadable::UnreadableRecord;
use crate::config::Millis;

/// The receipts of one command, stored as one row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceiptRow {
    /// The number of its last receipt; numbers have no gaps.
    pub number: u64,
    /// When it was written.
    pub at: Millis,
    /// The receipts, as JSON.
    pub receipts: String,
    /// The sums up to this row, in every row that is a checkpoint.
    pub sums: Option<String>,
}

/// The stored state of an account besides its receipts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountSnapshot {
    /// As [`super::AccountWrite::Limits`].
    pub limits: Option<String>,
    /// As [`super::AccountWrite::Reservation`].
    pub reservations: Vec<(String, String)>,
    /// As [`super::AccountWrite::CountQuota`].
    pub count_quota: Option<String>,
}

impl ReceiptRow {
    /// The receipts, in the order of their numbers.
    ///
    /// # Errors
    /// The row cannot be read.
    pub fn read(&self) -> Result<Vec<Receipt>, UnreadableRecord> {
        serde_json::from_str(&self.receipts).map_err(|error| UnreadableRecord::new("entries", self.number, &error))
    }

    /// The JSON of the receipts, with `replacement` in place of the receipt with its id.
    ///
    /// # Errors
    /// The row cannot be read.
    pub fn replacing(&self, replacement: &Receipt) -> Result<String, UnreadableRecord> {
        let mut receipts = self.read()?;
        receipts
            .iter_mut()
            .filter(|receipt| receipt.id == replacement.id)
            .for_each(|receipt| receipt.clone_from(replacement));
        Ok(serde_json::to_string(&receipts).unwrap_or_default())
    }
}

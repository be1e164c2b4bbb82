//! What an account's book has written down, as it is given back to it. It knows no storage.

use super::receipt::Receipt;
use super::unreadable::UnreadableRecord;
use crate::config::Millis;

/// Entries as they are kept: those that came in one order, together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceiptRow {
    /// The number of its last entry; numbers have no gaps.
    pub number: u64,
    /// When it was written.
    pub at: Millis,
    /// The entries.
    pub entries: String,
    /// The sums with it, now and then.
    pub sums: Option<String>,
}

/// What was written down before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountSnapshot {
    /// As [`super::AccountWrite::Terms`].
    pub terms: Option<String>,
    /// As [`super::AccountWrite::Promise`].
    pub promises: Vec<(String, String)>,
    /// As [`super::AccountWrite::Counting`].
    pub counting: Option<String>,
}

impl ReceiptRow {
    /// The receipts, in the order of their numbers.
    ///
    /// # Errors
    /// The row cannot be read.
    pub fn read(&self) -> Result<Vec<Receipt>, UnreadableRecord> {
        serde_json::from_str(&self.entries).map_err(|error| UnreadableRecord::new("entries", self.number, &error))
    }

    /// The text of the row with this receipt in the place of the one with its id.
    ///
    /// # Errors
    /// The row cannot be read.
    pub fn with(&self, truth: &Receipt) -> Result<String, UnreadableRecord> {
        let mut receipts = self.read()?;
        receipts.iter_mut().filter(|receipt| receipt.id == truth.id).for_each(|receipt| receipt.clone_from(truth));
        Ok(serde_json::to_string(&receipts).unwrap_or_default())
    }
}

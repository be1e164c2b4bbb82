//! What an account's book has written down, as it is given back to it. It knows no storage.

use super::receipt::Receipt;
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
    /// The entries, in the order of their numbers.
    pub fn read(&self) -> Vec<Receipt> {
        serde_json::from_str(&self.entries).unwrap_or_default()
    }

    /// The entries as they are to be kept, with this one in the place of that with its id.
    pub fn with(&self, truth: &Receipt) -> String {
        let mut entries = self.read();
        entries.iter_mut().filter(|entry| entry.id == truth.id).for_each(|entry| entry.clone_from(truth));
        serde_json::to_string(&entries).unwrap_or_default()
    }
}

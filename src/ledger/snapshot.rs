//! The stored data of an account, as it is read when the account is opened.

use super::receipt::Receipt;
use super::unreadable::UnreadableRecord;
use crate::config::Millis;
use crate::ids::AccountId;

/// Stands for a request id that was taken out of a receipt.
const ANONYMOUS: &str = "(deleted)";

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

    /// The JSON of the receipts without the request ids of a key, or of all; and how many had one. `None` if
    /// none did.
    ///
    /// # Errors
    /// The row cannot be read.
    pub fn anonymized(&self, key: Option<&AccountId>) -> Result<Option<(String, u64)>, UnreadableRecord> {
        let mut receipts = self.read()?;
        let mut changed = 0;
        for receipt in receipts.iter_mut().filter(|receipt| key.is_none_or(|key| *key == receipt.key_id)) {
            if receipt.request_id != ANONYMOUS {
                ANONYMOUS.clone_into(&mut receipt.request_id);
                changed += 1;
            }
        }
        Ok((changed > 0).then(|| (serde_json::to_string(&receipts).unwrap_or_default(), changed)))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_are_taken_out_and_nothing_else() {
        let receipt = |key: &str, request: &str| Receipt {
            key_id: key.into(),
            request_id: request.into(),
            cost: Some(7),
            ..Receipt::default()
        };
        let receipts = [receipt("vk_a", "alice-1"), receipt("vk_b", "bob-1")];
        let row = ReceiptRow { receipts: serde_json::to_string(&receipts).unwrap(), ..ReceiptRow::default() };
        let (json, changed) = row.anonymized(Some(&"vk_a".into())).unwrap().unwrap();
        assert_eq!(changed, 1);
        let row = ReceiptRow { receipts: json, ..row };
        assert_eq!(row.read().unwrap(), [receipt("vk_a", ANONYMOUS), receipt("vk_b", "bob-1")]);
        assert_eq!(row.anonymized(Some(&"vk_a".into())).unwrap(), None);
        assert_eq!(row.anonymized(None).unwrap().unwrap().1, 1);
    }
}

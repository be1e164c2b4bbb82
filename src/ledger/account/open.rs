//! Opens an account's ledger again from what it wrote.

use super::ledger::{AccountLedger, Posted};
use crate::config::Millis;
use crate::ledger::receipt::Reservation;
use crate::ledger::reservations::REMEMBERED;
use crate::ledger::sliding_window::SPAN;
use crate::ledger::snapshot::{AccountSnapshot, ReceiptRow};

/// Entries that are read again whatever the sums say: all that are remembered, and a minute more, as the clock may fall back.
const REREAD: Millis = REMEMBERED + SPAN;

impl AccountLedger {
    /// Opens the book again. `rows` gives entries, the newest first, and is asked for no more than are needed.
    pub fn open(kept: AccountSnapshot, rows: impl Iterator<Item = ReceiptRow>, now: Millis) -> Self {
        let mut book = Self::default();
        if let Some(posted) = kept.terms.and_then(|text| serde_json::from_str::<Posted>(&text).ok()) {
            (book.hash, book.terms, book.version) = (Some(posted.hash), posted.terms, posted.version);
        }
        book.counting = kept.counting.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        for (id, text) in kept.promises {
            if let Ok(promise) = serde_json::from_str::<Reservation>(&text) {
                book.open.make(&id, promise.leased(&id));
            }
        }
        let mut promises: Vec<Reservation> = book.open.iter().cloned().collect();
        let (mut uncounted, mut counted, mut remembered) = (Vec::new(), false, Vec::new());
        for row in rows {
            if counted && row.at.saturating_add(REREAD) < now {
                break;
            }
            if row.number > book.last {
                (book.last, book.last_at) = (row.number, row.at);
            }
            book.latest = book.latest.max(row.at);
            let entries = row.read();
            for entry in &entries {
                if let Some(promise) = &entry.promise {
                    promises.push(Reservation { tokens: entry.tokens.unwrap_or_default().sum(), ..promise.clone() });
                }
                // The entry of a request that is taken for lost does not keep the truth out.
                if book.open.find(&entry.id).is_none() {
                    remembered.push((row.at, entry.id.clone()));
                }
            }
            match row.sums.and_then(|text| serde_json::from_str(&text).ok()) {
                Some(sums) if !counted => {
                    counted = true;
                    book.sums = sums;
                }
                _ if !counted => uncounted.push((row.at, entries)),
                _ => {}
            }
        }
        for (at, id) in remembered.into_iter().rev() {
            book.remember(at, id);
        }
        for (at, entries) in uncounted.into_iter().rev() {
            book.sums.roll(at);
            entries.iter().for_each(|entry| book.sums.count(at, entry));
        }
        promises.sort_unstable_by_key(|promise| promise.at);
        for promise in promises {
            book.charge_windows(promise.at, promise.tokens);
        }
        book.extend(now);
        book
    }

    /// Grants the requests under way a lease anew: nobody could have renewed it while the book was closed. For each only once, unless it is
    /// heard of: else a book that is opened for each order would never find out that a request is lost.
    pub fn extend(&mut self, now: Millis) {
        self.extended.append(&mut self.open.extend(now.max(self.latest)));
    }
}

//! Opens an account's ledger from what it wrote.

use serde::de::DeserializeOwned;

use super::ledger::{AccountLedger, Posted};
use crate::config::Millis;
use crate::ledger::receipt::{Receipt, Reservation};
use crate::ledger::reservations::REMEMBERED;
use crate::ledger::sliding_window::SPAN;
use crate::ledger::snapshot::{AccountSnapshot, ReceiptRow};
use crate::ledger::unreadable::UnreadableRecord;

/// Receipts younger than this are read again whatever the sums say: all that are remembered, and a minute more, as the clock may fall back.
const REREAD: Millis = REMEMBERED + SPAN;

impl AccountLedger {
    /// Opens the ledger again. `rows` yields rows of receipts, the newest first; no more are taken than are needed.
    ///
    /// # Errors
    /// A record that cannot be read.
    pub fn open(
        snapshot: AccountSnapshot,
        rows: impl Iterator<Item = ReceiptRow>,
        now: Millis,
    ) -> Result<Self, UnreadableRecord> {
        let mut ledger = Self::from_snapshot(snapshot)?;
        let mut history = History { reservations: ledger.reservations.iter().cloned().collect(), ..History::default() };
        for row in rows {
            if history.has_sums && row.at.saturating_add(REREAD) < now {
                break;
            }
            history.read(&mut ledger, &row)?;
        }
        history.replay(&mut ledger);
        ledger.extend(now);
        Ok(ledger)
    }

    fn from_snapshot(snapshot: AccountSnapshot) -> Result<Self, UnreadableRecord> {
        let mut ledger = Self::default();
        if let Some(text) = snapshot.limits {
            let posted: Posted = parse("terms", 0, &text)?;
            (ledger.hash, ledger.limits, ledger.version) = (Some(posted.hash), posted.limits, posted.version);
        }
        if let Some(text) = snapshot.count_quota {
            ledger.count_quota = parse("promises", "counting", &text)?;
        }
        for (id, text) in snapshot.reservations {
            let reservation: Reservation = parse("promises", &id, &text)?;
            ledger.reservations.make(&id, reservation.leased(&id));
        }
        Ok(ledger)
    }

    /// Extends the leases of requests under way: nobody could renew them while the ledger was closed. Each is extended once until the request
    /// is heard of again; otherwise a ledger that is opened for every command would never find a request lost.
    pub fn extend(&mut self, now: Millis) {
        self.extended.append(&mut self.reservations.extend(now.max(self.latest)));
    }
}

/// What rows of receipts, read from the newest back, say; applied in the order in which it happened.
#[derive(Default)]
struct History {
    reservations: Vec<Reservation>,
    /// Rows newer than the newest sums, with the time at which they were written.
    uncounted: Vec<(Millis, Vec<Receipt>)>,
    has_sums: bool,
    /// Requests that were settled, and when.
    settled: Vec<(Millis, String)>,
}

impl History {
    fn read(&mut self, ledger: &mut AccountLedger, row: &ReceiptRow) -> Result<(), UnreadableRecord> {
        if row.number > ledger.last_number {
            (ledger.last_number, ledger.last_at) = (row.number, row.at);
        }
        ledger.latest = ledger.latest.max(row.at);
        let receipts = row.read()?;
        for receipt in &receipts {
            if let Some(reservation) = &receipt.reservation {
                let tokens = receipt.tokens.unwrap_or_default().sum();
                self.reservations.push(Reservation { tokens, ..reservation.clone() });
            }
            // The receipt of a request that is taken for lost does not keep the truth out.
            if ledger.reservations.find(&receipt.id).is_none() {
                self.settled.push((row.at, receipt.id.clone()));
            }
        }
        if self.has_sums {
            return Ok(());
        }
        match &row.sums {
            Some(sums) => (ledger.sums, self.has_sums) = (parse("entries", row.number, sums)?, true),
            None => self.uncounted.push((row.at, receipts)),
        }
        Ok(())
    }

    fn replay(mut self, ledger: &mut AccountLedger) {
        for (at, id) in self.settled.into_iter().rev() {
            ledger.remember(at, id);
        }
        for (at, receipts) in self.uncounted.into_iter().rev() {
            ledger.sums.roll(at);
            receipts.iter().for_each(|receipt| ledger.sums.count(at, receipt));
        }
        self.reservations.sort_unstable_by_key(|reservation| reservation.at);
        for reservation in self.reservations {
            ledger.charge_windows(reservation.at, reservation.tokens);
        }
    }
}

fn parse<T: DeserializeOwned>(
    table: &'static str,
    key: impl std::fmt::Display,
    text: &str,
) -> Result<T, UnreadableRecord> {
    serde_json::from_str(text).map_err(|error| UnreadableRecord::new(table, key, &error))
}

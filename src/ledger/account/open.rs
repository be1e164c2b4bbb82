//! Opens an account's ledger from its stored writes.

use serde::de::DeserializeOwned;

use super::ledger::{AccountLedger, StoredLimits};
use crate::config::Millis;
use crate::ledger::receipt::{Receipt, Reservation};
use crate::ledger::reservations::SETTLED_RETENTION;
use crate::ledger::sliding_window::SPAN;
use crate::ledger::snapshot::{AccountSnapshot, ReceiptRow};
use crate::ledger::unreadable::UnreadableRecord;
use crate::wire::zone::Zone;

/// Receipts younger than this are read even if newer totals were found: settled requests are remembered for
/// this time. The additional minute allows for a clock that falls back.
const REREAD: Millis = SETTLED_RETENTION + SPAN;

impl AccountLedger {
    /// Opens the ledger. `rows` yields the rows of receipts, newest first; only as many as necessary are
    /// taken. `zone` is that of [`AccountLedger::set_zone`].
    ///
    /// # Errors
    /// A record cannot be read.
    pub fn open(
        snapshot: AccountSnapshot,
        rows: impl Iterator<Item = ReceiptRow>,
        now: Millis,
        zone: Zone,
    ) -> Result<Self, UnreadableRecord> {
        let mut ledger = Self { zone, ..Self::from_snapshot(snapshot)? };
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
            let stored: StoredLimits = parse("terms", 0, &text)?;
            (ledger.hash, ledger.limits, ledger.version) = (Some(stored.hash), stored.limits, stored.version);
        }
        if let Some(text) = snapshot.count_quota {
            ledger.count_quota = parse("promises", "counting", &text)?;
        }
        for (id, text) in snapshot.reservations {
            let reservation: Reservation = parse("promises", &id, &text)?;
            ledger.reservations.insert(&id, reservation.with_lease(&id));
        }
        Ok(ledger)
    }

    /// Extends the leases of requests under way, which could not be renewed while the ledger was closed. A
    /// lease is extended once until it is renewed; otherwise a ledger that is opened for every command would
    /// never find a request lost.
    pub fn extend(&mut self, now: Millis) {
        self.extended.append(&mut self.reservations.extend(now.max(self.latest)));
    }
}

/// The contents of rows of receipts, collected newest first and applied oldest first.
#[derive(Default)]
struct History {
    reservations: Vec<Reservation>,
    /// The rows after the newest totals, with the times at which they were written.
    uncounted: Vec<(Millis, Vec<Receipt>)>,
    has_sums: bool,
    /// Settled requests, and when they were settled.
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
            // A lost request still has a reservation. Its receipt must not prevent its settlement.
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
            ledger.remember_settled(at, id);
        }
        for (at, receipts) in self.uncounted.into_iter().rev() {
            // All rows after totals are of their day: the zone may have changed since.
            if !self.has_sums {
                ledger.sums.begin_day(ledger.zone.day_at(at));
            }
            for receipt in &receipts {
                ledger.sums.count(at, receipt, &ledger.zone);
            }
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

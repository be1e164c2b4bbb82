//! How requests come to their ends: settled, given back, or lost; and how the truth takes the place of what was believed.

use super::ledger::AccountLedger;
use crate::config::{Millis, Nanos};
use crate::ledger::command::{AccountCommand, AccountResponse};
use crate::ledger::receipt::{LostRequest, Receipt, Reservation};
use crate::ledger::reservations::DueReservation;
use crate::ledger::spend::day_of;
use crate::ledger::token_counts::TokenCounts;
use crate::ledger::write::{AccountWrite, reservation_write};

impl AccountLedger {
    pub(super) fn release(&mut self, id: &str, now: Millis, writes: &mut Vec<AccountWrite>) -> AccountResponse {
        if self.is_settled(id, now) {
            return AccountResponse::Done;
        }
        let lost = self.reservations.find(id).and_then(|reservation| reservation.receipt(now).zip(reservation.lost()));
        if let Some((receipt, lost)) = lost {
            let (tokens, cost, outcome) = (None, Some(0), "refused".to_owned());
            self.correct(lost, Receipt { tokens, cost, outcome, estimated: false, ..receipt }, now, writes);
        } else if let Some(reservation) = self.reservations.take(id) {
            writes.push(AccountWrite::EndReservation(id.to_owned()));
            self.request_window.correct(reservation.at, 1, 0);
            self.token_window.correct(reservation.at, reservation.tokens, 0);
            // Of what is given back nothing stays written: a ledger that is opened again does not know its time.
            if reservation.at == self.latest {
                self.latest =
                    self.reservations.iter().map(|reservation| reservation.at).fold(self.last_at, Millis::max);
            }
        }
        AccountResponse::Done
    }

    /// A request that was taken for lost is under way again; its receipt says so much as is known.
    pub(super) fn renew(
        &mut self,
        id: &str,
        (tokens, cost): (TokenCounts, Option<Nanos>),
        now: Millis,
        writes: &mut Vec<AccountWrite>,
    ) -> AccountResponse {
        let is_under_way = |reservation: &&Reservation| {
            reservation.until > now && reservation.lost().is_none_or(|lost| lost.settled.is_none())
        };
        let Some(mut reservation) = self.reservations.find(id).filter(is_under_way).cloned() else {
            return AccountResponse::Done;
        };
        reservation.renew(tokens, cost, now);
        if let Some((receipt, lost)) = reservation.receipt(now).zip(reservation.lost()) {
            self.replace(lost, &receipt, writes);
            if let Some(lease) = &mut reservation.lease {
                *lease.draft = Receipt { reservation: None, ..receipt };
            }
        }
        writes.push(reservation_write(id, &reservation));
        self.reservations.make(id, reservation);
        AccountResponse::Done
    }

    /// All receipts of a command stand in one row.
    pub(super) fn settle(
        &mut self,
        receipts: Vec<Receipt>,
        now: Millis,
        writes: &mut Vec<AccountWrite>,
    ) -> AccountResponse {
        let (mut fresh, mut void) = (Vec::new(), Vec::new());
        for mut receipt in receipts {
            if self.is_settled(&receipt.id, now) {
                continue;
            }
            if let Some(lost) = self.reservations.find(&receipt.id).and_then(Reservation::lost) {
                self.correct(lost, receipt, now, writes);
                continue;
            }
            receipt.reservation = self.reservations.take(&receipt.id).map(|reservation| reservation.bare());
            if let Some(reservation) = &receipt.reservation {
                void.push(AccountWrite::EndReservation(receipt.id.clone()));
                self.token_window.correct(reservation.at, reservation.tokens, receipt.tokens.unwrap_or_default().sum());
            }
            self.remember(now, receipt.id.clone());
            fresh.push(receipt);
        }
        if !fresh.is_empty() {
            self.append_receipts(&fresh, now, writes);
        }
        writes.append(&mut void);
        AccountResponse::Done
    }

    /// The truth of a request that was taken for lost: it takes the place of its receipt, and is remembered as long as other truths are.
    fn correct(&mut self, lost: LostRequest, truth: Receipt, now: Millis, writes: &mut Vec<AccountWrite>) {
        let Some(reservation) = self.reservations.find(&truth.id) else { return };
        // It is about the same request, a member's or none; of one without a draft, only the truth says which.
        let member = truth.member || reservation.lease.as_ref().is_some_and(|lease| lease.draft.member);
        let truth = Receipt { reservation: Some(reservation.bare()), member, ..truth };
        self.replace(lost, &truth, writes);
        let Some(reservation) = self.reservations.take(&truth.id) else { return };
        let reservation = self.reservations.lose(reservation, &truth, LostRequest { settled: Some(now), ..lost });
        writes.extend(reservation.map(|reservation| reservation_write(&truth.id, reservation)));
    }

    /// Puts an receipt in the place of the receipt that stands for a lost request, there and in all sums.
    fn replace(&mut self, lost: LostRequest, receipt: &Receipt, writes: &mut Vec<AccountWrite>) {
        let Some(reservation) = self.reservations.find(&receipt.id) else { return };
        let Some(draft) = reservation.lease.as_ref().map(|lease| lease.draft.as_ref().clone()) else { return };
        let was = Receipt { reservation: Some(reservation.bare()), ..draft };
        writes.push(AccountWrite::ReplaceReceipt(lost.row, lost.at, Box::new(receipt.clone())));
        self.sums.spent.correct(lost.at, was.charge(), receipt.charge());
        if day_of(lost.at) == self.sums.day {
            self.sums.replace(&was, receipt);
        } else if !was.member {
            // The sums of a day in which only members came are not kept.
            writes.push(AccountWrite::AmendDay(day_of(lost.at), Box::new(was), Box::new(receipt.clone())));
        }
        // Sums that stand in a later row count what the receipt was.
        writes.push(AccountWrite::Sums(
            self.last_number,
            self.last_at,
            serde_json::to_string(&self.sums).unwrap_or_default(),
        ));
    }

    /// Enters the receipts of requests that are lost, and lets go of reservations whose time is over; but not of those that the command is about.
    pub(super) fn expire_leases(&mut self, command: &AccountCommand, now: Millis, writes: &mut Vec<AccountWrite>) {
        let about: Vec<&str> = match command {
            AccountCommand::Settle(receipts) => receipts.iter().map(|receipt| receipt.id.as_str()).collect(),
            AccountCommand::Renew { id, .. } | AccountCommand::Release(id) => vec![id],
            _ => Vec::new(),
        };
        let mut lost = Vec::new();
        while let Some(due) = self.reservations.next_due(now, &about) {
            match due {
                DueReservation::Void(id) => writes.push(AccountWrite::EndReservation(id)),
                DueReservation::Lost(reservation, since) => {
                    lost.extend(reservation.receipt(since).map(|receipt| (*reservation, receipt)))
                }
            }
        }
        for day in lost.chunk_by(|(_, one), (_, next)| day_of(one.ended) == day_of(next.ended)) {
            self.write_lost(day, now, writes);
        }
    }

    /// Enters receipts of requests that were lost on one day. They belong to that day, whenever the account is asked for the next time: until
    /// then nothing else was entered.
    fn write_lost(&mut self, lost: &[(Reservation, Receipt)], now: Millis, writes: &mut Vec<AccountWrite>) {
        let receipts: Vec<Receipt> = lost.iter().map(|(_, receipt)| receipt.clone()).collect();
        let at = receipts.last().map_or(now, |receipt| receipt.ended.clamp(self.latest, now));
        self.append_receipts(&receipts, at, writes);
        let place = LostRequest { row: self.last_number, at, found: now, settled: None };
        for (reservation, receipt) in lost {
            let reservation = self.reservations.lose(reservation.clone(), receipt, place);
            writes.extend(reservation.map(|reservation| reservation_write(&receipt.id, reservation)));
        }
    }
}

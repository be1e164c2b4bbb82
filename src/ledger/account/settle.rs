//! The ends of requests: settled, released or lost. The receipt of a lost request is provisional: it is
//! replaced when the request is settled after all.

use super::ledger::{AccountLedger, Progress};
use crate::config::Millis;
use crate::ledger::command::{AccountCommand, AccountResponse};
use crate::ledger::receipt::{LostRequest, Receipt, Reservation};
use crate::ledger::reservations::DueReservation;
use crate::ledger::spend::day_of;
use crate::ledger::write::{AccountWrite, reservation_write};

impl AccountLedger {
    pub(super) fn release(&mut self, id: &str, now: Millis, writes: &mut Vec<AccountWrite>) -> AccountResponse {
        if self.is_settled(id, now) {
            return AccountResponse::Done;
        }
        let lost =
            self.reservations.find(id).and_then(|reservation| reservation.receipt(now).zip(reservation.lost_request()));
        if let Some((receipt, lost)) = lost {
            let (tokens, cost, outcome) = (None, Some(0), "refused".to_owned());
            self.settle_lost(lost, Receipt { tokens, cost, outcome, estimated: false, ..receipt }, now, writes);
        } else if let Some(reservation) = self.reservations.remove(id) {
            writes.push(AccountWrite::EndReservation(id.to_owned()));
            self.request_window.correct(reservation.at, 1, 0);
            self.token_window.correct(reservation.at, reservation.tokens, 0);
            // Nothing of a released request stays stored, so a reopened ledger would not know its time
            // either.
            if reservation.at == self.latest {
                self.latest =
                    self.reservations.iter().map(|reservation| reservation.at).fold(self.last_at, Millis::max);
            }
        }
        AccountResponse::Done
    }

    /// Renews the lease of a request. If the request was taken for lost, its provisional receipt is updated.
    pub(super) fn renew(
        &mut self,
        id: &str,
        progress: Progress,
        now: Millis,
        writes: &mut Vec<AccountWrite>,
    ) -> AccountResponse {
        let is_under_way = |reservation: &&Reservation| {
            reservation.until > now && reservation.lost_request().is_none_or(|lost| lost.settled.is_none())
        };
        let Some(mut reservation) = self.reservations.find(id).filter(is_under_way).cloned() else {
            return AccountResponse::Done;
        };
        reservation.renew(progress.tokens, progress.cost, now);
        if let Some((receipt, lost)) = reservation.receipt(now).zip(reservation.lost_request()) {
            self.replace_receipt(lost, &receipt, writes);
            if let Some(lease) = &mut reservation.lease {
                *lease.draft = Receipt { reservation: None, ..receipt };
            }
        }
        writes.push(reservation_write(id, &reservation));
        self.reservations.insert(id, reservation);
        AccountResponse::Done
    }

    /// Settles requests. All receipts of a command are stored in one row. `json`: their JSON, if there is
    /// one.
    pub(super) fn settle(
        &mut self,
        receipts: Vec<Receipt>,
        json: Option<&str>,
        now: Millis,
        writes: &mut Vec<AccountWrite>,
    ) -> AccountResponse {
        let (sent, mut new, mut ended) = (receipts.len(), Vec::with_capacity(receipts.len()), Vec::new());
        let mut are_as_sent = true;
        for mut receipt in receipts {
            if self.is_settled(&receipt.id, now) {
                continue;
            }
            if let Some(lost) = self.reservations.find(&receipt.id).and_then(Reservation::lost_request) {
                self.settle_lost(lost, receipt, now, writes);
                continue;
            }
            are_as_sent &= receipt.reservation.is_none();
            receipt.reservation = self.reservations.remove(&receipt.id).map(|reservation| reservation.without_lease());
            if let Some(reservation) = &receipt.reservation {
                are_as_sent = false;
                ended.push(AccountWrite::EndReservation(receipt.id.clone()));
                self.token_window.correct(reservation.at, reservation.tokens, receipt.tokens.unwrap_or_default().sum());
            }
            self.remember_settled(now, receipt.id.clone());
            new.push(receipt);
        }
        if !new.is_empty() {
            let json = json.filter(|_| are_as_sent && new.len() == sent);
            self.append_receipts(&new, json, now, writes);
        }
        writes.append(&mut ended);
        AccountResponse::Done
    }

    /// Settles a request that was taken for lost: its receipt replaces the provisional one. The reservation
    /// is kept as long as other settled requests are remembered.
    fn settle_lost(&mut self, lost: LostRequest, receipt: Receipt, now: Millis, writes: &mut Vec<AccountWrite>) {
        let Some(reservation) = self.reservations.find(&receipt.id) else { return };
        // A provisional receipt without a draft does not say whether the request is a member's.
        let member = receipt.member || reservation.lease.as_ref().is_some_and(|lease| lease.draft.member);
        let receipt = Receipt { reservation: Some(reservation.without_lease()), member, ..receipt };
        self.replace_receipt(lost, &receipt, writes);
        let Some(reservation) = self.reservations.remove(&receipt.id) else { return };
        let lost = LostRequest { settled: Some(now), ..lost };
        let reservation = self.reservations.insert_lost(reservation, &receipt, lost);
        writes.extend(reservation.map(|reservation| reservation_write(&receipt.id, reservation)));
    }

    /// Replaces the provisional receipt of a lost request, in its row and in all totals.
    fn replace_receipt(&mut self, lost: LostRequest, receipt: &Receipt, writes: &mut Vec<AccountWrite>) {
        let Some(reservation) = self.reservations.find(&receipt.id) else { return };
        let Some(draft) = reservation.lease.as_ref().map(|lease| lease.draft.as_ref().clone()) else { return };
        let old = Receipt { reservation: Some(reservation.without_lease()), ..draft };
        writes.push(AccountWrite::ReplaceReceipt(lost.row, lost.at, Box::new(receipt.clone())));
        self.sums.spent.correct(lost.at, old.charge(), receipt.charge());
        if lost.day() == self.sums.day {
            self.sums.replace(&old, receipt);
        } else if !old.member {
            // A day with members' requests only has no stored totals.
            writes.push(AccountWrite::AmendDay(lost.day(), Box::new(old), Box::new(receipt.clone())));
        }
        // The totals in a later row include the old receipt.
        writes.push(AccountWrite::Sums(
            self.last_number,
            self.last_at,
            serde_json::to_string(&self.sums).unwrap_or_default(),
        ));
    }

    /// Appends the receipts of requests that are now lost and ends reservations that are over, except for
    /// those of the requests that the command concerns.
    pub(super) fn expire_leases(&mut self, command: &AccountCommand, now: Millis, writes: &mut Vec<AccountWrite>) {
        let concerned: Vec<&str> = match command {
            AccountCommand::Settle(receipts) => receipts.iter().map(|receipt| receipt.id.as_str()).collect(),
            AccountCommand::Renew { id, .. } | AccountCommand::Raise { id, .. } | AccountCommand::Release(id) => {
                vec![id]
            }
            _ => Vec::new(),
        };
        let mut lost = Vec::new();
        while let Some(due) = self.reservations.next_due(now, &concerned) {
            match due {
                DueReservation::Expired(id) => writes.push(AccountWrite::EndReservation(id)),
                DueReservation::Lost(reservation, since) => {
                    lost.extend(reservation.receipt(since).map(|receipt| (*reservation, receipt)))
                }
            }
        }
        let day = |receipt: &Receipt| self.zone.day_at(receipt.ended);
        let days: Vec<_> = lost.chunk_by(|(_, one), (_, next)| day(one) == day(next)).collect();
        for lost in days {
            self.append_lost(lost, now, writes);
        }
    }

    /// Appends the receipts of requests that were lost on one day. They are dated to that day, even if the
    /// account is opened much later; nothing else was appended in between.
    fn append_lost(&mut self, lost: &[(Reservation, Receipt)], now: Millis, writes: &mut Vec<AccountWrite>) {
        let receipts: Vec<Receipt> = lost.iter().map(|(_, receipt)| receipt.clone()).collect();
        let at = receipts.last().map_or(now, |receipt| receipt.ended.clamp(self.latest, now));
        self.append_receipts(&receipts, None, at, writes);
        let day = Some(self.sums.day).filter(|day| *day != day_of(at));
        let row = LostRequest { row: self.last_number, at, day, found: now, settled: None };
        for (reservation, receipt) in lost {
            let reservation = self.reservations.insert_lost(reservation.clone(), receipt, row);
            writes.extend(reservation.map(|reservation| reservation_write(&receipt.id, reservation)));
        }
    }
}

//! How requests come to their ends: settled, given back, or lost; and how the truth takes the place of what was believed.

use super::ledger::AccountLedger;
use crate::config::{Millis, Nanos};
use crate::ledger::command::{AccountCommand, AccountResponse};
use crate::ledger::receipt::{LostRequest, Receipt, Reservation};
use crate::ledger::reservations::DueReservation;
use crate::ledger::spend::day_of;
use crate::ledger::token_counts::TokenCounts;
use crate::ledger::write::{AccountWrite, written};

impl AccountLedger {
    pub(super) fn release(&mut self, id: &str, now: Millis, writes: &mut Vec<AccountWrite>) -> AccountResponse {
        if self.is_settled(id, now) {
            return AccountResponse::Done;
        }
        let lost = self.open.find(id).and_then(|promise| promise.receipt(now).zip(promise.lost()));
        if let Some((receipt, lost)) = lost {
            let (tokens, cost, outcome) = (None, Some(0), "refused".to_owned());
            self.correct(lost, Receipt { tokens, cost, outcome, estimated: false, ..receipt }, now, writes);
        } else if let Some(promise) = self.open.take(id) {
            writes.push(AccountWrite::Void(id.to_owned()));
            self.requests.correct(promise.at, 1, 0);
            self.tokens.correct(promise.at, promise.tokens, 0);
            // Of what is given back nothing stays written: a book that is opened again does not know its time.
            if promise.at == self.latest {
                self.latest = self.open.iter().map(|promise| promise.at).fold(self.last_at, Millis::max);
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
        let is_under_way =
            |promise: &&Reservation| promise.until > now && promise.lost().is_none_or(|lost| lost.settled.is_none());
        let Some(mut promise) = self.open.find(id).filter(is_under_way).cloned() else { return AccountResponse::Done };
        promise.renew(tokens, cost, now);
        if let Some((receipt, lost)) = promise.receipt(now).zip(promise.lost()) {
            self.replace(lost, &receipt, writes);
            if let Some(lease) = &mut promise.lease {
                *lease.draft = Receipt { promise: None, ..receipt };
            }
        }
        writes.push(written(id, &promise));
        self.open.make(id, promise);
        AccountResponse::Done
    }

    /// All entries of an order stand in one row.
    pub(super) fn settle(
        &mut self,
        entries: Vec<Receipt>,
        now: Millis,
        writes: &mut Vec<AccountWrite>,
    ) -> AccountResponse {
        let (mut fresh, mut void) = (Vec::new(), Vec::new());
        for mut entry in entries {
            if self.is_settled(&entry.id, now) {
                continue;
            }
            if let Some(lost) = self.open.find(&entry.id).and_then(Reservation::lost) {
                self.correct(lost, entry, now, writes);
                continue;
            }
            entry.promise = self.open.take(&entry.id).map(|promise| promise.bare());
            if let Some(promise) = &entry.promise {
                void.push(AccountWrite::Void(entry.id.clone()));
                self.tokens.correct(promise.at, promise.tokens, entry.tokens.unwrap_or_default().sum());
            }
            self.remember(now, entry.id.clone());
            fresh.push(entry);
        }
        if !fresh.is_empty() {
            self.append_receipts(&fresh, now, writes);
        }
        writes.append(&mut void);
        AccountResponse::Done
    }

    /// The truth of a request that was taken for lost: it takes the place of its receipt, and is remembered as long as other truths are.
    fn correct(&mut self, lost: LostRequest, truth: Receipt, now: Millis, writes: &mut Vec<AccountWrite>) {
        let Some(promise) = self.open.find(&truth.id) else { return };
        // It is about the same request, a member's or none; of one without a draft, only the truth says which.
        let member = truth.member || promise.lease.as_ref().is_some_and(|lease| lease.draft.member);
        let truth = Receipt { promise: Some(promise.bare()), member, ..truth };
        self.replace(lost, &truth, writes);
        let Some(promise) = self.open.take(&truth.id) else { return };
        let promise = self.open.lose(promise, &truth, LostRequest { settled: Some(now), ..lost });
        writes.extend(promise.map(|promise| written(&truth.id, promise)));
    }

    /// Puts an entry in the place of the receipt that stands for a lost request, there and in all sums.
    fn replace(&mut self, lost: LostRequest, entry: &Receipt, writes: &mut Vec<AccountWrite>) {
        let Some(promise) = self.open.find(&entry.id) else { return };
        let Some(draft) = promise.lease.as_ref().map(|lease| lease.draft.as_ref().clone()) else { return };
        let was = Receipt { promise: Some(promise.bare()), ..draft };
        writes.push(AccountWrite::Truth(lost.row, lost.at, Box::new(entry.clone())));
        self.sums.spent.correct(lost.at, was.charge(), entry.charge());
        if day_of(lost.at) == self.sums.day {
            self.sums.replace(&was, entry);
        } else if !was.member {
            // The sums of a day in which only members came are not kept.
            writes.push(AccountWrite::Amend(day_of(lost.at), Box::new(was), Box::new(entry.clone())));
        }
        // Sums that stand in a later row count what the entry was.
        writes.push(AccountWrite::Sums(self.last, self.last_at, serde_json::to_string(&self.sums).unwrap_or_default()));
    }

    /// Enters the receipts of requests that are lost, and lets go of promises whose time is over; but not of those that the order is about.
    pub(super) fn expire_leases(&mut self, order: &AccountCommand, now: Millis, writes: &mut Vec<AccountWrite>) {
        let about: Vec<&str> = match order {
            AccountCommand::Settle(entries) => entries.iter().map(|entry| entry.id.as_str()).collect(),
            AccountCommand::Renew { id, .. } | AccountCommand::Release(id) => vec![id],
            _ => Vec::new(),
        };
        let mut lost = Vec::new();
        while let Some(due) = self.open.next_due(now, &about) {
            match due {
                DueReservation::Void(id) => writes.push(AccountWrite::Void(id)),
                DueReservation::Lost(promise, since) => {
                    lost.extend(promise.receipt(since).map(|receipt| (*promise, receipt)))
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
        let place = LostRequest { row: self.last, at, found: now, settled: None };
        for (promise, receipt) in lost {
            let promise = self.open.lose(promise.clone(), receipt, place);
            writes.extend(promise.map(|promise| written(&receipt.id, promise)));
        }
    }
}

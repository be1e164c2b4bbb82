//! What must be true of requests that are settled, released or lost, and of those still under way.

use llm_bridge::ledger::{AccountCommand, AccountWrite, LEASE, LOST, Receipt, Reservation, TokenCounts};

use super::World;

impl World {
    /// Any command finds requests lost whose leases have ended, except for those that it concerns.
    pub(super) fn lose(&mut self, order: &AccountCommand, writes: &[AccountWrite], time: u64) {
        let about: Vec<&str> = match order {
            AccountCommand::Settle(entries) => entries.iter().map(|entry| entry.id.as_str()).collect(),
            AccountCommand::Renew { id, .. } | AccountCommand::Release(id) => vec![id],
            _ => Vec::new(),
        };
        let (mut void, latest) = (Vec::new(), self.latest);
        for (id, under) in self.open.iter_mut().filter(|(id, _)| !about.contains(&id.as_str())) {
            let ended = under.lapses();
            under.live &= ended > time;
            if under.settled.is_none() && !under.live && under.lost.is_none() {
                let receipt = under.receipt(ended);
                let kept: Vec<(u64, Receipt)> = self.store.entries().filter(|(_, entry)| entry.id == *id).collect();
                let at = kept[0].0;
                assert_eq!(kept, [(at, receipt.clone())]);
                // It is dated to the day on which it was lost, but not before the last row.
                let first = ended.max(latest);
                assert!(first <= at && at <= time && self.zone.day_at(at) == self.zone.day_at(first), "{at}");
                self.latest = self.latest.max(at);
                if !self.older.contains(id) {
                    let most = under.promise.cost;
                    self.honest.insert(id.clone(), (at, receipt.cost.unwrap_or(most).min(most)));
                }
                (under.lost, under.found) = (Some((at, receipt)), time);
            } else if under.lost.is_some() && under.forgotten() <= time {
                void.push(id.clone());
            }
        }
        for id in void {
            assert!(writes.contains(&AccountWrite::EndReservation(id.clone())), "{id} is void");
            let under = self.open.remove(&id).unwrap();
            if under.lost.is_some() && under.settled.is_none() {
                self.gone.insert(id);
            }
        }
    }

    pub(super) fn renewed(&mut self, id: &str, (tokens, cost): (TokenCounts, Option<u64>), time: u64) {
        let older = self.older.contains(id);
        let Some(under) = self.open.get_mut(id).filter(|under| under.settled.is_none() && under.promise.until > time)
        else {
            return;
        };
        let cost = match &under.lost {
            Some((_, was)) => was.cost.map(|was| was.max(cost.unwrap_or(0))),
            None => cost,
        };
        (under.draft.tokens, under.draft.cost) = (Some(tokens), cost);
        (under.lease, under.grace, under.extended, under.live) = (time + LEASE, 0, false, true);
        if let Some((at, _)) = under.lost {
            let receipt = under.receipt(time);
            if !older {
                let most = under.promise.cost;
                self.honest.insert(id.to_owned(), (at, receipt.cost.unwrap_or(most).min(most)));
            }
            under.lost = Some((at, receipt));
        }
    }

    pub(super) fn released(&mut self, id: &str, time: u64) {
        let Some(under) = self.open.get_mut(id).filter(|under| under.settled.is_none()) else { return };
        if let Some((at, _)) = under.lost {
            (under.settled, under.live) = (Some(time), false);
            self.settled.insert(id.to_owned(), time);
            self.honest.insert(id.to_owned(), (at, 0));
        } else {
            self.open.remove(id);
            self.grants.retain(|grant| grant.id != id);
            // Nothing stored has that time any more.
            let entries = self.store.entries().map(|(at, _)| at);
            self.latest = entries.chain(self.open.values().map(|under| under.promise.at)).max().unwrap_or(0);
        }
    }

    pub(super) fn settled(&mut self, entries: &[Receipt], writes: &[AccountWrite], time: u64) {
        let entered = writes
            .iter()
            .rev()
            .find_map(|write| if let AccountWrite::Receipts(row) = write { Some(row) } else { None });
        let mut fresh: Vec<&Receipt> = Vec::new();
        for entry in entries {
            if self.settled.contains_key(&entry.id) || fresh.iter().any(|other| other.id == entry.id) {
                continue;
            }
            if self.open.get(&entry.id).is_some_and(|under| under.lost.is_some()) {
                self.corrected(entry, time);
            } else {
                fresh.push(entry);
            }
        }
        let kept = entered
            .map(|row| row.read().unwrap())
            .filter(|kept| kept.iter().all(|entry| entry.outcome != LOST))
            .unwrap_or_default();
        assert_eq!(kept.len(), fresh.len(), "{entries:?}");
        assert!(kept.is_empty() || entered.unwrap().at == time);
        for (kept, entry) in kept.iter().zip(fresh) {
            self.settled_one(kept, entry, time);
        }
    }

    /// A late receipt replaces the provisional one, in its row.
    fn corrected(&mut self, entry: &Receipt, time: u64) {
        let under = self.open.get_mut(&entry.id).unwrap();
        let (at, was) = under.lost.clone().unwrap();
        let promise = Some(Reservation { lease: None, ..under.promise.clone() });
        // The gateway knows at admission whether a request is a member's, and that does not change. Here
        // anything may be settled.
        let truth = Receipt { reservation: promise, member: was.member || entry.member, ..entry.clone() };
        let kept: Vec<(u64, Receipt)> = self.store.entries().filter(|(_, kept)| kept.id == entry.id).collect();
        assert_eq!(kept, [(at, truth)]);
        (under.settled, under.live) = (Some(time), false);
        self.settled.insert(entry.id.clone(), time);
        if !self.older.contains(&entry.id) {
            let charged = was.cost.unwrap_or(under.promise.cost);
            // A reservation that was released at its end is in no total any more.
            let most = if under.promise.until > time { under.promise.cost } else { charged };
            self.honest.insert(entry.id.clone(), (at, entry.cost.unwrap_or(under.promise.cost).min(most)));
        }
    }

    fn settled_one(&mut self, kept: &Receipt, entry: &Receipt, time: u64) {
        let promise = self.open.remove(&entry.id).map(|under| Reservation { lease: None, ..under.promise });
        assert_eq!(kept, &Receipt { reservation: promise.clone(), ..entry.clone() });
        self.settled.insert(entry.id.clone(), time);
        self.latest = time;
        let Some(promise) = promise else { return };
        let tokens = entry.tokens.map_or(0, |tokens| tokens.sum());
        self.grants.iter_mut().rfind(|grant| grant.id == entry.id).unwrap().truth = Some(tokens);
        // Only a request that cost more than its reservation may exceed a budget.
        if !self.older.contains(&entry.id) {
            self.honest.insert(entry.id.clone(), (time, entry.cost.unwrap_or(promise.cost).min(promise.cost)));
        }
    }
}

//! The reservations of an account, and which of their requests are under way, lost or over.

use std::collections::{BTreeMap, BTreeSet};

use super::receipt::{LEASE, LostRequest, Receipt, Reservation, ReservationLease};
use crate::config::{Millis, Nanos};

/// For how long a settled request is remembered, so that a repeated settlement has no effect. The gateway
/// stops repeating a command much earlier.
pub const SETTLED_RETENTION: Millis = 300_000;

/// The state of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Under way.
    Live,
    /// Lost, but its reservation has not ended.
    Lapsed,
    /// Ended. It is remembered so that a late settlement finds its receipt.
    Over,
}

/// One reservation.
#[derive(Debug)]
struct HeldReservation {
    reservation: Reservation,
    stage: Stage,
    /// The lease holds at least until this time, because the ledger was just opened.
    grace: Millis,
}

/// A reservation that is due.
#[derive(Debug, PartialEq, Eq)]
pub enum DueReservation {
    /// The request is lost since this time and has no receipt yet. The reservation was removed; the caller
    /// inserts it again with [`Reservations::insert_lost`].
    Lost(Box<Reservation>, Millis),
    /// The reservation of this request is over, and was removed.
    Expired(String),
}

/// The reservations of one account.
#[derive(Debug, Default)]
pub struct Reservations {
    /// By the id of the request.
    open: BTreeMap<String, HeldReservation>,
    /// When each reservation is next due. Commands look at the first ones only.
    due: BTreeSet<(Millis, String)>,
    live: u64,
    cost: Nanos,
}

impl HeldReservation {
    /// When the request is taken for lost.
    fn lapses(&self) -> Millis {
        let lease = self.reservation.lease.as_ref().map_or(Millis::MAX, |lease| lease.until.max(self.grace));
        self.reservation.until.min(lease)
    }

    fn due(&self) -> Millis {
        match (self.stage, self.reservation.lost_request().and_then(|lost| lost.settled)) {
            (_, Some(settled)) => settled.saturating_add(SETTLED_RETENTION + 1),
            (Stage::Live, None) => self.lapses(),
            (Stage::Lapsed, None) => self.reservation.until,
            (Stage::Over, None) => {
                let found = self.reservation.lost_request().map_or(0, |lost| lost.found.max(lost.at));
                self.reservation.until.max(found).saturating_add(SETTLED_RETENTION + 1)
            }
        }
    }

    /// The reserved cost that its receipt does not charge already.
    fn cost(&self) -> Nanos {
        let settled = self.reservation.lost_request().is_some_and(|lost| lost.settled.is_some());
        match &self.reservation.lease {
            _ if settled || self.stage == Stage::Over => 0,
            Some(ReservationLease { draft, lost: Some(_), .. }) => {
                draft.cost.map_or(0, |cost| self.reservation.cost.saturating_sub(cost))
            }
            _ => self.reservation.cost,
        }
    }
}

impl Reservations {
    /// The number of requests under way.
    pub fn count(&self) -> u64 {
        self.live
    }

    /// The reserved cost of all requests, in nano-dollars.
    pub fn cost(&self) -> Nanos {
        self.cost
    }

    /// The reservation of a request.
    pub fn find(&self, id: &str) -> Option<&Reservation> {
        self.open.get(id).map(|held| &held.reservation)
    }

    /// All reservations.
    pub fn iter(&self) -> impl Iterator<Item = &Reservation> {
        self.open.values().map(|held| &held.reservation)
    }

    /// Inserts or replaces the reservation of a request.
    pub fn insert(&mut self, id: &str, reservation: Reservation) {
        self.remove(id);
        let settled = reservation.lost_request().is_some_and(|lost| lost.settled.is_some());
        let stage = if settled { Stage::Over } else { Stage::Live };
        self.hold(id.to_owned(), HeldReservation { reservation, stage, grace: 0 });
    }

    /// Removes the reservation of a request.
    pub fn remove(&mut self, id: &str) -> Option<Reservation> {
        let (id, held) = self.open.remove_entry(id)?;
        self.cost = self.cost.saturating_sub(held.cost());
        self.live -= u64::from(held.stage == Stage::Live);
        self.due.remove(&(held.due(), id));
        Some(held.reservation)
    }

    fn hold(&mut self, id: String, held: HeldReservation) {
        self.cost = self.cost.saturating_add(held.cost());
        self.live += u64::from(held.stage == Stage::Live);
        self.due.insert((held.due(), id.clone()));
        self.open.insert(id, held);
    }

    /// The next reservation that is due, except for those of the requests in `except`.
    pub fn next_due(&mut self, now: Millis, except: &[&str]) -> Option<DueReservation> {
        loop {
            let mut due = self.due.iter().take_while(|(due, _)| *due <= now);
            let (since, id) = due.find(|(_, id)| !except.contains(&id.as_str()))?.clone();
            let stage = self.open.get(&id)?.stage;
            if stage == Stage::Over {
                self.remove(&id);
                return Some(DueReservation::Expired(id));
            }
            let reservation = self.remove(&id)?;
            if reservation.lost_request().is_none() {
                return Some(DueReservation::Lost(Box::new(reservation), since));
            }
            let stage = if stage == Stage::Live && reservation.until > since { Stage::Lapsed } else { Stage::Over };
            self.hold(id, HeldReservation { reservation, stage, grace: 0 });
        }
    }

    /// Inserts the reservation of a lost request whose receipt is in the ledger.
    pub fn insert_lost(
        &mut self,
        mut reservation: Reservation,
        receipt: &Receipt,
        lost: LostRequest,
    ) -> Option<&Reservation> {
        if let Some(lease) = &mut reservation.lease {
            (*lease.draft, lease.lost) = (Receipt { reservation: None, ..receipt.clone() }, Some(lost));
        }
        let stage = if reservation.until > lost.found && lost.settled.is_none() { Stage::Lapsed } else { Stage::Over };
        self.hold(receipt.id.clone(), HeldReservation { reservation, stage, grace: 0 });
        self.find(&receipt.id)
    }

    /// Extends the leases of the requests under way, because the ledger was closed and they could not be
    /// renewed. Returns the requests whose leases had ended: their reservations must be stored, so that the
    /// extension is not granted each time the ledger is opened.
    pub fn extend(&mut self, now: Millis) -> Vec<String> {
        let grace = now.saturating_add(LEASE);
        let is_live = |held: &HeldReservation| held.stage == Stage::Live && held.reservation.lost_request().is_none();
        let ids: Vec<String> = self.open.iter().filter(|(_, held)| is_live(held)).map(|(id, _)| id.clone()).collect();
        let mut extended = Vec::new();
        for id in ids {
            let Some(mut reservation) = self.remove(&id) else { continue };
            let mut held_until = 0;
            if let Some(lease) = reservation.lease.as_mut().filter(|lease| !lease.extended) {
                if lease.until > now {
                    held_until = grace;
                } else {
                    (lease.until, lease.extended) = (grace, true);
                    extended.push(id.clone());
                }
            }
            self.hold(id, HeldReservation { reservation, stage: Stage::Live, grace: held_until });
        }
        extended
    }
}

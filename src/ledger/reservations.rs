//! What is promised to requests under way, and for how long it is believed that they are. It knows no limits and no limits.

use std::collections::{BTreeMap, BTreeSet};

use super::receipt::{LEASE, LostRequest, Receipt, Reservation, ReservationLease};
use crate::config::{Millis, Nanos};

/// So long after it was settled, a request may be settled again without effect. The gateway gives up repeating a command far earlier.
pub const REMEMBERED: Millis = 300_000;

/// What is believed of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It is under way.
    Live,
    /// It is lost, but its time is not over.
    Lapsed,
    /// Nothing is held for it; but it is remembered, so that the truth finds its receipt.
    Over,
}

/// One reservation.
#[derive(Debug)]
struct HeldReservation {
    reservation: Reservation,
    stage: Stage,
    /// The lease holds until then, whatever was written: the ledger was opened a moment ago.
    grace: Millis,
}

/// What has become due.
#[derive(Debug, PartialEq, Eq)]
pub enum DueReservation {
    /// This request is lost since then, and has no receipt yet. Its reservation was taken back, to be put back with [`Reservations::lose`].
    Lost(Box<Reservation>, Millis),
    /// This reservation is void.
    Void(String),
}

/// The reservations of one account.
#[derive(Debug, Default)]
pub struct Reservations {
    /// By the id of the request.
    open: BTreeMap<String, HeldReservation>,
    /// When something next becomes due, so that no command has to look at them all.
    ends: BTreeSet<(Millis, String)>,
    live: u64,
    cost: Nanos,
}

impl HeldReservation {
    /// When the request is no longer believed to be under way.
    fn lapses(&self) -> Millis {
        let lease = self.reservation.lease.as_ref().map_or(Millis::MAX, |lease| lease.until.max(self.grace));
        self.reservation.until.min(lease)
    }

    fn due(&self) -> Millis {
        match (self.stage, self.reservation.lost().and_then(|lost| lost.settled)) {
            (_, Some(settled)) => settled.saturating_add(REMEMBERED + 1),
            (Stage::Live, None) => self.lapses(),
            (Stage::Lapsed, None) => self.reservation.until,
            (Stage::Over, None) => {
                let found = self.reservation.lost().map_or(0, |lost| lost.found.max(lost.at));
                self.reservation.until.max(found).saturating_add(REMEMBERED + 1)
            }
        }
    }

    /// The money that it holds: what its receipt is not charged with already.
    fn cost(&self) -> Nanos {
        let settled = self.reservation.lost().is_some_and(|lost| lost.settled.is_some());
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
    /// How many requests are believed to be under way.
    pub fn count(&self) -> u64 {
        self.live
    }

    /// The money that is held.
    pub fn cost(&self) -> Nanos {
        self.cost
    }

    /// The reservation to this request.
    pub fn find(&self, id: &str) -> Option<&Reservation> {
        self.open.get(id).map(|held| &held.reservation)
    }

    /// Each.
    pub fn iter(&self) -> impl Iterator<Item = &Reservation> {
        self.open.values().map(|held| &held.reservation)
    }

    /// Makes one, or puts it in the place of the one there is.
    pub fn make(&mut self, id: &str, reservation: Reservation) {
        self.take(id);
        let settled = reservation.lost().is_some_and(|lost| lost.settled.is_some());
        let stage = if settled { Stage::Over } else { Stage::Live };
        self.put(id.to_owned(), HeldReservation { reservation, stage, grace: 0 });
    }

    /// Takes one back.
    pub fn take(&mut self, id: &str) -> Option<Reservation> {
        let (id, held) = self.open.remove_entry(id)?;
        self.cost = self.cost.saturating_sub(held.cost());
        self.live -= u64::from(held.stage == Stage::Live);
        self.ends.remove(&(held.due(), id));
        Some(held.reservation)
    }

    fn put(&mut self, id: String, held: HeldReservation) {
        self.cost = self.cost.saturating_add(held.cost());
        self.live += u64::from(held.stage == Stage::Live);
        self.ends.insert((held.due(), id.clone()));
        self.open.insert(id, held);
    }

    /// What is due next, but of the requests in `except`, of which more is known.
    pub fn next_due(&mut self, now: Millis, except: &[&str]) -> Option<DueReservation> {
        loop {
            let mut due = self.ends.iter().take_while(|(due, _)| *due <= now);
            let (since, id) = due.find(|(_, id)| !except.contains(&id.as_str()))?.clone();
            let stage = self.open.get(&id)?.stage;
            if stage == Stage::Over {
                self.take(&id);
                return Some(DueReservation::Void(id));
            }
            let reservation = self.take(&id)?;
            if reservation.lost().is_none() {
                return Some(DueReservation::Lost(Box::new(reservation), since));
            }
            let stage = if stage == Stage::Live && reservation.until > since { Stage::Lapsed } else { Stage::Over };
            self.put(id, HeldReservation { reservation, stage, grace: 0 });
        }
    }

    /// The receipt of a lost request, or the truth that took its place, is in the ledger.
    pub fn lose(&mut self, mut reservation: Reservation, receipt: &Receipt, lost: LostRequest) -> Option<&Reservation> {
        if let Some(lease) = &mut reservation.lease {
            (*lease.draft, lease.lost) = (Receipt { reservation: None, ..receipt.clone() }, Some(lost));
        }
        let stage = if reservation.until > lost.found && lost.settled.is_none() { Stage::Lapsed } else { Stage::Over };
        self.put(receipt.id.clone(), HeldReservation { reservation, stage, grace: 0 });
        self.find(&receipt.id)
    }

    /// The ledger is opened: requests that live had nobody to tell so. Gives those whose reservation has to be written anew: their leases were
    /// over, and are granted once more, but not each time that a ledger is opened.
    pub fn extend(&mut self, now: Millis) -> Vec<String> {
        let grace = now.saturating_add(LEASE);
        let lives = |held: &HeldReservation| held.stage == Stage::Live && held.reservation.lost().is_none();
        let ids: Vec<String> = self.open.iter().filter(|(_, held)| lives(held)).map(|(id, _)| id.clone()).collect();
        let mut extended = Vec::new();
        for id in ids {
            let Some(mut reservation) = self.take(&id) else { continue };
            let mut held_until = 0;
            if let Some(lease) = reservation.lease.as_mut().filter(|lease| !lease.extended) {
                if lease.until > now {
                    held_until = grace;
                } else {
                    (lease.until, lease.extended) = (grace, true);
                    extended.push(id.clone());
                }
            }
            self.put(id, HeldReservation { reservation, stage: Stage::Live, grace: held_until });
        }
        extended
    }
}

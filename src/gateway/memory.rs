//! The memory that the requests of an isolate hold, counted against one limit. It waits for nothing, and
//! knows no runtime.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use crate::config::{BODY_COPIES, Millis};
use crate::error::Error;

/// Above its limit, an isolate takes a body that is short enough by itself, as long as others hold no more
/// than this part of the limit: else a body near the limit could never be taken.
const OTHERS: usize = 8;
/// The seconds after which a refused request may come again.
const COME_AGAIN: &str = "1";

/// The bytes held by all requests of an isolate.
#[derive(Debug)]
pub struct MemoryBudget {
    limit: usize,
    held: Cell<usize>,
    next: Cell<u64>,
    /// By reservation: its bytes, and until when its request can last.
    reservations: RefCell<HashMap<u64, (usize, Millis)>>,
}

/// Bytes held by one request, given back when this is dropped. The runtime may end a request without dropping
/// anything of it: then the reservation lapses when its request's time is over.
#[derive(Debug)]
pub struct MemoryReservation {
    memory: Rc<MemoryBudget>,
    id: u64,
}

impl MemoryBudget {
    /// At most `limit` bytes.
    pub fn new(limit: usize) -> Rc<Self> {
        Rc::new(Self { limit, held: Cell::new(0), next: Cell::new(0), reservations: RefCell::default() })
    }

    /// Room for a body of so many bytes and its copies; none if there is not enough. `until`: when its
    /// request is over at the latest.
    pub fn reserve(self: &Rc<Self>, body: usize, now: Millis, until: Millis) -> Option<MemoryReservation> {
        if self.held.get() > self.limit - self.limit / OTHERS {
            self.lapse(now);
        }
        let id = self.next.replace(self.next.get().wrapping_add(1));
        self.reservations.borrow_mut().insert(id, (0, until));
        let reservation = MemoryReservation { memory: Rc::clone(self), id };
        let fits = reservation.body(body) || (self.lapse(now) && reservation.body(body));
        fits.then_some(reservation)
    }

    /// Forgets the reservations of requests whose time is over; says whether there were any.
    fn lapse(&self, now: Millis) -> bool {
        let (mut lapsed, mut freed) = (false, 0_usize);
        self.reservations.borrow_mut().retain(|_, (bytes, until)| {
            let keeps = now <= *until;
            (lapsed, freed) = (lapsed || !keeps, if keeps { freed } else { freed.saturating_add(*bytes) });
            keeps
        });
        self.held.set(self.held.get().saturating_sub(freed));
        lapsed
    }
}

impl MemoryReservation {
    /// Holds a body of so many bytes and its copies; `false`, and as before, if there is no room.
    pub fn body(&self, length: usize) -> bool {
        self.set(length.saturating_mul(BODY_COPIES), length)
    }

    /// Holds so many bytes; `false`, and as before, if there is no room for more.
    pub fn hold(&self, bytes: usize) -> bool {
        self.set(bytes, usize::MAX)
    }

    /// Holds so many bytes, as [`MemoryReservation::body`] does: what takes at least `least` of them is held
    /// if others hold little.
    pub fn hold_one(&self, bytes: usize, least: usize) -> bool {
        self.set(bytes, least)
    }

    /// Holds so many bytes, of which `least` at one time in any case.
    fn set(&self, bytes: usize, least: usize) -> bool {
        let memory = &self.memory;
        let mut reservations = memory.reservations.borrow_mut();
        let Some((mine, _)) = reservations.get_mut(&self.id) else { return false };
        let others = memory.held.get().saturating_sub(*mine);
        let all = others.saturating_add(bytes);
        let alone = others <= memory.limit / OTHERS && others.saturating_add(least) <= memory.limit;
        if bytes > *mine && all > memory.limit && !alone {
            return false;
        }
        *mine = bytes;
        memory.held.set(all);
        true
    }
}

impl Drop for MemoryReservation {
    fn drop(&mut self) {
        if let Some((bytes, _)) = self.memory.reservations.borrow_mut().remove(&self.id) {
            self.memory.held.set(self.memory.held.get().saturating_sub(bytes));
        }
    }
}

/// There is no room for a request.
pub fn full() -> Error {
    let message = "This gateway holds as much in memory as it may. Send the request again in a moment.";
    Error::gateway(503, "gateway_overloaded", message).with_header("retry-after", COME_AGAIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_is_given_back() {
        let memory = MemoryBudget::new(100);
        let first = memory.reserve(20, 0, 9).unwrap();
        assert_eq!(memory.held.get(), 60);
        assert!(memory.reserve(20, 0, 9).is_none());
        assert_eq!(memory.held.get(), 60);
        assert!(first.hold(30) && memory.reserve(20, 0, 9).is_some());
        assert!(!first.hold(101) && memory.held.get() == 30);
        drop(first);
        assert_eq!((memory.held.get(), memory.reservations.borrow().len()), (0, 0));
    }

    #[test]
    fn one_body_up_to_the_limit_is_taken_while_others_hold_little() {
        let memory = MemoryBudget::new(100);
        assert!(memory.reserve(101, 0, 9).is_none());
        let small = memory.reserve(4, 0, 9).unwrap();
        let large = memory.reserve(80, 0, 9).unwrap();
        assert_eq!(memory.held.get(), 252);
        assert!(memory.reserve(1, 0, 9).is_none());
        drop(large);
        assert!(small.hold(13) && memory.reserve(80, 0, 9).is_none());
    }

    #[test]
    fn a_request_that_nobody_ends_holds_nothing_after_its_time() {
        let memory = MemoryBudget::new(100);
        let lost = memory.reserve(30, 0, 9).unwrap();
        assert!(memory.reserve(30, 9, 99).is_none());
        let next = memory.reserve(30, 10, 99).unwrap();
        assert_eq!(memory.held.get(), 90);
        assert!(!lost.hold(1));
        drop(lost);
        assert_eq!(memory.held.get(), 90);
        drop(next);
        assert_eq!(memory.held.get(), 0);
    }
}

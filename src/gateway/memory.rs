//! Accounts for the memory that the requests of an isolate hold, against one limit.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use crate::config::{BODY_COPIES, Millis};
use crate::error::Error;

/// A body and its copies may exceed the limit if the body alone fits and the other requests hold at most one
/// part in `OTHERS_DIVISOR` of the limit. Otherwise a body near the limit could never be accepted.
const OTHERS_DIVISOR: usize = 8;
/// The value of `retry-after` for a refused request, in seconds.
const RETRY_AFTER_SECONDS: &str = "1";

/// The bytes held by all requests of an isolate.
#[derive(Debug)]
pub struct MemoryBudget {
    limit: usize,
    held: Cell<usize>,
    next: Cell<u64>,
    /// The bytes of each reservation, and the latest time at which its request ends.
    reservations: RefCell<HashMap<u64, (usize, Millis)>>,
}

/// Bytes held by one request, released on drop. The runtime may end a request without dropping its values:
/// then the reservation expires when the request's time is over.
#[derive(Debug)]
pub struct MemoryReservation {
    memory: Rc<MemoryBudget>,
    id: u64,
}

impl MemoryBudget {
    /// A budget of `limit` bytes.
    pub fn new(limit: usize) -> Rc<Self> {
        Rc::new(Self { limit, held: Cell::new(0), next: Cell::new(0), reservations: RefCell::default() })
    }

    /// Reserves memory for a body of `body` bytes and its copies; `None` if there is not enough. `until`: the
    /// latest time at which the request ends.
    pub fn reserve(self: &Rc<Self>, body: usize, now: Millis, until: Millis) -> Option<MemoryReservation> {
        if self.held.get() > self.limit - self.limit / OTHERS_DIVISOR {
            self.expire(now);
        }
        let id = self.next.replace(self.next.get().wrapping_add(1));
        self.reservations.borrow_mut().insert(id, (0, until));
        let reservation = MemoryReservation { memory: Rc::clone(self), id };
        let fits = reservation.hold_body(body) || (self.expire(now) && reservation.hold_body(body));
        fits.then_some(reservation)
    }

    /// Removes the reservations of requests whose time is over. Returns whether there were any.
    fn expire(&self, now: Millis) -> bool {
        let (mut any_expired, mut freed) = (false, 0_usize);
        self.reservations.borrow_mut().retain(|_, (bytes, until)| {
            let is_expired = now > *until;
            if is_expired {
                any_expired = true;
                freed = freed.saturating_add(*bytes);
            }
            !is_expired
        });
        self.held.set(self.held.get().saturating_sub(freed));
        any_expired
    }
}

impl MemoryReservation {
    /// Changes the reservation to a body of `length` bytes and its copies. Returns `false`, and changes
    /// nothing, if there is not enough memory.
    pub fn hold_body(&self, length: usize) -> bool {
        self.set(length.saturating_mul(BODY_COPIES), length)
    }

    /// Changes the reservation to `bytes` bytes. Returns `false`, and changes nothing, if there is not enough
    /// memory.
    pub fn hold(&self, bytes: usize) -> bool {
        self.set(bytes, usize::MAX)
    }

    /// Changes the reservation to `bytes` bytes, which may exceed the limit if `least` bytes alone fit and
    /// the other requests hold little. Returns `false`, and changes nothing, if there is not enough memory.
    pub fn hold_one(&self, bytes: usize, least: usize) -> bool {
        self.set(bytes, least)
    }

    /// Changes the reservation to `bytes` bytes. They may exceed the limit if `least` bytes alone fit and the
    /// other requests hold little.
    fn set(&self, bytes: usize, least: usize) -> bool {
        let memory = &self.memory;
        let mut reservations = memory.reservations.borrow_mut();
        let Some((own, _)) = reservations.get_mut(&self.id) else { return false };
        let others = memory.held.get().saturating_sub(*own);
        let total = others.saturating_add(bytes);
        let alone = others <= memory.limit / OTHERS_DIVISOR && others.saturating_add(least) <= memory.limit;
        if bytes > *own && total > memory.limit && !alone {
            return false;
        }
        *own = bytes;
        memory.held.set(total);
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

/// The 503 of a request for which there is not enough memory.
pub fn full() -> Error {
    let message = "This gateway holds as much in memory as it may. Send the request again in a moment.";
    Error::gateway(503, "gateway_overloaded", message).with_header("retry-after", RETRY_AFTER_SECONDS)
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
    fn a_request_that_is_never_dropped_holds_nothing_after_its_time() {
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

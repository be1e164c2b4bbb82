//! The number of connections without an API key in one isolate, which is limited.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::config::Millis;

/// Slots for connections without a key.
#[derive(Debug, Default)]
pub struct ConnectionSlots {
    /// By number, the time at which the slot is free again at the latest.
    taken: RefCell<Vec<(u64, Millis)>>,
    next: Cell<u64>,
}

/// A taken slot. Dropping it frees it.
#[derive(Debug)]
pub struct ConnectionSlot {
    slots: Rc<ConnectionSlots>,
    number: u64,
}

impl ConnectionSlots {
    /// Takes one of `limit` slots, if one is free. At `until` it is free again even if it was not dropped:
    /// the runtime may end a request without running any of our code.
    pub fn take(self: &Rc<Self>, limit: usize, now: Millis, until: Millis) -> Option<ConnectionSlot> {
        let mut taken = self.taken.borrow_mut();
        taken.retain(|(_, until)| now < *until);
        if taken.len() >= limit {
            return None;
        }
        let number = self.next.get();
        self.next.set(number.wrapping_add(1));
        taken.push((number, until));
        Some(ConnectionSlot { slots: Rc::clone(self), number })
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.slots.taken.borrow_mut().retain(|(number, _)| *number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_limited_and_expire() {
        let slots = Rc::new(ConnectionSlots::default());
        let first = slots.take(2, 0, 10);
        let second = slots.take(2, 1, 11);
        assert!(first.is_some());
        assert!(second.is_some());
        assert!(slots.take(2, 9, 99).is_none());
        drop(first);
        let third = slots.take(2, 9, 99);
        assert!(third.is_some());
        assert!(slots.take(2, 10, 99).is_none());
        let fourth = slots.take(2, 11, 99);
        assert!(fourth.is_some(), "the second slot has expired");
        drop(second);
        assert!(slots.take(2, 13, 99).is_none(), "an expired slot frees no other when it is dropped");
        drop(fourth);
        assert!(slots.take(2, 14, 99).is_some());
    }

    #[test]
    fn there_may_be_no_slots() {
        assert!(Rc::new(ConnectionSlots::default()).take(0, 0, 1).is_none());
    }
}

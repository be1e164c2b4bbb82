//! How many connections wait for a key in one isolate. It is told the time; it knows no connections.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::config::Millis;

/// The connections without a key that an isolate has.
#[derive(Debug, Default)]
pub struct ConnectionSlots {
    /// By number: until when it can be there at most.
    taken: RefCell<Vec<(u64, Millis)>>,
    next: Cell<u64>,
}

/// One of them; it is free again when this is dropped.
#[derive(Debug)]
pub struct ConnectionSlot {
    slots: Rc<ConnectionSlots>,
    number: u64,
}

impl ConnectionSlots {
    /// Takes one of `most`, if one is free. `until`: when it is free again though nobody said so, as after an end that no code saw.
    pub fn take(self: &Rc<Self>, most: usize, now: Millis, until: Millis) -> Option<ConnectionSlot> {
        let mut taken = self.taken.borrow_mut();
        taken.retain(|(_, until)| now < *until);
        if taken.len() >= most {
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
    fn so_many_and_no_more() {
        let slots = Rc::new(ConnectionSlots::default());
        let first = slots.take(2, 0, 10);
        let second = slots.take(2, 1, 11);
        assert!(first.is_some() && second.is_some() && slots.take(2, 9, 99).is_none());
        drop(first);
        let third = slots.take(2, 9, 99);
        assert!(third.is_some() && slots.take(2, 10, 99).is_none());
        assert!(slots.take(2, 11, 99).is_some(), "the second one's time is over");
        let fourth = slots.take(2, 12, 99);
        drop(second);
        assert!(slots.take(2, 13, 99).is_none(), "what is over frees nobody else's");
        drop(fourth);
        assert!(slots.take(2, 14, 99).is_some());
        assert!(Rc::new(ConnectionSlots::default()).take(0, 0, 1).is_none());
    }
}

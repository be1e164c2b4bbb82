//! Counts the calls of models that are under way in an isolate.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use crate::config::Millis;

/// The calls of models that are under way.
#[derive(Debug, Default)]
pub struct OpenRequests {
    next: Cell<u64>,
    /// The latest time at which each of them ends.
    ends: RefCell<HashMap<u64, Millis>>,
}

/// A call that is under way, until it is dropped. The runtime may end a request without dropping its values:
/// then it counts until the request's time is over.
#[derive(Debug)]
pub struct OpenRequest {
    all: Rc<OpenRequests>,
    id: u64,
}

impl OpenRequests {
    /// Counts a call until the guard is dropped, or until `end`, its latest end.
    pub fn begin(self: &Rc<Self>, end: Millis) -> OpenRequest {
        let id = self.next.replace(self.next.get().wrapping_add(1));
        self.ends.borrow_mut().insert(id, end);
        OpenRequest { all: Rc::clone(self), id }
    }

    /// How many are under way.
    pub(super) fn count(&self, now: Millis) -> u64 {
        let mut ends = self.ends.borrow_mut();
        ends.retain(|_, end| now <= *end);
        ends.len() as u64
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.all.ends.borrow_mut().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_counts_until_it_is_dropped_or_its_time_is_over() {
        let all = Rc::new(OpenRequests::default());
        let (first, second) = (all.begin(100), all.begin(200));
        assert_eq!(all.count(50), 2);
        drop(second);
        assert_eq!(all.count(50), 1);
        assert_eq!(all.count(101), 0);
        drop(first);
        assert_eq!(all.count(50), 0);
    }
}

//! Memory for messages and requests that wait in a session, counted against the limit of the isolate.

use std::rc::Rc;

use super::state::SessionState;
use crate::edge::clock::now;
use crate::edge::isolate::bridge;
use crate::gateway::MemoryReservation;
use crate::session::Session;

/// Up to this many bytes wait in a session without being counted.
const UNCOUNTED_BYTES: usize = 64 << 10;

impl SessionState {
    /// Reserves memory for what waits in the session. While there is not enough, the newest waiting message
    /// is refused.
    pub(super) fn reserve_memory(self: &Rc<Self>) {
        let waiting = || self.session.borrow().as_ref().map_or(0, Session::waiting_bytes);
        if waiting() <= UNCOUNTED_BYTES {
            self.reservation.take();
            return;
        }
        while waiting() > UNCOUNTED_BYTES && !self.reserve(waiting()) {
            self.apply_transient(Session::refuse_newest);
        }
    }

    /// Reserves this many bytes in place of what was reserved; whether there is room.
    fn reserve(&self, bytes: usize) -> bool {
        let holds = |reservation: &MemoryReservation| reservation.hold_one(bytes, bytes);
        if self.reservation.borrow().as_ref().is_some_and(holds) {
            return true;
        }
        // The reservation may have run out.
        let fresh = bridge(&self.env).ok().and_then(|bridge| bridge.waiting_room(now()));
        self.reservation.replace(fresh);
        self.reservation.borrow().as_ref().is_some_and(holds)
    }
}

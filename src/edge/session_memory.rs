//! Messages and requests that wait in sessions, counted among all that the isolate holds. It does not know what they say.

use std::rc::Rc;

use super::bridge;
use super::platform::now;
use super::session::SessionState;
use crate::gateway::MemoryReservation;
use crate::session::Session as Machine;

/// So many bytes wait in a session without being counted.
const LITTLE: usize = 64 << 10;

/// Holds room for what waits in a session. What there is none for is refused, the newest first.
pub(super) fn hold(room: &Rc<SessionState>) {
    let waiting = || room.machine.borrow().as_ref().map_or(0, Machine::waiting);
    if waiting() <= LITTLE {
        room.held.take();
        return;
    }
    while waiting() > LITTLE && !fits(room, waiting()) {
        room.apply_unmeasured(Machine::refuse_newest);
    }
}

/// Whether there is room for so many bytes; then it is held.
fn fits(room: &SessionState, bytes: usize) -> bool {
    let holds = |held: &MemoryReservation| held.hold_one(bytes, bytes);
    if room.held.borrow().as_ref().is_some_and(holds) {
        return true;
    }
    // The time of the one that is there may be over.
    let fresh = bridge(&room.env).ok().and_then(|bridge| bridge.waiting_room(now()));
    room.held.replace(fresh);
    room.held.borrow().as_ref().is_some_and(holds)
}

//! Lines of the log that wait in this isolate to be sent to the object that writes log files.

use std::cell::RefCell;

use crate::operations::LineQueue;

thread_local! {
    /// Holds values only, never anything that belongs to a request.
    static QUEUE: RefCell<LineQueue> = RefCell::default();
}

/// Does something with the queue.
pub(super) fn with<T>(act: impl FnOnce(&mut LineQueue) -> T) -> T {
    QUEUE.with_borrow_mut(act)
}

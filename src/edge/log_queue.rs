//! Lines of the log that wait to be sent to the object that writes log files.

use std::cell::RefCell;

use crate::config::Millis;
use crate::telemetry::log_file::LogRecord;

/// If a request that was to send the queue has not done so after this time, it was cut off, and another takes
/// over.
const SENDER_TIMEOUT: Millis = 3_000;
/// The maximum length of all lines that wait, in bytes.
const MAX_BYTES: usize = 4 << 20;

thread_local! {
    /// Holds values only, never anything that belongs to a request.
    static QUEUE: RefCell<LogQueue> = const { RefCell::new(LogQueue::empty()) };
}

struct LogQueue {
    waiting: WaitingLines,
    bytes: usize,
    /// Until this time, some request is going to send the queue.
    sender_until: Millis,
}

/// Lines that wait.
pub(super) struct WaitingLines {
    pub(super) records: Vec<LogRecord>,
    /// How many were lost, and are not reported yet.
    pub(super) lost: u64,
}

impl LogQueue {
    const fn empty() -> Self {
        Self { waiting: WaitingLines { records: Vec::new(), lost: 0 }, bytes: 0, sender_until: 0 }
    }
}

/// Adds a line. It is sent when a request of this isolate next logs something.
pub(super) fn push(record: LogRecord) {
    QUEUE.with_borrow_mut(|queue| {
        let bytes = queue.bytes.saturating_add(record.line.len());
        if bytes > MAX_BYTES {
            queue.waiting.lost = queue.waiting.lost.saturating_add(1);
        } else {
            queue.bytes = bytes;
            queue.waiting.records.push(record);
        }
    });
}

/// Whether lines wait.
pub(super) fn is_waiting() -> bool {
    QUEUE.with_borrow(|queue| !queue.waiting.records.is_empty())
}

/// Whether the caller is to send the queue, because no other request is about to.
pub(super) fn becomes_sender(now: Millis) -> bool {
    QUEUE.with_borrow_mut(|queue| {
        let becomes_sender = queue.sender_until <= now;
        if becomes_sender {
            queue.sender_until = now.saturating_add(SENDER_TIMEOUT);
        }
        becomes_sender
    })
}

/// Takes all that waits.
pub(super) fn take() -> WaitingLines {
    QUEUE.replace(LogQueue::empty()).waiting
}

/// Counts lines that could not be sent, to be reported with the next batch.
pub(super) fn add_lost(lines: u64) {
    QUEUE.with_borrow_mut(|queue| queue.waiting.lost = queue.waiting.lost.saturating_add(lines));
}

//! Lines of the log that wait to be sent to the object that writes log files.

use std::cell::RefCell;
use std::collections::VecDeque;

use crate::config::Millis;
use crate::operations::{AfterSending, Outbox};
use crate::telemetry::log_file::{LogBatch, LogCommand, LogRecord};

/// The maximum length of all lines that wait, in bytes.
const MAX_BYTES: usize = 4 << 20;
/// The maximum length of the lines of a batch in bytes, unless it has one line.
const MAX_BATCH: usize = 1 << 20;

thread_local! {
    /// Holds values only, never anything that belongs to a request.
    static QUEUE: RefCell<LogQueue> = RefCell::default();
}

#[derive(Default)]
struct LogQueue {
    records: VecDeque<LogRecord>,
    bytes: usize,
    /// How many lines were lost, and are not reported yet.
    lost: u64,
    /// The batch under way, with the number of lines that are lost if it does not arrive.
    outbox: Outbox<u64>,
}

impl LogQueue {
    fn lose(&mut self, lines: u64) {
        self.lost = self.lost.saturating_add(lines);
    }

    /// Makes a batch of the first lines. The loss is reported with the first batch that arrives.
    fn make_batch(&mut self, id: u64) {
        let (mut records, mut bytes) = (Vec::new(), 0_usize);
        while let Some(record) = self.records.pop_front() {
            let sum = bytes.saturating_add(record.line.len());
            if sum > MAX_BATCH && !records.is_empty() {
                self.records.push_front(record);
                break;
            }
            bytes = sum;
            records.push(record);
        }
        self.bytes = self.bytes.saturating_sub(bytes);
        let lost = std::mem::take(&mut self.lost);
        let lost_with_it = lost.saturating_add(records.len() as u64);
        let command = LogCommand::Append(LogBatch { id, records, lost });
        self.outbox.put(id, serde_json::to_string(&command).unwrap_or_default(), lost_with_it);
    }
}

/// Adds a line. It is sent when a request of this isolate next logs something.
pub(super) fn push(record: LogRecord) {
    QUEUE.with_borrow_mut(|queue| {
        let bytes = queue.bytes.saturating_add(record.line.len());
        if bytes > MAX_BYTES {
            queue.lose(1);
        } else {
            queue.bytes = bytes;
            queue.records.push_back(record);
        }
    });
}

/// Whether the caller is to send, because lines wait and no other request is about to.
pub(super) fn becomes_sender(now: Millis) -> bool {
    QUEUE.with_borrow_mut(|queue| {
        let is_waiting = !queue.records.is_empty() || queue.outbox.is_full();
        is_waiting && queue.outbox.becomes_sender(now)
    })
}

/// The id and the command to send now; `None` if no lines wait. `new_id`: for a new batch.
pub(super) fn step(now: Millis, new_id: impl FnOnce() -> u64) -> Option<(u64, String)> {
    QUEUE.with_borrow_mut(|queue| {
        if let Some(lines) = queue.outbox.take_abandoned() {
            queue.lose(lines);
        }
        if !queue.outbox.is_full() {
            if queue.records.is_empty() {
                queue.outbox.stop();
                return None;
            }
            queue.make_batch(new_id());
        }
        queue.outbox.send(now)
    })
}

/// What follows from sending the batch with this id.
pub(super) fn sent(id: u64, has_arrived: bool, now: Millis) -> AfterSending<u64> {
    QUEUE.with_borrow_mut(|queue| {
        let after = queue.outbox.sent(id, has_arrived, now);
        if let AfterSending::GiveUp(lines) = after {
            queue.lose(lines);
        }
        after
    })
}

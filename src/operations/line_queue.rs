//! Lines of the log that wait in an isolate to be sent to the object that writes log files: alone, or, if
//! they are few, along with a batch of reports, which is a call of an object anyway.

use std::collections::VecDeque;

use super::outbox::{AfterSending, Outbox};
use crate::config::Millis;
use crate::telemetry::log_file::{LogBatch, LogCommand, LogLines, LogRecord};

/// The maximum length of all lines that wait, in bytes.
const MAX_BYTES: usize = 4 << 20;
/// The maximum length of the lines of a batch in bytes, unless it has one line.
const MAX_BATCH: usize = 1 << 20;
/// So many bytes of lines go along with reports at most. More are worth a call of their own.
const MAX_ALONG: usize = 64 << 10;
/// How long lines wait for reports to go along with: most requests end sooner.
const ALONG_DELAY: Millis = 10_000;
/// How long if one of them is of a failure: the report of the request that failed comes at the same time.
const URGENT_DELAY: Millis = 1_500;

/// The lines that wait.
#[derive(Debug, Default)]
pub struct LineQueue {
    records: VecDeque<LogRecord>,
    bytes: usize,
    /// How many lines were lost, and are not reported yet.
    lost: u64,
    /// A line of a failure waits.
    is_urgent: bool,
    /// Reports do not arrive, so that lines do not wait for them.
    is_alone: bool,
    /// The batch under way, with the number of lines that are lost if it does not arrive.
    outbox: Outbox<u64>,
}

/// What the request that is to send does next.
#[derive(Debug, PartialEq, Eq)]
pub enum LineStep {
    /// Nothing waits, or another sends: it stops.
    Stop,
    /// It asks again shortly: reports may take the lines along.
    Wait,
    /// It sends this command, and tells what came of the batch with this id.
    Send(u64, String),
}

impl LineQueue {
    /// Adds a line. It is sent when a request of this isolate next logs something.
    pub fn push(&mut self, record: LogRecord, is_urgent: bool) {
        let bytes = self.bytes.saturating_add(record.line.len());
        if bytes > MAX_BYTES {
            self.lose(1);
        } else {
            self.bytes = bytes;
            self.is_urgent |= is_urgent;
            self.records.push_back(record);
        }
    }

    /// Takes the lines that go along with reports: all of them, or none if they are many.
    pub fn take_along(&mut self) -> LogLines {
        if self.bytes > MAX_ALONG || self.outbox.is_full() {
            return LogLines::default();
        }
        (self.bytes, self.is_urgent) = (0, false);
        LogLines { records: std::mem::take(&mut self.records).into(), lost: std::mem::take(&mut self.lost) }
    }

    /// Takes lines back that went along, and did not arrive. They are sent alone.
    pub fn put_back(&mut self, lines: LogLines) {
        self.lose(lines.lost);
        for record in lines.records.into_iter().rev() {
            let bytes = self.bytes.saturating_add(record.line.len());
            if bytes > MAX_BYTES {
                self.lose(1);
            } else {
                self.bytes = bytes;
                self.records.push_front(record);
            }
        }
    }

    /// Notes whether reports do not arrive.
    pub fn set_alone(&mut self, is_alone: bool) {
        self.is_alone = is_alone;
    }

    /// Whether the caller is to send, because lines wait and no other request is about to.
    pub fn becomes_sender(&mut self, now: Millis) -> bool {
        let is_waiting = !self.records.is_empty() || self.outbox.is_full();
        is_waiting && self.outbox.becomes_sender(now)
    }

    /// What the sender does next. `since`: when it began to wait for reports to take the lines along; `None`
    /// if they do not. `new_id`: for a new batch.
    pub fn step(&mut self, now: Millis, since: Option<Millis>, new_id: impl FnOnce() -> u64) -> LineStep {
        if let Some(lines) = self.outbox.take_abandoned() {
            self.lose(lines);
        }
        if !self.outbox.is_full() {
            if self.records.is_empty() {
                self.outbox.stop();
                return LineStep::Stop;
            }
            if since.is_some_and(|since| self.may_wait(since, now)) {
                self.outbox.keep_sender(now);
                return LineStep::Wait;
            }
            self.make_batch(new_id());
        }
        self.outbox.send(now).map_or(LineStep::Stop, |(id, command)| LineStep::Send(id, command))
    }

    /// Whether the sender pauses before the next batch, because what waits would not fill one.
    pub fn pauses(&mut self, now: Millis) -> bool {
        let pauses = !self.records.is_empty() && self.bytes <= MAX_BATCH;
        if pauses {
            self.outbox.keep_sender(now);
        }
        pauses
    }

    fn may_wait(&self, since: Millis, now: Millis) -> bool {
        // A clock that was set back ends the wait.
        let delay = if self.is_urgent { URGENT_DELAY } else { ALONG_DELAY };
        !self.is_alone && self.bytes <= MAX_ALONG && (since..since.saturating_add(delay)).contains(&now)
    }

    /// What follows from sending the batch with this id.
    pub fn sent(&mut self, id: u64, has_arrived: bool, now: Millis) -> AfterSending<u64> {
        let after = self.outbox.sent(id, has_arrived, now);
        if let AfterSending::GiveUp(lines) = after {
            self.lose(lines);
        }
        after
    }

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
        self.is_urgent &= !self.records.is_empty();
        let lost = std::mem::take(&mut self.lost);
        let lost_with_it = lost.saturating_add(records.len() as u64);
        let command = LogCommand::Append(LogBatch { id, records, lost });
        self.outbox.put(id, serde_json::to_string(&command).unwrap_or_default(), lost_with_it);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(at: Millis, length: usize) -> LogRecord {
        LogRecord { at, line: "x".repeat(length) }
    }

    fn queue(lengths: &[usize]) -> LineQueue {
        let mut queue = LineQueue::default();
        lengths.iter().enumerate().for_each(|(at, length)| queue.push(line(at as Millis, *length), false));
        queue
    }

    /// The times of the lines in a step, and the loss.
    fn sent(step: LineStep) -> (Vec<Millis>, u64) {
        let LineStep::Send(_, command) = step else { panic!("{step:?}") };
        let Ok(LogCommand::Append(batch)) = serde_json::from_str(&command) else { panic!("{command}") };
        (batch.records.iter().map(|record| record.at).collect(), batch.lost)
    }

    #[test]
    fn few_lines_go_along_with_reports_and_many_alone() {
        let mut few = queue(&[10, 10]);
        assert_eq!(few.take_along().records.len(), 2);
        assert!(few.take_along().is_empty());
        assert_eq!(few.step(1_000, Some(0), || 1), LineStep::Stop, "nothing is left");
        let mut many = queue(&[60_000, 6_000]);
        assert!(many.take_along().is_empty());
        assert_eq!(sent(many.step(1_000, Some(0), || 1)), (vec![0, 1], 0));
    }

    #[test]
    fn few_lines_wait_for_reports_for_a_while_and_those_of_failures_shortly() {
        let mut waiting = queue(&[10]);
        assert!(waiting.becomes_sender(0));
        assert_eq!(waiting.step(1_000, Some(0), || 1), LineStep::Wait);
        assert!(!waiting.becomes_sender(3_000), "the sender goes on");
        assert_eq!(waiting.step(9_999, Some(0), || 1), LineStep::Wait);
        assert_eq!(sent(waiting.step(10_000, Some(0), || 1)), (vec![0], 0));
        assert_eq!(sent(queue(&[10]).step(1_000, None, || 1)), (vec![0], 0), "nothing takes them along");
        assert_eq!(sent(queue(&[10]).step(500, Some(1_000), || 1)), (vec![0], 0), "the clock was set back");
        let mut alone = queue(&[10]);
        alone.set_alone(true);
        assert_eq!(sent(alone.step(1_000, Some(0), || 1)), (vec![0], 0), "reports do not arrive");
        let mut urgent = queue(&[10]);
        urgent.push(line(1, 10), true);
        assert_eq!(urgent.step(1_000, Some(0), || 1), LineStep::Wait);
        assert_eq!(sent(urgent.step(2_000, Some(0), || 1)), (vec![0, 1], 0));
        assert_eq!(urgent.sent(1, true, 1_000), AfterSending::GoOn);
        urgent.push(line(2, 10), false);
        assert_eq!(urgent.step(2_000, Some(0), || 1), LineStep::Wait);
    }

    #[test]
    fn while_a_batch_is_under_way_no_lines_go_along() {
        let mut queue = queue(&[10]);
        sent(queue.step(0, None, || 1));
        queue.push(line(7, 10), false);
        assert!(queue.take_along().is_empty(), "they would overtake it");
        queue.sent(1, true, 0);
        assert_eq!(queue.take_along().records, [line(7, 10)]);
    }

    #[test]
    fn lines_that_come_back_are_sent_first_and_what_has_no_room_is_counted() {
        let mut queue = queue(&[10]);
        let along = queue.take_along();
        queue.push(line(5, 10), false);
        queue.put_back(along);
        assert_eq!(sent(queue.step(0, None, || 1)), (vec![0, 5], 0));
        queue.sent(1, true, 0);
        queue.push(line(6, MAX_BYTES - 5), false);
        queue.put_back(LogLines { records: vec![line(1, 10), line(2, 5)], lost: 3 });
        assert_eq!(sent(queue.step(0, None, || 2)), (vec![2], 4));
    }

    #[test]
    fn the_sender_pauses_before_a_batch_that_would_not_be_full() {
        let mut queue = queue(&[MAX_BATCH - 10, 20, 30]);
        assert!(!queue.pauses(0), "a batch is full");
        sent(queue.step(0, None, || 1));
        queue.sent(1, true, 0);
        assert!(queue.pauses(5_000) && !queue.becomes_sender(7_999), "the sender goes on");
        sent(queue.step(6_000, None, || 2));
        queue.sent(2, true, 6_000);
        assert!(!queue.pauses(6_000), "nothing waits");
    }

    #[test]
    fn lines_that_did_not_arrive_are_counted() {
        let mut queue = queue(&[10, 10]);
        for _ in 0..2 {
            sent(queue.step(0, None, || 1));
            queue.sent(1, false, 0);
        }
        queue.push(line(9, 10), false);
        assert_eq!(queue.take_along(), LogLines { records: vec![line(9, 10)], lost: 2 });
    }
}

//! What an isolate exports: one queue for each signal, and the requests that send them. A value; its owner
//! has the clock, and sends.

use super::body::{Body, Resource, encode_log_record, encode_span, signal_body};
use super::log_record::LogRecord;
use super::queue::{DropReason, Dropped, ExportQueue, QueueLimits, QueueStep};
use super::response::SendResult;
use super::signal::Signal;
use super::span::Span;
use crate::config::{Millis, OtlpFormat};

/// The bounds of each queue. What waits is at most 2 MiB, and a batch under way 512 KiB more.
const LIMITS: QueueLimits = QueueLimits {
    max_waiting: 4_096,
    max_waiting_bytes: 2 << 20,
    max_batch: 512,
    max_batch_bytes: 512 << 10,
    delay: 1_000,
    max_tries: 5,
};

/// What an isolate exports.
#[derive(Debug)]
pub struct Exporter {
    format: OtlpFormat,
    resource: Resource,
    traces: SignalQueue,
    logs: SignalQueue,
}

/// The queue of one signal. Its items are encoded, so that its bound counts what they take.
#[derive(Debug)]
struct SignalQueue {
    signal: Signal,
    queue: ExportQueue<Vec<u8>>,
    /// What has been dropped and told.
    told: Dropped,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum ExporterStep {
    /// Nothing, until something comes.
    Idle,
    /// Ask again at this time.
    Wait(Millis),
    /// Send this body, and report what came of it by [`Exporter::sent`].
    Send(Signal, Body),
}

/// Items of one signal that were dropped for one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignalDrops {
    /// The signal.
    pub signal: Signal,
    /// Why.
    pub reason: DropReason,
    /// How many.
    pub count: u64,
}

impl SignalQueue {
    fn new(signal: Signal) -> Self {
        Self { signal, queue: ExportQueue::new(LIMITS), told: Dropped::default() }
    }
}

impl Exporter {
    /// An exporter with nothing to send.
    pub fn new(format: OtlpFormat, resource: Resource) -> Self {
        let (traces, logs) = (SignalQueue::new(Signal::Traces), SignalQueue::new(Signal::Logs));
        Self { format, resource, traces, logs }
    }

    fn of(&mut self, signal: Signal) -> &mut ExportQueue<Vec<u8>> {
        match signal {
            Signal::Traces => &mut self.traces.queue,
            Signal::Logs => &mut self.logs.queue,
        }
    }

    /// Adds a span.
    pub fn add_span(&mut self, span: &Span, now: Millis) {
        let item = encode_span(self.format, span);
        self.add(Signal::Traces, item, now);
    }

    /// Adds a log record.
    pub fn add_log_record(&mut self, record: &LogRecord, now: Millis) {
        let item = encode_log_record(self.format, record);
        self.add(Signal::Logs, item, now);
    }

    fn add(&mut self, signal: Signal, item: Vec<u8>, now: Millis) {
        let bytes = item.len().saturating_add(size_of::<Vec<u8>>());
        self.of(signal).push(item, bytes, now);
    }

    /// What to do at `now`.
    pub fn step(&mut self, now: Millis) -> ExporterStep {
        let mut until = None;
        for SignalQueue { signal, queue, .. } in [&mut self.traces, &mut self.logs] {
            match queue.step(now) {
                QueueStep::Idle => {}
                QueueStep::Wait(time) => until = Some(until.map_or(time, |other: Millis| other.min(time))),
                QueueStep::Send(items) => {
                    return ExporterStep::Send(*signal, signal_body(self.format, &self.resource, *signal, items));
                }
            }
        }
        until.map_or(ExporterStep::Idle, ExporterStep::Wait)
    }

    /// When the next step is due; `None` if nothing waits.
    pub fn due(&mut self, now: Millis) -> Option<Millis> {
        let Self { traces, logs, .. } = self;
        [traces.queue.due(now), logs.queue.due(now)].into_iter().flatten().min()
    }

    /// What came of the batch of a signal that was sent; `jitter` as of [`ExportQueue::sent`].
    pub fn sent(&mut self, signal: Signal, result: &SendResult, now: Millis, jitter: u64) {
        self.of(signal).sent(result, now, jitter);
    }

    /// Batches were sent by a request that was cut off, so nobody will report what came of them.
    pub fn abandon(&mut self, now: Millis) {
        for own in [&mut self.traces, &mut self.logs].into_iter().filter(|own| own.queue.is_under_way()) {
            own.queue.sent(&SendResult::Again { wait: None }, now, 0);
        }
    }

    /// What was dropped since the last call.
    pub fn take_drops(&mut self) -> Vec<SignalDrops> {
        let mut drops = Vec::new();
        for SignalQueue { signal, queue, told } in [&mut self.traces, &mut self.logs] {
            let dropped = *queue.dropped();
            drops.extend(DropReason::ALL.into_iter().filter_map(|reason| {
                let count = dropped.by(reason).saturating_sub(told.by(reason));
                (count > 0).then_some(SignalDrops { signal: *signal, reason, count })
            }));
            *told = dropped;
        }
        drops
    }

    /// How many items are held.
    pub fn held(&self) -> usize {
        self.traces.queue.held() + self.logs.queue.held()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LogLevel;

    fn exporter() -> Exporter {
        Exporter::new(OtlpFormat::Json, Resource::of_isolate("gateway", "a"))
    }

    fn record(body: &str) -> LogRecord {
        LogRecord { at: 1, level: LogLevel::Info, event: "request_start", body: body.to_owned(), span: None }
    }

    #[test]
    fn records_are_sent_together_with_the_resource() {
        let mut exporter = exporter();
        exporter.add_log_record(&record("one"), 1_000);
        exporter.add_log_record(&record("two"), 1_500);
        assert_eq!(exporter.step(1_500), ExporterStep::Wait(2_000));
        let ExporterStep::Send(Signal::Logs, body) = exporter.step(2_000) else { panic!("nothing is sent") };
        let text = String::from_utf8(body.bytes).unwrap();
        for part in ["service.name", "gateway", "service.version", "service.instance.id", "one", "two"] {
            assert!(text.contains(part), "{part}");
        }
        assert_eq!(exporter.step(2_000), ExporterStep::Idle);
        exporter.sent(Signal::Logs, &SendResult::Taken { rejected: 0, message: String::new() }, 2_001, 0);
        assert_eq!((exporter.held(), exporter.take_drops()), (0, Vec::new()));
    }

    #[test]
    fn a_sink_that_takes_nothing_cannot_make_it_hold_more_than_its_bound() {
        let mut exporter = exporter();
        let long = "x".repeat(10_000);
        for now in 0..2_000 {
            exporter.add_log_record(&record(&long), now);
        }
        assert!(exporter.held() < (LIMITS.max_waiting_bytes / 10_000) + 1);
        let held = exporter.held() as u64;
        let full = SignalDrops { signal: Signal::Logs, reason: DropReason::Full, count: 2_000 - held };
        assert_eq!(exporter.take_drops(), [full]);
        assert_eq!(exporter.take_drops(), [], "each is told once");
    }

    #[test]
    fn a_batch_whose_sender_was_cut_off_is_sent_again() {
        let mut exporter = exporter();
        exporter.add_log_record(&record("one"), 0);
        let ExporterStep::Send(..) = exporter.step(1_000) else { panic!("nothing is sent") };
        exporter.abandon(9_000);
        let ExporterStep::Wait(until) = exporter.step(9_000) else { panic!("it does not wait") };
        assert!(matches!(exporter.step(until), ExporterStep::Send(Signal::Logs, _)));
    }
}

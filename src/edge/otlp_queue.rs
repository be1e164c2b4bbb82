//! What this isolate exports to OpenTelemetry, until it has been sent.

use std::cell::RefCell;

use super::clock::now;
use super::js;
use super::otlp_request::OtlpRequest;
use crate::config::{Millis, Otlp};
use crate::telemetry::otlp::{
    DropReason, Exporter, ExporterStep, LogRecord, Resource, SendResult, Signal, SignalDrops, Span,
};

/// The shortest time between two reports of drops in the log.
const LOG_INTERVAL: Millis = 60_000;
/// If a request that was to send has not done so within this time after what it waited for was due, it was
/// cut off, and another takes over.
const SENDER_TIMEOUT: Millis = 3_000;

thread_local! {
    /// Holds values only, never anything that belongs to a request. `None` if nothing is exported.
    static QUEUE: RefCell<Option<Queue>> = const { RefCell::new(None) };
}

struct Queue {
    settings: Otlp,
    exporter: Exporter,
    target: Target,
    /// Until this time, some request is going to send.
    sender_until: Millis,
    /// What was dropped and is not counted yet.
    uncounted: Vec<(SignalDrops, BatchFailure)>,
    /// What was dropped and is not logged yet, and why.
    unlogged: Vec<(SignalDrops, BatchFailure)>,
    /// From this time on, drops are logged.
    log_from: Millis,
}

/// Where an isolate exports to.
#[derive(Clone)]
struct Target {
    traces_url: String,
    logs_url: String,
    /// They are secrets.
    headers: Vec<(String, String)>,
}

/// What the back end said of a batch that it did not take, or not all of.
#[derive(Clone, Default)]
pub(super) struct BatchFailure {
    /// The status; `None` if it did not respond.
    pub(super) status: Option<u16>,
    /// Its message, without secrets.
    pub(super) message: Option<String>,
}

/// A request to the back end, and what it is about.
pub(super) struct ExportRequest {
    pub(super) signal: Signal,
    pub(super) request: OtlpRequest,
}

/// What to do next.
pub(super) enum QueueStep {
    /// Nothing.
    Idle,
    /// Ask again after this time.
    Wait(Millis),
    /// Send this, and report what came of it by [`sent`].
    Send(ExportRequest),
}

/// Sets where this isolate exports to, if anywhere. What waits for the same back end goes on waiting.
pub(super) fn configure(otlp: Option<(&Otlp, &[(String, String)])>) {
    let Some((otlp, headers)) = otlp else { return QUEUE.set(None) };
    let is_same = |queue: &Queue| queue.settings == *otlp && queue.target.headers == headers;
    if QUEUE.with_borrow(|queue| queue.as_ref().is_some_and(is_same)) {
        return;
    }
    let instance: String = js::random().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let url = |signal: Signal| otlp.endpoint.join(signal.path());
    let target = Target { traces_url: url(Signal::Traces), logs_url: url(Signal::Logs), headers: headers.to_owned() };
    let exporter = Exporter::new(otlp.format, Resource::of_isolate(&otlp.service_name, &instance));
    let (uncounted, unlogged) = (Vec::new(), Vec::new());
    let settings = otlp.clone();
    QUEUE.set(Some(Queue { settings, exporter, target, sender_until: 0, uncounted, unlogged, log_from: 0 }));
}

/// Adds spans.
pub(super) fn push_spans(spans: &[Span]) {
    with(|queue| spans.iter().for_each(|span| queue.exporter.add_span(span, now())));
}

/// Adds a log record. It is sent when a request of this isolate next logs something.
pub(super) fn push_log_record(record: &LogRecord) {
    with(|queue| queue.exporter.add_log_record(record, now()));
}

/// Whether the caller is to send, because something has to be sent within `time` and no other request is
/// about to.
pub(super) fn becomes_sender(time: Millis) -> bool {
    let becomes_sender = |queue: &mut Queue| {
        let now = now();
        if queue.sender_until > now {
            return false;
        }
        queue.exporter.abandon(now);
        let is_due = queue.exporter.due(now).is_some_and(|due| due <= now.saturating_add(time));
        if is_due {
            queue.sender_until = now.saturating_add(SENDER_TIMEOUT);
        }
        is_due
    };
    with(becomes_sender).unwrap_or_default()
}

/// What the sender does next. `timeout`: how long a request takes at most.
pub(super) fn step(timeout: Millis) -> QueueStep {
    let step = |queue: &mut Queue| {
        let now = now();
        match queue.exporter.step(now) {
            ExporterStep::Idle => QueueStep::Idle,
            ExporterStep::Wait(until) => {
                queue.sender_until = until.saturating_add(SENDER_TIMEOUT);
                QueueStep::Wait(until.saturating_sub(now))
            }
            ExporterStep::Send(signal, body) => {
                queue.sender_until = now.saturating_add(timeout).saturating_add(SENDER_TIMEOUT);
                let Target { traces_url, logs_url, headers } = queue.target.clone();
                let url = if signal == Signal::Traces { traces_url } else { logs_url };
                QueueStep::Send(ExportRequest { signal, request: OtlpRequest { url, headers, body } })
            }
        }
    };
    with(step).unwrap_or(QueueStep::Idle)
}

/// What came of a request. `status`: of the response, if there was one.
pub(super) fn sent(signal: Signal, result: &SendResult, status: Option<u16>) {
    let jitter = js::random().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    with(|queue| {
        let message = match result {
            SendResult::Taken { message, .. } if !message.is_empty() => Some(queue.target.redact(message)),
            _ => None,
        };
        queue.exporter.sent(signal, result, now(), jitter);
        queue.collect_drops(&BatchFailure { status, message });
    });
}

/// What was dropped.
#[derive(Default)]
pub(super) struct DropReport {
    /// Since the last report.
    pub(super) new: Vec<(SignalDrops, BatchFailure)>,
    /// What is to be logged: since the last time, at most once a minute.
    pub(super) logged: Vec<(SignalDrops, BatchFailure)>,
}

/// The sender stops. Returns what is to be counted and logged.
pub(super) fn stop() -> DropReport {
    let stop = |queue: &mut Queue| {
        queue.sender_until = 0;
        queue.collect_drops(&BatchFailure::default());
        let is_logged = !queue.unlogged.is_empty() && now() >= queue.log_from;
        if is_logged {
            queue.log_from = now().saturating_add(LOG_INTERVAL);
        }
        let logged = if is_logged { std::mem::take(&mut queue.unlogged) } else { Vec::new() };
        DropReport { new: std::mem::take(&mut queue.uncounted), logged }
    };
    with(stop).unwrap_or_default()
}

impl Queue {
    /// Notes what was dropped since the last time. `failure`: of the batch that has ended, if one has.
    fn collect_drops(&mut self, failure: &BatchFailure) {
        for drops in self.exporter.take_drops() {
            // A full queue is no failure of that batch.
            let failure = if drops.reason == DropReason::Full { BatchFailure::default() } else { failure.clone() };
            add(&mut self.uncounted, drops, BatchFailure::default());
            add(&mut self.unlogged, drops, failure);
        }
    }
}

/// Adds drops to those of the same signal and reason.
fn add(all: &mut Vec<(SignalDrops, BatchFailure)>, more: SignalDrops, failure: BatchFailure) {
    match all.iter_mut().find(|(drops, _)| drops.signal == more.signal && drops.reason == more.reason) {
        Some((drops, last)) => (drops.count, *last) = (drops.count.saturating_add(more.count), failure),
        None => all.push((more, failure)),
    }
}

fn with<T>(act: impl FnOnce(&mut Queue) -> T) -> Option<T> {
    QUEUE.with_borrow_mut(|queue| queue.as_mut().map(act))
}

impl Target {
    /// A message of the back end, without the values of headers that it may have repeated.
    fn redact(&self, message: &str) -> String {
        let words = self.headers.iter().flat_map(|(_, value)| value.split(' ')).filter(|word| word.len() > 3);
        words.fold(message.to_owned(), |message, word| message.replace(word, "[redacted]"))
    }
}

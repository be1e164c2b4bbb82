//! What waits to be reported to the operations object, and its sending in batches.

use std::cell::{OnceCell, RefCell};
use std::time::Duration;

use worker::{Delay, Env};

use super::clock::now;
use super::context::Edge;
use super::isolate::bridge;
use super::js;
use super::objects::call;
use crate::alerts::Observation;
use crate::config::Millis;
use crate::gateway::platform::{ObjectAddress, OperationsPart};
use crate::operations::{Batch, Recorded};
use crate::telemetry::RequestSummary;
use crate::telemetry::metrics::{Family, Registry, SeriesRow, SeriesValue};

/// How long a report waits for others of the same batch. It is lost if the process ends meanwhile.
const BATCH_DELAY: Duration = Duration::from_secs(1);
/// The pause before a batch is sent for the second and last time.
const RETRY_DELAY: Duration = Duration::from_secs(1);
/// If a request that was to send the queue has not done so after this time, it was cut off, and another takes
/// over.
const SENDER_TIMEOUT: Millis = 3_000;
/// How many requests and observations wait at most: about 2 MB.
const MAX_WAITING: usize = 4_000;
/// How many of them a batch has at most. A row of the object has at most 2 MB, and a summary less than 8 KB.
const MAX_BATCH: usize = 250;
/// How many samples of counters wait at most. Beyond that, names are counted together.
const MAX_SAMPLES: usize = 300;
/// How long counters wait for a report that takes them along, if they may cost a call of their own.
const SERIES_DELAY: Millis = 60_000;

thread_local! {
    /// Holds values only, never anything that belongs to a request.
    static QUEUE: RefCell<Queue> = RefCell::default();
    /// The id of this isolate.
    static ISOLATE: OnceCell<u64> = const { OnceCell::new() };
}

struct Queue {
    summaries: Vec<RequestSummary>,
    observations: Vec<Observation>,
    lost: u64,
    /// What was counted since the last batch.
    series: Registry,
    /// When the last batch was made.
    sent_at: Millis,
    /// Whether a batch is made even if it has counters only.
    series_are_due: bool,
    /// Until this time, some request is going to send the queue.
    sender_until: Millis,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            summaries: Vec::new(),
            observations: Vec::new(),
            lost: 0,
            series: Registry::with_cap(MAX_SAMPLES),
            sent_at: 0,
            series_are_due: false,
            sender_until: 0,
        }
    }
}

impl Queue {
    fn becomes_sender(&mut self, now: Millis) -> bool {
        let becomes_sender = self.sender_until <= now;
        if becomes_sender {
            self.sender_until = now.saturating_add(SENDER_TIMEOUT);
        }
        becomes_sender
    }

    /// The next batch, with the gauges of this isolate; `None` if nothing waits that has to be sent.
    fn take(&mut self, now: Millis, gauges: impl FnOnce() -> Vec<SeriesRow>) -> Option<Batch> {
        let is_due = std::mem::take(&mut self.series_are_due);
        if self.summaries.is_empty() && self.observations.is_empty() && !is_due {
            self.sender_until = 0;
            return None;
        }
        self.sent_at = now;
        let mut series = std::mem::replace(&mut self.series, Registry::with_cap(MAX_SAMPLES)).rows();
        series.extend(gauges());
        let summaries = self.summaries.drain(..self.summaries.len().min(MAX_BATCH)).collect();
        let observations = self.observations.drain(..self.observations.len().min(MAX_BATCH)).collect();
        let lost = std::mem::take(&mut self.lost);
        Some(Batch { id: random_id(), isolate: isolate(), summaries, observations, series, lost })
    }

    /// Counts what was lost with a batch that did not arrive. Its counters wait for the next one.
    fn take_back(&mut self, batch: &Batch) {
        self.lost = self.lost.saturating_add(batch.lost).saturating_add(batch.summaries.len() as u64);
        let is_sum = |row: &&SeriesRow| !matches!(row.value, SeriesValue::Gauge { .. });
        let sums: Vec<SeriesRow> = batch.series.iter().filter(is_sum).cloned().collect();
        self.series.merge(&sums);
    }
}

/// Reports a request that has ended.
pub(super) fn report(edge: &Edge, summary: RequestSummary) {
    QUEUE.with_borrow_mut(|queue| {
        if queue.summaries.len() < MAX_WAITING {
            queue.summaries.push(summary);
        } else {
            queue.lost = queue.lost.saturating_add(1);
        }
    });
    send_soon(edge);
}

/// Reports what an alert may be about.
pub(super) fn observe(edge: &Edge, observation: Observation) {
    QUEUE.with_borrow_mut(|queue| {
        if queue.observations.len() < MAX_WAITING {
            queue.observations.push(observation);
        }
    });
    send_soon(edge);
}

/// Adds to a counter of this isolate.
pub(super) fn measure(family: &'static Family, labels: &[&str], amount: u64) {
    QUEUE.with_borrow_mut(|queue| queue.series.observe(family, labels, amount));
}

/// Sends the counters, if there was no batch for a while.
pub(super) fn report_measured(edge: &Edge) {
    let is_due = QUEUE.with_borrow_mut(|queue| {
        queue.series_are_due |= queue.sent_at.saturating_add(SERIES_DELAY) <= now();
        queue.series_are_due
    });
    if is_due {
        send_soon(edge);
    }
}

/// Sends what waits shortly, in the background, unless another request is about to.
fn send_soon(edge: &Edge) {
    if !QUEUE.with_borrow_mut(|queue| queue.becomes_sender(now())) {
        return;
    }
    let env = edge.env();
    edge.wait_until(async move {
        Delay::from(BATCH_DELAY).await;
        let gauges = || bridge(&env).map_or_else(|_| Vec::new(), |bridge| bridge.gauges(now()));
        while let Some(batch) = QUEUE.with_borrow_mut(|queue| queue.take(now(), gauges)) {
            if !deliver(&env, &batch).await {
                QUEUE.with_borrow_mut(|queue| queue.take_back(&batch));
            }
        }
    });
}

/// Sends a batch, twice if necessary. Returns whether it has arrived.
async fn deliver(env: &Env, batch: &Batch) -> bool {
    let Ok(batch) = serde_json::to_string(batch) else { return false };
    if arrives(env, batch.clone()).await {
        return true;
    }
    Delay::from(RETRY_DELAY).await;
    arrives(env, batch).await
}

async fn arrives(env: &Env, batch: String) -> bool {
    let response = call::ask(env, ObjectAddress::Operations(OperationsPart::Record), batch).await;
    response.is_ok_and(|text| serde_json::from_str::<Recorded>(&text).is_ok())
}

fn isolate() -> u64 {
    ISOLATE.with(|id| *id.get_or_init(random_id))
}

/// The id of a batch.
pub(super) fn random_id() -> u64 {
    js::random().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

//! What waits to be reported to the operations object, and its sending in batches.

use std::cell::RefCell;
use std::time::Duration;

use worker::{Delay, Env};

use super::clock::now;
use super::context::Edge;
use super::js;
use super::objects::call;
use crate::alerts::Observation;
use crate::config::Millis;
use crate::gateway::platform::{ObjectAddress, OperationsPart};
use crate::operations::{Batch, Recorded};
use crate::telemetry::RequestSummary;
use crate::telemetry::metrics::{Family, Registry};

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

thread_local! {
    /// Holds values only, never anything that belongs to a request.
    static QUEUE: RefCell<Queue> = RefCell::default();
}

#[derive(Default)]
struct Queue {
    summaries: Vec<RequestSummary>,
    observations: Vec<Observation>,
    /// What was counted since the last batch.
    series: Registry,
    lost: u64,
    /// Until this time, some request is going to send the queue.
    sender_until: Millis,
}

impl Queue {
    fn becomes_sender(&mut self, now: Millis) -> bool {
        let becomes_sender = self.sender_until <= now;
        if becomes_sender {
            self.sender_until = now.saturating_add(SENDER_TIMEOUT);
        }
        becomes_sender
    }

    /// The next batch; `None` if nothing waits.
    fn take(&mut self) -> Option<Batch> {
        if self.summaries.is_empty() && self.observations.is_empty() {
            self.sender_until = 0;
            return None;
        }
        let summaries = self.summaries.drain(..self.summaries.len().min(MAX_BATCH)).collect();
        let observations = self.observations.drain(..self.observations.len().min(MAX_BATCH)).collect();
        let lost = std::mem::take(&mut self.lost);
        let series = std::mem::take(&mut self.series).rows();
        Some(Batch { id: random_id(), summaries, observations, series, lost })
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

/// Adds to a counter of this isolate, which goes with the next batch.
pub(super) fn measure(family: &'static Family, labels: &[&str], amount: u64) {
    QUEUE.with_borrow_mut(|queue| queue.series.observe(family, labels, amount));
}

/// Sends what waits shortly, in the background, unless another request is about to.
fn send_soon(edge: &Edge) {
    if !QUEUE.with_borrow_mut(|queue| queue.becomes_sender(now())) {
        return;
    }
    let env = edge.env();
    edge.wait_until(async move {
        Delay::from(BATCH_DELAY).await;
        while let Some(batch) = QUEUE.with_borrow_mut(Queue::take) {
            let lost = batch.lost.saturating_add(batch.summaries.len() as u64);
            if !deliver(&env, &batch).await {
                QUEUE.with_borrow_mut(|queue| queue.lost = queue.lost.saturating_add(lost));
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

fn random_id() -> u64 {
    js::random().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

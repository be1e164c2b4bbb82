//! Sends what this isolate exports to OpenTelemetry, in the background of its requests.

use std::time::Duration;

use worker::Delay;

use super::clock::now;
use super::context::Edge;
use super::log::report;
use super::operations_queue;
use super::otlp_queue::{self, BatchFailure, DropReport, ExportRequest, QueueStep};
use super::otlp_request::{self, TIMEOUT};
use crate::config::Millis;
use crate::telemetry::metrics::EXPORT_DROPS;
use crate::telemetry::otlp::SignalDrops;
use crate::telemetry::{EventKind, ExportDropped};

/// How long a request of a client stays to send: the platform ends it 30 s after its response
/// (<https://developers.cloudflare.com/workers/runtime-apis/context/#waituntil>).
const LONGEST_STAY: Millis = 15_000;
/// How many export requests it makes at most: it has 50 on the free plan, for everything.
const MOST_SENT: u32 = 8;

/// Sends what waits, in the background, unless another request is about to.
pub(super) fn send_soon(edge: &Edge) {
    if otlp_queue::becomes_sender(LONGEST_STAY) {
        edge.wait_until(run());
    }
}

/// Sends until nothing is left, or its time is over. What is left then is sent by a later request.
async fn run() {
    let (began, mut sent) = (now(), 0);
    loop {
        let left = began.saturating_add(LONGEST_STAY).saturating_sub(now());
        match otlp_queue::step(TIMEOUT) {
            QueueStep::Wait(wait) if wait <= left => Delay::from(Duration::from_millis(wait)).await,
            QueueStep::Idle | QueueStep::Wait(_) => break,
            QueueStep::Send(ExportRequest { signal, request }) => {
                let (result, status) = otlp_request::send(request).await;
                otlp_queue::sent(signal, &result, status);
                sent += 1;
                if sent >= MOST_SENT || left == 0 {
                    break;
                }
            }
        }
    }
    let DropReport { new, logged } = otlp_queue::stop();
    for (SignalDrops { signal, reason, count }, _) in new {
        operations_queue::measure(&EXPORT_DROPS, &[signal.name(), reason.name()], count);
    }
    logged.iter().for_each(|(drops, failure)| log_drops(drops, failure));
}

fn log_drops(drops: &SignalDrops, failure: &BatchFailure) {
    let SignalDrops { signal, reason, count } = *drops;
    report(EventKind::ExportDropped(ExportDropped {
        signal: signal.name(),
        drops: count,
        reason: reason.name(),
        status: failure.status,
        error: failure.message.as_deref(),
    }));
}

//! Sends what this isolate reports to the operations object, in batches.

use std::cell::{Cell, OnceCell, RefCell};

use worker::Env;

use super::clock::now;
use super::context::Edge;
use super::delivery::{in_time, random_id};
use super::isolate::bridge;
use super::log_queue;
use super::log_sender;
use super::slots::Timer;
use crate::alerts::Observation;
use crate::config::Millis;
use crate::gateway::platform::{ObjectAddress, OperationsPart};
use crate::operations::{AfterSending, Batch, LineQueue, LiveEvent, RETRY_DELAY, Recorded, ReportQueue, Stamp};
use crate::telemetry::RequestSummary;
use crate::telemetry::log_file::LogLines;
use crate::telemetry::metrics::{Family, SeriesRow};

/// How long a report waits for others of the same batch. It is lost if the process ends meanwhile.
const BATCH_DELAY: Millis = 1_000;
/// How long it waits while somebody watches requests.
const LIVE_DELAY: Millis = 250;

thread_local! {
    /// Holds values only, never anything that belongs to a request.
    static QUEUE: RefCell<ReportQueue> = RefCell::default();
    /// The id of this isolate.
    static ISOLATE: OnceCell<u64> = const { OnceCell::new() };
    /// Until when somebody watches requests, as far as this isolate knows; 0 if nobody does.
    static WATCHED_UNTIL: Cell<Millis> = const { Cell::new(0) };
    /// The board of the operations object that they watch.
    static BOARD: Cell<u64> = const { Cell::new(0) };
}

/// Reports a request that has ended.
pub(super) fn report(edge: &Edge, summary: &RequestSummary) {
    QUEUE.with_borrow_mut(|queue| queue.report(summary));
    send_soon(edge);
}

/// Reports what an alert may be about.
pub(super) fn observe(edge: &Edge, observation: Observation) {
    QUEUE.with_borrow_mut(|queue| queue.observe(observation));
    send_soon(edge);
}

/// The board on which somebody watches requests; nothing if nobody does. This is called for every piece of a
/// stream, so the clock is read only while somebody may be watching.
pub(super) fn watched_board() -> Option<u64> {
    let until = WATCHED_UNTIL.get();
    (until > 0 && until > now()).then(|| BOARD.get())
}

/// Asks whether somebody watches requests, if that is due.
pub(super) fn look_for_watchers(edge: &Edge, now: Millis) {
    if QUEUE.with_borrow_mut(|queue| queue.live.look(now)) {
        send_after(edge, 0);
    }
}

/// Reports what has happened to a running request, for those who watch.
pub(super) fn report_live(edge: &Edge, event: LiveEvent) {
    QUEUE.with_borrow_mut(|queue| queue.live.add(event));
    send_after(edge, LIVE_DELAY);
}

/// Whether an admin has ended the request of this run. It is asked again and again by requests that are
/// watched, and so the operations object is.
pub(super) fn is_ending(edge: &Edge, run: &str) -> bool {
    let (is_ending, poll_is_due) =
        QUEUE.with_borrow(|queue| (queue.live.is_ending(run), queue.live.poll_is_due(now())));
    if poll_is_due {
        send_after(edge, 0);
    }
    is_ending
}

/// Adds to a counter of this isolate.
pub(super) fn measure(family: &'static Family, labels: &[&str], amount: u64) {
    QUEUE.with_borrow_mut(|queue| queue.measure(family, labels, amount));
}

/// Sends the counters, if there was no batch for a while.
pub(super) fn report_measured(edge: &Edge) {
    if QUEUE.with_borrow_mut(|queue| queue.series_become_due(now())) {
        send_soon(edge);
    }
}

/// Sends what waits shortly, in the background, unless another request is about to.
fn send_soon(edge: &Edge) {
    send_after(edge, gathering_time());
}

/// How long a report waits for others.
fn gathering_time() -> Millis {
    if watched_board().is_some() { LIVE_DELAY } else { BATCH_DELAY }
}

fn send_after(edge: &Edge, delay: Millis) {
    if !QUEUE.with_borrow_mut(|queue| queue.becomes_sender(now())) {
        return;
    }
    let env = edge.env();
    if bridge(&env).is_ok_and(|bridge| !bridge.reporting().enabled) {
        QUEUE.with_borrow_mut(ReportQueue::turn_off);
        return;
    }
    edge.wait_until(async move {
        Timer::new(delay).await;
        send(&env).await;
    });
}

/// Sends observations of an object at once, twice if necessary. Returns whether they have arrived.
pub(super) async fn send_observations(env: &Env, observations: Vec<Observation>) -> bool {
    let batch = Batch { id: random_id(), observations, ..Batch::default() };
    let Ok(batch) = serde_json::to_string(&batch) else { return false };
    if deliver(env, batch.clone()).await.is_some() {
        return true;
    }
    Timer::new(RETRY_DELAY).await;
    deliver(env, batch).await.is_some()
}

/// Sends batch after batch, until nothing waits or one is given up.
async fn send(env: &Env) {
    send_batches(env).await;
    let (lines, carries_lines) = QUEUE.with_borrow_mut(|queue| (queue.take_returned_lines(), queue.carries_lines()));
    log_queue::with(|queue| queue.set_alone(!carries_lines));
    if !lines.is_empty() {
        log_sender::send_returned(env, lines).await;
    }
}

async fn send_batches(env: &Env) {
    let lines = |takes_lines| if takes_lines { log_queue::with(LineQueue::take_along) } else { LogLines::default() };
    let stamp =
        |takes_lines| Stamp { id: random_id(), isolate: isolate(), gauges: gauges(env), lines: lines(takes_lines) };
    while let Some((id, batch)) = QUEUE.with_borrow_mut(|queue| queue.step(now(), stamp)) {
        let recorded = deliver(env, batch).await;
        let has_arrived = recorded.is_some();
        if let Some(recorded) = recorded {
            WATCHED_UNTIL.set(recorded.live_until);
            BOARD.set(recorded.board);
            QUEUE.with_borrow_mut(|queue| queue.live.learn(recorded, now()));
        }
        match QUEUE.with_borrow_mut(|queue| queue.sent(id, has_arrived, now())) {
            AfterSending::GoOn if QUEUE.with_borrow_mut(|queue| queue.pauses(now())) => {
                Timer::new(gathering_time()).await;
            }
            AfterSending::GoOn => {}
            AfterSending::Wait => Timer::new(RETRY_DELAY).await,
            AfterSending::GiveUp(()) | AfterSending::TakenOver => break,
        }
    }
}

fn gauges(env: &Env) -> Vec<SeriesRow> {
    bridge(env).map_or_else(|_| Vec::new(), |bridge| bridge.gauges(now()))
}

/// Sends a batch. Returns the response, if it has arrived.
async fn deliver(env: &Env, batch: String) -> Option<Recorded> {
    let response = in_time(env, ObjectAddress::Operations(OperationsPart::Record), batch).await?;
    serde_json::from_str(&response).ok()
}

fn isolate() -> u64 {
    ISOLATE.with(|id| *id.get_or_init(random_id))
}

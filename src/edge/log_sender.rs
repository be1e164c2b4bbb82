//! Sends lines of the log to the object that writes log files, in batches, unless reports take them along.

use std::time::Duration;

use worker::{Delay, Env};

use super::clock::now;
use super::context::Edge;
use super::delivery::{in_time, random_id};
use super::isolate::bridge;
use super::log_queue;
use crate::config::Millis;
use crate::gateway::platform::ObjectAddress;
use crate::operations::{AfterSending, LineStep, RETRY_DELAY};
use crate::telemetry::log_file::{LogLines, LogResponse};

/// How long lines wait for others of the same batch. They are lost if the process ends meanwhile.
const BATCH_DELAY: Duration = Duration::from_secs(1);

/// Sends the lines that wait shortly, in the background, unless another request is about to.
pub(super) fn send_soon(edge: &Edge) {
    if !log_queue::with(|queue| queue.becomes_sender(now())) {
        return;
    }
    let env = edge.env();
    edge.wait_until(async move {
        let since = bridge(&env).is_ok_and(|bridge| bridge.reporting().enabled).then(now);
        Delay::from(BATCH_DELAY).await;
        send(&env, since).await;
    });
}

/// Sends lines at once that went along with reports, and did not arrive.
pub(super) async fn send_returned(env: &Env, lines: LogLines) {
    let is_sender = log_queue::with(|queue| {
        queue.put_back(lines);
        queue.becomes_sender(now())
    });
    if is_sender {
        send(env, None).await;
    }
}

/// Sends batch after batch, until nothing waits or one is given up. `since`: since when reports may take the
/// lines along.
async fn send(env: &Env, mut since: Option<Millis>) {
    loop {
        match log_queue::with(|queue| queue.step(now(), since, random_id)) {
            LineStep::Stop => break,
            LineStep::Wait => Delay::from(BATCH_DELAY).await,
            LineStep::Send(id, batch) => {
                let response = in_time(env, ObjectAddress::LogFiles, batch).await;
                let has_arrived =
                    response.is_some_and(|text| matches!(serde_json::from_str(&text), Ok(LogResponse::Appended)));
                match log_queue::with(|queue| queue.sent(id, has_arrived, now())) {
                    AfterSending::GoOn => {
                        // What has come meanwhile waits for reports anew.
                        since = since.map(|_| now());
                        if log_queue::with(|queue| queue.pauses(now())) {
                            Delay::from(BATCH_DELAY).await;
                        }
                    }
                    AfterSending::Wait => Delay::from(Duration::from_millis(RETRY_DELAY)).await,
                    AfterSending::GiveUp(_) | AfterSending::TakenOver => break,
                }
            }
        }
    }
}

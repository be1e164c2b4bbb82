//! Sends lines of the log to the object that writes log files, in batches.

use std::time::Duration;

use worker::{Delay, Env};

use super::clock::now;
use super::context::Edge;
use super::log_queue;
use super::operations_queue::{in_time, random_id};
use crate::gateway::platform::ObjectAddress;
use crate::operations::{AfterSending, RETRY_DELAY};
use crate::telemetry::log_file::LogResponse;

/// How long lines wait for others of the same batch. They are lost if the process ends meanwhile.
const BATCH_DELAY: Duration = Duration::from_secs(1);

/// Sends the lines that wait shortly, in the background, unless another request is about to.
pub(super) fn send_soon(edge: &Edge) {
    if !log_queue::becomes_sender(now()) {
        return;
    }
    let env = edge.env();
    edge.wait_until(async move {
        Delay::from(BATCH_DELAY).await;
        send(&env).await;
    });
}

/// Sends batch after batch, until nothing waits or one is given up.
async fn send(env: &Env) {
    while let Some((id, batch)) = log_queue::step(now(), random_id) {
        let response = in_time(env, ObjectAddress::LogFiles, batch).await;
        let has_arrived = response.is_some_and(|text| matches!(serde_json::from_str(&text), Ok(LogResponse::Appended)));
        match log_queue::sent(id, has_arrived, now()) {
            AfterSending::GoOn => {}
            AfterSending::Wait => Delay::from(Duration::from_millis(RETRY_DELAY)).await,
            AfterSending::GiveUp(_) | AfterSending::TakenOver => break,
        }
    }
}

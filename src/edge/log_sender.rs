//! Sends lines of the log to the object that writes log files, in batches.

use std::time::Duration;

use worker::{Delay, Env};

use super::clock::now;
use super::context::Edge;
use super::js;
use super::log_queue::{self, WaitingLines};
use super::objects::call;
use crate::gateway::platform::ObjectAddress;
use crate::telemetry::log_file::{LogBatch, LogCommand, LogRecord, LogResponse};

/// How long lines wait for others of the same batch. They are lost if the process ends meanwhile.
const BATCH_DELAY: Duration = Duration::from_secs(1);
/// The maximum length of a batch in bytes.
const MAX_BATCH: usize = 1 << 20;
/// The pause before a batch is sent for the second and last time.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Sends the lines that wait shortly, in the background, unless another request is about to.
pub(super) fn send_soon(edge: &Edge) {
    if !log_queue::is_waiting() || !log_queue::becomes_sender(now()) {
        return;
    }
    let env = edge.env();
    edge.wait_until(async move {
        Delay::from(BATCH_DELAY).await;
        send(&env).await;
    });
}

async fn send(env: &Env) {
    let WaitingLines { records, mut lost } = log_queue::take();
    for records in batches(records) {
        let lines = records.len() as u64;
        let batch = LogBatch { id: random_id(), records, lost };
        // The loss is reported with the first batch that arrives.
        lost = if deliver(env, batch).await { 0 } else { lost.saturating_add(lines) };
    }
    if lost > 0 {
        log_queue::add_lost(lost);
    }
}

/// Divides lines into batches, in their order.
fn batches(records: Vec<LogRecord>) -> Vec<Vec<LogRecord>> {
    let mut batches = Vec::new();
    let (mut batch, mut batch_bytes) = (Vec::new(), 0_usize);
    for record in records {
        let bytes = record.line.len();
        if batch_bytes.saturating_add(bytes) > MAX_BATCH && !batch.is_empty() {
            batches.push(std::mem::take(&mut batch));
            batch_bytes = 0;
        }
        batch_bytes = batch_bytes.saturating_add(bytes);
        batch.push(record);
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    batches
}

fn random_id() -> u64 {
    js::random().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Sends a batch, twice if necessary. Returns whether it has arrived.
async fn deliver(env: &Env, batch: LogBatch) -> bool {
    let Ok(command) = serde_json::to_string(&LogCommand::Append(batch)) else { return false };
    if arrives(env, command.clone()).await {
        return true;
    }
    Delay::from(RETRY_DELAY).await;
    arrives(env, command).await
}

async fn arrives(env: &Env, command: String) -> bool {
    let response = call::ask(env, ObjectAddress::LogFiles, command).await;
    response.is_ok_and(|text| matches!(serde_json::from_str(&text), Ok(LogResponse::Appended)))
}

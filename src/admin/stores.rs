//! How full the stores are. Each object that exists once is asked; accounts are not, because there is one for
//! each key.

use serde::Serialize;

use super::json_response::json;
use super::report_store::{ask_store, unavailable};
use super::{logs, registry};
use crate::config::Reporting;
use crate::error::Result;
use crate::gateway::{Bridge, Platform, Response};
use crate::ledger::registry::{RegistryCommand, RegistryResponse};
use crate::reports::{ReportCommand, ReportResponse, StoreSizes};
use crate::telemetry::log_file::LogStatus;
use crate::wire::date::write_time;

#[derive(Serialize)]
struct StoreList {
    object: &'static str,
    data: Vec<StoreView>,
}

#[derive(Serialize)]
struct StoreView {
    store: &'static str,
    /// Of the object's database, and the most that the platform allows.
    bytes: u64,
    max_bytes: u64,
    #[serde(flatten)]
    contents: Contents,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Contents {
    Operations {
        recorded_requests: u64,
        oldest_request_at: Option<String>,
        oldest_sum_at: Option<String>,
        keep_requests_days: u64,
        keep_sums_days: u64,
    },
    KeyRegistry {},
    LogFiles {
        segments: u64,
        segments_bytes: u64,
        segments_max_bytes: u64,
        /// Of those whose lines are in the object; the others are in the bucket.
        segments_bytes_in_object: u64,
        has_bucket: bool,
        bucket_failures: u32,
    },
}

/// How full the stores are.
///
/// # Errors
/// 503 if one cannot be reached.
pub async fn list<P: Platform>(bridge: &Bridge, platform: &P) -> Result<Response<P>> {
    let ReportResponse::Size(sizes) = ask_store(platform, &ReportCommand::Size).await? else {
        return Err(unavailable());
    };
    let max_bytes = sizes.max_bytes;
    let view = |store, bytes, contents| StoreView { store, bytes, max_bytes, contents };
    let mut data = vec![view("operations", sizes.bytes, operations(&sizes, bridge.reporting()))];
    if let RegistryResponse::Size(bytes) = registry::send(platform, &RegistryCommand::Size).await? {
        data.push(view("key_registry", bytes, Contents::KeyRegistry {}));
    }
    if bridge.logging().file.is_some() {
        let (status, bytes) = logs::status(platform).await?;
        data.push(view("log_files", bytes, log_files(status)));
    }
    Ok(json(200, &StoreList { object: "list", data }))
}

fn operations(sizes: &StoreSizes, settings: &Reporting) -> Contents {
    Contents::Operations {
        recorded_requests: sizes.recorded_requests,
        oldest_request_at: sizes.oldest_request_at.map(write_time),
        oldest_sum_at: sizes.oldest_sum_at.map(write_time),
        keep_requests_days: settings.keep_requests_days,
        keep_sums_days: settings.keep_sums_days,
    }
}

fn log_files(status: LogStatus) -> Contents {
    Contents::LogFiles {
        segments: status.segments,
        segments_bytes: status.bytes,
        segments_max_bytes: status.capacity,
        segments_bytes_in_object: status.object_bytes,
        has_bucket: status.has_bucket,
        bucket_failures: status.bucket_failures,
    }
}

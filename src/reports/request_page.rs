//! Pages of a list of requests, newest first.

use serde::{Deserialize, Serialize};

use crate::telemetry::RequestSummary;

/// A request of a list. No conversation is stored with it, so that a list reads none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexedRequest {
    /// Its number: requests are counted as they are recorded.
    pub number: u64,
    /// The request.
    pub summary: RequestSummary,
}

/// Some requests of a list, newest first. Requests that are recorded later move no page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestPage {
    /// The requests.
    pub requests: Vec<IndexedRequest>,
    /// If there may be more: the next page has requests with lower numbers than this one.
    pub next: Option<u64>,
}

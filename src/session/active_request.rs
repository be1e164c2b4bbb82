//! A request in progress.

use super::client_frame::ClientRequestId;
use crate::wire::json::quote;
use crate::wire::sse;

/// A request in progress.
#[derive(Default)]
pub(super) struct ActiveRequest {
    pub number: u64,
    pub id: Option<ClientRequestId>,
    /// Its id in the gateway's log.
    pub request_id: String,
    pub reader: sse::SseReader,
    /// Its response has arrived completely.
    pub is_complete: bool,
    /// The client has been sent its last frame.
    pub is_reported: bool,
}

impl ActiveRequest {
    pub fn new(number: u64, id: Option<ClientRequestId>) -> Self {
        Self { number, id, ..Self::default() }
    }

    /// The member `request_id` of its last frame, after a comma.
    pub fn request_id_member(&self) -> String {
        format!(",\"request_id\":{}", quote(&self.request_id))
    }
}

//! The gateway's state of a running request.

use std::cell::{Cell, RefCell};

use super::lease::LeaseRenewal;

/// The gateway's state of a running request. The platform stores it and does not use it.
#[derive(Debug, Default)]
pub struct RequestState {
    /// The lease of a request with limits, until it is settled.
    pub(super) lease: RefCell<Option<LeaseRenewal>>,
    /// Whether something waits for the client to disconnect. If so, the request's time is limited once the
    /// client has disconnected.
    pub(super) watches_client: Cell<bool>,
}

//! What the gateway keeps with a request while it runs.

use std::cell::{Cell, RefCell};

use super::lease::LeaseRenewal;

/// What the gateway keeps with a request while it runs: the platform carries it, and does not look into it.
#[derive(Debug, Default)]
pub struct RequestState {
    /// The lease of a request with limits, until it is settled.
    pub(super) lease: RefCell<Option<LeaseRenewal>>,
    /// Something waits for the client to disconnect: from then on, the time of this request is limited.
    pub(super) watches_client: Cell<bool>,
}

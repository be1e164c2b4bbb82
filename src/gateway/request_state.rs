//! The gateway's state of a running request.

use std::cell::{Cell, OnceCell, RefCell};

use super::lease::LeaseRenewal;
use super::tracing::ActiveTrace;
use super::watched_request::WatchedRequest;
use crate::telemetry::otlp::TraceContext;

/// The gateway's state of a running request. The platform stores it and does not use it.
#[derive(Debug, Default)]
pub struct RequestState {
    /// The lease of a request with limits, until it is settled.
    pub(super) lease: RefCell<Option<LeaseRenewal>>,
    /// Whether something waits for the client to disconnect. If so, the request's time is limited once the
    /// client has disconnected.
    pub(super) watches_client: Cell<bool>,
    /// The trace of a call of a model, if anything is made of traces.
    pub(super) trace: OnceCell<Box<ActiveTrace>>,
    /// What watchers know of the request, or would, once it is admitted.
    pub(super) watched: OnceCell<Box<WatchedRequest>>,
}

impl RequestState {
    /// The request's span, to which its log events belong.
    pub fn span(&self) -> Option<TraceContext> {
        self.trace.get().map(|trace| trace.context())
    }
}

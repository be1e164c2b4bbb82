//! A running request that watchers know of.

use std::cell::Cell;

/// A running request that watchers know of.
#[derive(Debug)]
pub(super) struct WatchedRequest {
    /// As [`LiveRequest::run`](crate::operations::LiveRequest::run).
    pub(super) run: String,
    /// Watchers were told of its first content.
    pub(super) has_content: Cell<bool>,
}

impl WatchedRequest {
    /// A request without content yet.
    pub(super) fn new(run: String) -> Self {
        Self { run, has_content: Cell::new(false) }
    }
}

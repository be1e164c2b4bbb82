//! A running request, as watchers know it or would.

use std::cell::Cell;

use crate::operations::LiveRequest;

/// A running request, as watchers know it or would.
#[derive(Debug)]
pub(super) struct WatchedRequest {
    /// What they are told.
    pub(super) request: LiveRequest,
    /// The board on which it was last shown.
    pub(super) board: Cell<Option<u64>>,
    /// They were told of its first content.
    pub(super) has_content: Cell<bool>,
}

impl WatchedRequest {
    /// A request that nobody knows of yet.
    pub(super) fn new(request: LiveRequest) -> Self {
        Self { request, board: Cell::new(None), has_content: Cell::new(false) }
    }

    /// Whether watchers were told of it.
    pub(super) fn is_shown(&self) -> bool {
        self.board.get().is_some()
    }
}

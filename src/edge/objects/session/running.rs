//! A chat under way in a session.

use futures::channel::oneshot;
use web_sys::AbortController;

/// A request under way, and the ways to end it: its client leaves, and nobody waits any more for its answer to be read.
pub(super) struct Running {
    pub(super) number: u64,
    pub(super) client: AbortController,
    pub(super) reader: oneshot::Sender<()>,
}

impl Running {
    /// The client leaves first: what breaks then is no fault of the provider's.
    pub(super) fn end(self) {
        self.client.abort();
        let _ = self.reader.send(());
    }
}

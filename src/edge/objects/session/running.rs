//! A request of a session in progress, as the object can abort it.

use futures::channel::oneshot;
use web_sys::AbortController;

/// A request in progress.
pub(super) struct RunningRequest {
    pub(super) number: u64,
    /// Fires when the client has disconnected.
    pub(super) client: AbortController,
    /// Stops reading the response.
    pub(super) stop_reading: oneshot::Sender<()>,
}

impl RunningRequest {
    /// Aborts the request as a client disconnect. The signal fires first, so that what breaks afterwards does
    /// not count as the provider's failure.
    pub(super) fn abort(self) {
        self.client.abort();
        let _ = self.stop_reading.send(());
    }
}

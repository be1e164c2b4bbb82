//! Reads of a checked stream that take several events: when they may, and what is learned of the provider for
//! that.

use std::pin::pin;

use futures::future::{Either, select};

use super::events::{Forward, READ_GRACE};
use super::gather::Gather;
use crate::gateway::platform::Platform;
use crate::gateway::relay::StreamEnd;

impl<P: Platform> Forward<'_, P> {
    /// Lets reads of a checked stream take several events, if they may.
    pub(super) fn may_gather(&mut self, is_checked: bool) {
        let may = is_checked && self.relay.may_gather();
        self.gather = may.then(|| Gather::new(self.platform.now()));
    }

    /// Notes whether the body of a checked stream is over with its end marker, once for each provider.
    pub(super) async fn learn_closing(&mut self, is_checked: bool) {
        if !is_checked || !self.relay.summary().has_ended || !self.relay.wants_to_know_closing() {
            return;
        }
        let (next, grace) = (pin!(self.platform.next(&mut self.stream)), self.platform.timer(READ_GRACE));
        let closes = matches!(select(next, grace).await, Either::Left((Ok(None), _)));
        self.relay.note_closing(closes);
    }

    /// Writes what keeps the client waiting. The provider has been silent for long: if the read waits for
    /// several events, it may hold some that came meanwhile, so the reads of its later streams do not wait.
    pub(super) async fn keep_alive(&mut self) -> Result<(), StreamEnd> {
        if self.gather.as_ref().is_some_and(|gather| gather.least() > 1) {
            self.relay.note_closing(false);
        }
        let bytes = self.relay.keep_alive();
        self.write(&bytes).await
    }

    /// Sets how many bytes the next read waits for: none once the response is complete, because little
    /// follows.
    pub(super) fn gather(&mut self, bytes: &[u8]) {
        let Some(gather) = &mut self.gather else { return };
        let is_over = self.relay.summary().is_complete() || self.relay.summary().error.is_some();
        let least = if is_over { gather.stop() } else { gather.note(bytes, self.platform.now()) };
        if let Some(least) = least {
            self.platform.gather(&mut self.stream, least);
        }
    }
}

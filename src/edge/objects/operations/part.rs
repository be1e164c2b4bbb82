//! What the operations object consists of: parts with tables of their own.

use worker::Result;

use crate::config::Millis;
use crate::operations::Batch;

/// A part of the operations object. What a command or a batch makes parts write is stored together, or not at
/// all. After an error all parts are opened anew from what is stored.
pub(super) trait Part {
    /// Takes what is of concern to it from a batch.
    fn record(&mut self, batch: &Batch, now: Millis) -> Result<()>;

    /// Whether all parts are to be folded before this command, if that succeeds.
    fn needs_fold(&self, _command: &str) -> bool {
        false
    }

    /// Stores what makes this command cheaper. The command is handled even if that fails.
    fn prepare(&mut self, _command: &str, _now: Millis) -> Result<()> {
        Ok(())
    }

    /// Handles a command to it, as JSON. Returns the response, as JSON; that of metrics is their text.
    fn handle(&mut self, command: &str, now: Millis) -> Result<String>;

    /// Takes a batch again that was recorded before the object was opened, but not folded. What
    /// [`Part::record`] keeps in memory alone is made anew from it; what it has stored is stored already.
    /// `received`: when the batch came.
    fn replay(&mut self, _batch: &Batch, _received: Millis) -> Result<()> {
        Ok(())
    }

    /// Stores what it keeps in memory alone. All parts do so in one step, at most each 15 minutes if there
    /// are few requests. Batches before it are not replayed.
    fn fold(&mut self, _now: Millis) -> Result<()> {
        Ok(())
    }

    /// When it wants to be woken, in milliseconds since 1970.
    fn wake_at(&self) -> Option<Millis> {
        None
    }

    /// Deletes what is no longer to be kept. This does not depend on folding, which a full store refuses.
    fn expire(&mut self, _now: Millis) -> Result<()> {
        Ok(())
    }
}

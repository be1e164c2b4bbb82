//! What the operations object consists of: parts with tables of their own.

use worker::Result;

use crate::config::Millis;
use crate::operations::Batch;

/// A part of the operations object. Nothing awaits within its methods, so that what one of them writes is
/// stored together, or not at all. After an error all parts are opened anew from what is stored.
pub(super) trait Part {
    /// Takes what is of concern to it from a batch.
    fn record(&mut self, batch: &Batch, now: Millis) -> Result<()>;

    /// Handles a command to it, as JSON. Returns the response, as JSON.
    fn handle(&mut self, command: &str, now: Millis) -> Result<String>;

    /// When it wants to be woken, in milliseconds since 1970.
    fn wake_at(&self) -> Option<Millis> {
        None
    }

    /// Does what is due.
    fn tick(&mut self, _now: Millis) -> Result<()> {
        Ok(())
    }
}

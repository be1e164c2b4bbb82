//! All parts of the operations object.

use worker::{Result, State};

use super::part::Part;
use crate::config::Millis;
use crate::gateway::Opened;
use crate::operations::{Batch, Recorded};

/// The parts, opened.
pub(super) struct Parts {}

impl Parts {
    /// Opens all parts from what is stored.
    pub(super) fn open(_state: &State, _bridge: &Opened) -> Result<Self> {
        Ok(Self {})
    }

    /// The part of this name.
    pub(super) fn named(&mut self, name: &str) -> Option<&mut dyn Part> {
        self.all().into_iter().find(|(part, _)| *part == name).map(|(_, part)| part)
    }

    /// Gives a batch to all parts.
    pub(super) fn record(&mut self, batch: &Batch, now: Millis) -> Result<Recorded> {
        self.all().into_iter().try_for_each(|(_, part)| part.record(batch, now))?;
        Ok(Recorded::default())
    }

    /// Does what is due in all parts.
    pub(super) fn tick(&mut self, now: Millis) -> Result<()> {
        self.all().into_iter().try_for_each(|(_, part)| part.tick(now))
    }

    /// When the first part wants to be woken.
    pub(super) fn wake_at(&mut self) -> Option<Millis> {
        self.all().into_iter().filter_map(|(_, part)| part.wake_at()).min()
    }

    /// The parts by name, in the order in which they are given a batch.
    fn all(&mut self) -> Vec<(&'static str, &mut dyn Part)> {
        Vec::new()
    }
}

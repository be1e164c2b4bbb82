//! Whole responses, read and written, and what they share with streams.

pub(super) mod events;
mod input;
pub(super) mod item;
pub(super) mod queue;
mod read;
pub(super) mod state;
mod write;

pub(super) use events::read_usage;
pub(super) use read::read;
pub(super) use write::write;

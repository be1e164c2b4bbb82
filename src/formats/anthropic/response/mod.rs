//! Whole messages: read from providers, written for clients.

pub(super) mod blocks;
pub(super) mod events;
pub(super) mod message;
mod read;
mod write;

pub(super) use events::read_usage;
pub(super) use read::read;
pub(super) use write::write;

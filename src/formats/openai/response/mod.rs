//! Whole responses: read from providers, written for clients.

pub(super) mod calls;
pub(super) mod events;
pub(super) mod head;
mod read;
mod write;

pub(super) use read::read;
pub use write::write;

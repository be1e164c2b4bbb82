//! Responses for clients: their items, and whole responses.

pub(super) mod item;
pub(super) mod queue;
pub(super) mod state;
mod write;

pub(super) use write::write;

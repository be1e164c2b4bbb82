//! Whole answers.

pub(super) mod blocks;
pub(super) mod events;
pub(super) mod message;
mod read;
mod write;

pub(super) use read::read;
pub(super) use write::write;

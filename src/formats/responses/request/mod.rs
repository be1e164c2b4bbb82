//! A client's request: read into the canonical form, and what its response repeats of it.

mod content;
mod items;
mod read;
mod repeat;
mod sealed;
mod tools;

pub(super) use read::{carries_state, read};
pub(super) use repeat::{Repeated, repeat};
pub(super) use sealed::write_sealed;
pub(super) use tools::{CallKind, NamedTool};

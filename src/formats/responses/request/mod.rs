//! A request: read into the canonical form, what its response repeats of it; and written for a provider.

mod content;
mod items;
mod read;
mod repeat;
mod sealed;
mod stored;
mod tools;
mod write;
mod write_items;

pub(super) use read::{carries_state, read};
pub(super) use repeat::{Repeated, repeat};
pub(super) use sealed::{PLACEHOLDER_PREFIX, is_sealed_here, write_sealed};
pub(super) use stored::{is_reference, refuse_stored};
pub(super) use tools::{CallKind, NamedTool};
pub(super) use write::write;

//! Requests, written for providers.

mod contents;
mod path;
mod write;

pub(super) use path::{full_name, resource};
pub(super) use write::write;

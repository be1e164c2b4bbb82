//! Requests: read from clients, written for providers.

mod contents;
mod fields;
mod path;
mod read;
mod read_contents;
mod schema;
mod write;

pub(super) use path::{full_name, resource};
pub(super) use read::{read, read_counted, read_streamed};
pub(super) use read_contents::{is_stored, type_by_path};
pub(super) use write::write;

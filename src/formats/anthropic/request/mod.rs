//! Requests: read from clients, written for providers.

mod fields;
mod read;
mod read_messages;
mod schema;
mod write;
mod write_messages;

pub(super) use read::{read, read_prompt};
pub(super) use write::write;

//! Requests that are translated: read from clients, written for providers.

mod content;
mod read;
mod read_messages;
mod reasoning;
mod tools;
mod write;
mod write_messages;

pub(super) use read::read;
pub(super) use write::write;

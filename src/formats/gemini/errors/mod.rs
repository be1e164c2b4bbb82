//! Errors: of providers, read; for clients, written.

mod read;
mod write;

pub(super) use read::{invalid, read, read_in_success};
pub(super) use write::{write, write_event};

//! Streamed responses on their way to the client: reading from the provider, writing to the client, and the
//! time between.

mod events;
mod gather;
mod gathering;
mod long;
mod piped;
mod script;
mod write;

pub(super) use events::{Forward, Forwarded, Unfinished};
pub(super) use long::{ForwardedBody, forward_body};
pub(super) use script::write_script;
pub(super) use write::{persist, push, write_end, write_within};

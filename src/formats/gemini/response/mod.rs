//! Responses: of providers, read; for clients, written; whole or as chunks.

mod candidate;
mod events;
mod logprobs;
mod read;
mod state;
mod write;

pub(super) use candidate::PendingCall;
pub(super) use events::ResponseReader;
pub(super) use logprobs::restore as restore_logprobs;
pub(super) use read::read;
pub(super) use state::ResponseState;
pub(super) use write::write;

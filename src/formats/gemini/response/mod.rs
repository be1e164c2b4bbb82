//! Responses of providers, whole or as chunks.

mod events;
mod logprobs;
mod read;

pub(super) use events::ResponseReader;
pub(super) use read::read;

//! OpenAI's Responses API.
//! Source: the OpenAI API reference, "Responses", and what its clients act upon: the official SDKs, Codex.

mod assemble;
mod count;
mod errors;
mod format;
mod kept;
mod models;
mod operations;
mod request;
mod response;
mod rules;
mod stream;
mod wire;

pub use format::{CLIENT, KIND, PROVIDER};

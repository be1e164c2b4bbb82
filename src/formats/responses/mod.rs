//! OpenAI's Responses API, as clients speak it.
//! Source: the OpenAI API reference, "Responses", and what its clients act upon: the official SDKs, Codex.

mod errors;
mod format;
mod models;
mod operations;
mod request;
mod response;
mod rules;
mod stream;
mod wire;

pub use format::CLIENT;

//! OpenAI's Chat Completions, and everything that speaks it.
//! Source: the OpenAI API reference, "Chat" (<https://platform.openai.com/docs/api-reference/chat>), and
//! recorded traffic.

mod edit;
pub mod errors;
mod format;
pub mod inbound;
mod models;
pub mod operations;
pub mod outbound;
pub mod overhear;
mod request;
pub mod response;
pub mod stream;
mod wire;

pub use format::{CLIENT, KIND, PROVIDER};

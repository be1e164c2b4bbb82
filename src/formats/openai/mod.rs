//! OpenAI's Chat Completions, and everything that speaks it.
//! Source: the OpenAI API reference, "Chat" (<https://platform.openai.com/docs/api-reference/chat>), and
//! recorded traffic.

mod assemble;
mod call_numbers;
mod edit;
mod embed;
mod embedding_form;
pub mod errors;
mod format;
mod models;
pub mod operations;
pub mod passthrough;
mod repetition;
mod request;
pub mod response;
pub mod stream;
pub mod summary;
pub mod tap;
mod wire;

pub use format::{CLIENT, KIND, PROVIDER};

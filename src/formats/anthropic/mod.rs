//! Anthropic's Messages API, as providers and as clients speak it.
//! Source: the API reference (<https://docs.anthropic.com/en/api/messages>,
//! <https://docs.anthropic.com/en/api/errors>), and recorded traffic.

mod assemble;
mod count;
mod errors;
mod format;
mod models;
pub mod operations;
mod request;
mod response;
mod stream;
mod thinking;
mod wire;

pub use format::{CLIENT, KIND, PROVIDER};

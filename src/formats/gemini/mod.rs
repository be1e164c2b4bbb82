//! Google's Gemini API, as providers and as clients speak it: `generateContent` and `streamGenerateContent`.
//! Source: <https://ai.google.dev/api/generate-content>, and recorded traffic.

mod assemble;
mod count;
mod embed;
mod errors;
mod format;
mod models;
pub mod operations;
mod request;
mod response;
mod rules;
mod sealed;
mod stream;
mod thinking;
mod ties;
mod wire;

pub use format::{ARRAY_CLIENT, CLIENT, KIND, PROVIDER};

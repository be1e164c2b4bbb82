//! Google's Gemini API, as providers speak it: `generateContent` and `streamGenerateContent`.
//! Source: <https://ai.google.dev/api/generate-content>, and recorded traffic.

mod assemble;
mod count;
mod embed;
mod errors;
mod format;
mod request;
mod response;
mod stream;
mod thinking;
mod wire;

pub use format::{KIND, PROVIDER};

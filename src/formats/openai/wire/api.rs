//! Constants of the API.

/// The path of the chat endpoint below the API's root.
pub(crate) const ENDPOINT: &str = "/chat/completions";

/// The last event of every stream.
pub(crate) const DONE: &[u8] = b"data: [DONE]\n\n";

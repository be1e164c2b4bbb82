//! The JSON of the Gemini API: requests and responses.

pub(super) mod content;
pub(super) mod request;
pub(super) mod response;
pub(super) mod written;

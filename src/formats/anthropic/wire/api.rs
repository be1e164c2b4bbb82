//! Constants of the API.

/// The API version that is spoken (<https://docs.anthropic.com/en/api/versioning>).
pub(crate) const VERSION: &str = "2023-06-01";

/// Path of the endpoint below the API's root.
pub(crate) const ENDPOINT: &str = "/messages";

/// Prefix of the placeholder signatures that this gateway writes where a client expects one. They prove
/// nothing to the provider, and are removed before a request is sent to it.
pub(crate) const PLACEHOLDER_PREFIX: &str = "llm-bridge:";

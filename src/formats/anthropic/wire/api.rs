//! What is fixed of the API: its version, its paths, and what stands for a signature.

/// The version of the API that is spoken (<https://docs.anthropic.com/en/api/versioning>).
pub(crate) const VERSION: &str = "2023-06-01";

/// The path of the endpoint below the API's root.
pub(crate) const ENDPOINT: &str = "/messages";

/// A signature that begins so is this gateway's: it stands where a client wants one, and proves nothing to the provider.
pub(crate) const OURS: &str = "llm-bridge:";

//! The names of the API.

/// Path of the endpoint below the API's root.
pub(crate) const ENDPOINT: &str = "/responses";

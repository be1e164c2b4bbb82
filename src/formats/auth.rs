//! How a provider's key travels with a request.

/// Where a key is put. A new variant is handled by `gateway::credentials` alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthScheme {
    /// `authorization: Bearer KEY`.
    Bearer,
    /// A header of this name, in lower case, with the key alone.
    Header(&'static str),
    /// A parameter of this name in the URL's query.
    Query(&'static str),
}

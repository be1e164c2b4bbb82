//! How a provider's key travels with a request.

use crate::config::Millis;

/// How a provider's key travels with a request. `gateway::credentials` applies it to the finished request.
#[derive(Clone, Copy, Debug)]
pub enum AuthScheme {
    /// `authorization: Bearer KEY`.
    Bearer,
    /// A header of this name, in lower case, that holds the key alone.
    Header(&'static str),
    /// A parameter of this name in the URL's query.
    Query(&'static str),
    /// A signature of the request, made with the key.
    Sign(Signer),
}

/// Signs a finished request. Returns the headers to add, names in lower case.
pub type Signer = fn(&SignableRequest<'_>) -> Vec<(&'static str, String)>;

/// A finished `POST` request, and what it is signed with.
#[derive(Clone, Copy)]
pub struct SignableRequest<'r> {
    /// The URL.
    pub url: &'r str,
    /// The headers, names in lower case, without those of the signature.
    pub headers: &'r [(String, String)],
    /// The body.
    pub body: &'r [u8],
    /// The provider's key.
    pub key: &'r str,
    /// The time, in milliseconds since 1970.
    pub now: Millis,
}

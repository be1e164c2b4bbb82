//! How a provider's key travels with a request.

use crate::catalogue::Auth;
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

impl AuthScheme {
    /// The scheme of a row of the catalogue.
    pub fn of(row: &'static Auth) -> Self {
        match (row.header, row.query) {
            ("", name) => Self::Query(name),
            ("authorization", _) => Self::Bearer,
            (name, _) => Self::Header(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::{auth, host_at};

    #[test]
    fn a_host_may_take_the_key_elsewhere_than_its_format() {
        let scheme = |host: &str, path: &str| host_at(host, path).and_then(|host| host.auth).map(AuthScheme::of);
        for (host, path) in [("r.openai.azure.com", "/openai/v1"), ("proxy.example", "/openai/deployments/d")] {
            assert!(matches!(scheme(host, path), Some(AuthScheme::Header("api-key"))), "{host}");
        }
        assert!(scheme("api.openai.com", "/v1").is_none());
    }

    #[test]
    fn each_row_says_where_the_key_goes() {
        for row in auth() {
            assert_eq!(row.header.is_empty(), !row.query.is_empty(), "{}", row.name);
            let prefix = if matches!(AuthScheme::of(row), AuthScheme::Bearer) { "Bearer " } else { "" };
            assert_eq!(row.prefix, prefix, "{}", row.name);
        }
    }
}

//! How a provider's key travels with a request.

use crate::catalogue::{self, Auth, Host};
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
    /// The scheme of a provider: that of its row in the catalogue, or else the signer of its format.
    pub fn of(format: &str, signer: Option<Signer>, host: Option<&'static Host>) -> Self {
        let row = catalogue::auth_of(format, host).map(Self::of_row);
        row.or(signer.map(Self::Sign)).unwrap_or(Self::Bearer)
    }

    fn of_row(row: &'static Auth) -> Self {
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
    use crate::catalogue::{auth, host_at, host_named};
    use crate::formats::PROVIDER_FORMATS;

    #[test]
    fn a_host_may_take_the_key_elsewhere_than_its_format() {
        let scheme = |host: &str, path: &str| AuthScheme::of("openai", None, host_at(host, path));
        for (host, path) in [("r.openai.azure.com", "/openai/v1"), ("proxy.example", "/openai/deployments/d")] {
            assert!(matches!(scheme(host, path), AuthScheme::Header("api-key")), "{host}");
        }
        assert!(matches!(scheme("api.openai.com", "/v1"), AuthScheme::Bearer));
    }

    #[test]
    fn each_format_has_a_row_or_a_signer() {
        for format in PROVIDER_FORMATS {
            let row = catalogue::auth_of(format.kind.name, None);
            assert_ne!(row.is_some(), format.signer.is_some(), "{}", format.kind.name);
        }
        let scheme = |format: &str, host: Option<&str>| AuthScheme::of(format, None, host.and_then(host_named));
        assert!(matches!(scheme("anthropic", Some("anthropic")), AuthScheme::Header("x-api-key")));
        assert!(matches!(scheme("gemini", None), AuthScheme::Header("x-goog-api-key")));
        assert!(matches!(scheme("openai", Some("google")), AuthScheme::Bearer));
        assert!(matches!(scheme("someone's", None), AuthScheme::Bearer));
    }

    #[test]
    fn each_row_says_where_the_key_goes() {
        for row in auth() {
            assert_eq!(row.header.is_empty(), !row.query.is_empty(), "{}", row.name);
            let prefix = if matches!(AuthScheme::of_row(row), AuthScheme::Bearer) { "Bearer " } else { "" };
            assert_eq!(row.prefix, prefix, "{}", row.name);
        }
    }
}

//! A client's request, before and after its caller is known.

use super::admission::Caller;
use super::platform::Platform;
use crate::formats::ClientFormat;

/// A request, its body not read yet. Header names are in lower case.
pub struct Request<'r, P: Platform> {
    /// GET, POST …
    pub method: &'r str,
    /// The URL's path, still percent-encoded.
    pub path: &'r str,
    /// The URL's query, without `?`.
    pub query: &'r str,
    /// The URL's scheme: `http` or `https`.
    pub scheme: &'r str,
    /// The host name that was called, without port.
    pub hostname: &'r str,
    /// Looks up a header.
    pub header: &'r dyn Fn(&str) -> Option<String>,
    /// The body.
    pub body: P::Body,
    /// Who calls, where that is known already; the key must still be good, but is not asked for again.
    pub caller: Option<Caller>,
}

/// A request whose caller has shown a valid key.
pub struct AdmittedRequest<'r, P: Platform> {
    /// The request.
    pub request: Request<'r, P>,
    /// The client's format.
    pub client: &'static ClientFormat,
    /// The name in the path, decoded; empty if the path has none.
    pub path_name: &'r str,
    /// Who calls.
    pub caller: Caller,
    /// Headers that every response to this request has.
    pub common_headers: &'r [(&'static str, String)],
}

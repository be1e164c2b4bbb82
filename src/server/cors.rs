//! CORS headers (<https://fetch.spec.whatwg.org/#http-cors-protocol>).

use crate::config::Cors;
use crate::gateway::{Body, Platform, Response};

/// All headers. The wildcard is valid because credentials of the browser are never allowed.
const EXPOSED: &str = "*";

/// The CORS headers of a response to a request with this method. `header` reads the request.
///
/// Browsers look for them in responses to requests with an `Origin` only, and each header takes time. But a
/// cache may give a page the response to a `GET` or `HEAD` that had no origin, so those always have them.
pub fn headers(cors: &Cors, method: &str, header: &dyn Fn(&str) -> Option<String>) -> Vec<(&'static str, String)> {
    let may_be_cached = matches!(method, "GET" | "HEAD");
    // Every origin gets the same response: a request that may be cached need not be asked for its own.
    let own = if may_be_cached && *cors == Cors::Any { None } else { header("origin") };
    if own.is_none() && !may_be_cached {
        return Vec::new();
    }
    let origin = match cors {
        Cors::Any => "*".to_owned(),
        Cors::Only(allowed) => match own.filter(|origin| allowed.contains(origin)) {
            Some(origin) => origin,
            None => return vec![("vary", "Origin".to_owned())],
        },
    };
    let mut headers = vec![("access-control-expose-headers", EXPOSED.to_owned())];
    if origin != "*" {
        headers.push(("vary", "Origin".to_owned()));
    }
    headers.push(("access-control-allow-origin", origin));
    headers
}

/// The response to `OPTIONS`, which browsers send before other requests. `allow` lists the methods of the
/// path.
pub fn preflight<P: Platform>(allow: &str, header: &dyn Fn(&str) -> Option<String>) -> Response<P> {
    let requested = header("access-control-request-headers");
    let requested = requested.filter(|names| names.chars().all(|c| matches!(c, ' '..='~')));
    let headers = vec![
        ("allow", allow.to_owned()),
        ("access-control-allow-methods", allow.to_owned()),
        ("access-control-allow-headers", requested.unwrap_or_else(|| "authorization, content-type".to_owned())),
        ("access-control-max-age", "86400".to_owned()),
    ];
    Response { status: 204, headers, body: Body::Empty }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "https://app.example";

    /// The names of the headers of a response, and the origin that they allow.
    fn given(cors: &Cors, method: &str, origin: Option<&str>) -> (Vec<&'static str>, Option<String>) {
        let header = |name: &str| origin.filter(|_| name == "origin").map(str::to_owned);
        let headers = headers(cors, method, &header);
        let allowed = headers.iter().find(|(name, _)| *name == "access-control-allow-origin");
        let allowed = allowed.map(|(_, value)| value.clone());
        (headers.into_iter().map(|(name, _)| name).collect(), allowed)
    }

    #[test]
    fn a_request_without_an_origin_gets_none_unless_its_response_may_be_cached() {
        let only = Cors::Only(vec![PAGE.to_owned()]);
        for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "get"] {
            assert_eq!(given(&Cors::Any, method, None), (vec![], None), "{method}");
            assert_eq!(given(&only, method, None), (vec![], None), "{method}");
        }
        let every = vec!["access-control-expose-headers", "access-control-allow-origin"];
        for method in ["GET", "HEAD"] {
            assert_eq!(given(&Cors::Any, method, None), (every.clone(), Some("*".to_owned())), "{method}");
            assert_eq!(given(&only, method, None), (vec!["vary"], None), "{method}");
        }
    }

    #[test]
    fn a_request_with_an_origin_gets_them_whatever_its_method() {
        let only = Cors::Only(vec![PAGE.to_owned()]);
        for method in ["GET", "HEAD", "POST", "DELETE", "OPTIONS"] {
            for origin in [PAGE, "null", "https://evil.example", ""] {
                assert_eq!(given(&Cors::Any, method, Some(origin)).1.as_deref(), Some("*"), "{method} {origin}");
            }
            let named = vec!["access-control-expose-headers", "vary", "access-control-allow-origin"];
            assert_eq!(given(&only, method, Some(PAGE)), (named, Some(PAGE.to_owned())), "{method}");
            for origin in ["null", "https://evil.example", ""] {
                assert_eq!(given(&only, method, Some(origin)), (vec!["vary"], None), "{method} {origin}");
            }
        }
    }
}

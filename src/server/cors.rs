//! CORS headers (<https://fetch.spec.whatwg.org/#http-cors-protocol>).

use crate::config::Cors;
use crate::gateway::{Body, Platform, Response};

/// All headers. The wildcard is valid because credentials of the browser are never allowed.
const EXPOSED: &str = "*";

/// The CORS headers of a response. `header` reads the request.
pub fn headers(cors: &Cors, header: &dyn Fn(&str) -> Option<String>) -> Vec<(&'static str, String)> {
    let origin = match cors {
        Cors::Any => "*".to_owned(),
        Cors::Only(allowed) => match header("origin").filter(|origin| allowed.contains(origin)) {
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

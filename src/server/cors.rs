//! What browsers are told about pages of other origins (<https://fetch.spec.whatwg.org/#http-cors-protocol>).

use crate::config::Cors;
use crate::gateway::{Body, Platform, Response};

/// All headers may be read. No credentials of a browser's own are ever allowed, so that `*` stands for all.
const EXPOSED: &str = "*";

/// The headers of a response.
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

/// The answer to a browser that asks which methods it may use.
pub fn preflight<H: Platform>(allow: &str, header: &dyn Fn(&str) -> Option<String>) -> Response<H> {
    let asked = header("access-control-request-headers").filter(|asked| asked.chars().all(|c| matches!(c, ' '..='~')));
    let headers = vec![
        ("allow", allow.to_owned()),
        ("access-control-allow-methods", allow.to_owned()),
        ("access-control-allow-headers", asked.unwrap_or_else(|| "authorization, content-type".to_owned())),
        ("access-control-max-age", "86400".to_owned()),
    ];
    Response { status: 204, headers, body: Body::Empty }
}

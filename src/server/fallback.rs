//! The error in place of a response that the runtime could not make.

use super::request_id::REQUEST_ID;
use super::router;
use crate::error::Error;
use crate::gateway::{Platform, Response};

/// A 500 in the client's format, in place of a response with these `headers`. It keeps the request id and the
/// CORS headers among them.
pub fn internal_error<P: Platform>(
    path: &str,
    header: &dyn Fn(&str) -> Option<String>,
    headers: &[(&'static str, String)],
) -> Response<P> {
    let message =
        "The gateway could not make its response. Repeat the request. The log has the cause under the request's id.";
    let client = router::client_format(&router::as_meant(path), header);
    let id = headers.iter().find(|(name, _)| *name == REQUEST_ID).map(|(_, id)| id.as_str()).unwrap_or_default();
    let mut response = Response::error(&Error::gateway(500, "internal_error", message), client, id);
    let is_kept =
        |name: &str| name == REQUEST_ID || name == client.id_header || name == "vary" || name.starts_with("access-");
    response.headers.extend(headers.iter().filter(|(name, _)| is_kept(name)).cloned());
    response
}

//! Responses with a JSON body.

use serde::Serialize;

use crate::gateway::{Body, Platform, Response};

/// A response whose body is `body` as JSON.
pub fn json<P: Platform>(status: u16, body: &impl Serialize) -> Response<P> {
    Response::json(status, Body::Bytes(serde_json::to_vec(body).unwrap_or_default()))
}

//! A response, as the gateway means it: the runtime's own is made of it elsewhere.

use super::{Platform, StreamBody, UpgradeDecision};
use crate::error::Error;
use crate::formats::ClientFormat;

/// A response.
pub struct Response<H: Platform> {
    /// The HTTP status.
    pub status: u16,
    /// In the order in which they are to be sent.
    pub headers: Vec<(&'static str, String)>,
    /// What follows.
    pub body: Body<H>,
}

/// What follows the head of a response.
#[expect(clippy::large_enum_variant, reason = "it is taken apart at once; a box would be one allocation more")]
pub enum Body<H: Platform> {
    /// Nothing.
    Empty,
    /// Bytes of ours.
    Bytes(Vec<u8>),
    /// A provider's bytes, kept outside; and our copy of them.
    Buffer(H::Buffer, Vec<u8>),
    /// A stream, which is written once the response has been made.
    Stream(StreamBody<H>),
    /// None: the request becomes a connection.
    Socket(H::Body, UpgradeDecision),
}

impl<H: Platform> Response<H> {
    /// A response of JSON.
    pub fn json(status: u16, body: Body<H>) -> Self {
        Self { status, headers: vec![("content-type", "application/json".to_owned())], body }
    }

    pub(super) fn event_stream(body: Body<H>) -> Self {
        let headers = vec![
            ("content-type", "text/event-stream; charset=utf-8".to_owned()),
            ("cache-control", "no-cache".to_owned()),
            ("x-accel-buffering", "no".to_owned()),
        ];
        Self { status: 200, headers, body }
    }

    /// An error as a client's format writes it. `id`: the request's.
    pub fn error(error: &Error, client: &ClientFormat, id: &str) -> Self {
        let mut response = Self::json(error.status(), Body::Bytes((client.error)(error, id)));
        response.headers.extend(error.headers().iter().cloned());
        response
    }

    pub(super) fn is_stream(&self) -> bool {
        matches!(self.body, Body::Stream(_))
    }

    pub(super) fn text(&self) -> Option<&str> {
        match &self.body {
            Body::Bytes(bytes) | Body::Buffer(_, bytes) => std::str::from_utf8(bytes).ok(),
            Body::Empty | Body::Stream(_) | Body::Socket(..) => None,
        }
    }
}

impl<H: Platform> Body<H> {
    /// A provider's bytes, and where they are kept outside, if they are.
    pub(super) fn gathered(bytes: Vec<u8>, buffer: Option<H::Buffer>) -> Self {
        match buffer {
            Some(buffer) => Self::Buffer(buffer, bytes),
            None => Self::Bytes(bytes),
        }
    }
}

//! A whole response, as a value. The platform makes its own of it.

use super::platform::{Platform, event_stream_headers};
use super::upgrade::UpgradeDecision;
use crate::error::Error;
use crate::formats::{ClientFormat, Framing};

/// The response header that says that the gateway has estimated tokens, because the provider reports none.
pub(super) const ESTIMATED: &str = "x-llm-bridge-estimated";

/// A whole response.
pub struct Response<P: Platform> {
    /// The HTTP status.
    pub status: u16,
    /// In the order in which they are to be sent.
    pub headers: Vec<(&'static str, String)>,
    /// What follows.
    pub body: Body<P>,
}

/// What follows the head of a response.
pub enum Body<P: Platform> {
    /// Nothing.
    Empty,
    /// Bytes.
    Bytes(Vec<u8>),
    /// A provider's bytes where the platform keeps them, and a copy of them.
    Buffer(P::Buffer, Vec<u8>),
    /// None: the request becomes a WebSocket connection.
    Socket(P::Body, UpgradeDecision),
}

impl<P: Platform> Response<P> {
    /// A response of JSON.
    pub fn json(status: u16, body: Body<P>) -> Self {
        Self { status, headers: vec![("content-type", "application/json".to_owned())], body }
    }

    /// A stream of events that is complete already.
    pub(super) fn event_stream(framing: &Framing, body: Body<P>) -> Self {
        Self { status: 200, headers: event_stream_headers(framing), body }
    }

    /// An error as a client's format writes it. `id`: the request's.
    pub fn error(error: &Error, client: &ClientFormat, id: &str) -> Self {
        let mut response = Self::json(error.status(), Body::Bytes((client.error)(error, id)));
        response.headers.extend(error.headers().iter().cloned());
        response
    }

    pub(super) fn text(&self) -> Option<&str> {
        self.body.text()
    }
}

impl<P: Platform> Body<P> {
    /// Its text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Bytes(bytes) | Self::Buffer(_, bytes) => std::str::from_utf8(bytes).ok(),
            Self::Empty | Self::Socket(..) => None,
        }
    }

    /// A provider's bytes, and where the platform keeps them, if it does.
    pub(super) fn gathered(bytes: Vec<u8>, buffer: Option<P::Buffer>) -> Self {
        match buffer {
            Some(buffer) => Self::Buffer(buffer, bytes),
            None => Self::Bytes(bytes),
        }
    }
}

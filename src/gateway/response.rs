//! A response, as the gateway means it: the runtime's own is made of it elsewhere.

use super::{EchoScript, LongBodyRelay, Platform, REQUEST_ID, StreamRelay, UpgradeDecision, router};
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
pub enum Body<H: Platform> {
    /// Nothing.
    Empty,
    /// Bytes of ours.
    Bytes(Vec<u8>),
    /// A provider's bytes, kept outside; and our copy of them.
    Buffer(H::Buffer, Vec<u8>),
    /// A provider's stream, passed on untouched while the relay listens; and what was already read and heard of it.
    Overheard(H::Stream, Vec<u8>, StreamRelay),
    /// A long answer, passed on in pieces; and what was already read of it.
    Carried(H::Stream, Vec<u8>, LongBodyRelay),
    /// A stream of ours.
    Told(EchoScript, StreamRelay),
    /// None: the request becomes a connection.
    Socket(H::Body, UpgradeDecision),
}

/// The answer where the runtime could not make the one that was meant: an error in the client's format. `headers` are those of that answer;
/// its id, and what browsers are told, stay.
pub fn unmade<H: Platform>(
    path: &str,
    header: &dyn Fn(&str) -> Option<String>,
    headers: &[(&'static str, String)],
) -> Response<H> {
    let message =
        "The gateway could not make its answer. Ask again; by the request's id, its operator can find out why.";
    let client = router::client(path, header);
    let id = headers.iter().find(|(name, _)| *name == REQUEST_ID).map(|(_, id)| id.as_str()).unwrap_or_default();
    let mut response = Response::error(&Error::gateway(500, "internal_error", message), (client, id));
    let stays =
        |name: &str| name == REQUEST_ID || name == client.id_header || name == "vary" || name.starts_with("access-");
    response.headers.extend(headers.iter().filter(|(name, _)| stays(name)).cloned());
    response
}

impl<H: Platform> Response<H> {
    pub(super) fn json(status: u16, body: Body<H>) -> Self {
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

    pub(super) fn error(error: &Error, (client, id): (&ClientFormat, &str)) -> Self {
        let mut response = Self::json(error.status(), Body::Bytes((client.error)(error, id)));
        response.headers.extend(error.headers().iter().cloned());
        response
    }

    pub(super) fn is_stream(&self) -> bool {
        matches!(self.body, Body::Overheard(..) | Body::Carried(..) | Body::Told(..))
    }

    pub(super) fn text(&self) -> Option<&str> {
        match &self.body {
            Body::Bytes(bytes) | Body::Buffer(_, bytes) => std::str::from_utf8(bytes).ok(),
            Body::Empty | Body::Overheard(..) | Body::Carried(..) | Body::Told(..) | Body::Socket(..) => None,
        }
    }
}

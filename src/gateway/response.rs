//! A response, as the gateway means it: the runtime's own is made of it elsewhere.

use super::{Host, Opening, REQUEST_ID, Relay, Story, Transit, door};
use crate::adapters::Client;
use crate::error::Error;

/// A response.
pub struct Response<H: Host> {
    /// The HTTP status.
    pub status: u16,
    /// In the order in which they are to be sent.
    pub headers: Vec<(&'static str, String)>,
    /// What follows.
    pub body: Body<H>,
}

/// What follows the head of a response.
pub enum Body<H: Host> {
    /// Nothing.
    Empty,
    /// Bytes of ours.
    Bytes(Vec<u8>),
    /// A provider's bytes, kept outside; and our copy of them.
    Buffer(H::Buffer, Vec<u8>),
    /// A provider's stream, passed on untouched while the relay listens; and what was already read and heard of it.
    Overheard(H::Stream, Vec<u8>, Relay),
    /// A long answer, passed on in pieces; and what was already read of it.
    Carried(H::Stream, Vec<u8>, Transit),
    /// A stream of ours.
    Told(Story, Relay),
    /// None: the request becomes a connection.
    Socket(H::Body, Opening),
}

/// The answer where the runtime could not make the one that was meant: an error in the client's format. `headers` are those of that answer;
/// its id, and what browsers are told, stay.
pub fn unmade<H: Host>(
    path: &str,
    header: &dyn Fn(&str) -> Option<String>,
    headers: &[(&'static str, String)],
) -> Response<H> {
    let message =
        "The gateway could not make its answer. Ask again; by the request's id, its operator can find out why.";
    let client = door::client(path, header);
    let id = headers.iter().find(|(name, _)| *name == REQUEST_ID).map(|(_, id)| id.as_str()).unwrap_or_default();
    let mut response = Response::error(&Error::gateway(500, "internal_error", message), (client, id));
    let stays =
        |name: &str| name == REQUEST_ID || name == client.id_header || name == "vary" || name.starts_with("access-");
    response.headers.extend(headers.iter().filter(|(name, _)| stays(name)).cloned());
    response
}

impl<H: Host> Response<H> {
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

    pub(super) fn error(error: &Error, (client, id): (&Client, &str)) -> Self {
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

//! What a session asks its object to do.

use std::rc::Rc;

use super::close_code::CloseCode;

/// A chat request for the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatStart {
    /// Identifies the request between the session and its object.
    pub number: u64,
    /// The API key to use instead of the session's.
    pub key: Option<String>,
    /// The tags, as the header of a request over HTTP has them.
    pub tags: Option<String>,
    /// The body of a chat completion.
    pub body: Vec<u8>,
}

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionAction {
    /// Send a frame.
    Send(Rc<str>),
    /// Close the connection.
    Close(CloseCode),
    /// Start a request.
    Start(ChatStart),
    /// Abort the request with this number.
    Cancel(u64),
    /// Authenticate this key, and pass the result to
    /// [`Session::authenticated`](super::Session::authenticated).
    Authenticate(String),
    /// Store [`Session::snapshot`](super::Session::snapshot) and the frames.
    Store,
    /// The session is over: delete what is stored of it.
    Delete,
}

//! What an answer of the gateway itself needs of a conversation: its text.

use super::{Finish, Usage};

/// What a client asks, as far as a translating adapter needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The turns so far, oldest first.
    pub messages: Vec<Message>,
    /// The most tokens that the answer may have.
    pub max_tokens: Option<u64>,
}

/// One turn of a conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Who speaks: `system`, `user`, `assistant`, `tool` …
    pub role: String,
    /// Its text, all text parts joined.
    pub text: String,
}

/// One step of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// More text.
    Text(String),
    /// The end: why, and what it took.
    End {
        /// Why the answer ends here.
        finish: Finish,
        /// The tokens it took.
        usage: Usage,
    },
}

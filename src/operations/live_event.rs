//! What isolates report of running requests while somebody watches. It holds nothing of a conversation.

use serde::{Deserialize, Serialize};

use crate::config::Millis;

/// Something that has happened to a running request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LiveEvent {
    /// It was admitted. A request that was running when somebody began to watch is reported late.
    Started(LiveRequest),
    /// The first content of its stream came.
    FirstToken(FirstToken),
}

/// A running request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveRequest {
    /// Random. It is the id of the reservation in the key's account.
    pub run: String,
    /// When it arrived, in milliseconds since 1970.
    pub started: Millis,
    /// The id that the caller sees. The caller may choose it, so it is not unique.
    pub request_id: String,
    /// The id of the caller's key.
    pub key_id: String,
    /// The provider, by its name in the configuration.
    pub provider: String,
    /// The model, as its provider names it.
    pub model: String,
    /// The model or route, as the caller named it.
    pub route: String,
    /// Whether a streamed response was asked for.
    pub stream: bool,
}

/// The first content of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstToken {
    /// As [`LiveRequest::run`].
    pub run: String,
    /// When it came, in milliseconds since 1970.
    pub at: Millis,
    /// The provider that is serving, by its name in the configuration.
    pub provider: String,
    /// The model, as that provider names it.
    pub model: String,
}

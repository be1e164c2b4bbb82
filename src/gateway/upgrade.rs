//! What to do with a request for a WebSocket connection.

use crate::session::{ConnectionRefusal, ConnectionSlot};

/// What to do with a request for a WebSocket connection.
pub enum UpgradeDecision {
    /// It goes to the session of this id, or to a new one.
    Session(Option<String>),
    /// The key has to come in a message.
    Pending(ConnectionSlot),
    /// It is accepted, told why it is refused, and closed.
    Refused(ConnectionRefusal, ConnectionSlot),
}

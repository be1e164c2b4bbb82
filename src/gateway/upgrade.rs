//! The decision on a request for a WebSocket connection.

use crate::session::{ConnectionRefusal, ConnectionSlot};

/// The decision on a request for a WebSocket connection.
pub enum UpgradeDecision {
    /// Connects to the session of this id, or to a new one.
    Session(Option<String>),
    /// Accepts a connection whose client has to send the key in a message.
    Pending(ConnectionSlot),
    /// Accepts the connection, sends the reason of the refusal and closes it.
    Refused(ConnectionRefusal, ConnectionSlot),
    /// Connects an admin who watches requests to the operations object.
    Watch,
}

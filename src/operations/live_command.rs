//! Commands to the operations object about watching, and its responses.

use serde::{Deserialize, Serialize};

use super::live_event::LiveRequest;
use crate::config::Millis;

/// A command of the admin API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LiveCommand {
    /// Issues a ticket.
    Issue {
        /// The SHA-256 of the ticket, in hex.
        hash: String,
        /// The id of the admin.
        actor: String,
    },
    /// Asks whether a watcher may connect. A ticket is used up by it.
    Enter {
        /// The hash of the ticket; `None` if the watcher has shown a key.
        ticket: Option<String>,
    },
    /// Has a request ended: one with this `run`, or the only one with this id of the caller's.
    End {
        /// Either of the two.
        id: String,
    },
}

/// The response to a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LiveResponse {
    /// The ticket is valid until then.
    Issued {
        /// In milliseconds since 1970.
        expires: Millis,
    },
    /// The watcher may connect.
    Entered {
        /// The id of the admin; `None` if no ticket was shown.
        actor: Option<String>,
    },
    /// The ticket is not valid.
    WrongTicket,
    /// There are as many watchers as there may be.
    Full,
    /// The isolate of the request will be asked to end it.
    Ending(LiveRequest),
    /// The request has ended already.
    Over,
    /// No request is known by this id.
    NotFound,
    /// Several requests have this id.
    Ambiguous,
    /// The command cannot be read.
    Malformed,
}

//! What happens to a request.

use super::admission::Admission;
use super::dropped_fields::DroppedFields;
use super::ended_attempt::AttemptTarget;
use super::metering::{Metering, ResponseUsage};
use super::plausible::PlausibleUsage;
use super::shown::Recovered;
use crate::config::Millis;
use crate::ids::AccountId;

/// How an admitted request ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outcome {
    /// The client got a complete response.
    #[default]
    Complete,
    /// The request was refused, or failed before its response began.
    Refused,
    /// The response broke off.
    Truncated,
    /// The response took longer than allowed.
    TimedOut,
    /// The provider reported an error in the middle of its response.
    UpstreamError,
    /// The client disconnected before the end.
    ClientClosed,
    /// An admin ended it.
    EndedByAdmin,
}

impl Outcome {
    /// Its name in logs and receipts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Refused => "refused",
            Self::Truncated => "truncated",
            Self::TimedOut => "timed_out",
            Self::UpstreamError => "upstream_error",
            Self::ClientClosed => "client_closed",
            Self::EndedByAdmin => "ended_by_admin",
        }
    }
}

/// Something that happened to a request. The function that carries a request out appends facts; nothing else
/// changes a record.
#[derive(Debug)]
pub enum Fact {
    /// The caller showed a valid key.
    Authenticated {
        /// The key's id.
        key_id: AccountId,
    },
    /// The caller gave the request tags.
    Tagged {
        /// Their names and values, by name.
        tags: Vec<(String, String)>,
    },
    /// The request was read.
    Read {
        /// The model that was asked for, as the caller named it.
        model: String,
        /// Whether a stream was asked for.
        is_stream: bool,
    },
    /// The target was found, or the request goes on to another one.
    Routed(AttemptTarget),
    /// The key's accounts admitted the request.
    Admitted {
        /// What they granted.
        admission: Admission,
        /// What the provider may plausibly report.
        plausible: PlausibleUsage,
    },
    /// A target was chosen, of several that could serve the request.
    Targeted {
        /// What its provider may plausibly report.
        plausible: PlausibleUsage,
    },
    /// The provider is about to be called.
    AttemptStarted {
        /// How the response is charged; `None` if it is free of charge.
        metering: Option<Metering>,
        /// Fields that the provider's format cannot hold.
        dropped: Option<DroppedFields>,
    },
    /// The head of a successful response came.
    HeadReceived {
        /// When the provider was called.
        sent: Millis,
    },
    /// The first bytes of the response came.
    FirstByte {
        /// When.
        at: Millis,
    },
    /// The response ended, or broke off.
    AttemptEnded(ResponseFacts),
    /// The attempt failed before its response began. The request may go on to another one.
    AttemptFailed {
        /// What went wrong, by the name of its class.
        class: &'static str,
        /// The provider may have generated tokens, and bill for them.
        billable: bool,
        /// When.
        at: Millis,
    },
    /// The request failed before its response began.
    Failed {
        /// The provider may have generated tokens, and bill for them.
        billable: bool,
        /// When.
        at: Millis,
    },
    /// The response went on after an attempt had left it unfinished, if it did.
    Recovered {
        /// How.
        how: Option<Recovered>,
    },
    /// Tokens were counted that the provider had not reported.
    TokensCounted {
        /// Those of the prompt, if it was kept.
        prompt: Option<u64>,
        /// Those of the response.
        output: u64,
    },
    /// The request is over.
    Ended {
        /// The status that the client got.
        status: u16,
        /// How it ended.
        outcome: Outcome,
        /// When.
        at: Millis,
    },
}

/// What a response said of itself.
#[derive(Debug, Default)]
pub struct ResponseFacts {
    /// The model that the provider says it used.
    pub served: Option<String>,
    /// Events of a stream that could not be read.
    pub malformed: u32,
    /// What it is charged for; `None` if it was no response, and reported no usage.
    pub usage: Option<ResponseUsage>,
    /// The provider may have generated more, unread, until this time.
    pub unread_until: Option<Millis>,
}

//! Log events. Their names and fields are public: operators filter by them.

use crate::config::{LogLevel, Millis, Nanos, Problem};
use crate::error::Error;

/// One event.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// When, in milliseconds since 1970.
    pub at: Millis,
    /// What happened.
    pub kind: EventKind<'a>,
}

/// What happened.
#[derive(Clone, Copy, Debug)]
pub enum EventKind<'a> {
    /// A model is about to be called.
    RequestStart(RequestStart<'a>),
    /// A request has ended, well or not.
    RequestEnd(RequestEnd<'a>),
    /// An attempt has failed, of a request that has a choice of targets.
    AttemptFailed(AttemptFailed<'a>),
    /// A provider has refused a field that the gateway wrote, and the request was sent again without it.
    CatalogueStale(CatalogueStale<'a>),
    /// Spans or log records were not exported to OpenTelemetry.
    ExportDropped(ExportDropped<'a>),
    /// A piece of a provider's stream has come.
    Chunk(Chunk<'a>),
    /// The configuration cannot be used.
    ConfigError(&'a Problem),
    /// The configuration asks for something that has no effect.
    ConfigNote(&'a Problem),
    /// A session was restored after its object slept; with the id of the session's key, if it has one.
    SessionWoken(Option<&'a str>),
    /// Something failed between the gateway and the runtime.
    Runtime(RuntimeFailure<'a>),
}

/// The request that an event belongs to.
#[derive(Clone, Copy, Debug)]
pub struct RequestFields<'a> {
    /// The request's id.
    pub request_id: &'a str,
    /// The key's id.
    pub key_id: Option<&'a str>,
    /// The client's IP address, if the platform reports it.
    pub client_ip: Option<&'a str>,
    /// The provider's name in the configuration.
    pub provider: Option<&'a str>,
    /// The model, as the client named it.
    pub model: Option<&'a str>,
    /// Whether the response is streamed; `None` until the model is known.
    pub stream: Option<bool>,
}

/// A request whose model is about to be called.
#[derive(Clone, Copy, Debug)]
pub struct RequestStart<'a> {
    /// The request.
    pub request: RequestFields<'a>,
    /// The conversation, as JSON.
    pub messages: Option<&'a str>,
}

/// How a request ended.
#[derive(Clone, Copy, Debug)]
pub struct RequestEnd<'a> {
    /// The request.
    pub request: RequestFields<'a>,
    /// The HTTP status that the client got.
    pub status: u16,
    /// The outcome, by its name.
    pub outcome: &'static str,
    /// Whether it failed, before its response or in the middle of it.
    pub is_failure: bool,
    /// The error that the client got.
    pub error: Option<&'a Error>,
    /// From the request's arrival to its end, in milliseconds.
    pub duration: Millis,
    /// From the request's arrival to the first byte of the provider's response, in milliseconds.
    pub time_to_first_byte: Option<Millis>,
    /// The model, as the provider named it.
    pub model_served: Option<&'a str>,
    /// Tokens of the prompt.
    pub input_tokens: Option<u64>,
    /// Tokens of the response.
    pub output_tokens: Option<u64>,
    /// Whether the tokens are an estimate.
    pub is_estimated: bool,
    /// The cost, if the tokens and their price are known.
    pub cost: Option<Nanos>,
    /// How many attempts failed before the last one.
    pub failed_attempts: usize,
    /// How the response went on after an attempt had left it unfinished.
    pub recovered: Option<&'a str>,
    /// How many events of the provider's stream could not be read.
    pub malformed_events: u32,
    /// The fields that the provider's format has no place for, separated by commas.
    pub dropped: Option<&'a str>,
    /// The text of the response, if it was kept for the log.
    pub response: Option<&'a str>,
}

/// An attempt that failed, of a request that has a choice of targets.
#[derive(Clone, Copy, Debug)]
pub struct AttemptFailed<'a> {
    /// The request.
    pub request: RequestFields<'a>,
    /// The model, as the provider names it.
    pub model: &'a str,
    /// What went wrong, by the name of its class.
    pub class: &'static str,
    /// The error.
    pub error: &'a Error,
}

/// A provider that refused a field which the gateway wrote.
#[derive(Clone, Copy, Debug)]
pub struct CatalogueStale<'a> {
    /// The request.
    pub request: RequestFields<'a>,
    /// The field, as the provider names it.
    pub field: &'static str,
    /// How often this isolate has learned from refusals, with this one.
    pub count: u64,
}

/// Spans or log records that were not exported to OpenTelemetry.
#[derive(Clone, Copy, Debug)]
pub struct ExportDropped<'a> {
    /// `traces`, `logs` or `metrics`.
    pub signal: &'static str,
    /// How many of them, since the last such event.
    pub drops: u64,
    /// Why, by the name of the reason.
    pub reason: &'static str,
    /// The status of the back end's last response that was no success.
    pub status: Option<u16>,
    /// What it said, without secrets.
    pub error: Option<&'a str>,
}

/// A piece of a provider's stream.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    /// The request.
    pub request: RequestFields<'a>,
    /// The piece, as it came.
    pub bytes: &'a [u8],
}

/// A failure that the edge reports. It is logged at any level.
#[derive(Clone, Copy, Debug)]
pub enum RuntimeFailure<'a> {
    /// The runtime could not make the gateway's response, for this reason.
    ResponseFailed(&'a str),
    /// The value of the response header of this name contains characters that HTTP does not allow, so the
    /// header was omitted.
    HeaderDropped(&'a str),
    /// The deployment lacks the Durable Object binding of this name.
    ObjectMissing(&'a str),
    /// A Durable Object failed, for this reason.
    ObjectFailed(&'a str),
    /// Receipts did not reach their account.
    ReceiptsLost(LostReceipts<'a>),
    /// An entry did not reach the audit log. It is JSON, and the log is the only place that has it.
    AuditLost(&'a str),
    /// The state of a session could not be written to its storage.
    SessionUnwritten,
    /// The state of a session could not be read, for this reason. The session is lost.
    SessionUnreadable(&'a str),
}

/// Receipts that did not reach their account. The log is the only place that has them.
#[derive(Clone, Copy, Debug)]
pub struct LostReceipts<'a> {
    /// The account's id.
    pub account: &'a str,
    /// How many receipts this isolate has lost, with these.
    pub lost_so_far: usize,
    /// The command that contains them, as JSON. The log field is `order`.
    pub command: &'a str,
}

impl EventKind<'_> {
    /// The event's name in the log.
    pub fn name(&self) -> &'static str {
        match self {
            Self::RequestStart(_) => "request_start",
            Self::RequestEnd(end) if end.is_failure => "request_error",
            Self::RequestEnd(_) => "request_complete",
            Self::AttemptFailed(_) => "attempt_failed",
            Self::CatalogueStale(_) => "catalogue_stale",
            Self::ExportDropped(_) => "export_dropped",
            Self::Chunk(_) => "chunk",
            Self::ConfigError(_) => "config_error",
            Self::ConfigNote(_) => "config_note",
            Self::SessionWoken(_) => "session_woken",
            Self::Runtime(failure) => failure.name(),
        }
    }

    /// Whether the event is logged whatever the level of the settings.
    pub(super) fn is_always_logged(&self) -> bool {
        matches!(self, Self::Runtime(_))
    }

    /// The event's level. A failure that the client can fix is a warning.
    pub fn level(&self) -> LogLevel {
        match self {
            Self::Chunk(_) | Self::SessionWoken(_) => LogLevel::Debug,
            Self::RequestEnd(end) if end.is_failure => {
                let is_clients = end.error.is_some_and(|error| error.status() < 500);
                if is_clients { LogLevel::Warning } else { LogLevel::Error }
            }
            Self::RequestStart(_) | Self::RequestEnd(_) => LogLevel::Info,
            Self::AttemptFailed(_) | Self::CatalogueStale(_) | Self::ExportDropped(_) | Self::ConfigNote(_) => {
                LogLevel::Warning
            }
            Self::ConfigError(_) | Self::Runtime(_) => LogLevel::Error,
        }
    }
}

impl RuntimeFailure<'_> {
    /// The event's name in the log.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ResponseFailed(_) => "answer_failed",
            Self::HeaderDropped(_) => "header_dropped",
            Self::ObjectMissing(_) => "object_missing",
            Self::ObjectFailed(_) => "object_failed",
            Self::ReceiptsLost(_) => "receipts_lost",
            Self::AuditLost(_) => "audit_lost",
            Self::SessionUnwritten => "session_unwritten",
            Self::SessionUnreadable(_) => "session_unreadable",
        }
    }
}

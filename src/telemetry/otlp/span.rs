//! A span.

use super::attribute::Attribute;
use super::trace_context::{SpanId, TraceContext};
use crate::config::Millis;

/// A span.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Its trace, its id and its flags.
    pub context: TraceContext,
    /// What other services have added to the trace (`tracestate`); empty if nothing.
    pub trace_state: String,
    /// The span that it is a child of.
    pub parent: Option<SpanId>,
    /// Whether the parent is a span of another process.
    pub is_parent_remote: bool,
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: SpanKind,
    /// When it began.
    pub started: Millis,
    /// When it ended.
    pub ended: Millis,
    /// Its attributes.
    pub attributes: Vec<Attribute>,
    /// How it ended.
    pub status: SpanStatus,
}

/// The kind of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    /// A request that came in.
    Server,
    /// A call of another service.
    Client,
}

impl SpanKind {
    /// Its number in OTLP.
    pub(super) fn number(self) -> u32 {
        match self {
            Self::Server => 2,
            Self::Client => 3,
        }
    }
}

/// How a span ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpanStatus {
    /// Nothing went wrong, as far as its maker can judge.
    Unset,
    /// It failed, for this reason.
    Error(String),
}

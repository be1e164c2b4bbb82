//! Log records. OpenTelemetry's events are log records, too: the events of spans are deprecated.

use super::trace_context::TraceContext;
use crate::config::{LogLevel, Logging, Millis};
use crate::telemetry::event::Event;
use crate::telemetry::render::render_for_export;

/// A log record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// When it happened.
    pub at: Millis,
    /// How grave it is.
    pub level: LogLevel,
    /// The event's name.
    pub event: &'static str,
    /// The line of the log in JSON: the same fields that the operator chose for the log.
    pub body: String,
    /// The span that it belongs to.
    pub span: Option<TraceContext>,
}

impl LogRecord {
    /// The severity's number: the lowest of the four that OpenTelemetry has for each level.
    pub(super) fn severity(&self) -> u32 {
        match self.level {
            LogLevel::Debug => 5,
            LogLevel::Info => 9,
            LogLevel::Warning => 13,
            LogLevel::Error => 17,
        }
    }
}

/// The record of an event; `None` if the settings do not export its level.
pub fn log_record(event: &Event<'_>, logging: &Logging, span: Option<TraceContext>) -> Option<LogRecord> {
    let body = render_for_export(event, logging)?;
    Some(LogRecord { at: event.at, level: event.kind.level(), event: event.kind.name(), body, span })
}

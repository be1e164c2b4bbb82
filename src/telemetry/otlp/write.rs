//! Writes spans, log records and what is around them, in either encoding.

use super::attribute::{Attribute, AttributeValue};
use super::conventions::SCHEMA_URL;
use super::encoder::Encoder;
use super::fields::{self, Field};
use super::log_record::LogRecord;
use super::span::{Span, SpanStatus};
use crate::config::Millis;

const NANOS_PER_MILLI: u64 = 1_000_000;
/// The name of the instrumentation.
const INSTRUMENTATION: &str = "llm-bridge";
const STATUS_ERROR: u32 = 2;
/// Bit 8 of a span's flags: it is known whether its parent is remote. Bit 9: it is.
const HAS_IS_REMOTE: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;

/// The fields of a signal: spans, log records or metrics.
pub(super) struct SignalFields {
    pub(super) resources: Field,
    pub(super) scopes: Field,
    pub(super) items: Field,
}

/// Traces.
pub(super) const TRACES: SignalFields =
    SignalFields { resources: fields::RESOURCE_SPANS, scopes: fields::SCOPE_SPANS, items: fields::SPANS };

/// Logs.
pub(super) const LOGS: SignalFields =
    SignalFields { resources: fields::RESOURCE_LOGS, scopes: fields::SCOPE_LOGS, items: fields::LOG_RECORDS };

/// Metrics.
pub(super) const METRICS: SignalFields =
    SignalFields { resources: fields::RESOURCE_METRICS, scopes: fields::SCOPE_METRICS, items: fields::METRICS };

/// Writes an export request with one resource and one scope. The items are encoded already.
pub(super) fn write_request<E: Encoder>(
    encoder: &mut E,
    signal: &SignalFields,
    attributes: &[Attribute],
    items: &[Vec<u8>],
) {
    encoder.messages(signal.resources, &[()], |entry, ()| {
        entry.message(fields::RESOURCE, |inner| write_attributes(inner, fields::RESOURCE_ATTRIBUTES, attributes));
        entry.messages(signal.scopes, &[()], |scopes, ()| {
            scopes.message(fields::SCOPE, |inner| {
                inner.text(fields::SCOPE_NAME, INSTRUMENTATION);
                inner.text(fields::SCOPE_VERSION, env!("CARGO_PKG_VERSION"));
            });
            scopes.encoded(signal.items, items);
            scopes.text(fields::SCHEMA_URL, SCHEMA_URL);
        });
    });
}

/// Writes a span.
pub(super) fn write_span<E: Encoder>(encoder: &mut E, item: &Span) {
    encoder.id(fields::SPAN_TRACE_ID, &item.context.trace_id.0);
    encoder.id(fields::SPAN_SPAN_ID, &item.context.span_id.0);
    if !item.trace_state.is_empty() {
        encoder.text(fields::SPAN_TRACE_STATE, &item.trace_state);
    }
    if let Some(parent) = item.parent {
        encoder.id(fields::SPAN_PARENT_SPAN_ID, &parent.0);
    }
    encoder.text(fields::SPAN_NAME, &item.name);
    encoder.small(fields::SPAN_KIND, item.kind.number());
    encoder.fixed(fields::SPAN_START, nanos(item.started));
    // A clock that was set back must not make a span end before it began.
    encoder.fixed(fields::SPAN_END, nanos(item.ended.max(item.started)));
    write_attributes(encoder, fields::SPAN_ATTRIBUTES, &item.attributes);
    if let SpanStatus::Error(message) = &item.status {
        encoder.message(fields::SPAN_STATUS, |inner| {
            inner.text(fields::STATUS_MESSAGE, message);
            inner.small(fields::STATUS_CODE, STATUS_ERROR);
        });
    }
    let remote = if item.is_parent_remote { HAS_IS_REMOTE | IS_REMOTE } else { HAS_IS_REMOTE };
    encoder.fixed_small(fields::SPAN_FLAGS, u32::from(item.context.flags) | remote);
}

/// Writes a log record.
pub(super) fn write_log_record<E: Encoder>(encoder: &mut E, item: &LogRecord) {
    encoder.fixed(fields::LOG_RECORD_TIME, nanos(item.at));
    encoder.small(fields::LOG_RECORD_SEVERITY_NUMBER, item.severity());
    encoder.text(fields::LOG_RECORD_SEVERITY_TEXT, item.level.name());
    encoder.message(fields::LOG_RECORD_BODY, |inner| inner.text(fields::ANY_VALUE_STRING, &item.body));
    if let Some(context) = item.span {
        encoder.fixed_small(fields::LOG_RECORD_FLAGS, u32::from(context.flags));
        encoder.id(fields::LOG_RECORD_TRACE_ID, &context.trace_id.0);
        encoder.id(fields::LOG_RECORD_SPAN_ID, &context.span_id.0);
    }
    encoder.fixed(fields::LOG_RECORD_OBSERVED_TIME, nanos(item.at));
    encoder.text(fields::LOG_RECORD_EVENT_NAME, item.event);
}

/// Writes attributes.
pub(super) fn write_attributes<E: Encoder>(encoder: &mut E, field: Field, attributes: &[Attribute]) {
    encoder.messages(field, attributes, |entry, attribute| {
        entry.text(fields::KEY_VALUE_KEY, &attribute.key);
        entry.message(fields::KEY_VALUE_VALUE, |inner| write_value(inner, &attribute.value));
    });
}

fn write_value<E: Encoder>(encoder: &mut E, value: &AttributeValue) {
    match value {
        AttributeValue::Text(text) => encoder.text(fields::ANY_VALUE_STRING, text),
        AttributeValue::Bool(truth) => encoder.truth(fields::ANY_VALUE_BOOL, *truth),
        AttributeValue::Integer(number) => encoder.integer(fields::ANY_VALUE_INT, *number),
        AttributeValue::Number(number) => encoder.number(fields::ANY_VALUE_DOUBLE, *number),
    }
}

/// A time in nanoseconds.
pub(super) fn nanos(time: Millis) -> u64 {
    time.saturating_mul(NANOS_PER_MILLI)
}

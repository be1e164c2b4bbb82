//! The bodies of export requests.

use super::attribute::Attribute;
use super::conventions::{SERVICE_INSTANCE, SERVICE_NAME, SERVICE_VERSION};
use super::encoder::Encoder;
use super::json::Json;
use super::log_record::LogRecord;
use super::metrics::{metrics, write_metric};
use super::protobuf::Protobuf;
use super::signal::Signal;
use super::span::Span;
use super::write::{LOGS, METRICS, SignalFields, TRACES, write_log_record, write_request, write_span};
use crate::config::{Millis, OtlpFormat};
use crate::telemetry::metrics::Registry;

/// The body of an export request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// The value of the header `content-type`.
    pub content_type: &'static str,
    /// The body.
    pub bytes: Vec<u8>,
}

/// What all spans, log records and metrics of a deployment have in common.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// Its attributes, `service.name` among them.
    pub attributes: Vec<Attribute>,
}

impl Resource {
    /// The resource of an isolate; `instance` is an id that no other isolate has.
    pub fn of_isolate(service_name: &str, instance: &str) -> Self {
        let attributes = vec![
            Attribute::new(SERVICE_NAME, service_name),
            Attribute::new(SERVICE_VERSION, env!("CARGO_PKG_VERSION")),
            Attribute::new(SERVICE_INSTANCE, instance),
        ];
        Self { attributes }
    }
}

/// A span, encoded for [`signal_body`].
pub fn encode_span(format: OtlpFormat, span: &Span) -> Vec<u8> {
    match format {
        OtlpFormat::Protobuf => encode::<Protobuf>(|encoder| write_span(encoder, span)),
        OtlpFormat::Json => encode::<Json>(|encoder| write_span(encoder, span)),
    }
}

/// A log record, encoded for [`signal_body`].
pub fn encode_log_record(format: OtlpFormat, record: &LogRecord) -> Vec<u8> {
    match format {
        OtlpFormat::Protobuf => encode::<Protobuf>(|encoder| write_log_record(encoder, record)),
        OtlpFormat::Json => encode::<Json>(|encoder| write_log_record(encoder, record)),
    }
}

/// The body of an export request with items that are encoded already.
pub fn signal_body(format: OtlpFormat, resource: &Resource, signal: Signal, items: &[Vec<u8>]) -> Body {
    let fields = match signal {
        Signal::Traces => &TRACES,
        Signal::Logs => &LOGS,
    };
    body_of(format, resource, fields, items)
}

/// The body of `POST /v1/traces`.
pub fn traces_body(format: OtlpFormat, resource: &Resource, spans: &[Span]) -> Body {
    let items: Vec<Vec<u8>> = spans.iter().map(|span| encode_span(format, span)).collect();
    signal_body(format, resource, Signal::Traces, &items)
}

/// The body of `POST /v1/logs`.
pub fn logs_body(format: OtlpFormat, resource: &Resource, records: &[LogRecord]) -> Body {
    let items: Vec<Vec<u8>> = records.iter().map(|record| encode_log_record(format, record)).collect();
    signal_body(format, resource, Signal::Logs, &items)
}

/// The body of `POST /v1/metrics`: the registry, which began at `since`, as it is at `now`.
pub fn metrics_body(format: OtlpFormat, resource: &Resource, registry: &Registry, since: Millis, now: Millis) -> Body {
    let metrics = metrics(registry, since, now);
    let items = metrics.iter().map(|metric| match format {
        OtlpFormat::Protobuf => encode::<Protobuf>(|encoder| write_metric(encoder, metric)),
        OtlpFormat::Json => encode::<Json>(|encoder| write_metric(encoder, metric)),
    });
    body_of(format, resource, &METRICS, &items.collect::<Vec<_>>())
}

fn body_of(format: OtlpFormat, resource: &Resource, fields: &SignalFields, items: &[Vec<u8>]) -> Body {
    let attributes = &resource.attributes;
    match format {
        OtlpFormat::Protobuf => Body {
            content_type: "application/x-protobuf",
            bytes: encode::<Protobuf>(|encoder| write_request(encoder, fields, attributes, items)),
        },
        OtlpFormat::Json => Body {
            content_type: "application/json",
            bytes: encode::<Json>(|encoder| write_request(encoder, fields, attributes, items)),
        },
    }
}

fn encode<E: Encoder>(write: impl FnOnce(&mut E)) -> Vec<u8> {
    let mut encoder = E::default();
    write(&mut encoder);
    encoder.into_bytes()
}

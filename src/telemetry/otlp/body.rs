//! The bodies of export requests.

use super::attribute::Attribute;
use super::json::Json;
use super::log_record::LogRecord;
use super::metrics::{metrics, write_metric};
use super::protobuf::Protobuf;
use super::span::Span;
use super::write::{LOGS, METRICS, TRACES, write_log_record, write_request, write_span};
use crate::config::Millis;
use crate::telemetry::metrics::Registry;

/// The encoding of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyFormat {
    /// Protobuf. All back ends take it.
    #[default]
    Protobuf,
    /// JSON. Some back ends do not take it.
    Json,
}

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

/// The body of `POST /v1/traces`.
pub fn traces_body(format: BodyFormat, resource: &Resource, spans: &[Span]) -> Body {
    let attributes = &resource.attributes;
    match format {
        BodyFormat::Protobuf => of_protobuf(|encoder| write_request(encoder, &TRACES, attributes, spans, write_span)),
        BodyFormat::Json => of_json(|encoder| write_request(encoder, &TRACES, attributes, spans, write_span)),
    }
}

/// The body of `POST /v1/logs`.
pub fn logs_body(format: BodyFormat, resource: &Resource, records: &[LogRecord]) -> Body {
    let attributes = &resource.attributes;
    match format {
        BodyFormat::Protobuf => {
            of_protobuf(|encoder| write_request(encoder, &LOGS, attributes, records, write_log_record))
        }
        BodyFormat::Json => of_json(|encoder| write_request(encoder, &LOGS, attributes, records, write_log_record)),
    }
}

/// The body of `POST /v1/metrics`: the registry, which began at `since`, as it is at `now`.
pub fn metrics_body(format: BodyFormat, resource: &Resource, registry: &Registry, since: Millis, now: Millis) -> Body {
    let (attributes, metrics) = (&resource.attributes, metrics(registry, since, now));
    match format {
        BodyFormat::Protobuf => {
            of_protobuf(|encoder| write_request(encoder, &METRICS, attributes, &metrics, write_metric))
        }
        BodyFormat::Json => of_json(|encoder| write_request(encoder, &METRICS, attributes, &metrics, write_metric)),
    }
}

fn of_protobuf(write: impl FnOnce(&mut Protobuf)) -> Body {
    let mut encoder = Protobuf::default();
    write(&mut encoder);
    Body { content_type: "application/x-protobuf", bytes: encoder.bytes }
}

fn of_json(write: impl FnOnce(&mut Json)) -> Body {
    let mut encoder = Json::default();
    write(&mut encoder);
    Body { content_type: "application/json", bytes: encoder.finish().into_bytes() }
}

//! OpenTelemetry export as values: the spans of a request, log records and metrics, their encodings as
//! OTLP/HTTP bodies, and the rules by which batches are sent.

mod attribute;
mod body;
mod conventions;
mod encoder;
mod exporter;
mod fields;
mod headers;
mod json;
mod log_record;
mod metrics;
mod protobuf;
mod queue;
mod request_spans;
mod response;
mod signal;
mod span;
mod systems;
mod trace_context;
mod trace_state;
mod write;

pub use attribute::{Attribute, AttributeValue};
pub use body::{Body, Resource, encode_log_record, encode_span, logs_body, metrics_body, signal_body, traces_body};
pub use conventions::SCHEMA_URL;
pub use exporter::{Exporter, ExporterStep, SignalDrops};
pub use headers::{HeaderFault, read_headers};
pub use log_record::{LogRecord, log_record};
pub use queue::{DropReason, Dropped, ExportQueue, QueueLimits, QueueStep};
pub use request_spans::{HttpFacts, ProviderAddress, request_spans};
pub use response::{ExportResponse, SendResult};
pub use signal::{METRICS_PATH, Signal};
pub use span::{Span, SpanKind, SpanStatus};
pub use systems::system_of;
pub use trace_context::{RequestTrace, SpanId, TraceContext, TraceId};

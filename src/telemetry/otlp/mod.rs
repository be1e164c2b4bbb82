//! OpenTelemetry export as values: the spans of a request, log records and metrics, their encodings as
//! OTLP/HTTP bodies, and the rules by which batches are sent.

mod attribute;
mod body;
mod conventions;
mod encoder;
mod fields;
mod json;
mod log_record;
mod metrics;
mod protobuf;
mod queue;
mod request_spans;
mod response;
mod span;
mod systems;
mod trace_context;
mod write;

pub use attribute::{Attribute, AttributeValue};
pub use body::{Body, BodyFormat, Resource, logs_body, metrics_body, traces_body};
pub use conventions::SCHEMA_URL;
pub use log_record::{LogRecord, log_record};
pub use queue::{DropReason, Dropped, ExportQueue, QueueLimits, QueueStep};
pub use request_spans::{HttpFacts, ProviderAddress, request_spans};
pub use response::{ExportResponse, SendResult};
pub use span::{Span, SpanKind, SpanStatus};
pub use systems::system_of;
pub use trace_context::{RequestTrace, SpanId, TraceContext, TraceId};

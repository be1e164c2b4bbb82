//! The fields of OTLP's messages that are written: their names in JSON and their numbers in protobuf, from
//! `opentelemetry/proto/{common,resource,trace,logs,metrics}` of `open-telemetry/opentelemetry-proto` 1.x.
//! Both encodings are written from this table, so they cannot differ.

/// A field of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    /// Its number in protobuf.
    pub(super) number: u32,
    /// Its name in JSON.
    pub(super) name: &'static str,
}

const fn field(number: u32, name: &'static str) -> Field {
    Field { number, name }
}

pub(super) const ANY_VALUE_STRING: Field = field(1, "stringValue");
pub(super) const ANY_VALUE_BOOL: Field = field(2, "boolValue");
pub(super) const ANY_VALUE_INT: Field = field(3, "intValue");
pub(super) const ANY_VALUE_DOUBLE: Field = field(4, "doubleValue");

pub(super) const KEY_VALUE_KEY: Field = field(1, "key");
pub(super) const KEY_VALUE_VALUE: Field = field(2, "value");

pub(super) const RESOURCE_ATTRIBUTES: Field = field(1, "attributes");

pub(super) const SCOPE_NAME: Field = field(1, "name");
pub(super) const SCOPE_VERSION: Field = field(2, "version");

// The messages around spans and around log records have the same numbers.
pub(super) const RESOURCE_SPANS: Field = field(1, "resourceSpans");
pub(super) const RESOURCE_LOGS: Field = field(1, "resourceLogs");
pub(super) const RESOURCE: Field = field(1, "resource");
pub(super) const SCOPE_SPANS: Field = field(2, "scopeSpans");
pub(super) const SCOPE_LOGS: Field = field(2, "scopeLogs");
pub(super) const SCOPE: Field = field(1, "scope");
pub(super) const SPANS: Field = field(2, "spans");
pub(super) const LOG_RECORDS: Field = field(2, "logRecords");
pub(super) const SCHEMA_URL: Field = field(3, "schemaUrl");

pub(super) const SPAN_TRACE_ID: Field = field(1, "traceId");
pub(super) const SPAN_SPAN_ID: Field = field(2, "spanId");
pub(super) const SPAN_TRACE_STATE: Field = field(3, "traceState");
pub(super) const SPAN_PARENT_SPAN_ID: Field = field(4, "parentSpanId");
pub(super) const SPAN_NAME: Field = field(5, "name");
pub(super) const SPAN_KIND: Field = field(6, "kind");
pub(super) const SPAN_START: Field = field(7, "startTimeUnixNano");
pub(super) const SPAN_END: Field = field(8, "endTimeUnixNano");
pub(super) const SPAN_ATTRIBUTES: Field = field(9, "attributes");
pub(super) const SPAN_STATUS: Field = field(15, "status");
pub(super) const SPAN_FLAGS: Field = field(16, "flags");

pub(super) const STATUS_MESSAGE: Field = field(2, "message");
pub(super) const STATUS_CODE: Field = field(3, "code");

pub(super) const LOG_RECORD_TIME: Field = field(1, "timeUnixNano");
pub(super) const LOG_RECORD_SEVERITY_NUMBER: Field = field(2, "severityNumber");
pub(super) const LOG_RECORD_SEVERITY_TEXT: Field = field(3, "severityText");
pub(super) const LOG_RECORD_BODY: Field = field(5, "body");
pub(super) const LOG_RECORD_FLAGS: Field = field(8, "flags");
pub(super) const LOG_RECORD_TRACE_ID: Field = field(9, "traceId");
pub(super) const LOG_RECORD_SPAN_ID: Field = field(10, "spanId");
pub(super) const LOG_RECORD_OBSERVED_TIME: Field = field(11, "observedTimeUnixNano");
pub(super) const LOG_RECORD_EVENT_NAME: Field = field(12, "eventName");

pub(super) const RESOURCE_METRICS: Field = field(1, "resourceMetrics");
pub(super) const SCOPE_METRICS: Field = field(2, "scopeMetrics");
pub(super) const METRICS: Field = field(2, "metrics");

pub(super) const METRIC_NAME: Field = field(1, "name");
pub(super) const METRIC_DESCRIPTION: Field = field(2, "description");
pub(super) const METRIC_UNIT: Field = field(3, "unit");
pub(super) const METRIC_GAUGE: Field = field(5, "gauge");
pub(super) const METRIC_SUM: Field = field(7, "sum");
pub(super) const METRIC_HISTOGRAM: Field = field(9, "histogram");

// Gauges, sums and histograms have the same numbers.
pub(super) const DATA_POINTS: Field = field(1, "dataPoints");
pub(super) const AGGREGATION_TEMPORALITY: Field = field(2, "aggregationTemporality");
pub(super) const IS_MONOTONIC: Field = field(3, "isMonotonic");

// Points of numbers and points of histograms, too.
pub(super) const POINT_START: Field = field(2, "startTimeUnixNano");
pub(super) const POINT_TIME: Field = field(3, "timeUnixNano");

pub(super) const NUMBER_DOUBLE: Field = field(4, "asDouble");
pub(super) const NUMBER_INT: Field = field(6, "asInt");
pub(super) const NUMBER_ATTRIBUTES: Field = field(7, "attributes");

pub(super) const HISTOGRAM_COUNT: Field = field(4, "count");
pub(super) const HISTOGRAM_SUM: Field = field(5, "sum");
pub(super) const HISTOGRAM_BUCKETS: Field = field(6, "bucketCounts");
pub(super) const HISTOGRAM_BOUNDS: Field = field(7, "explicitBounds");
pub(super) const HISTOGRAM_ATTRIBUTES: Field = field(9, "attributes");

//! The export of metrics to OpenTelemetry: at most once a minute, while there is something new. What a back
//! end does not take comes again with the next export, because the sums are of all time. That an export was
//! dropped is nothing new: an idle gateway does not go on calling a back end that refuses it.

use crate::config::{Millis, OtlpFormat};
use crate::edge::log::report;
use crate::edge::otlp_request::{self, OtlpRequest};
use crate::gateway::Opened;
use crate::telemetry::metrics::{Collector, EXPORT_DROPS, EXPORT_OF_METRICS, ExportPlan, SeriesRow, SeriesValue};
use crate::telemetry::otlp::{DropReason, METRICS_PATH, Resource, SendResult, metrics_body};
use crate::telemetry::{EventKind, ExportDropped};

/// The instance of the service that metrics are of: there is one object, whatever process it is in.
const INSTANCE: &str = "operations";

/// When metrics are exported, and where to.
pub(super) struct MetricsExport {
    url: String,
    headers: Vec<(String, String)>,
    format: OtlpFormat,
    resource: Resource,
    pub(super) plan: ExportPlan,
}

impl MetricsExport {
    /// `None` if metrics are not exported.
    pub(super) fn open(bridge: &Opened) -> Option<Self> {
        let (otlp, headers) = bridge.as_ref().ok()?.otlp().filter(|(otlp, _)| otlp.metrics)?;
        Some(Self {
            url: otlp.endpoint.join(METRICS_PATH),
            headers: headers.to_owned(),
            format: otlp.format,
            resource: Resource::of_isolate(&otlp.service_name, INSTANCE),
            plan: ExportPlan::default(),
        })
    }

    /// The request of an export, if one is due.
    pub(super) fn begin(&mut self, collector: &mut Collector, now: Millis) -> Option<OtlpRequest> {
        if !self.plan.begin(now) {
            return None;
        }
        let since = collector.since()?;
        let body = metrics_body(self.format, &self.resource, collector.at(now), since, now);
        Some(OtlpRequest { url: self.url.clone(), headers: self.headers.clone(), body })
    }
}

/// Sends an export. Returns what is to be counted: exports that were dropped, or items of one.
pub(super) async fn send(request: OtlpRequest) -> Option<SeriesRow> {
    let (result, status) = otlp_request::send(request).await;
    let (reason, drops) = match result {
        SendResult::Taken { rejected: 0, .. } => return None,
        SendResult::Taken { rejected, .. } => (DropReason::Rejected, rejected),
        SendResult::Again { .. } => (DropReason::GaveUp, 1),
        SendResult::Refused { .. } => (DropReason::Refused, 1),
    };
    let reason = reason.name();
    report(EventKind::ExportDropped(ExportDropped { signal: EXPORT_OF_METRICS, drops, reason, status, error: None }));
    let labels = vec![EXPORT_OF_METRICS.to_owned(), reason.to_owned()];
    Some(SeriesRow { family: EXPORT_DROPS.name.to_owned(), labels, value: SeriesValue::Counter(drops) })
}

//! The export of metrics to OpenTelemetry: at most once a minute, while there is something new. What a back
//! end does not take comes again with the next export, because the sums are of all time.

use crate::config::{Millis, OtlpFormat};
use crate::edge::log::report;
use crate::edge::otlp_request::{self, OtlpRequest};
use crate::gateway::Opened;
use crate::telemetry::metrics::{Collector, EXPORT_DROPS, SeriesRow, SeriesValue};
use crate::telemetry::otlp::{DropReason, METRICS_PATH, Resource, SendResult, metrics_body};
use crate::telemetry::{EventKind, ExportDropped};

/// The shortest time between two exports.
const INTERVAL: Millis = 60_000;
/// The instance of the service that metrics are of: there is one object, whatever process it is in.
const INSTANCE: &str = "operations";
/// The label `signal` of what was dropped.
const SIGNAL: &str = "metrics";

/// When metrics are exported, and where to.
pub(super) struct MetricsExport {
    url: String,
    headers: Vec<(String, String)>,
    format: OtlpFormat,
    resource: Resource,
    begun_at: Option<Millis>,
    /// When the next export is due; `None` if there is nothing new.
    due: Option<Millis>,
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
            begun_at: None,
            due: None,
        })
    }

    /// Plans an export, because there is something new.
    pub(super) fn plan(&mut self, now: Millis) {
        let earliest = self.begun_at.map_or(now, |at| now.max(at.saturating_add(INTERVAL)));
        self.due.get_or_insert(earliest);
    }

    /// When the next export is due.
    pub(super) fn due(&self) -> Option<Millis> {
        self.due
    }

    /// The request of an export, if one is due.
    pub(super) fn begin(&mut self, collector: &mut Collector, now: Millis) -> Option<OtlpRequest> {
        self.due.take_if(|due| *due <= now)?;
        self.begun_at = Some(now);
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
    report(EventKind::ExportDropped(ExportDropped { signal: SIGNAL, drops, reason, status, error: None }));
    let labels = vec![SIGNAL.to_owned(), reason.to_owned()];
    Some(SeriesRow { family: EXPORT_DROPS.name.to_owned(), labels, value: SeriesValue::Counter(drops) })
}

//! Alerts: what is raised, where notices are sent and what became of them, and a test of the destinations.

use serde::Serialize;

use super::json_response::json;
use super::query::Query;
use crate::alerts::{
    AlertCommand, AlertReport, AlertResponse, AlertRules, DeliveryEnd, DeliveryState, Destination, DestinationKind,
    OpenDelivery, RaisedAlert, Signer,
};
use crate::config::{Millis, Nanos};
use crate::error::{Error, Result};
use crate::gateway::platform::{ObjectAddress, ObjectError, OperationsPart};
use crate::gateway::{Bridge, Platform, Response, ask_patiently};
use crate::wire::date::write_time;

/// The parameters of [`read`].
pub const PARAMETERS: &[&str] = &["limit"];

/// The default and the maximum number of deliveries.
const DELIVERIES: u64 = 50;
const MAX_DELIVERIES: u64 = 500;

#[derive(Serialize)]
struct AlertsView<'b> {
    object: &'static str,
    rules: RulesView<'b>,
    destinations: Vec<DestinationView>,
    problems: &'b [String],
    raised: Vec<RaisedView>,
    has_more: bool,
    deliveries: Vec<DeliveryView>,
}

#[derive(Serialize)]
struct RulesView<'b> {
    budget: &'b [u32],
    target: TargetView,
    error_rate: Option<ErrorRateView>,
    spend_per_hour_nanos: Option<Nanos>,
    store_percent: u32,
    per_hour: u32,
    allow_private_addresses: bool,
}

#[derive(Serialize)]
struct TargetView {
    down_ms: Millis,
    back_ms: Millis,
}

#[derive(Serialize)]
struct ErrorRateView {
    percent: u32,
    min_requests: u64,
    minutes: u64,
}

#[derive(Serialize)]
struct DestinationView {
    kind: DestinationKind,
    /// The scheme and the host alone: the rest is a secret.
    address: String,
    is_signed: bool,
    is_gone: bool,
}

#[derive(Serialize)]
struct RaisedView {
    kind: String,
    subject: Option<String>,
    per: Option<String>,
    percent: Option<u32>,
    since: Option<String>,
}

#[derive(Serialize)]
struct DeliveryView {
    notice: String,
    event: &'static str,
    title: String,
    found: String,
    destination: DestinationKind,
    state: &'static str,
    /// When it ended, or when the next attempt is due.
    at: String,
    attempts: usize,
    failure: Option<String>,
}

#[derive(Serialize)]
struct TestView {
    object: &'static str,
    notice: String,
    destinations: Vec<DestinationKind>,
}

/// What is raised, where notices are sent, and the latest deliveries.
///
/// # Errors
/// 400 with the name of the invalid parameter, 503 if alerts cannot be read.
pub async fn read<P: Platform>(bridge: &Bridge, platform: &P, query: &Query) -> Result<Response<P>> {
    let deliveries = query.count("limit", MAX_DELIVERIES)?.unwrap_or(DELIVERIES);
    match ask(platform, &AlertCommand::Read { deliveries }).await? {
        AlertResponse::Report(report) => Ok(json(200, &view(bridge, report))),
        AlertResponse::Tested { .. } | AlertResponse::Malformed => Err(unreachable()),
    }
}

/// Sends a test to all destinations. What becomes of it is seen in the deliveries.
///
/// # Errors
/// 409 without a destination, 503 if alerts cannot be reached.
pub async fn test<P: Platform>(bridge: &Bridge, platform: &P) -> Result<Response<P>> {
    let destinations = bridge.alert_destinations();
    if destinations.usable.is_empty() {
        let problems: String = destinations.problems.iter().map(|problem| format!(" {problem}.")).collect();
        let message =
            format!("No notice can be sent: the gateway has no destination.{problems} Set ALERT_WEBHOOK_URL.");
        return Err(Error::caller(409, "alert_destination_missing", message));
    }
    match ask(platform, &AlertCommand::Test).await? {
        AlertResponse::Tested { notice, destinations } => {
            Ok(json(202, &TestView { object: "alert_test", notice, destinations }))
        }
        AlertResponse::Report(_) | AlertResponse::Malformed => Err(unreachable()),
    }
}

fn view(bridge: &Bridge, report: AlertReport) -> AlertsView<'_> {
    let AlertReport { raised, has_more, deliveries, gone } = report;
    let destinations = bridge.alert_destinations();
    AlertsView {
        object: "alerts",
        rules: rules_view(bridge.alert_rules(), bridge.allows_private_destinations()),
        destinations: destinations.usable.iter().map(|destination| destination_view(destination, &gone)).collect(),
        problems: &destinations.problems,
        raised: raised.into_iter().map(raised_view).collect(),
        has_more,
        deliveries: deliveries.into_iter().map(delivery_view).collect(),
    }
}

fn rules_view(rules: &AlertRules, allow_private_addresses: bool) -> RulesView<'_> {
    let error_rate = rules.error_rate.map(|rule| ErrorRateView {
        percent: rule.percent,
        min_requests: rule.min_requests,
        minutes: rule.minutes,
    });
    RulesView {
        budget: &rules.budget_percents,
        target: TargetView { down_ms: rules.target.raise_after, back_ms: rules.target.clear_after },
        error_rate,
        spend_per_hour_nanos: rules.spend_per_hour,
        store_percent: rules.store_percent,
        per_hour: rules.per_hour,
        allow_private_addresses,
    }
}

fn destination_view(destination: &Destination, gone: &[DestinationKind]) -> DestinationView {
    DestinationView {
        kind: destination.kind,
        address: destination.shown(),
        is_signed: destination.signer != Signer::None,
        is_gone: gone.contains(&destination.kind),
    }
}

fn raised_view(raised: RaisedAlert) -> RaisedView {
    let RaisedAlert { kind, per, subject, percent, since } = raised;
    let written = |text: String| Some(text).filter(|text| !text.is_empty());
    RaisedView { kind, subject: written(subject), per: written(per), percent, since: since.map(write_time) }
}

fn delivery_view(open: OpenDelivery) -> DeliveryView {
    let (state, at) = match open.delivery.state {
        DeliveryState::Due { at } => ("due", at),
        DeliveryState::Ended { at, end } => (end_name(end), at),
    };
    DeliveryView {
        event: open.notice.event_type(),
        notice: open.notice.id,
        title: open.notice.title,
        found: write_time(open.notice.at),
        destination: open.delivery.destination,
        state,
        at: write_time(at),
        attempts: open.delivery.attempts,
        failure: open.delivery.failure,
    }
}

fn end_name(end: DeliveryEnd) -> &'static str {
    match end {
        DeliveryEnd::Delivered => "delivered",
        DeliveryEnd::Refused => "refused",
        DeliveryEnd::Gone => "gone",
        DeliveryEnd::GivenUp => "given_up",
    }
}

async fn ask<P: Platform>(platform: &P, command: &AlertCommand) -> Result<AlertResponse> {
    let command = serde_json::to_string(command).map_err(|_| unreachable())?;
    let address = ObjectAddress::Operations(OperationsPart::Alerts);
    let response = ask_patiently(platform, address, command).await.map_err(|failure| match failure {
        ObjectError::Unbound => unbound(),
        ObjectError::Unreachable => unreachable(),
    })?;
    serde_json::from_str(&response).map_err(|_| unreachable())
}

fn unbound() -> Error {
    let message = "The Durable Object binding OPERATIONS of alerts is missing. Add it as wrangler.toml shows.";
    Error::gateway(503, "alerts_unavailable", message).with_header("retry-after", "1")
}

fn unreachable() -> Error {
    Error::gateway(503, "alerts_unavailable", "Alerts cannot be reached. Retry shortly.")
        .with_header("retry-after", "1")
}

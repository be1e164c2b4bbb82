//! Watching requests live: the ticket for a WebSocket, its upgrade, and the end of a request by an admin.

use serde::Serialize;
use serde_json::json;

use super::access::SignInFailure;
use super::audit_trail::AuditTrail;
use super::json_response::json;
use super::live_filter::{LiveFilter, PARAMETERS};
use super::live_ticket::LiveTicket;
use super::query::Query;
use crate::error::{Error, Result};
use crate::gateway::platform::{ObjectAddress, ObjectError, OperationsPart};
use crate::gateway::{Body, Bridge, Platform, Request, Response, UpgradeDecision, ask_patiently};
use crate::ids::AccountId;
use crate::operations::{LiveCommand, LiveResponse, MAX_WATCHERS};
use crate::wire::date::write_time;

/// The path of the WebSocket.
pub const LIVE_PATH: &str = "/admin/api/live";

#[derive(Serialize)]
struct TicketView {
    object: &'static str,
    ticket: String,
    expires_at: String,
}

#[derive(Serialize)]
struct EndView {
    object: &'static str,
    run: String,
    request_id: String,
    key_id: String,
    state: &'static str,
}

/// Issues a ticket for one connection.
///
/// # Errors
/// 409 if nothing is reported to watchers, 503 if the operations object cannot be reached.
pub async fn issue<P: Platform>(bridge: &Bridge, platform: &P, actor: &AccountId) -> Result<Response<P>> {
    check_enabled(bridge)?;
    let ticket = LiveTicket::new(bridge, platform.random_u128());
    let command = LiveCommand::Issue { hash: ticket.hash(), actor: actor.as_str().to_owned() };
    match ask(platform, &command).await? {
        LiveResponse::Issued { expires } => {
            let expires_at = write_time(expires);
            Ok(json(201, &TicketView { object: "live_ticket", ticket: ticket.into_text(), expires_at }))
        }
        _ => Err(unreachable()),
    }
}

/// The ticket of a request for the WebSocket, if it has one.
pub fn presented(query: &str) -> bool {
    query.split('&').any(|pair| pair.split('=').next() == Some("ticket"))
}

/// Authenticates a watcher by a ticket, which is used up.
///
/// # Errors
/// 426 if the request is no upgrade, 400 for the query, 401 if the ticket is not valid, 503 if there are too
/// many watchers or the operations object cannot be reached.
pub async fn sign_in<P: Platform>(
    bridge: &Bridge,
    platform: &P,
    request: &Request<'_, P>,
) -> Result<AccountId, SignInFailure> {
    check_upgrade(bridge, request)?;
    let query = Query::read(request.query, PARAMETERS)?;
    LiveFilter::of(&query)?;
    // A ticket that this gateway did not make costs no call of an object.
    let ticket = LiveTicket::read(bridge, query.text("ticket").unwrap_or_default()).ok_or_else(wrong_ticket)?;
    match ask(platform, &LiveCommand::Enter { ticket: Some(ticket.hash()) }).await? {
        LiveResponse::Entered { actor: Some(actor) } => Ok(actor.into()),
        LiveResponse::WrongTicket => Err(wrong_ticket().into()),
        LiveResponse::Full => Err(full().into()),
        _ => Err(unreachable().into()),
    }
}

/// Opens the WebSocket of a watcher who has been authenticated.
///
/// # Errors
/// 426 if the request is no upgrade, 400 for the query, 503 if there are too many watchers or the operations
/// object cannot be reached.
pub async fn open<P: Platform>(bridge: &Bridge, platform: &P, request: Request<'_, P>) -> Result<Response<P>> {
    if !presented(request.query) {
        check_upgrade(bridge, &request)?;
        LiveFilter::of(&Query::read(request.query, PARAMETERS)?)?;
        match ask(platform, &LiveCommand::Enter { ticket: None }).await? {
            LiveResponse::Entered { .. } => {}
            LiveResponse::Full => return Err(full()),
            _ => return Err(unreachable()),
        }
    }
    Ok(Response { status: 101, headers: Vec::new(), body: Body::Socket(request.body, UpgradeDecision::Watch) })
}

/// Ends a running request. Its isolate learns of it from the response to its next report.
///
/// # Errors
/// 404 if no such request is known to run, 409 if it has ended or several have this id, 503 if the operations
/// object cannot be reached.
pub async fn end<P: Platform>(platform: &P, trail: &AuditTrail, id: &str) -> Result<Response<P>> {
    match ask(platform, &LiveCommand::End { id: id.to_owned() }).await? {
        LiveResponse::Ending(request) => {
            let after = json!({ "state": "ending", "request_id": request.request_id, "key": request.key_id });
            trail.changed(&request.run, &json!({ "state": "running" }), &after);
            let (run, request_id, key_id) = (request.run, request.request_id, request.key_id);
            Ok(json(202, &EndView { object: "request_end", run, request_id, key_id, state: "ending" }))
        }
        LiveResponse::Over => {
            Err(Error::caller(409, "request_over", format!("Request `{}` has ended already.", shown(id))))
        }
        LiveResponse::Ambiguous => {
            let message = format!("Several running requests have the id `{}`. Pass the `run` of one.", shown(id));
            Err(Error::caller(409, "request_ambiguous", message))
        }
        LiveResponse::NotFound => {
            let message = format!(
                "No running request `{}` is known. It has ended, or nobody has watched since it began: watch \
                 with GET {LIVE_PATH}, which lists what runs.",
                shown(id)
            );
            Err(Error::caller(404, "request_not_running", message))
        }
        _ => Err(unreachable()),
    }
}

fn check_enabled(bridge: &Bridge) -> Result<()> {
    if bridge.reporting().enabled {
        return Ok(());
    }
    let message = "Requests cannot be watched while `reporting.enabled` is false.";
    Err(Error::caller(409, "reporting_disabled", message))
}

fn check_upgrade<P: Platform>(bridge: &Bridge, request: &Request<'_, P>) -> Result<()> {
    let upgrade = (request.header)("upgrade");
    if upgrade.is_some_and(|upgrade| upgrade.eq_ignore_ascii_case("websocket")) {
        return check_enabled(bridge);
    }
    let message = "This is the address of a WebSocket: the request has to ask for an upgrade.";
    Err(Error::caller(426, "upgrade_required", message).with_header("upgrade", "websocket"))
}

async fn ask<P: Platform>(platform: &P, command: &LiveCommand) -> Result<LiveResponse> {
    let command = serde_json::to_string(command).map_err(|_| unreachable())?;
    let address = ObjectAddress::Operations(OperationsPart::Live);
    let response = ask_patiently(platform, address, command).await.map_err(|failure| match failure {
        ObjectError::Unbound => unbound(),
        ObjectError::Unreachable => unreachable(),
    })?;
    serde_json::from_str(&response).map_err(|_| unreachable())
}

fn shown(id: &str) -> String {
    id.chars().take(64).collect()
}

fn wrong_ticket() -> Error {
    let message = format!(
        "The ticket is wrong, was used before, or has expired. Get a new one with POST {LIVE_PATH}; it opens one \
         connection within 30 seconds."
    );
    Error::caller(401, "invalid_ticket", message)
}

fn full() -> Error {
    let message = format!("{MAX_WATCHERS} watchers are connected already. Close one of them.");
    Error::gateway(503, "too_many_watchers", message).with_header("retry-after", "5")
}

fn unbound() -> Error {
    let message = "The Durable Object binding OPERATIONS is missing. Add it as wrangler.toml shows.";
    Error::gateway(503, "live_unavailable", message).with_header("retry-after", "1")
}

fn unreachable() -> Error {
    let message = "Running requests cannot be watched at the moment. Retry shortly.";
    Error::gateway(503, "live_unavailable", message).with_header("retry-after", "1")
}

//! Decides on requests to upgrade to a WebSocket: a session, a connection without a key yet, or a refusal.

use super::upgrade::UpgradeDecision;
use super::{Body, Bridge, Platform, Request, Response};
use crate::config::{Cors, Millis};
use crate::error::{Error, Result};
use crate::policy::auth;
use crate::session::{ConnectionRefusal, UpgradeParams};

/// The longest that a connection takes to close after its time to send a key is over.
const CLOSE_GRACE: Millis = 30_000;

/// Handles a request for a WebSocket connection.
///
/// # Errors
/// 404 if WebSockets are disabled, 426 if the request is no upgrade, 403 for pages of other origins, 400 if
/// the query is malformed; if too many connections wait for a key, 503, or the error of the key that was
/// presented.
pub async fn open<P: Platform>(bridge: &Bridge, platform: &P, request: Request<'_, P>) -> Result<Response<P>> {
    let rules = &bridge.config.websocket;
    if !rules.enabled {
        return Err(Error::caller(404, "websocket_disabled", "This gateway takes no WebSockets."));
    }
    let upgrade = (request.header)("upgrade");
    if !upgrade.is_some_and(|upgrade| upgrade.eq_ignore_ascii_case("websocket")) {
        let message = "This is the address of WebSockets: the request has to ask for an upgrade.";
        return Err(Error::caller(426, "upgrade_required", message).with_header("upgrade", "websocket"));
    }
    let origin = (request.header)("origin");
    if let (Cors::Only(allowed), Some(origin)) = (&rules.origins, origin)
        && !allowed.contains(&origin)
    {
        let message = "Pages of this origin may not open a WebSocket here.";
        return Err(Error::caller(403, "origin_not_allowed", message));
    }
    let params = UpgradeParams::read(request.query, &(request.header)("sec-websocket-protocol").unwrap_or_default())?;
    let decision = decide(bridge, platform, &request, params).await?;
    Ok(Response { status: 101, headers: Vec::new(), body: Body::Socket(request.body, decision) })
}

/// Decides what to do with the connection: a session if the key is valid as far as can be decided without its
/// account; otherwise, a connection that may still send a key or receives its refusal.
async fn decide<P: Platform>(
    bridge: &Bridge,
    platform: &P,
    request: &Request<'_, P>,
    params: UpgradeParams,
) -> Result<UpgradeDecision> {
    let header = |name: &str| params.header(name).or_else(|| (request.header)(name));
    let refusal = match bridge.admit(platform, request.hostname, &header, None).await {
        Ok(_) => return Ok(UpgradeDecision::Session(params.resumes.map(|(id, _)| id))),
        Err(error) if auth::presented(header).is_some() => Some(ConnectionRefusal::of_key(error)),
        Err(_) => params.resumes.as_ref().map(|_| ConnectionRefusal::of_another()),
    };
    let (limit, now) = (bridge.config.websocket.max_without_key, platform.now());
    let until = now.saturating_add(bridge.config.websocket.key).saturating_add(CLOSE_GRACE);
    match (bridge.slots.take(limit, now, until), refusal) {
        (Some(slot), None) => Ok(UpgradeDecision::Pending(slot)),
        (Some(slot), Some(refusal)) => Ok(UpgradeDecision::Refused(refusal, slot)),
        (None, Some(refusal)) => Err(refusal.error),
        (None, None) => Err(too_many_connections(limit)),
    }
}

fn too_many_connections(limit: usize) -> Error {
    if limit == 0 {
        let message = "This gateway wants the key with the connection: in the header `Authorization`, or as the subprotocol `bearer.KEY`.";
        return Error::caller(401, "invalid_api_key", message);
    }
    let message = "Too many connections wait for their key here. Send the key with the connection (in the header `Authorization`, or as the subprotocol `bearer.KEY`), or try again shortly.";
    Error::gateway(503, "too_many_connections", message).with_header("retry-after", "5")
}

//! The upgrade to a WebSocket: who may, and what becomes of the connection. It knows no frames; chats come
//! back by the usual door.

use super::upgrade::UpgradeDecision;
use super::{Body, Bridge, Platform, Request, Response};
use crate::config::{Cors, Millis};
use crate::error::{Error, Result};
use crate::policy::auth;
use crate::session::{ConnectionRefusal, UpgradeParams};

/// After its time for a key, a connection may take so long to end.
const GRACE: Millis = 30_000;

/// Looks at a request for a connection.
///
/// # Errors
/// 404 if there are no sessions here, 426 if it is no upgrade, 403 for pages of other origins, 400 if its
/// query is faulty; 503 if too many connections wait for a key, and 401 if this one brought a wrong one then.
pub async fn open<H: Platform>(bridge: &Bridge, host: &H, request: Request<'_, H>) -> Result<Response<H>> {
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
    let entry = UpgradeParams::read(request.query, &(request.header)("sec-websocket-protocol").unwrap_or_default())?;
    let opening = receive(bridge, host, &request, entry).await?;
    Ok(Response { status: 101, headers: Vec::new(), body: Body::Socket(request.body, opening) })
}

/// A session is opened for a key that is found good without asking its account; without one, there is only a
/// connection.
async fn receive<H: Platform>(
    bridge: &Bridge,
    host: &H,
    request: &Request<'_, H>,
    entry: UpgradeParams,
) -> Result<UpgradeDecision> {
    let shown = |name: &str| entry.header(name).or_else(|| (request.header)(name));
    let refusal = match bridge.admit(host, request.hostname, &shown, None).await {
        Ok(_) => return Ok(UpgradeDecision::Session(entry.resumes.map(|(id, _)| id))),
        Err(error) if auth::presented(shown).is_some() => Some(ConnectionRefusal::of_key(error)),
        Err(_) => entry.resumes.as_ref().map(|_| ConnectionRefusal::of_another()),
    };
    let (most, now) = (bridge.config.websocket.max_without_key, host.now());
    let until = now.saturating_add(bridge.config.websocket.key).saturating_add(GRACE);
    match (bridge.slots.take(most, now, until), refusal) {
        (Some(slot), None) => Ok(UpgradeDecision::Pending(slot)),
        (Some(slot), Some(refusal)) => Ok(UpgradeDecision::Refused(refusal, slot)),
        (None, Some(refusal)) => Err(refusal.error),
        (None, None) => Err(full(most)),
    }
}

fn full(most: usize) -> Error {
    if most == 0 {
        let message = "This gateway wants the key with the connection: in the header `Authorization`, or as the subprotocol `bearer.KEY`.";
        return Error::caller(401, "invalid_api_key", message);
    }
    let message = "Too many connections wait for their key here. Send the key with the connection (in the header `Authorization`, or as the subprotocol `bearer.KEY`), or try again shortly.";
    Error::gateway(503, "too_many_connections", message).with_header("retry-after", "5")
}

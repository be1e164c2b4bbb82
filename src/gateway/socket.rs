//! The upgrade to a WebSocket: who may, and which session it is for. It knows no frames; chats come back by the usual door.

use super::{Body, Bridge, Host, Request, Response};
use crate::config::Cors;
use crate::error::{Error, Result};
use crate::session::Entry;

/// Hands the request to its session.
///
/// # Errors
/// 404 if there are no sessions here, 426 if it is no upgrade, 403 for pages of other origins, 400 if its query is faulty.
pub(super) fn open<H: Host>(bridge: &Bridge, request: Request<'_, H>) -> Result<Response<H>> {
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
    let entry = Entry::read(request.query, &(request.header)("sec-websocket-protocol").unwrap_or_default())?;
    let session = entry.resumes.map(|(id, _)| id);
    Ok(Response { status: 101, headers: Vec::new(), body: Body::Session(request.body, session) })
}

//! The upgrade to a WebSocket on Workers: what it asks for, and the response that makes a connection of it. It knows no sessions.

use worker::{Response, WebSocket, WebSocketPair};

use crate::edge::url::split_url;
use crate::session::{ConnectionRefusal, UpgradeParams};

/// The path of our own requests to sessions, for connections that began in another isolate. The gateway's door lets no client ask at it.
pub(in crate::edge) const HANDED_OVER: &str = "/handed-over";
/// The header of such a request that tells where the client is.
pub(in crate::edge) const CLIENT_IP: &str = "x-client-ip";

/// Whether a request is one of our own.
pub(in crate::edge) fn is_handed_over(url: &str) -> bool {
    split_url(url).1 == HANDED_OVER
}

/// The answer where there is no such session: no object is asked.
pub(in crate::edge) fn unknown_session(request: &web_sys::Request) -> worker::Result<web_sys::Response> {
    let (entry, pair) = (read(request)?, WebSocketPair::new()?);
    refuse(&pair.server, &entry, &ConnectionRefusal::unknown())?;
    switch(pair.client, &entry).map(Into::into)
}

/// What is asked for; the gateway has found no fault with it.
pub(in crate::edge) fn read(request: &web_sys::Request) -> worker::Result<UpgradeParams> {
    let protocols = request.headers().get("sec-websocket-protocol").ok().flatten();
    let entry = UpgradeParams::read(split_url(&request.url()).2, &protocols.unwrap_or_default());
    entry.map_err(|error| worker::Error::RustError(error.to_string()))
}

/// The response that makes a connection of a request.
pub(in crate::edge) fn switch(client: WebSocket, entry: &UpgradeParams) -> worker::Result<Response> {
    let mut response = Response::from_websocket(client)?;
    if let Some(protocol) = entry.protocol {
        response.headers_mut().set("sec-websocket-protocol", protocol)?;
    }
    Ok(response)
}

/// Says why there is no session, and closes.
pub(in crate::edge) fn refuse(
    socket: &WebSocket,
    entry: &UpgradeParams,
    refusal: &ConnectionRefusal,
) -> worker::Result<()> {
    socket.accept()?;
    socket.send_with_str(refusal.frame(entry))?;
    let (code, reason) = refusal.code.parts();
    let _ = socket.close(Some(code), Some(reason));
    Ok(())
}

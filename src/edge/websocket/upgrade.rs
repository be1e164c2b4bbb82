//! WebSocket upgrades: the parameters of the request, and the response that makes a connection of it.

use worker::{Response, WebSocket, WebSocketPair};

use crate::edge::url::split_url;
use crate::session::{ConnectionRefusal, UpgradeParams};

/// The path of the edge's own requests to sessions, for connections that began without a key in another
/// isolate. The router accepts it from no client.
pub(in crate::edge) const HANDED_OVER: &str = "/handed-over";
/// The header of such a request with the client's IP address.
pub(in crate::edge) const CLIENT_IP: &str = "x-client-ip";

/// The response if there is no such session. No object is called.
pub(in crate::edge) fn unknown_session(request: &web_sys::Request) -> worker::Result<web_sys::Response> {
    let (params, pair) = (read(request)?, WebSocketPair::new()?);
    refuse(&pair.server, &params, &ConnectionRefusal::unknown())?;
    switch(pair.client, &params).map(Into::into)
}

/// The parameters of an upgrade request that the gateway has accepted.
pub(in crate::edge) fn read(request: &web_sys::Request) -> worker::Result<UpgradeParams> {
    let protocols = request.headers().get("sec-websocket-protocol").ok().flatten();
    let url = request.url();
    let (_, path, query) = split_url(&url);
    let params = UpgradeParams::read(query, &protocols.unwrap_or_default());
    let params = params.map_err(|error| worker::Error::RustError(error.to_string()))?;
    Ok(UpgradeParams { is_forwarded: path == HANDED_OVER, ..params })
}

/// The response that completes the upgrade.
pub(in crate::edge) fn switch(client: WebSocket, params: &UpgradeParams) -> worker::Result<Response> {
    let mut response = Response::from_websocket(client)?;
    if let Some(protocol) = params.protocol {
        response.headers_mut().set("sec-websocket-protocol", protocol)?;
    }
    Ok(response)
}

/// Accepts a connection to report why it is refused, and closes it.
pub(in crate::edge) fn refuse(
    socket: &WebSocket,
    params: &UpgradeParams,
    refusal: &ConnectionRefusal,
) -> worker::Result<()> {
    socket.accept()?;
    socket.send_with_str(refusal.frame(params))?;
    let (code, reason) = refusal.code.parts();
    let _ = socket.close(Some(code), Some(reason));
    Ok(())
}

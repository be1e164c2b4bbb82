//! A session's WebSocket, which the runtime keeps while the object sleeps, and the snapshot attached to it.

use worker::{State, WebSocket, WebSocketRequestResponsePair};

use crate::edge::js::{attach, attachment};
use crate::edge::log::report_failure;
use crate::session::{AttachedSession, CloseCode, PING, PONG, SessionSnapshot};
use crate::telemetry::RuntimeFailure;

/// The tag of a connection whose frames another isolate forwards.
const FORWARDED: &str = "passed";

/// Accepts a connection, which may outlive the object's memory. `is_forwarded`: another isolate forwards its
/// frames.
pub(super) fn accept(state: &State, socket: &WebSocket, is_forwarded: bool) {
    if is_forwarded {
        state.accept_websocket_with_tags(socket, &[FORWARDED]);
    } else {
        state.accept_web_socket(socket);
    }
}

/// Has the runtime answer pings of exactly this form, without waking the object.
pub(super) fn answer_pings(state: &State) {
    if let Ok(pair) = WebSocketRequestResponsePair::new(PING, PONG) {
        state.set_websocket_auto_response(&pair);
    }
}

/// Attaches the session's snapshot to its connection.
pub(super) fn attach_snapshot(socket: &WebSocket, snapshot: &SessionSnapshot) {
    attach(socket, &snapshot.write());
}

/// Detaches a connection from the session: later events of it are ignored.
pub(super) fn detach(socket: &WebSocket) {
    attach(socket, "");
}

/// The number of a connection among those of its session; `None` if it is detached.
pub(super) fn number(socket: &WebSocket) -> Option<u64> {
    SessionSnapshot::read(&attachment(socket)?).ok().map(|snapshot| snapshot.connection())
}

/// The newest connection of the object, and the session as it is attached to it. Snapshots that cannot be
/// read are logged.
pub(super) fn newest(state: &State) -> Option<(AttachedSession, WebSocket)> {
    let attached = state.get_websockets().into_iter().filter_map(|socket| {
        let text = attachment(&socket).filter(|text| !text.is_empty())?;
        match SessionSnapshot::read(&text) {
            Ok(snapshot) => Some((snapshot, socket)),
            Err(error) => {
                report_failure(RuntimeFailure::SessionUnreadable(&error.to_string()));
                None
            }
        }
    });
    let (snapshot, socket) = attached.max_by_key(|(snapshot, _)| snapshot.connection())?;
    let is_forwarded = !state.get_tags(&socket).is_empty();
    Some((AttachedSession { snapshot, is_forwarded }, socket))
}

/// Bytes that were sent and wait in the connection.
pub(super) fn queued_bytes(socket: &WebSocket) -> usize {
    let raw: &web_sys::WebSocket = socket.as_ref();
    usize::try_from(raw.buffered_amount()).unwrap_or(usize::MAX)
}

/// Closes a connection, and detaches it from the session.
pub(super) fn close(socket: &WebSocket, code: CloseCode) {
    detach(socket);
    let (code, reason) = code.parts();
    let _ = socket.close(Some(code), Some(reason));
}

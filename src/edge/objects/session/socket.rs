//! The connection of a session: a WebSocket that the runtime keeps while the object sleeps, and the snapshot attached to it.

use worker::{State, WebSocket, WebSocketRequestResponsePair};

use crate::edge::js::{EventContext, attach, attachment};
use crate::session::{CloseCode, PING, PONG, SessionSnapshot};

/// Puts an end to an object that has nothing to do any more, and so to its connections: one that was closed by an alarm, and has been
/// answered, would else be left open by the runtime. Nothing of ours is running when it happens.
pub(super) fn end(state: &State) {
    EventContext::of(state.as_raw()).abort("the session is over");
}

/// What a connection is marked with whose frames pass through another isolate.
const PASSED: &str = "passed";

/// Accepts a connection, which may outlive the object's memory. `is_passed`: its frames pass through another isolate.
pub(super) fn accept(state: &State, socket: &WebSocket, is_passed: bool) {
    if is_passed {
        state.accept_websocket_with_tags(socket, &[PASSED]);
    } else {
        state.accept_web_socket(socket);
    }
}

/// Whether the frames of a connection pass through another isolate.
pub(super) fn is_passed(state: &State, socket: &WebSocket) -> bool {
    !state.get_tags(socket).is_empty()
}

/// Answers pings of that very form without waking the object.
pub(super) fn answer_pings(state: &State) {
    if let Ok(pair) = WebSocketRequestResponsePair::new(PING, PONG) {
        state.set_websocket_auto_response(&pair);
    }
}

/// Ties to a connection what is kept of its session: it is there as long as the connection is.
pub(super) fn tie(socket: &WebSocket, kept: &SessionSnapshot) {
    attach(socket, &kept.write());
}

/// Nothing is tied to it any more: whatever still comes of it belongs to no session.
pub(super) fn untie(socket: &WebSocket) {
    attach(socket, "");
}

/// What is tied to a connection.
pub(super) fn tied(socket: &WebSocket) -> Option<SessionSnapshot> {
    SessionSnapshot::read(&attachment(socket)?)
}

/// Bytes that were sent and wait in the connection.
pub(super) fn queued(socket: &WebSocket) -> usize {
    let raw: &web_sys::WebSocket = socket.as_ref();
    usize::try_from(raw.buffered_amount()).unwrap_or(usize::MAX)
}

/// Whether a close code says that the client is done; 1005 stands for no code.
pub(super) fn is_orderly(code: usize) -> bool {
    matches!(code, 1000 | 1005)
}

/// Closes a connection, which belongs to no session any more.
pub(super) fn close(socket: &WebSocket, code: CloseCode) {
    untie(socket);
    let (number, reason) = code.parts();
    let _ = socket.close(Some(number), Some(reason));
}

//! WebSockets on Workers, as far as no crate wraps them; and what is tied to one.

use js_sys::{Date, Promise, Reflect};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use worker::{State, WebSocket, WebSocketRequestResponsePair};

use super::platform::Keeper;
use crate::config::Millis;
use crate::session::{CloseCode, PING, PONG, SessionSnapshot};

#[wasm_bindgen]
extern "C" {
    /// <https://developers.cloudflare.com/durable-objects/api/state/>
    type Sockets;

    #[wasm_bindgen(method, js_name = getWebSocketAutoResponseTimestamp, catch)]
    fn pinged(this: &Sockets, socket: &web_sys::WebSocket) -> Result<Option<Date>, JsValue>;

    /// <https://developers.cloudflare.com/durable-objects/api/sqlite-storage-api/>
    type Storage;

    #[wasm_bindgen(method, js_name = setAlarm, catch)]
    fn set_alarm(this: &Storage, at: f64) -> Result<Promise, JsValue>;

    /// <https://developers.cloudflare.com/durable-objects/best-practices/websockets/>
    type Tied;

    #[wasm_bindgen(method, js_name = serializeAttachment, catch)]
    fn tie(this: &Tied, text: &str) -> Result<(), JsValue>;

    #[wasm_bindgen(method, js_name = deserializeAttachment, catch)]
    fn untie(this: &Tied) -> Result<JsValue, JsValue>;
}

/// Puts an end to an object that has nothing to do any more, and so to its connections: one that was closed by an alarm, and has been
/// answered, would else be left open by the runtime. Nothing of ours is running when it happens.
pub(super) fn end(state: &State) {
    Keeper::of(state.as_raw()).abort("the session is over");
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

/// When a client last sent a ping that woke nobody; 0 = never.
pub(super) fn pinged(state: &State, socket: &WebSocket) -> Millis {
    let date = state.as_raw().unchecked_ref::<Sockets>().pinged(socket.as_ref());
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a date after 1970")]
    date.ok().flatten().map_or(0, |date| date.get_time() as Millis)
}

/// Has the object woken then; an earlier order is replaced.
pub(super) fn wake_at(state: &State, at: Millis) {
    let storage = Reflect::get(state.as_raw(), &JsValue::from_str("storage")).unwrap_or_default();
    #[expect(clippy::cast_precision_loss, reason = "a date")]
    let _ = storage.unchecked_ref::<Storage>().set_alarm(at as f64);
}

/// Ties to a connection what is kept of its session: it is there as long as the connection is.
pub(super) fn tie(socket: &WebSocket, kept: &SessionSnapshot) {
    let raw: &web_sys::WebSocket = socket.as_ref();
    let _ = raw.unchecked_ref::<Tied>().tie(&kept.write());
}

/// Nothing is tied to it any more: whatever still comes of it belongs to no session.
pub(super) fn untie(socket: &WebSocket) {
    let raw: &web_sys::WebSocket = socket.as_ref();
    let _ = raw.unchecked_ref::<Tied>().tie("");
}

/// What is tied to a connection.
pub(super) fn tied(socket: &WebSocket) -> Option<SessionSnapshot> {
    let raw: &web_sys::WebSocket = socket.as_ref();
    SessionSnapshot::read(&raw.unchecked_ref::<Tied>().untie().ok()?.as_string()?)
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

//! WebSockets that the runtime keeps while their Durable Object sleeps
//! (<https://developers.cloudflare.com/durable-objects/best-practices/websockets/>).

use js_sys::Date;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use worker::{State, WebSocket};

use crate::config::Millis;

#[wasm_bindgen]
extern "C" {
    /// <https://developers.cloudflare.com/durable-objects/api/state/>
    type Sockets;

    #[wasm_bindgen(method, js_name = getWebSocketAutoResponseTimestamp, catch)]
    fn auto_response_timestamp(this: &Sockets, socket: &web_sys::WebSocket) -> Result<Option<Date>, JsValue>;

    type Attachable;

    #[wasm_bindgen(method, js_name = serializeAttachment, catch)]
    fn serialize_attachment(this: &Attachable, text: &str) -> Result<(), JsValue>;

    #[wasm_bindgen(method, js_name = deserializeAttachment, catch)]
    fn deserialize_attachment(this: &Attachable) -> Result<JsValue, JsValue>;
}

/// When the runtime last answered a ping of the client by itself; 0 = never.
pub(in crate::edge) fn last_ping(state: &State, socket: &WebSocket) -> Millis {
    let date = state.as_raw().unchecked_ref::<Sockets>().auto_response_timestamp(socket.as_ref());
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a date after 1970")]
    date.ok().flatten().map_or(0, |date| date.get_time() as Millis)
}

/// Attaches a text to a connection. It survives as long as the connection does.
pub(in crate::edge) fn attach(socket: &WebSocket, text: &str) {
    let raw: &web_sys::WebSocket = socket.as_ref();
    let _ = raw.unchecked_ref::<Attachable>().serialize_attachment(text);
}

/// The text that is attached to a connection.
pub(in crate::edge) fn attachment(socket: &WebSocket) -> Option<String> {
    let raw: &web_sys::WebSocket = socket.as_ref();
    raw.unchecked_ref::<Attachable>().deserialize_attachment().ok()?.as_string()
}

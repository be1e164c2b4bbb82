//! A WebSocket that this isolate has accepted itself. Those of sessions are kept by the runtime instead.

use js_sys::{Object, Reflect, Uint8Array};
use wasm_bindgen::prelude::{Closure, wasm_bindgen};
use wasm_bindgen::{JsCast, JsValue};

use crate::session::{NO_STATUS, came_in_frame};

#[wasm_bindgen]
extern "C" {
    /// <https://developers.cloudflare.com/workers/runtime-apis/websockets/>
    pub(in crate::edge) type Socket;

    #[wasm_bindgen(method, catch)]
    fn accept(this: &Socket, options: &Object) -> Result<(), JsValue>;

    #[wasm_bindgen(method, catch)]
    fn send(this: &Socket, data: &JsValue) -> Result<(), JsValue>;

    #[wasm_bindgen(method, catch)]
    fn close(this: &Socket, code: Option<u16>, reason: Option<&str>) -> Result<(), JsValue>;

    #[wasm_bindgen(method, catch, js_name = addEventListener)]
    fn add_event_listener(this: &Socket, kind: &str, listener: &JsValue) -> Result<(), JsValue>;

    #[wasm_bindgen(method, catch, js_name = removeEventListener)]
    fn remove_event_listener(this: &Socket, kind: &str, listener: &JsValue) -> Result<(), JsValue>;

    #[wasm_bindgen(method, getter, js_name = bufferedAmount)]
    fn buffered_amount(this: &Socket) -> f64;

    type Event;

    #[wasm_bindgen(method, getter)]
    fn data(this: &Event) -> JsValue;

    #[wasm_bindgen(method, getter)]
    fn code(this: &Event) -> Option<u16>;

    #[wasm_bindgen(method, getter)]
    fn reason(this: &Event) -> Option<String>;
}

/// A connection. Dropping it removes its listeners.
pub(in crate::edge) struct AcceptedSocket {
    socket: Socket,
    on_message: Closure<dyn Fn(Event)>,
    on_end: Closure<dyn Fn(Event)>,
}

/// How the other side closed a connection.
pub(in crate::edge) struct Closed {
    code: u16,
    reason: String,
}

impl AcceptedSocket {
    /// Accepts a connection. `on_message` gets each message; `on_end` gets how the other side closed the
    /// connection, or `None` if the connection broke. It may be called twice.
    pub fn accept(
        socket: JsValue,
        on_message: impl Fn(JsValue) + 'static,
        on_end: impl Fn(Option<Closed>) + 'static,
    ) -> Result<Self, JsValue> {
        let on_message = Closure::<dyn Fn(Event)>::new(move |event: Event| on_message(event.data()));
        let on_end = Closure::<dyn Fn(Event)>::new(move |event: Event| {
            let closed = event.code().map(|code| Closed { code, reason: event.reason().unwrap_or_default() });
            on_end(closed.filter(|closed| came_in_frame(closed.code)));
        });
        let accepted = Self { socket: socket.unchecked_into(), on_message, on_end };
        for (kind, listener) in accepted.listeners() {
            accepted.socket.add_event_listener(kind, listener)?;
        }
        // Without it, the runtime would complete the closing handshake by itself.
        let options = Object::new();
        Reflect::set(&options, &JsValue::from_str("allowHalfOpen"), &JsValue::TRUE)?;
        accepted.socket.accept(&options)?;
        Ok(accepted)
    }

    fn listeners(&self) -> [(&'static str, &JsValue); 3] {
        [("message", self.on_message.as_ref()), ("close", self.on_end.as_ref()), ("error", self.on_end.as_ref())]
    }

    /// Sends a message. On a connection that has ended, it is lost.
    pub fn send(&self, message: &JsValue) {
        let _ = self.socket.send(message);
    }

    /// Sends a binary message.
    pub fn send_bytes(&self, bytes: &[u8]) {
        self.send(&Uint8Array::from(bytes).buffer());
    }

    /// Bytes that were sent and are still queued.
    pub fn queued_bytes(&self) -> usize {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a length in memory")]
        let queued = self.socket.buffered_amount() as usize;
        queued
    }

    /// Closes the connection, or answers the other side's close.
    pub fn close(&self, code: u16, reason: &str) {
        let _ = self.socket.close(Some(code), Some(reason));
    }

    /// Closes the connection with the code and reason of another one.
    pub fn close_as(&self, Closed { code, reason }: &Closed) {
        let code = Some(*code).filter(|code| *code != NO_STATUS);
        let _ = self.socket.close(code, code.map(|_| reason.as_str()));
    }
}

impl Drop for AcceptedSocket {
    fn drop(&mut self) {
        for (kind, listener) in self.listeners() {
            let _ = self.socket.remove_event_listener(kind, listener);
        }
    }
}

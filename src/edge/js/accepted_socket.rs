//! A connection that this isolate has accepted itself, unlike those of sessions, which the runtime keeps. It knows no frames.

use js_sys::{Object, Reflect, Uint8Array};
use wasm_bindgen::prelude::{Closure, wasm_bindgen};
use wasm_bindgen::{JsCast, JsValue};

#[wasm_bindgen]
extern "C" {
    /// <https://developers.cloudflare.com/workers/runtime-apis/websockets/>
    pub(in crate::edge) type Socket;

    #[wasm_bindgen(method, catch, js_name = accept)]
    fn take(this: &Socket, options: &Object) -> Result<(), JsValue>;

    #[wasm_bindgen(method, catch)]
    fn send(this: &Socket, data: &JsValue) -> Result<(), JsValue>;

    #[wasm_bindgen(method, catch, js_name = close)]
    fn end(this: &Socket, code: Option<u16>, reason: Option<&str>) -> Result<(), JsValue>;

    #[wasm_bindgen(method, catch, js_name = addEventListener)]
    fn listen(this: &Socket, kind: &str, listener: &JsValue) -> Result<(), JsValue>;

    #[wasm_bindgen(method, catch, js_name = removeEventListener)]
    fn unlisten(this: &Socket, kind: &str, listener: &JsValue) -> Result<(), JsValue>;

    #[wasm_bindgen(method, getter, js_name = bufferedAmount)]
    fn buffered(this: &Socket) -> f64;

    type Event;

    #[wasm_bindgen(method, getter)]
    fn data(this: &Event) -> JsValue;

    #[wasm_bindgen(method, getter)]
    fn code(this: &Event) -> Option<u16>;

    #[wasm_bindgen(method, getter)]
    fn reason(this: &Event) -> Option<String>;
}

/// What a closing frame without a code is told as.
const NO_CODE: u16 = 1005;

/// A connection, listened to until this is dropped.
pub(in crate::edge) struct AcceptedSocket {
    socket: Socket,
    heard: Closure<dyn Fn(Event)>,
    ended: Closure<dyn Fn(Event)>,
}

/// How the other side closed a connection.
pub(in crate::edge) struct Closed {
    code: u16,
    reason: String,
}

impl AcceptedSocket {
    /// Accepts a connection. `heard` gets each message, `ended` its end, perhaps twice: nothing, if the connection broke.
    pub fn accept(
        socket: JsValue,
        heard: impl Fn(JsValue) + 'static,
        ended: impl Fn(Option<Closed>) + 'static,
    ) -> Result<Self, JsValue> {
        let heard = Closure::<dyn Fn(Event)>::new(move |event: Event| heard(event.data()));
        let ended = Closure::<dyn Fn(Event)>::new(move |event: Event| {
            let closed = event.code().map(|code| Closed { code, reason: event.reason().unwrap_or_default() });
            ended(closed.filter(Closed::is_orderly));
        });
        let line = Self { socket: socket.unchecked_into(), heard, ended };
        for (kind, listener) in line.listeners() {
            line.socket.listen(kind, listener)?;
        }
        // We answer the other side's close ourselves.
        let options = Object::new();
        Reflect::set(&options, &JsValue::from_str("allowHalfOpen"), &JsValue::TRUE)?;
        line.socket.take(&options)?;
        Ok(line)
    }

    fn listeners(&self) -> [(&'static str, &JsValue); 3] {
        [("message", self.heard.as_ref()), ("close", self.ended.as_ref()), ("error", self.ended.as_ref())]
    }

    /// Sends a message. What is sent to a connection that has ended is lost.
    pub fn send(&self, message: &JsValue) {
        let _ = self.socket.send(message);
    }

    /// Sends a message of bytes.
    pub fn send_bytes(&self, bytes: &[u8]) {
        self.send(&Uint8Array::from(bytes).buffer());
    }

    /// Bytes that were sent and have not left yet.
    pub fn waiting(&self) -> usize {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a length in memory")]
        let waiting = self.socket.buffered() as usize;
        waiting
    }

    /// Closes it, or answers the other side's close.
    pub fn close(&self, code: u16, reason: &str) {
        let _ = self.socket.end(Some(code), Some(reason));
    }

    /// Closes it as the other end of a pair of connections was closed.
    pub fn close_as(&self, Closed { code, reason }: &Closed) {
        let code = Some(*code).filter(|code| *code != NO_CODE);
        let _ = self.socket.end(code, code.map(|_| reason.as_str()));
    }
}

impl Closed {
    /// A code that came in a frame; the others stand for connections that broke.
    fn is_orderly(&self) -> bool {
        self.code == NO_CODE || (1000..5000).contains(&self.code) && !matches!(self.code, 1004 | 1006 | 1015)
    }
}

impl Drop for AcceptedSocket {
    fn drop(&mut self) {
        for (kind, listener) in self.listeners() {
            let _ = self.socket.unlisten(kind, listener);
        }
    }
}

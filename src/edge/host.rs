//! [`Host`] on Workers: fetch, clock, dice, log.

use std::rc::Rc;

use js_sys::{Array, ArrayBuffer, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortSignal, Headers, ReadableStream, ReadableStreamDefaultReader, RequestInit, RequestRedirect};
use worker::Context;

use super::{body, js};
use crate::config::Millis;
use crate::gateway::Host;
use crate::gateway::host::{Answer, Call, Lost, Unread};

/// The world of one request.
pub(super) struct Edge {
    /// Keeps the event alive until a stream has been settled.
    pub(super) context: Rc<Context>,
    /// Fires when the client leaves.
    pub(super) client: AbortSignal,
}

impl Edge {
    pub(super) fn new(request: &web_sys::Request, context: Context) -> Self {
        Self { context: Rc::new(context), client: request.signal() }
    }
}

/// Milliseconds since 1970.
pub(super) fn now() -> Millis {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a date after 1970")]
    let now = js_sys::Date::now() as Millis;
    now
}

/// Writes a line to the console.
pub(super) fn log(line: &str) {
    web_sys::console::log_1(&JsValue::from_str(line));
}

impl Host for Edge {
    type Body = web_sys::Request;
    type Answer = web_sys::Response;
    type Stream = Incoming;
    type Buffer = ArrayBuffer;

    fn now(&self) -> Millis {
        now()
    }

    fn dice(&self) -> u128 {
        u128::from_le_bytes(js::random())
    }

    fn log(&self, line: &str) {
        log(line);
    }

    async fn read(&self, request: web_sys::Request, announced: bool, limit: usize) -> Result<Vec<u8>, Unread> {
        if announced {
            let buffer = request.array_buffer().map_err(|_| Unread::Broken)?;
            return body::copy(buffer).await.map(|(bytes, _)| bytes).map_err(|_| Unread::Broken);
        }
        let Some(stream) = request.body() else { return Ok(Vec::new()) };
        let (bytes, more) = body::read_some(&stream, limit).await.map_err(|_| Unread::Broken)?;
        if more { Err(Unread::TooLarge) } else { Ok(bytes) }
    }

    async fn send(&self, call: Call) -> Result<web_sys::Response, Lost> {
        let init = self.init(&call).map_err(|_| Lost::Broken)?;
        let promise = js::fetch(&call.url, &init).map_err(|_| Lost::Broken)?;
        let response = JsFuture::from(promise).await.map_err(|reason| lost(&reason))?;
        response.dyn_into().map_err(|_| Lost::Broken)
    }

    async fn gather(&self, answer: web_sys::Response) -> Result<(Vec<u8>, ArrayBuffer), Lost> {
        let buffer = answer.array_buffer().map_err(|_| Lost::Broken)?;
        body::copy(buffer).await.map_err(|reason| lost(&reason))
    }

    fn open(&self, answer: web_sys::Response) -> Incoming {
        let body = answer.body();
        let reader = body.as_ref().and_then(|body| body.get_reader().dyn_into().ok());
        Incoming { body, reader }
    }

    async fn next(&self, stream: &Incoming) -> Result<Option<Vec<u8>>, Lost> {
        let Some(reader) = &stream.reader else { return Ok(None) };
        body::next(reader).await.map_err(|reason| lost(&reason))
    }

    async fn peek(&self, answer: web_sys::Response, limit: usize) -> Vec<u8> {
        let Some(stream) = answer.body() else { return Vec::new() };
        body::read_some(&stream, limit).await.map(|(bytes, _)| bytes).unwrap_or_default()
    }
}

/// A provider's stream while its beginning is read.
pub(super) struct Incoming {
    body: Option<ReadableStream>,
    reader: Option<ReadableStreamDefaultReader>,
}

impl Incoming {
    /// The rest of the stream, for others to read.
    pub(super) fn rest(self) -> Option<ReadableStream> {
        if let Some(reader) = self.reader {
            reader.release_lock();
        }
        self.body
    }
}

impl Answer for web_sys::Response {
    fn status(&self) -> u16 {
        self.status()
    }

    fn header(&self, name: &str) -> Option<String> {
        self.headers().get(name).ok().flatten()
    }
}

impl Edge {
    fn init(&self, call: &Call) -> Result<RequestInit, JsValue> {
        let headers = Headers::new()?;
        headers.set("content-type", "application/json")?;
        for (name, value) in &call.headers {
            headers.set(name, value)?;
        }
        let init = RequestInit::new();
        init.set_method("POST");
        init.set_headers(&headers);
        init.set_body(&Uint8Array::from(call.body.as_slice()));
        init.set_redirect(RequestRedirect::Manual);
        // The call ends when its time is over, and when the client has left.
        let clock = AbortSignal::timeout_with_u32(u32::try_from(call.timeout).unwrap_or(u32::MAX));
        init.set_signal(Some(&AbortSignal::any(&Array::of2(&clock, &self.client))));
        Ok(init)
    }
}

fn lost(reason: &JsValue) -> Lost {
    if js::is_timeout(reason) { Lost::TimedOut } else { Lost::Broken }
}

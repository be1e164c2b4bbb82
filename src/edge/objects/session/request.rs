//! A chat request of a session. It takes the same way through the gateway as one over HTTP; its response is
//! read no faster than the client takes it.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures::channel::oneshot;
use futures::future::{Either, select};
use js_sys::Uint8Array;
use wasm_bindgen::JsValue;
use web_sys::{AbortSignal, RequestInit};
use worker::Delay;

use super::state::SessionState;
use crate::config::TAGS;
use crate::edge::byte_source::Source;
use crate::edge::clock::now;
use crate::edge::context::Edge;
use crate::edge::fetch::handle;
use crate::edge::isolate::bridge;
use crate::edge::js;
use crate::error::Error;
use crate::gateway::platform::CallError;
use crate::gateway::{self, MemoryReservation};
use crate::session::{ChatStart, ClientOrigin, FailedResponse};

const PATH: &str = "/v1/chat/completions";
/// How long cancelling a response's body may take.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(1);
/// The error if there is no response at all.
const NO_RESPONSE: FailedResponse<'_> = FailedResponse {
    status: 500,
    body: r#"{"error":{"message":"The gateway could not make this request. Send it again.","type":"configuration_error","param":null,"code":"internal_error"}}"#,
    retry_after_ms: None,
};

/// A response that is being read for a session.
struct Reading<'a> {
    state: &'a Rc<SessionState>,
    edge: &'a Edge,
    number: u64,
    source: Source,
    /// Resolves when the response is no longer wanted.
    stopped: oneshot::Receiver<()>,
}

impl SessionState {
    /// Makes a request, and passes its response to the session. First `client` fires when the response is no
    /// longer wanted, then `stopped` resolves.
    pub(super) async fn run_chat(
        self: &Rc<Self>,
        start: ChatStart,
        client: AbortSignal,
        stopped: oneshot::Receiver<()>,
    ) {
        let number = start.number;
        let (origin, owner) = self.client();
        let edge = self.edge(client);
        let caller = if start.key.is_none() { owner } else { None };
        let response = match request(&origin, start) {
            // Handled to its end even if nobody wants the response: the request has a receipt.
            Ok(request) => handle(request, &edge, caller).await,
            Err(fault) => Err(fault),
        };
        let read = match response {
            Ok(response) => self.read(&edge, number, &response, stopped).await,
            Err(fault) => Err(fault),
        };
        if read.is_err() {
            self.apply(|session| session.request_failed(number, NO_RESPONSE, now()));
        }
    }

    async fn read(
        self: &Rc<Self>,
        edge: &Edge,
        number: u64,
        response: &web_sys::Response,
        stopped: oneshot::Receiver<()>,
    ) -> Result<(), JsValue> {
        let header = |name: &str| response.headers().get(name).ok().flatten();
        self.apply_transient(|session| {
            session.response_started(number, header("x-request-id").unwrap_or_default());
            Vec::new()
        });
        let is_stream = header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"));
        let Some(body) = response.body() else { return Err(JsValue::NULL) };
        let reading = Reading { state: self, edge, number, source: Source::new(body)?, stopped };
        if is_stream && response.ok() {
            reading.stream().await;
        } else {
            reading.whole(response).await;
        }
        Ok(())
    }
}

/// The request as it would arrive over HTTP.
fn request(origin: &ClientOrigin, start: ChatStart) -> Result<web_sys::Request, JsValue> {
    let length = start.body.len().to_string();
    let authorization = start.key.map(|key| format!("Bearer {key}"));
    let headers = [
        ("content-type", Some("application/json")),
        ("content-length", Some(length.as_str())),
        ("authorization", authorization.as_deref()),
        (TAGS, start.tags.as_deref()),
        ("cf-connecting-ip", origin.ip.as_deref()),
    ];
    let init = RequestInit::new();
    init.set_method("POST");
    init.set_headers(&js::record(headers.into_iter().filter_map(|(name, value)| Some((name, value?)))));
    init.set_body(&Uint8Array::from(start.body.as_slice()));
    web_sys::Request::new_with_str_and_init(&[origin.address.as_str(), PATH].concat(), &init)
}

impl Reading<'_> {
    /// Reads a stream, no faster than the client takes it.
    async fn stream(mut self) {
        while self.state.is_readable(self.number).await {
            let read = match select(pin!(self.source.next()), &mut self.stopped).await {
                Either::Left((read, _)) => read,
                Either::Right(_) => break,
            };
            match read {
                Ok(Some(bytes)) => {
                    self.state.apply_transient(|session| session.receive_stream(self.number, &bytes));
                }
                Ok(None) => return,
                Err(_) => break,
            }
        }
        self.cancel().await;
    }

    /// Reads a response that is not a stream: it becomes one frame, and stays outside of the wasm until the
    /// client can take that.
    async fn whole(mut self, response: &web_sys::Response) {
        let header = |name: &str| response.headers().get(name).ok().flatten();
        let length = header("content-length").and_then(|length| length.parse().ok());
        if !self.state.is_readable(self.number).await {
            return self.cancel().await;
        }
        let number = self.number;
        let read = match select(pin!(whole_body(self.edge, &mut self.source, length)), &mut self.stopped).await {
            Either::Left((read, _)) => Some(read),
            Either::Right(_) => None,
        };
        let Some(read) = read else { return self.cancel().await };
        match read {
            Ok((bytes, _reservation)) => {
                let body = String::from_utf8_lossy(&bytes);
                let wait = header("retry-after-ms");
                self.state.apply(|session| {
                    if response.ok() {
                        return session.receive_whole(number, &body);
                    }
                    let (status, retry_after_ms) = (response.status(), wait.as_deref());
                    session.request_failed(number, FailedResponse { status, body: &body, retry_after_ms }, now())
                });
            }
            Err(error) => {
                self.state.apply(|session| session.whole_failed(number, &error, now()));
                self.cancel().await;
            }
        }
    }

    async fn cancel(&self) {
        select(pin!(self.source.cancel()), Delay::from(CANCEL_TIMEOUT)).await;
    }
}

/// The body of a response, up to the longest that a frame can hold, and the memory reserved for it.
///
/// # Errors
/// 502 if it is longer, or ended early; 503 if there is no memory for it.
async fn whole_body(
    edge: &Edge,
    source: &mut Source,
    length: Option<usize>,
) -> Result<(Vec<u8>, MemoryReservation), Error> {
    let full = || gateway::call_failed(CallError::NoRoom);
    let (most, reservation) = bridge(&edge.env()).ok().and_then(|bridge| bridge.answer_room(now())).ok_or_else(full)?;
    let mut bytes = Vec::new();
    while let Some(piece) = source.next().await.map_err(|_| gateway::call_failed(CallError::Broken))? {
        let (at, all) = (bytes.len(), bytes.len().saturating_add(piece.len()));
        if all > most {
            return Err(gateway::unframed(most));
        }
        gateway::wait_for_room(edge, &reservation, all).await.map_err(gateway::call_failed)?;
        if bytes.capacity() - at < piece.len() {
            let expected = length.unwrap_or(0).min(most).saturating_sub(at).max(at / 4);
            bytes.try_reserve_exact(piece.len().max(expected)).map_err(|_| gateway::call_failed(CallError::NoRoom))?;
        }
        bytes.extend_from_slice(&piece);
    }
    Ok((bytes, reservation))
}

//! A request of a session on its way through the gateway, by the door that all requests take; and its answer, read as the client takes it.

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
use crate::edge::byte_source::Source;
use crate::edge::clock::now;
use crate::edge::context::Edge;
use crate::edge::fetch::handle;
use crate::edge::isolate::bridge;
use crate::edge::js;
use crate::error::Error;
use crate::gateway::platform::CallError;
use crate::gateway::{self, MemoryReservation};
use crate::session::{ChatStart, ClientOrigin};

const PATH: &str = "/v1/chat/completions";
/// A body that nobody reads any more is let go of within this time.
const PATIENCE: Duration = Duration::from_secs(1);
/// What is said of an answer that could not be had at all.
const NOTHING: &str = r#"{"error":{"message":"The gateway could not make this request. Ask again.","type":"configuration_error","param":null,"code":"internal_error"}}"#;

impl SessionState {
    /// Makes a request and hands on its answer. `client` fires when nobody wants it any more, and then `gone` comes.
    pub(super) async fn run_chat(self: &Rc<Self>, start: ChatStart, client: AbortSignal, gone: oneshot::Receiver<()>) {
        let number = start.number;
        let (place, owner) = self.client();
        let edge = self.edge(client);
        let caller = owner.filter(|_| start.key.is_none());
        let answer = match request(&place, start) {
            // Even if nobody wants it any more, it goes to its end: it has a receipt.
            Ok(request) => handle(request, &edge, caller).await,
            Err(fault) => Err(fault),
        };
        if let Ok(response) = answer
            && pass(self, &edge, number, &response, gone).await.is_ok()
        {
            return;
        }
        self.apply(|machine| machine.failed(number, 500, NOTHING, None, now()));
    }
}

/// The request as it would come over HTTP.
fn request(place: &ClientOrigin, start: ChatStart) -> Result<web_sys::Request, JsValue> {
    let length = start.body.len().to_string();
    let authorization = start.key.map(|key| format!("Bearer {key}"));
    let headers = [
        ("content-type", Some("application/json")),
        ("content-length", Some(length.as_str())),
        ("authorization", authorization.as_deref()),
        ("cf-connecting-ip", place.ip.as_deref()),
    ];
    let init = RequestInit::new();
    init.set_method("POST");
    init.set_headers(&js::record(headers.into_iter().filter_map(|(name, value)| Some((name, value?)))));
    init.set_body(&Uint8Array::from(start.body.as_slice()));
    web_sys::Request::new_with_str_and_init(&[place.origin.as_str(), PATH].concat(), &init)
}

async fn pass(
    room: &Rc<SessionState>,
    edge: &Edge,
    number: u64,
    response: &web_sys::Response,
    gone: oneshot::Receiver<()>,
) -> Result<(), JsValue> {
    let header = |name: &str| response.headers().get(name).ok().flatten();
    room.apply_unmeasured(|machine| {
        machine.began(number, header("x-request-id").unwrap_or_default());
        Vec::new()
    });
    let is_stream = header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"));
    let Some(body) = response.body() else { return Err(JsValue::NULL) };
    let mut source = Source::new(body)?;
    if is_stream && response.ok() {
        stream(room, number, source, gone).await;
        return Ok(());
    }
    let (status, wait) = (response.status(), header("retry-after-ms"));
    let length = header("content-length").and_then(|length| length.parse().ok());
    // A whole answer is one frame: it waits, outside of the wasm, until there is room for any.
    if !room.room_for(number).await {
        select(pin!(source.cancel()), Delay::from(PATIENCE)).await;
        return Ok(());
    }
    match select(pin!(whole(edge, &mut source, length)), gone).await {
        Either::Left((Ok((bytes, _reservation)), _)) => {
            let text = String::from_utf8_lossy(&bytes);
            room.apply(|machine| match response.ok() {
                true => machine.whole(number, &text),
                false => machine.failed(number, status, &text, wait.as_deref(), now()),
            });
            return Ok(());
        }
        Either::Left((Err(error), _)) => room.apply(|machine| machine.unheld(number, &error, now())),
        Either::Right(_) => {}
    }
    select(pin!(source.cancel()), Delay::from(PATIENCE)).await;
    Ok(())
}

/// A whole answer, as far as one frame may hold it, and the room that it takes in memory.
///
/// # Errors
/// 502 if it is longer, or broke off; 503 if there is no room.
async fn whole(edge: &Edge, source: &mut Source, length: Option<usize>) -> Result<(Vec<u8>, MemoryReservation), Error> {
    let full = || gateway::call_failed(CallError::NoRoom);
    let (most, reservation) = bridge(&edge.env()).ok().and_then(|bridge| bridge.answer_room(now())).ok_or_else(full)?;
    let mut bytes = Vec::new();
    while let Some(piece) = source.next().await.map_err(|_| gateway::call_failed(CallError::Broken))? {
        let (at, all) = (bytes.len(), bytes.len().saturating_add(piece.len()));
        if all > most {
            return Err(gateway::unframed(most));
        }
        edge.wait_for(&reservation, all).await.map_err(gateway::call_failed)?;
        if bytes.capacity() - at < piece.len() {
            let expected = length.unwrap_or(0).min(most).saturating_sub(at).max(at / 4);
            bytes.try_reserve_exact(piece.len().max(expected)).map_err(|_| gateway::call_failed(CallError::NoRoom))?;
        }
        bytes.extend_from_slice(&piece);
    }
    Ok((bytes, reservation))
}

/// Reads no faster than the client takes.
async fn stream(room: &Rc<SessionState>, number: u64, mut source: Source, mut gone: oneshot::Receiver<()>) {
    while room.room_for(number).await {
        let read = match select(pin!(source.next()), &mut gone).await {
            Either::Left((read, _)) => read,
            Either::Right(_) => break,
        };
        match read {
            Ok(Some(bytes)) => room.apply_unmeasured(|machine| machine.piece(number, &bytes)),
            Ok(None) => return,
            Err(_) => break,
        }
    }
    select(pin!(source.cancel()), Delay::from(PATIENCE)).await;
}

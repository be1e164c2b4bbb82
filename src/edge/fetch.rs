//! The fetch event: a request to the gateway, and the gateway's response to the runtime.

use std::future::{Future as _, poll_fn};
use std::task::Poll;

use futures::future::Either;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::event;

use super::begun::BegunResponse;
use super::context::Edge;
use super::isolate::bridge;
use super::js::{self, EventContext, OpenRequest};
use super::log::report_failure;
use super::objects::call;
use super::response;
use super::tasks;
use super::url::{scheme, split_url};
use super::websocket::{pending, upgrade};
use crate::gateway::{Body, Caller, Request, Response, UpgradeDecision};
use crate::server;
use crate::telemetry::RuntimeFailure;

#[event(start)]
fn start() {
    console_error_panic_hook::set_once();
}

/// Serves a request from HTTP. The entry module calls it; `open` gets the response.
#[wasm_bindgen]
pub fn serve_request(request: web_sys::Request, env: JsValue, context: JsValue, open: OpenRequest) {
    tasks::start(async move {
        let edge = Edge::new(request.signal(), env.into(), EventContext::of(&context));
        match handle(request, &edge, None).await {
            Ok(response) => open.respond(&response),
            Err(fault) => {
                report_failure(RuntimeFailure::ResponseFailed(&format!("{fault:?}")));
                open.fail();
            }
        }
    });
}

/// Handles a request, from HTTP or from a session. `caller` is the authenticated caller, if there is one
/// already.
///
/// A streamed response is returned when its head is there; its body is written in the background.
pub(super) async fn handle(
    request: web_sys::Request,
    edge: &Edge,
    caller: Option<Caller>,
) -> Result<web_sys::Response, JsValue> {
    let mut serving = Box::pin(serve(request, edge.clone(), caller));
    let served = poll_fn(|context| match serving.as_mut().poll(context) {
        Poll::Ready(served) => Poll::Ready(Either::Left(served)),
        Poll::Pending => edge.take_begun().map_or(Poll::Pending, |streamed| Poll::Ready(Either::Right(streamed))),
    });
    let (response, request) = match served.await {
        Either::Left(served) => served,
        Either::Right(streamed) => {
            let (response, writable) = (streamed.response(), streamed.writable());
            edge.wait_until(async move {
                serving.await;
                js::ended(&writable);
            });
            return Ok(response);
        }
    };
    let (fault, headers) = match (response, edge.begun.take()) {
        (Some(Response { status, headers, body }), _) => match make(status, &headers, body, edge).await {
            Ok(response) => return Ok(response),
            Err(fault) => (fault, headers),
        },
        (None, Some(BegunResponse::Made(streamed))) => return Ok(streamed.response()),
        (None, Some(BegunResponse::Failed(fault, headers))) => (fault, headers),
        (None, None) => (JsValue::NULL, Vec::new()),
    };
    report_failure(RuntimeFailure::ResponseFailed(&format!("{fault:?}")));
    let Response { status, headers, body } = server::internal_error(request.path(), &request.header(), &headers);
    response::make(status, &headers, &body)
}

/// The head of a request.
struct Head {
    url: String,
    headers: web_sys::Headers,
}

impl Head {
    fn path(&self) -> &str {
        split_url(&self.url).1
    }

    fn header(&self) -> impl Fn(&str) -> Option<String> {
        |name| js::header(&self.headers, name)
    }
}

/// Serves a request. Returns the response unless it was streamed, and the head of the request.
async fn serve(request: web_sys::Request, edge: Edge, caller: Option<Caller>) -> (Option<Response<Edge>>, Head) {
    let opened = bridge(&edge.env());
    let (method, head) = (request.method(), Head { url: request.url(), headers: request.headers() });
    let (hostname, path, query) = split_url(&head.url);
    let header = head.header();
    let scheme = scheme(&head.url);
    let request = Request { method: &method, path, query, scheme, hostname, header: &header, body: request, caller };
    let response = server::serve(&opened, &edge, request).await;
    drop(header);
    (response, head)
}

async fn make(
    status: u16,
    headers: &[(&'static str, String)],
    body: Body<Edge>,
    edge: &Edge,
) -> Result<web_sys::Response, JsValue> {
    match body {
        Body::Socket(request, decision) => connect(&request, decision, edge).await,
        body => response::make(status, headers, &body),
    }
}

/// Turns an upgrade request into a WebSocket connection.
async fn connect(
    request: &web_sys::Request,
    decision: UpgradeDecision,
    edge: &Edge,
) -> Result<web_sys::Response, JsValue> {
    match decision {
        UpgradeDecision::Session(id) => match call::session(&edge.env(), id.as_deref())? {
            Some(stub) => call::forward(&stub, request).await,
            None => upgrade::unknown_session(request).map_err(JsValue::from),
        },
        UpgradeDecision::Watch => call::forward(&call::operations(&edge.env())?, request).await,
        UpgradeDecision::Pending(slot) => pending::accept(request, edge, slot, None).map_err(JsValue::from),
        UpgradeDecision::Refused(refusal, slot) => {
            pending::accept(request, edge, slot, Some(&refusal)).map_err(JsValue::from)
        }
    }
}

//! The fetch event: a request to the gateway, and the gateway's response to the runtime.

use wasm_bindgen::JsValue;
use worker::{Context, Env, event};

use super::context::Edge;
use super::isolate::bridge;
use super::js::EventContext;
use super::log::report_failure;
use super::objects::call;
use super::response;
use super::url::split_url;
use super::websocket::{pending, upgrade};
use crate::gateway::{Body, Caller, Request, Response, UpgradeDecision};
use crate::server;
use crate::telemetry::RuntimeFailure;

#[event(start)]
fn start() {
    console_error_panic_hook::set_once();
}

#[event(fetch)]
async fn fetch(request: web_sys::Request, env: Env, context: Context) -> worker::Result<web_sys::Response> {
    let edge = Edge::new(request.signal(), env, EventContext::of(context.as_ref()));
    handle(request, &edge, None).await.map_err(worker::Error::from)
}

/// Handles a request that came over HTTP or from a session. `caller` is the authenticated caller, if there is
/// one already.
pub(super) async fn handle(
    request: web_sys::Request,
    edge: &Edge,
    caller: Option<Caller>,
) -> Result<web_sys::Response, JsValue> {
    let bridge = bridge(&edge.env());
    let (method, url, headers) = (request.method(), request.url(), request.headers());
    let (host_name, path, query) = split_url(&url);
    let header = |name: &str| headers.get(name).ok().flatten();
    let request = Request { method: &method, path, query, hostname: host_name, header: &header, body: request, caller };
    let Response { status, headers, body } = server::serve(&bridge, edge, request).await;
    let response = match body {
        Body::Socket(request, decision) => connect(&request, decision, edge).await,
        body => response::make(status, &headers, body, edge),
    };
    response.or_else(|fault| {
        report_failure(RuntimeFailure::ResponseFailed(&format!("{fault:?}")));
        let Response { status, headers, body } = server::internal_error(path, &header, &headers);
        response::make(status, &headers, body, edge)
    })
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
        UpgradeDecision::Pending(slot) => pending::accept(request, edge, slot, None).map_err(JsValue::from),
        UpgradeDecision::Refused(refusal, slot) => {
            pending::accept(request, edge, slot, Some(&refusal)).map_err(JsValue::from)
        }
    }
}

//! The only code that knows Workers: the fetch event, and what is kept for the life of an isolate.

mod accepted_socket;
mod account;
mod account_store;
mod body;
mod byte_source;
mod clock;
mod count;
mod directory;
mod disconnect;
mod echo_stream;
mod js;
mod long_body;
mod object;
mod pending;
mod platform;
mod pump;
mod receipt_queue;
mod renewal;
mod session;
mod session_memory;
mod session_request;
mod session_store;
mod socket;
mod stream;
mod upgrade;
mod vault;

use std::cell::OnceCell;
use std::rc::Rc;

use wasm_bindgen::JsValue;
use worker::{Context, Env, event};

use crate::gateway::{self, Body, Bridge, Caller, Opened, Request, Response, UpgradeDecision};
use crate::wire::json::quote;
use platform::{Edge, Keeper, log};

thread_local! {
    /// Opened by the first request. Only values are kept here, never anything that belongs to a request.
    static BRIDGE: OnceCell<Opened> = const { OnceCell::new() };
}

#[event(start)]
fn start() {
    console_error_panic_hook::set_once();
}

#[event(fetch)]
async fn fetch(request: web_sys::Request, env: Env, context: Context) -> worker::Result<web_sys::Response> {
    let edge = Edge::new(request.signal(), env, Keeper::of(context.as_ref()));
    handle(request, &edge, None).await.map_err(worker::Error::from)
}

/// One request, wherever it came in. `caller`: who calls, if that is known already.
async fn handle(request: web_sys::Request, edge: &Edge, caller: Option<Caller>) -> Result<web_sys::Response, JsValue> {
    let opened = bridge(&edge.env());
    let (method, url, headers) = (request.method(), request.url(), request.headers());
    let (host_name, path, query) = js::split_url(&url);
    let header = |name: &str| headers.get(name).ok().flatten();
    let request = Request { method: &method, path, query, hostname: host_name, header: &header, body: request, caller };
    let Response { status, headers, body } = gateway::serve(&opened, edge, request).await;
    let made = match body {
        Body::Socket(request, opening) => connect(&request, opening, edge).await,
        body => body::response(status, &headers, body, edge),
    };
    made.or_else(|fault| {
        log(&format!("{{\"level\":\"error\",\"event\":\"answer_failed\",\"error\":{}}}", quote(&format!("{fault:?}"))));
        let Response { status, headers, body } = gateway::unmade(path, &header, &headers);
        body::response(status, &headers, body, edge)
    })
}

/// A request becomes a connection.
async fn connect(
    request: &web_sys::Request,
    opening: UpgradeDecision,
    edge: &Edge,
) -> Result<web_sys::Response, JsValue> {
    match opening {
        UpgradeDecision::Session(id) => match object::session(&edge.env(), id.as_deref())? {
            Some(stub) => object::pass(&stub, request).await,
            None => upgrade::unknown(request).map_err(JsValue::from),
        },
        UpgradeDecision::Pending(slot) => pending::accept(request, edge, slot, None).map_err(JsValue::from),
        UpgradeDecision::Refused(refusal, slot) => {
            pending::accept(request, edge, slot, Some(&refusal)).map_err(JsValue::from)
        }
    }
}

/// The gateway; opened by whoever asks first.
fn bridge(env: &Env) -> Opened {
    BRIDGE.with(|cell| cell.get_or_init(|| open(env)).clone())
}

fn open(env: &Env) -> Opened {
    count::prepare(env);
    let secret = |name: &str| js_sys::Reflect::get(env, &JsValue::from_str(name)).ok()?.as_string();
    let opened = Bridge::open(&js::configuration(), secret, platform::now()).map(Rc::new);
    let lines = match &opened {
        Ok(bridge) => bridge.notes(platform::now()),
        Err(problems) => gateway::faults(problems, platform::now()),
    };
    lines.iter().for_each(|line| log(line));
    opened
}

//! The only code that knows Workers: the fetch event, and what is kept for the life of an isolate.

mod account;
mod attic;
mod body;
mod call;
mod count;
mod directory;
mod host;
mod js;
mod object;
mod outbox;
mod session;
mod shelf;
mod socket;
mod source;
mod stream;
mod upgrade;
mod vault;

use std::cell::OnceCell;
use std::rc::Rc;

use wasm_bindgen::JsValue;
use worker::{Context, Env, event};

use crate::gateway::{self, Body, Bridge, Caller, Opened, Request};
use host::{Edge, Keeper};

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
    let request = Request { method: &method, path, query, host_name, header: &header, body: request, caller };
    let response = gateway::serve(&opened, edge, request).await;
    match response.body {
        Body::Session(request, id) => match object::session(&edge.env(), id.as_deref())? {
            Some(stub) => object::pass(&stub, &request).await,
            None => upgrade::unknown(&request).map_err(JsValue::from),
        },
        _ => body::response(response, edge),
    }
}

/// The gateway; opened by whoever asks first.
fn bridge(env: &Env) -> Opened {
    BRIDGE.with(|cell| cell.get_or_init(|| open(env)).clone())
}

fn open(env: &Env) -> Opened {
    count::prepare(env);
    let secret = |name: &str| js_sys::Reflect::get(env, &JsValue::from_str(name)).ok()?.as_string();
    let opened = Bridge::open(&js::configuration(), secret, host::now()).map(Rc::new);
    let lines = match &opened {
        Ok(bridge) => bridge.notes(host::now()),
        Err(problems) => gateway::faults(problems, host::now()),
    };
    lines.iter().for_each(|line| host::log(line));
    opened
}

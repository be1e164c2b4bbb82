//! The ways by which calls of providers leave, and the heads of their responses.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use futures::future::FutureExt as _;
use js_sys::{Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{RequestInit, Response};

use super::context::Edge;
use super::js;
use super::objects::call;
use super::slots::Settled;
use crate::config::Region;
use crate::error::Error;
use crate::gateway::platform::{CallError, Egress, ProviderRequest, ReadError};
use crate::provider::{Proxy, proxy_failed};

/// The head of a response that is waited for.
pub(super) enum Head {
    /// The runtime fetches it.
    Fetched(Settled),
    /// It comes through this proxy.
    Tunnelled(Settled, Rc<Proxy>),
    /// It comes through an object in this region.
    Relayed(Settled, Region),
}

impl Future for Head {
    type Output = Result<Response, CallError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Fetched(head) => Poll::Ready(response(ready!(head.poll_unpin(context)))),
            Self::Tunnelled(head, proxy) => {
                let answered = ready!(head.poll_unpin(context));
                Poll::Ready(answered.map_err(|fault| failed(proxy, &fault)).and_then(|answered| response(Ok(answered))))
            }
            Self::Relayed(head, region) => {
                let answered = ready!(head.poll_unpin(context));
                Poll::Ready(
                    answered.map_err(|_| region_unreachable(*region)).and_then(|answered| response(Ok(answered))),
                )
            }
        }
    }
}

/// Sends a call. `init` has its method, headers, body and abort signal.
///
/// # Errors
/// The runtime refuses it, or the way by which it leaves does not exist.
pub(super) fn send(edge: &Edge, request: &ProviderRequest, init: &RequestInit) -> Result<Head, CallError> {
    let url = &request.url;
    match &request.egress {
        Egress::Direct => fetched(js::fetch(url, init)),
        Egress::Binding(name) => {
            let binding = js::binding(&edge.env, name).ok_or_else(|| CallError::Egress(binding_missing(name)))?;
            fetched(binding.fetch(url, init))
        }
        Egress::Region(region, number) => {
            let object = call::region(&edge.env, *region, *number);
            let object = object.map_err(|_| CallError::Egress(binding_missing(call::REGIONS)))?;
            let promise = object.fetch(url, init).map_err(|_| region_unreachable(*region))?;
            Ok(Head::Relayed(Settled::of(&promise), *region))
        }
        Egress::Proxy(proxy) => {
            let promise = js::tunnel(url, init, request.body.len(), proxy).map_err(|_| CallError::Broken)?;
            Ok(Head::Tunnelled(Settled::of(&promise), Rc::clone(proxy)))
        }
    }
}

/// Why a response could not be read to its end, by the error of its stream: those of the tunnel have codes.
pub(super) fn unread(fault: &JsValue) -> ReadError {
    if property(fault, "code") == TOO_LARGE { ReadError::TooLarge } else { ReadError::Broken }
}

/// The tunnel's code for a response that holds more than may be unpacked.
const TOO_LARGE: &str = "response_too_large";

/// A text of an error of JavaScript; empty if it has none of this name.
fn property(fault: &JsValue, name: &str) -> String {
    let property = Reflect::get(fault, &JsValue::from_str(name));
    property.ok().and_then(|value| value.as_string()).unwrap_or_default()
}

/// Why a call through a proxy failed, by the error that the tunnel rejects with.
fn failed(proxy: &Proxy, fault: &JsValue) -> CallError {
    proxy_failed(proxy, &property(fault, "code"), &property(fault, "message"))
        .map_or(CallError::Broken, CallError::Egress)
}

fn fetched(promise: Result<Promise, JsValue>) -> Result<Head, CallError> {
    promise.map(|promise| Head::Fetched(Settled::of(&promise))).map_err(|_| CallError::Broken)
}

fn response(fetched: Result<JsValue, JsValue>) -> Result<Response, CallError> {
    fetched.and_then(JsCast::dyn_into).map_err(|_| CallError::Broken)
}

fn region_unreachable(region: Region) -> CallError {
    let message = format!(
        "What calls this provider from region `{}` could not be reached, or broke off. Send the request again.",
        region.name()
    );
    CallError::Egress(Error::upstream(502, "region_unreachable", message))
}

fn binding_missing(name: &str) -> Error {
    let message = format!(
        "The gateway was deployed without the binding {name}, by which this provider is called. Its operator adds it to wrangler.toml."
    );
    Error::gateway(503, "binding_missing", message)
}

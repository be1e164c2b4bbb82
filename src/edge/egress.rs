//! The ways by which calls of providers leave, and the heads of their responses.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use futures::future::FutureExt as _;
use js_sys::{Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{RequestInit, Response};

use super::context::Edge;
use super::js;
use super::objects::call;
use crate::config::Region;
use crate::error::Error;
use crate::gateway::platform::{CallError, Egress, ProviderRequest};
use crate::provider::{Proxy, proxy_failed};

/// The head of a response that is waited for.
pub(super) enum Head {
    /// The runtime fetches it.
    Fetched(JsFuture),
    /// It comes through this proxy.
    Tunnelled(JsFuture, Rc<Proxy>),
    /// It comes through an object in this region.
    Relayed(JsFuture, Region),
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
            Ok(Head::Relayed(JsFuture::from(promise), *region))
        }
        Egress::Proxy(proxy) => {
            let promise = js::tunnel(url, init, request.body.len(), proxy).map_err(|_| CallError::Broken)?;
            Ok(Head::Tunnelled(JsFuture::from(promise), Rc::clone(proxy)))
        }
    }
}

/// Why a call through a proxy failed, by the error that the tunnel rejects with.
fn failed(proxy: &Proxy, fault: &JsValue) -> CallError {
    let text = |name: &str| {
        let property = Reflect::get(fault, &JsValue::from_str(name));
        property.ok().and_then(|value| value.as_string()).unwrap_or_default()
    };
    proxy_failed(proxy, &text("code"), &text("message")).map_or(CallError::Broken, CallError::Egress)
}

fn fetched(promise: Result<Promise, JsValue>) -> Result<Head, CallError> {
    promise.map(|promise| Head::Fetched(JsFuture::from(promise))).map_err(|_| CallError::Broken)
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

//! The context of one request: its bindings, its client, its lease, and how long the runtime keeps it alive.

use std::cell::RefCell;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;

use futures::future::{Either, select};
use wasm_bindgen::JsValue;
use web_sys::{AbortSignal, WritableStream};
use worker::Env;

use super::disconnect::Disconnect;
use super::js::{self, EventContext};
use crate::gateway::LeaseRenewal;

/// The context of one request.
#[derive(Clone)]
pub(super) struct Edge {
    pub(super) leaving: Rc<Disconnect>,
    pub(super) env: Env,
    event: EventContext,
    /// The lease of a request with limits, until it is settled.
    pub(super) lease: Rc<RefCell<Option<LeaseRenewal>>>,
}

impl Edge {
    /// `client` fires when the client disconnects.
    pub(super) fn new(client: AbortSignal, env: Env, event: EventContext) -> Self {
        Self { leaving: Rc::new(Disconnect::of(client)), env, event, lease: Rc::default() }
    }

    /// Runs a task to its end in the background; the runtime keeps the request alive until then.
    pub(super) fn wait_until(&self, task: impl Future<Output = ()> + 'static) {
        self.event.run(Box::pin(task));
    }

    /// Runs the task that writes a response, in the background. The entry module watches over the response until it is done.
    pub(super) fn wait_until_written(&self, writable: &WritableStream, task: impl Future<Output = ()> + 'static) {
        let writable = writable.clone();
        self.wait_until(async move {
            task.await;
            js::ended(&writable);
        });
    }

    /// Ends the request and its connections, in a task of the runtime's own.
    pub(super) fn abort(&self, reason: &str) {
        self.event.abort(reason);
    }

    /// The bindings.
    pub(super) fn env(&self) -> Env {
        self.env.clone()
    }

    /// Waits until the client has left.
    pub(super) async fn left(&self) {
        self.leaving.left().await;
    }

    /// Waits until no more time is left to a request whose client has left, for what outlives its client.
    pub(super) async fn over(&self) {
        self.leaving.over().await;
    }

    /// Waits for something that only the client can bring about. One that has left never will, and the runtime does not always say so: what
    /// is written to an answer that it has not yet taken when the client leaves waits for ever.
    pub(super) async fn while_there<T>(&self, wait: impl Future<Output = Result<T, JsValue>>) -> Result<T, JsValue> {
        match select(pin!(wait), pin!(self.left())).await {
            Either::Left((done, _)) => done,
            Either::Right(_) => Err(JsValue::NULL),
        }
    }
}

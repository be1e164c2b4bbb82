//! The context of one request: its bindings, its client, the gateway's state, and tasks that outlive the
//! response.

use std::future::Future;
use std::rc::Rc;

use web_sys::{AbortSignal, WritableStream};
use worker::Env;

use super::disconnect::Disconnect;
use super::js::{self, EventContext};
use crate::gateway::RequestState;

/// The context of one request.
#[derive(Clone)]
pub(super) struct Edge {
    pub(super) disconnect: Rc<Disconnect>,
    pub(super) env: Env,
    event: EventContext,
    /// The gateway's state of the request.
    pub(super) state: Rc<RequestState>,
}

impl Edge {
    /// `client` fires when the client disconnects.
    pub(super) fn new(client: AbortSignal, env: Env, event: EventContext) -> Self {
        Self { disconnect: Rc::new(Disconnect::of(client)), env, event, state: Rc::default() }
    }

    /// Runs a task to its end in the background; the runtime keeps the request alive until then.
    pub(super) fn wait_until(&self, task: impl Future<Output = ()> + 'static) {
        self.event.run(Box::pin(task));
    }

    /// Runs the task that writes a response in the background. The entry module ends the response if the task
    /// fails.
    pub(super) fn wait_until_written(&self, writable: &WritableStream, task: impl Future<Output = ()> + 'static) {
        let writable = writable.clone();
        self.wait_until(async move {
            task.await;
            js::ended(&writable);
        });
    }

    /// Ends the request and its connections, in a task of the runtime.
    pub(super) fn abort(&self, reason: &str) {
        self.event.abort(reason);
    }

    /// The bindings.
    pub(super) fn env(&self) -> Env {
        self.env.clone()
    }
}

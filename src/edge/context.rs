//! The context of one request: its bindings, its client, the gateway's state, and tasks that outlive the
//! response.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;

use js_sys::ArrayBuffer;
use web_sys::AbortSignal;
use worker::Env;

use super::begun::BegunResponse;
use super::disconnect::Disconnect;
use super::js::{EventContext, StreamedResponse};
use crate::gateway::RequestState;

/// The context of one request.
#[derive(Clone)]
pub(super) struct Edge {
    pub(super) disconnect: Rc<Disconnect>,
    pub(super) env: Env,
    event: EventContext,
    /// The gateway's state of the request.
    pub(super) state: Rc<RequestState>,
    /// The head of a streamed response, until the runtime takes it.
    pub(super) begun: Rc<RefCell<Option<BegunResponse>>>,
    /// What the runtime has read the client's body into, once that is in the wasm: room for the body of a
    /// call.
    pub(super) spare: Rc<Cell<Option<ArrayBuffer>>>,
}

impl Edge {
    /// `client` fires when the client disconnects.
    pub(super) fn new(client: AbortSignal, env: Env, event: EventContext) -> Self {
        Self {
            disconnect: Rc::new(Disconnect::of(client)),
            env,
            event,
            state: Rc::default(),
            begun: Rc::default(),
            spare: Rc::default(),
        }
    }

    /// Runs a task to its end in the background; the runtime keeps the request alive until then.
    pub(super) fn wait_until(&self, task: impl Future<Output = ()> + 'static) {
        self.event.run(Box::pin(task));
    }

    /// The streamed response whose head the gateway has sent, once.
    pub(super) fn take_begun(&self) -> Option<StreamedResponse> {
        match self.begun.take() {
            Some(BegunResponse::Made(streamed)) => Some(streamed),
            failed => {
                self.begun.replace(failed);
                None
            }
        }
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

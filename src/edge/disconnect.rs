//! Waits for the client of a request to disconnect.

use std::cell::{Cell, OnceCell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use wasm_bindgen::prelude::{Closure, wasm_bindgen};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::AbortSignal;

use super::clock::now;
use crate::config::Millis;

#[wasm_bindgen]
extern "C" {
    type Signal;

    #[wasm_bindgen(method, catch, js_name = addEventListener)]
    fn listen(this: &Signal, kind: &str, listener: &JsValue) -> Result<(), JsValue>;

    #[wasm_bindgen(method, catch, js_name = removeEventListener)]
    fn unlisten(this: &Signal, kind: &str, listener: &JsValue) -> Result<(), JsValue>;
}

/// The client of one request. Its signal is listened to only when something waits for it; in most requests
/// nothing does.
pub(super) struct Disconnect {
    client: AbortSignal,
    event: Rc<Event>,
    listener: OnceCell<Closure<dyn FnMut()>>,
}

#[derive(Default)]
struct Event {
    /// When the client disconnected.
    at: Cell<Option<Millis>>,
    waiting: RefCell<Vec<Waker>>,
}

impl Disconnect {
    /// `client` fires when the client disconnects.
    pub(super) fn of(client: AbortSignal) -> Self {
        Self { client, event: Rc::default(), listener: OnceCell::new() }
    }

    pub(super) fn signal(&self) -> &AbortSignal {
        &self.client
    }

    /// Starts to listen to the signal.
    fn listen(&self) {
        if self.listener.get().is_some() {
            return;
        }
        let event = Rc::clone(&self.event);
        let listener = Closure::<dyn FnMut()>::new(move || event.happen());
        let _ = self.client.unchecked_ref::<Signal>().listen("abort", listener.as_ref());
        let _ = self.listener.set(listener);
        if self.client.aborted() {
            self.event.happen();
        }
    }

    /// Waits until the client has disconnected. Returns when that was.
    pub(super) async fn wait(&self) -> Millis {
        self.listen();
        poll_fn(|context| self.event.poll(context)).await
    }
}

impl Event {
    fn happen(&self) {
        if self.at.get().is_none() {
            self.at.set(Some(now()));
        }
        self.waiting.take().into_iter().for_each(Waker::wake);
    }

    fn poll(&self, context: &Context<'_>) -> Poll<Millis> {
        if let Some(at) = self.at.get() {
            return Poll::Ready(at);
        }
        let mut waiting = self.waiting.borrow_mut();
        if !waiting.iter().any(|waker| waker.will_wake(context.waker())) {
            waiting.push(context.waker().clone());
        }
        Poll::Pending
    }
}

impl Drop for Disconnect {
    fn drop(&mut self) {
        if let Some(listener) = self.listener.get() {
            let _ = self.client.unchecked_ref::<Signal>().unlisten("abort", listener.as_ref());
        }
    }
}

//! What keeps the runtime awake while work is still under way.

use std::future::Future;
use std::pin::Pin;

use js_sys::{Function, Reflect};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};

use super::globals::set_timeout;
use super::runtime::keep;
use crate::edge::tasks::spawn;

#[wasm_bindgen]
extern "C" {
    /// The context of an event, or the state of a Durable Object: both have `waitUntil`
    /// (<https://developers.cloudflare.com/workers/runtime-apis/context/>).
    #[derive(Clone)]
    pub(in crate::edge) type EventContext;
}

impl EventContext {
    /// From an event's context, or an object's state.
    pub(in crate::edge) fn of(raw: &JsValue) -> Self {
        raw.clone().unchecked_into()
    }

    /// Runs a task to its end in the background; the runtime keeps the event alive until then.
    pub(in crate::edge) fn run(&self, task: Pin<Box<dyn Future<Output = ()>>>) {
        let done = keep(self);
        spawn(async move {
            task.await;
            if let Ok(done) = done {
                let _ = done.call0(&JsValue::UNDEFINED);
            }
        });
    }

    /// Ends the event and its connections, where the runtime has `abort`. It happens in a timer's task,
    /// because none of our code may be running at that moment.
    pub(in crate::edge) fn abort(&self, reason: &str) {
        let abort = Reflect::get(self, &JsValue::from_str("abort")).map(JsCast::dyn_into::<Function>);
        if let Ok(Ok(abort)) = abort {
            set_timeout(&abort.bind0(self), 0, reason);
        }
    }
}

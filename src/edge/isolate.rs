//! The gateway of an isolate, opened by its first request.

use std::cell::OnceCell;
use std::rc::Rc;

use wasm_bindgen::JsValue;
use worker::Env;

use super::clock::now;
use super::log::{configure, report};
use super::{count, js, otlp_queue};
use crate::gateway::{Bridge, Opened};
use crate::telemetry::EventKind;

thread_local! {
    /// Holds values only, never anything that belongs to a request.
    static BRIDGE: OnceCell<Opened> = const { OnceCell::new() };
}

/// The gateway of this isolate, opened on the first call.
pub(super) fn bridge(env: &Env) -> Opened {
    BRIDGE.with(|cell| cell.get_or_init(|| open(env)).clone())
}

fn open(env: &Env) -> Opened {
    count::prepare(env);
    let secret = |name: &str| js_sys::Reflect::get(env, &JsValue::from_str(name)).ok()?.as_string();
    let opened = Bridge::open(&js::configuration(), secret, now()).map(Rc::new);
    match &opened {
        Ok(bridge) => {
            configure(bridge.logging());
            if let Some((otlp, headers)) = bridge.otlp() {
                otlp_queue::configure(otlp, headers);
            }
            bridge.notes().iter().for_each(|problem| report(EventKind::ConfigNote(problem)));
        }
        Err(problems) => problems.iter().for_each(|problem| report(EventKind::ConfigError(problem))),
    }
    opened
}

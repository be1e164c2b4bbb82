//! The gateway of an isolate, opened by its first request, and opened again when the entry module has another
//! configuration.

use std::cell::RefCell;
use std::rc::Rc;

use serde::Serialize;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::Env;

use super::clock::now;
use super::log::{configure, report};
use super::{count, js, otlp_queue};
use crate::config::Problem;
use crate::gateway::{Bridge, Opened};
use crate::telemetry::EventKind;

thread_local! {
    /// Holds values only, never anything that belongs to a request.
    static BRIDGE: RefCell<Option<Opened>> = const { RefCell::new(None) };
}

/// What came of another configuration.
#[derive(Default, Serialize)]
struct Reloaded {
    /// Why it is not served. The one before is.
    faults: Vec<String>,
    /// The settings in it that have no effect.
    notes: Vec<String>,
    /// The sections of the file that objects read when they start: they keep what they have read.
    kept_by_objects: Vec<&'static str>,
}

/// The gateway of this isolate, opened on the first call.
pub(super) fn bridge(env: &Env) -> Opened {
    if let Some(opened) = BRIDGE.with_borrow(Clone::clone) {
        return opened;
    }
    let opened = open(&js::configuration(), env);
    BRIDGE.set(Some(opened.clone()));
    opened
}

/// Serves another configuration from the next request on, unless it is faulty and the present one is not.
/// Requests that run go on with theirs. Returns a [`Reloaded`] as JSON. An entry module calls it, if it can
/// learn of another configuration (`scripts/serve/worker.mjs`).
#[wasm_bindgen]
pub fn reload(text: &str, env: JsValue) -> String {
    let opened = open(text, &env.into());
    let before = BRIDGE.with_borrow(|bridge| bridge.clone().and_then(Result::ok));
    let reloaded = match &opened {
        Err(faults) => Reloaded { faults: texts(faults), ..Reloaded::default() },
        Ok(bridge) => Reloaded {
            notes: texts(bridge.notes()),
            kept_by_objects: before.as_ref().map_or_else(Vec::new, |before| kept_by_objects(before, bridge)),
            ..Reloaded::default()
        },
    };
    if opened.is_ok() || before.is_none() {
        BRIDGE.set(Some(opened));
    }
    serde_json::to_string(&reloaded).unwrap_or_default()
}

fn open(text: &str, env: &Env) -> Opened {
    count::prepare(env);
    let secret = |name: &str| js_sys::Reflect::get(env, &JsValue::from_str(name)).ok()?.as_string();
    let opened = Bridge::open(text, secret, now()).map(Rc::new);
    match &opened {
        Ok(bridge) => {
            configure(bridge.logging());
            otlp_queue::configure(bridge.otlp());
            bridge.notes().iter().for_each(|problem| report(EventKind::ConfigNote(problem)));
        }
        Err(problems) => problems.iter().for_each(|problem| report(EventKind::ConfigError(problem))),
    }
    opened
}

fn texts(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

fn kept_by_objects(before: &Bridge, after: &Bridge) -> Vec<&'static str> {
    let sections = [
        ("accounting", before.accounting() != after.accounting()),
        ("alerts", before.alert_rules() != after.alert_rules()),
        ("logging.output.file", before.logging().file != after.logging().file),
        ("reporting", before.reporting() != after.reporting()),
    ];
    sections.into_iter().filter(|(_, differs)| *differs).map(|(section, _)| section).collect()
}

//! The log: events as lines on the console, which `wrangler tail` and Workers Logs collect.

use std::cell::OnceCell;

use wasm_bindgen::JsValue;

use super::clock::now;
use crate::config::Logging;
use crate::telemetry::{Event, EventKind, RuntimeFailure, render};

thread_local! {
    /// Set once, when the gateway is opened.
    static LOGGING: OnceCell<Logging> = const { OnceCell::new() };
}

/// Sets how this isolate writes its log; before that, it is written with the default settings.
pub(super) fn configure(logging: &Logging) {
    LOGGING.with(|cell| drop(cell.set(logging.clone())));
}

/// Writes what happens now to the log, if its level is logged.
pub(super) fn report(kind: EventKind<'_>) {
    log(&Event { at: now(), kind });
}

/// Writes a failure to the log.
pub(super) fn report_failure(failure: RuntimeFailure<'_>) {
    report(EventKind::Runtime(failure));
}

/// Writes an event to the log, if its level is logged.
pub(super) fn log(event: &Event<'_>) {
    let line = LOGGING.with(|cell| match cell.get() {
        Some(logging) => render(event, logging),
        None => render(event, &Logging::default()),
    });
    if let Some(line) = line {
        web_sys::console::log_1(&JsValue::from_str(&line));
    }
}

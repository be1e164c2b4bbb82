//! The log: lines on the console, which `wrangler tail` and Workers Logs collect, and lines for log files.

use std::cell::RefCell;
use std::rc::Rc;

use wasm_bindgen::JsValue;

use super::clock::now;
use super::{log_queue, otlp_queue};
use crate::config::{LogLevel, Logging};
use crate::telemetry::otlp::{TraceContext, log_record};
use crate::telemetry::{Event, EventKind, RuntimeFailure, render, render_in_file};

thread_local! {
    /// Set when the gateway is opened.
    static LOGGING: RefCell<Option<Rc<Logging>>> = const { RefCell::new(None) };
}

/// Sets the log settings of this isolate. Until then, the default settings apply.
pub(super) fn configure(logging: &Logging) {
    LOGGING.set(Some(Rc::new(logging.clone())));
}

/// Logs an event that happens now.
pub(super) fn report(kind: EventKind<'_>) {
    log(&Event { at: now(), kind }, None);
}

/// Logs a failure.
pub(super) fn report_failure(failure: RuntimeFailure<'_>) {
    report(EventKind::Runtime(failure));
}

/// Logs an event, if its level is logged. `span`: the span of its request, if there is one.
pub(super) fn log(event: &Event<'_>, span: Option<TraceContext>) {
    match LOGGING.with_borrow(Clone::clone) {
        Some(logging) => write(event, &logging, span),
        None => write(event, &Logging::default(), span),
    }
}

fn write(event: &Event<'_>, logging: &Logging, span: Option<TraceContext>) {
    if let Some(line) = render(event, logging) {
        web_sys::console::log_1(&JsValue::from_str(&line));
    }
    if let Some(record) = render_in_file(event, logging) {
        let is_urgent = event.kind.level() >= LogLevel::Warning;
        log_queue::with(|queue| queue.push(record, is_urgent));
    }
    if let Some(record) = log_record(event, logging, span) {
        otlp_queue::push_log_record(&record);
    }
}

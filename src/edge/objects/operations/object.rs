//! The entry of the operations object: it passes batches, commands and alarms to its parts.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use futures::future::join_all;
use worker::{
    DurableObject, Env, Error, Request, Response, Result, State, WebSocket, WebSocketIncomingMessage, durable_object,
};

use super::alerts::Outgoing;
use super::live::{Live, LiveReport};
use super::metrics_export;
use super::parts::Parts;
use super::unreadable_rows::report_entries;
use crate::admin::LIVE_PATH;
use crate::config::Millis;
use crate::edge::clock::now;
use crate::edge::delivery::{in_time, random_id};
use crate::edge::isolate::bridge;
use crate::edge::js::{in_transaction, set_alarm, stored_alarm};
use crate::edge::log::report_failure;
use crate::edge::objects::command;
use crate::gateway::Opened;
use crate::gateway::platform::{ObjectAddress, OperationsPart};
use crate::operations::{Batch, Recorded};
use crate::telemetry::RuntimeFailure;
use crate::telemetry::log_file::LogResponse;
use crate::telemetry::metrics::SeriesRow;

/// The pause after a failed alarm.
const PAUSE: Millis = 300_000;

/// The object of what operators are shown and told; there is one. The class name is part of wrangler.toml.
#[durable_object]
pub struct Operations {
    state: State,
    env: Env,
    bridge: Opened,
    /// Opened by the first command, and again after a failure.
    parts: RefCell<Option<Parts>>,
    /// When the alarm is set.
    wake_at: Cell<Option<Millis>>,
    /// Exports of metrics that were dropped, and are not recorded yet.
    drops: Rc<RefCell<Vec<SeriesRow>>>,
    live: Live,
}

impl DurableObject for Operations {
    fn new(state: State, env: Env) -> Self {
        let bridge = bridge(&env);
        let live = Live::open(&state, &bridge);
        Self { bridge, state, env, parts: RefCell::new(None), wake_at: Cell::new(None), drops: Rc::default(), live }
    }

    async fn fetch(&self, request: Request) -> Result<Response> {
        let path = request.path();
        if self.parts.borrow().is_none() {
            self.wake_at.set(stored_alarm(&self.state).await);
        }
        if path == LIVE_PATH {
            let response = self.live.connect(&self.state, request.inner(), now());
            self.live.wake_at().into_iter().for_each(|at| self.plan(at));
            return response;
        }
        self.record_drops();
        let (part, command) = (path.trim_start_matches('/'), command::read(&request).await?);
        if part == OperationsPart::Lines.name() {
            self.ask(Parts::take_lines)?;
            let has_moved_all = self.move_lines().await;
            self.plan_alarm();
            return command::respond(has_moved_all.to_string());
        }
        command::respond(self.handle(part, &command)?)
    }

    async fn websocket_message(&self, socket: WebSocket, message: WebSocketIncomingMessage) -> Result<()> {
        if let WebSocketIncomingMessage::String(text) = message {
            self.live.receive(&socket, &text);
        }
        Ok(())
    }

    async fn websocket_close(&self, socket: WebSocket, _: usize, _: String, _: bool) -> Result<()> {
        // The runtime does not complete the closing handshake, and most codes may not be sent.
        let _ = socket.close(Some(1000), None::<&str>);
        Ok(())
    }

    async fn websocket_error(&self, _: WebSocket, _: Error) -> Result<()> {
        Ok(())
    }

    /// Does what is due in the parts. Each step is stored for itself: a full store still lets entries expire,
    /// which makes room for the next.
    async fn alarm(&self) -> Result<Response> {
        self.wake_at.set(None);
        self.live.expire(&self.state, now());
        self.check(self.ask(Parts::expire));
        self.check(self.ask(Parts::fold_due));
        self.move_lines().await;
        let request = self.check(self.ask(|parts, now| Ok(parts.metrics.begin_export(now)))).flatten();
        let notices = self.check(self.ask(|parts, now| parts.alerts.begin(now))).unwrap_or_default();
        self.plan_alarm();
        self.send_notices(&notices).await;
        if let Some(request) = request {
            let dropped = metrics_export::send(request).await;
            self.drops.borrow_mut().extend(dropped);
        }
        self.record_drops();
        Response::empty()
    }
}

impl Operations {
    fn handle(&self, part: &str, command: &str) -> Result<String> {
        if part == OperationsPart::Record.name() {
            return Ok(serde_json::to_string(&self.record(command)?)?);
        }
        if part == OperationsPart::Live.name() {
            return Ok(serde_json::to_string(&self.live.handle(&self.state, command, now()))?);
        }
        if self.with_parts(|parts, _| Ok(parts.needs_fold(part, command)))? {
            self.check(self.with_parts(Parts::fold));
        }
        self.check(self.with_parts(|parts, now| parts.prepare(part, command, now)));
        let unknown = || Err(Error::RustError(format!("the operations object has no part `{part}`")));
        self.with_parts(|parts, now| parts.handle(part, command, now).unwrap_or_else(unknown))
    }

    /// Records a batch, and shows watchers what is in it. Events for watchers are not stored.
    fn record(&self, command: &str) -> Result<Recorded> {
        let (mut batch, unreadable) = Batch::read(command)?;
        report_entries(unreadable);
        let (events, dropped) = (std::mem::take(&mut batch.live), std::mem::take(&mut batch.live_dropped));
        let json = (unreadable == 0 && events.is_empty()).then_some(command);
        self.live.note(&self.state, &LiveReport { isolate: batch.isolate, events, dropped }, now());
        if !batch.is_for_watchers_only() && self.record_in_parts(&batch, json)? {
            self.live.finish(&self.state, &batch.summaries, now());
        }
        Ok(self.live.response(&self.state, batch.isolate, now()))
    }

    /// Has the parts record a batch, and exports metrics, if that is due: an alarm would cost a row. Returns
    /// whether the batch is new.
    fn record_in_parts(&self, batch: &Batch, json: Option<&str>) -> Result<bool> {
        let (is_new, request) = self.with_parts(|parts, now| {
            let is_new = parts.record(batch, json, now)?;
            Ok((is_new, parts.metrics.begin_export(now)))
        })?;
        if let Some(request) = request {
            let drops = Rc::clone(&self.drops);
            self.state.wait_until(async move {
                let dropped = metrics_export::send(request).await;
                drops.borrow_mut().extend(dropped);
            });
        }
        Ok(is_new)
    }

    /// Records which exports of metrics were dropped. An export outlives the call that began it, so the next
    /// call does this.
    fn record_drops(&self) {
        let series = self.drops.take();
        if !series.is_empty() {
            let batch = Batch { id: random_id(), series, ..Batch::default() };
            self.check(self.with_parts(|parts, now| parts.record(&batch, None, now)));
        }
    }

    /// Moves the lines that wait in chunks to log files. Meanwhile batches and commands are handled. Returns
    /// whether none is left.
    async fn move_lines(&self) -> bool {
        while let Some(chunk) = self.check(self.ask(|parts, _| parts.lines.first())).flatten() {
            let response = in_time(&self.env, ObjectAddress::LogFiles, chunk.command).await;
            let response = response.and_then(|text| serde_json::from_str(&text).ok());
            // Without log files, nobody wants the lines any more.
            let has_arrived = matches!(response, Some(LogResponse::Appended | LogResponse::Disabled));
            let noted = self.check(self.ask(|parts, now| parts.lines.sent(chunk.number, has_arrived, now)));
            if !has_arrived || noted.is_none() {
                return false;
            }
        }
        true
    }

    /// Sends notices about alerts. Meanwhile batches and commands are handled.
    async fn send_notices(&self, notices: &[Outgoing]) {
        let replies = join_all(notices.iter().map(Outgoing::send)).await;
        for (notice, reply) in notices.iter().zip(&replies) {
            self.check(self.with_parts(|parts, now| parts.alerts.sent(notice, reply, now)));
        }
    }

    /// Reports a failure, after which the alarm tries again.
    fn check<T>(&self, result: Result<T>) -> Option<T> {
        if let Err(error) = &result {
            report_failure(RuntimeFailure::ObjectFailed(&error.to_string()));
            self.plan(now().saturating_add(PAUSE));
        }
        result.ok()
    }

    /// Asks the parts, and plans the alarm that they want.
    fn with_parts<T>(&self, ask: impl FnOnce(&mut Parts, Millis) -> Result<T>) -> Result<T> {
        let response = self.ask(ask)?;
        self.plan_alarm();
        Ok(response)
    }

    /// Asks the parts. What they write is stored together, or not at all.
    fn ask<T>(&self, ask: impl FnOnce(&mut Parts, Millis) -> Result<T>) -> Result<T> {
        let mut opened = self.parts.borrow_mut();
        let mut parts = match opened.take() {
            Some(parts) => parts,
            None => Parts::open(&self.state, &self.bridge)?,
        };
        // After a failure the parts stay closed: the next command opens them from what was written.
        let response = in_transaction(&self.state, || ask(&mut parts, now()))?;
        *opened = Some(parts);
        Ok(response)
    }

    fn plan_alarm(&self) {
        let at = self.parts.borrow_mut().as_mut().and_then(|parts| parts.wake_at(now()));
        at.into_iter().chain(self.live.wake_at()).for_each(|at| self.plan(at));
    }

    /// Setting an alarm is charged like a row, so it is set when it becomes earlier.
    fn plan(&self, at: Millis) {
        if self.wake_at.get().is_none_or(|set| at < set) {
            set_alarm(&self.state, at.max(now()));
            self.wake_at.set(Some(at));
        }
    }
}

//! The Durable Object of what operators are shown and told: it passes batches and commands to its parts.

use std::cell::{Cell, RefCell};

use worker::{DurableObject, Env, Error, Request, Response, Result, State, durable_object};

use super::metrics_export;
use super::parts::Parts;
use crate::config::Millis;
use crate::edge::clock::now;
use crate::edge::isolate::bridge;
use crate::edge::js::{in_transaction, set_alarm};
use crate::edge::operations_queue::random_id;
use crate::gateway::Opened;
use crate::gateway::platform::OperationsPart;
use crate::operations::{Batch, Recorded};

/// The object of what operators are shown and told; there is one. The class name is part of wrangler.toml.
#[durable_object(alarm)]
pub struct Operations {
    state: State,
    bridge: Opened,
    /// Opened by the first command, and again after a failure.
    parts: RefCell<Option<Parts>>,
    /// When the parts last asked to be woken.
    wake_at: Cell<Option<Millis>>,
}

impl DurableObject for Operations {
    fn new(state: State, env: Env) -> Self {
        Self { bridge: bridge(&env), state, parts: RefCell::new(None), wake_at: Cell::new(None) }
    }

    async fn fetch(&self, mut request: Request) -> Result<Response> {
        let path = request.path();
        let command = request.text().await?;
        Response::ok(self.handle(path.trim_start_matches('/'), &command)?)
    }

    /// Does what is due in the parts.
    async fn alarm(&self) -> Result<Response> {
        self.wake_at.set(None);
        self.with_parts(Parts::tick)?;
        self.export_metrics().await?;
        Response::empty()
    }
}

impl Operations {
    fn handle(&self, part: &str, command: &str) -> Result<String> {
        if part == OperationsPart::Record.name() {
            let batch: Batch = serde_json::from_str(command)?;
            let recorded: Recorded = self.with_parts(|parts, now| parts.record(&batch, now))?;
            return Ok(serde_json::to_string(&recorded)?);
        }
        let unknown = || Err(Error::RustError(format!("the operations object has no part `{part}`")));
        self.with_parts(|parts, now| parts.handle(part, command, now).unwrap_or_else(unknown))
    }

    /// Exports metrics, if that is due. Meanwhile batches and commands are handled.
    async fn export_metrics(&self) -> Result<()> {
        let Some(request) = self.with_parts(|parts, now| Ok(parts.metrics.begin_export(now)))? else { return Ok(()) };
        let Some(drops) = metrics_export::send(request).await else { return Ok(()) };
        let batch = Batch { id: random_id(), series: vec![drops], ..Batch::default() };
        self.with_parts(|parts, now| parts.record(&batch, now)).map(drop)
    }

    /// Asks the parts. What they write is stored together, or not at all.
    fn with_parts<T>(&self, ask: impl FnOnce(&mut Parts, Millis) -> Result<T>) -> Result<T> {
        let mut opened = self.parts.borrow_mut();
        let mut parts = match opened.take() {
            Some(parts) => parts,
            None => Parts::open(&self.state, &self.bridge)?,
        };
        // After a failure the parts stay closed: the next command opens them from what was written.
        let response = in_transaction(&self.state, || ask(&mut parts, now()))?;
        self.plan_alarm(&mut parts);
        *opened = Some(parts);
        Ok(response)
    }

    /// Setting an alarm is charged like a row, so it is set when it becomes earlier.
    fn plan_alarm(&self, parts: &mut Parts) {
        let Some(at) = parts.wake_at() else { return };
        if self.wake_at.get().is_none_or(|set| at < set) {
            set_alarm(&self.state, at.max(now()));
            self.wake_at.set(Some(at));
        }
    }
}

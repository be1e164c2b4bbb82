//! The Durable Object of the shared health: it reads its table, asks [`SharedHealth`], and stores what has
//! changed.

use std::cell::RefCell;

use worker::{DurableObject, Env, Request, Response, Result, SqlStorage, State, durable_object};

use super::command;
use super::sql::{as_text, has_table, rows, run, text};
use crate::edge::clock::now;
use crate::ledger::health::{HealthCommand, HealthResponse, SharedHealth};

const TABLE: &str = "health";
const CREATE: &str =
    "CREATE TABLE IF NOT EXISTS health (only_row INTEGER PRIMARY KEY CHECK (only_row = 0), state TEXT NOT NULL)";

/// The health that all isolates share; there is one. The class name is part of wrangler.toml.
#[durable_object(fetch)]
pub struct Health {
    sql: SqlStorage,
    /// Opened by the first command, and again after a failed write.
    health: RefCell<Option<SharedHealth>>,
}

impl DurableObject for Health {
    fn new(state: State, _: Env) -> Self {
        Self { sql: state.storage().sql(), health: RefCell::new(None) }
    }

    async fn fetch(&self, request: Request) -> Result<Response> {
        let command = command::read(&request).await?;
        // Nothing awaits from here on: reading, deciding and writing are one step.
        let response =
            serde_json::from_str(&command).map_or(Ok(HealthResponse::Malformed), |command| self.handle(command))?;
        command::respond(serde_json::to_string(&response)?)
    }
}

impl Health {
    fn handle(&self, command: HealthCommand) -> Result<HealthResponse> {
        let mut opened = self.health.borrow_mut();
        let mut health = match opened.take() {
            Some(health) => health,
            None => self.open()?,
        };
        let (response, stored) = health.handle(command, now());
        // After a failed write the state stays closed: the next command opens it from what was written.
        if let Some(stored) = stored {
            run(&self.sql, CREATE, Vec::new())?;
            run(&self.sql, "INSERT OR REPLACE INTO health VALUES (0, ?)", vec![text(stored)])?;
        }
        *opened = Some(health);
        Ok(response)
    }

    /// Looking creates nothing.
    fn open(&self) -> Result<SharedHealth> {
        if !has_table(&self.sql, TABLE)? {
            return Ok(SharedHealth::open(None));
        }
        let rows = rows(&self.sql, "SELECT state FROM health", Vec::new())?;
        Ok(SharedHealth::open(rows.first().and_then(|row| as_text(row.first())).as_deref()))
    }
}

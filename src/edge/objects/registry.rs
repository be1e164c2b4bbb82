//! The Durable Object of the key registry: it reads its tables, asks [`KeyRegistry`], and stores the returned
//! writes.

use std::cell::RefCell;

use worker::{DurableObject, Env, Request, Response, Result, SqlStorage, State, durable_object};

use super::command;
use super::sql::{Row, as_number, as_text, number, rows, run, text, unreadable};
use crate::edge::clock::now;
use crate::ledger::registry::{KeyRegistry, RegistryCommand, RegistryResponse, RegistryWrite};

const CREATE: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS keys (number INTEGER PRIMARY KEY, record TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS signing (only_row INTEGER PRIMARY KEY CHECK (only_row = 0), secrets TEXT NOT NULL)",
];
/// Lists the existing tables. None is created before the first write, so that a request with an invented key
/// stores nothing.
const TABLES: &str = "SELECT name FROM sqlite_master WHERE type = 'table'";

/// The registry of API keys; there is one. The class name is part of wrangler.toml.
#[durable_object(fetch)]
pub struct Directory {
    sql: SqlStorage,
    /// Opened by the first command, and again after a failed write.
    registry: RefCell<Option<KeyRegistry>>,
}

impl DurableObject for Directory {
    fn new(state: State, _: Env) -> Self {
        Self { sql: state.storage().sql(), registry: RefCell::new(None) }
    }

    async fn fetch(&self, request: Request) -> Result<Response> {
        let command = command::read(&request).await?;
        // Nothing awaits from here on: reading, deciding and writing are one step.
        let response =
            serde_json::from_str(&command).map_or(Ok(RegistryResponse::Malformed), |command| self.handle(command))?;
        command::respond(serde_json::to_string(&response)?)
    }
}

impl Directory {
    fn handle(&self, command: RegistryCommand) -> Result<RegistryResponse> {
        if command == RegistryCommand::Size {
            return Ok(RegistryResponse::Size(self.sql.database_size() as u64));
        }
        let mut opened = self.registry.borrow_mut();
        let mut registry = match opened.take() {
            Some(registry) => registry,
            None => self.open()?,
        };
        let mut writes = Vec::new();
        let response = registry.handle(command, now(), &mut writes);
        // After a failed write the registry stays closed: the next command opens it from what was written.
        if !writes.is_empty() {
            CREATE.iter().try_for_each(|table| run(&self.sql, table, Vec::new()))?;
        }
        writes.iter().try_for_each(|write| self.write(write))?;
        *opened = Some(registry);
        Ok(response)
    }

    fn open(&self) -> Result<KeyRegistry> {
        let select = |query| rows(&self.sql, query, Vec::new());
        let tables = select(TABLES)?;
        let has = |table: &str| tables.iter().any(|row| as_text(row.first()).as_deref() == Some(table));
        let keys = if has("keys") { select("SELECT number, record FROM keys")? } else { Vec::new() };
        let signing = if has("signing") { select("SELECT secrets FROM signing")? } else { Vec::new() };
        // A value that is not a text fails to parse there.
        let key = |row: Row| (as_number(row.first()).unwrap_or_default(), as_text(row.get(1)).unwrap_or_default());
        let signing = signing.first().map(|row| as_text(row.first()).unwrap_or_default());
        KeyRegistry::open(keys.into_iter().map(key), signing.as_deref()).map_err(unreadable)
    }

    fn write(&self, write: &RegistryWrite) -> Result<()> {
        let (statement, values) = match write {
            RegistryWrite::Put(key, record) => {
                ("INSERT OR REPLACE INTO keys VALUES (?, ?)", vec![number(*key)?, text(record)])
            }
            RegistryWrite::Drop(key) => ("DELETE FROM keys WHERE number = ?", vec![number(*key)?]),
            RegistryWrite::Signing(secrets) => ("INSERT OR REPLACE INTO signing VALUES (0, ?)", vec![text(secrets)]),
        };
        run(&self.sql, statement, values)
    }
}

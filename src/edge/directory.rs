//! The Durable Object that keeps the list of keys. A shell: it reads, asks the list, and writes what the list says.

use std::cell::RefCell;

use worker::{DurableObject, Env, Request, Response, SqlStorage, SqlStorageValue, State, durable_object};

use super::account_store::{as_number, as_text, number, text};
use super::platform::now;
use crate::ledger::registry::{KeyRegistry as List, RegistryCommand, RegistryResponse, RegistryWrite};

const CREATE: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS keys (number INTEGER PRIMARY KEY, record TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS signing (only_row INTEGER PRIMARY KEY CHECK (only_row = 0), secrets TEXT NOT NULL)",
];
/// The tables that are there. Nothing is made before something is written: a made-up key leaves no trace.
const TABLES: &str = "SELECT name FROM sqlite_master WHERE type = 'table'";

/// The list of keys; there is one.
#[durable_object(fetch)]
pub struct Directory {
    sql: SqlStorage,
    /// Opened by the first order, and again after a failure to write.
    list: RefCell<Option<List>>,
}

impl DurableObject for Directory {
    fn new(state: State, _: Env) -> Self {
        Self { sql: state.storage().sql(), list: RefCell::new(None) }
    }

    async fn fetch(&self, mut request: Request) -> worker::Result<Response> {
        let order = request.text().await?;
        // From here on nothing waits: what is read, decided and written is one step.
        let reply = serde_json::from_str(&order).map_or(Ok(RegistryResponse::Confused), |order| self.obey(order))?;
        Response::ok(serde_json::to_string(&reply)?)
    }
}

impl Directory {
    fn obey(&self, order: RegistryCommand) -> worker::Result<RegistryResponse> {
        let mut kept = self.list.borrow_mut();
        let mut list = match kept.take() {
            Some(list) => list,
            None => self.open()?,
        };
        let mut writes = Vec::new();
        let reply = list.handle(order, now(), &mut writes);
        // A list whose words could not be kept is closed: it is opened anew from what could.
        if !writes.is_empty() {
            CREATE.iter().try_for_each(|table| self.run(table, Vec::new()))?;
        }
        writes.iter().try_for_each(|write| self.write(write))?;
        *kept = Some(list);
        Ok(reply)
    }

    fn open(&self) -> worker::Result<List> {
        let tables = self.rows(TABLES)?;
        let has = |table: &str| tables.iter().any(|row| as_text(row.first()).as_deref() == Some(table));
        let keys = if has("keys") { self.rows("SELECT number, record FROM keys")? } else { Vec::new() };
        let signing = if has("signing") { self.rows("SELECT secrets FROM signing")? } else { Vec::new() };
        let row = |row: Vec<SqlStorageValue>| Some((as_number(row.first())?, as_text(row.get(1))?));
        let signing = signing.first().map(|row| as_text(row.first()).unwrap_or_default());
        Ok(List::open(keys.into_iter().filter_map(row), signing.as_deref()))
    }

    fn write(&self, write: &RegistryWrite) -> worker::Result<()> {
        match write {
            RegistryWrite::Put(key, record) => {
                self.run("INSERT OR REPLACE INTO keys VALUES (?, ?)", vec![number(*key)?, text(record)])
            }
            RegistryWrite::Drop(key) => self.run("DELETE FROM keys WHERE number = ?", vec![number(*key)?]),
            RegistryWrite::Signing(secrets) => {
                self.run("INSERT OR REPLACE INTO signing VALUES (0, ?)", vec![text(secrets)])
            }
        }
    }

    fn run(&self, query: &str, values: Vec<SqlStorageValue>) -> worker::Result<()> {
        self.sql.exec(query, values).map(drop)
    }

    fn rows(&self, query: &str) -> worker::Result<Vec<Vec<SqlStorageValue>>> {
        self.sql.exec(query, Vec::<SqlStorageValue>::new())?.raw().collect()
    }
}

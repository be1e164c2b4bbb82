//! The Durable Object that keeps the list of keys. A shell: it reads, asks the list, and writes what the list says.

use std::cell::RefCell;

use worker::{DurableObject, Env, Request, Response, SqlStorage, SqlStorageValue, State, durable_object};

use super::host::now;
use super::shelf::{as_number, as_text, number, text};
use crate::ledger::directory::{Directory as List, Order, Reply, Write};

const CREATE: &str = "CREATE TABLE IF NOT EXISTS keys (number INTEGER PRIMARY KEY, record TEXT NOT NULL)";

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
        let reply = serde_json::from_str(&order).map_or(Ok(Reply::Confused), |order| self.obey(order))?;
        Response::ok(serde_json::to_string(&reply)?)
    }
}

impl Directory {
    fn obey(&self, order: Order) -> worker::Result<Reply> {
        let mut kept = self.list.borrow_mut();
        let mut list = match kept.take() {
            Some(list) => list,
            None => self.open()?,
        };
        let mut writes = Vec::new();
        let reply = list.obey(order, now(), &mut writes);
        // A list whose words could not be kept is closed: it is opened anew from what could.
        writes.iter().try_for_each(|write| self.write(write))?;
        *kept = Some(list);
        Ok(reply)
    }

    fn open(&self) -> worker::Result<List> {
        self.sql.exec(CREATE, Vec::<SqlStorageValue>::new())?;
        let rows = self.sql.exec("SELECT number, record FROM keys", Vec::<SqlStorageValue>::new())?;
        let row = |row: Vec<SqlStorageValue>| Some((as_number(row.first())?, as_text(row.get(1))?));
        Ok(List::open(rows.raw().filter_map(Result::ok).filter_map(row)))
    }

    fn write(&self, write: &Write) -> worker::Result<()> {
        match write {
            Write::Put(key, record) => {
                self.sql.exec("INSERT OR REPLACE INTO keys VALUES (?, ?)", vec![number(*key)?, text(record)]).map(drop)
            }
            Write::Drop(key) => self.sql.exec("DELETE FROM keys WHERE number = ?", vec![number(*key)?]).map(drop),
        }
    }
}

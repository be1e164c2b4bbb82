//! The Durable Object that keeps, for one account, what providers want back. A shell around its SQLite: what lies there is sealed, and it
//! has no key.

use worker::{DurableObject, Env, Request, Response, SqlStorage, SqlStorageValue, State, durable_object};

use super::account_store::{as_number, as_text, number, text};
use super::platform::now;
use super::socket::wake_at;
use crate::reasoning_store::{SealedEntry, StoreCommand, StoreResponse};

const CREATE: &str =
    "CREATE TABLE things (id TEXT PRIMARY KEY, sealed TEXT NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID";
/// So much is given back at once, in bytes, what was asked for first before the rest: it has to fit into the gateway's memory.
const MOST: usize = 8 << 20;
/// What is over is cleared out this often at most, in milliseconds: each time, all that is kept is looked through.
const SWEEP: u64 = 3_600_000;

/// One account's vault, named like the account.
#[durable_object(alarm)]
pub struct Vault {
    state: State,
    sql: SqlStorage,
}

impl DurableObject for Vault {
    fn new(state: State, _: Env) -> Self {
        Self { sql: state.storage().sql(), state }
    }

    async fn fetch(&self, mut request: Request) -> worker::Result<Response> {
        let order = request.text().await?;
        let reply = serde_json::from_str(&order).map_or(Ok(StoreResponse::Confused), |order| self.obey(order))?;
        Response::ok(serde_json::to_string(&reply)?)
    }

    /// What is over goes; with the last of it, the vault itself.
    async fn alarm(&self) -> worker::Result<Response> {
        if !self.exists()? {
            return Response::empty();
        }
        self.run("DELETE FROM things WHERE until <= ?", vec![number(now())?])?;
        match self.next()? {
            Some(until) => wake_at(&self.state, until.max(now().saturating_add(SWEEP))),
            None => self.state.storage().delete_all().await?,
        }
        Response::empty()
    }
}

impl Vault {
    fn obey(&self, order: StoreCommand) -> worker::Result<StoreResponse> {
        match order {
            StoreCommand::Keep { things, life } => {
                self.keep(&things, now().saturating_add(life)).map(|()| StoreResponse::Kept)
            }
            StoreCommand::Recall(ids) => self.recall(&ids).map(StoreResponse::Found),
        }
    }

    fn keep(&self, things: &[SealedEntry], until: u64) -> worker::Result<()> {
        // As long as the table is there, an alarm is set.
        if !self.exists()? {
            self.run(CREATE, Vec::new())?;
            wake_at(&self.state, until);
        }
        for SealedEntry { id, sealed } in things {
            self.run("INSERT OR REPLACE INTO things VALUES (?, ?, ?)", vec![text(id), text(sealed), number(until)?])?;
        }
        Ok(())
    }

    /// Nothing is made by looking.
    fn recall(&self, ids: &[String]) -> worker::Result<Vec<SealedEntry>> {
        let (mut things, mut room) = (Vec::new(), MOST);
        if !self.exists()? {
            return Ok(things);
        }
        for id in ids {
            let rows =
                self.rows("SELECT sealed FROM things WHERE id = ? AND until > ?", vec![text(id), number(now())?])?;
            let sealed = rows.first().and_then(|row| as_text(row.first()));
            let Some(sealed) = sealed else { continue };
            if sealed.len() > room {
                break;
            }
            room -= sealed.len();
            things.push(SealedEntry { id: id.clone(), sealed });
        }
        Ok(things)
    }

    fn exists(&self) -> worker::Result<bool> {
        let query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'things'";
        self.rows(query, Vec::new()).map(|rows| !rows.is_empty())
    }

    /// When the first of what is kept is over.
    fn next(&self) -> worker::Result<Option<u64>> {
        let rows = self.rows("SELECT MIN(until) FROM things", Vec::new())?;
        Ok(rows.first().and_then(|row| as_number(row.first())))
    }

    fn run(&self, query: &str, values: Vec<SqlStorageValue>) -> worker::Result<()> {
        self.sql.exec(query, values).map(drop)
    }

    fn rows(&self, query: &str, values: Vec<SqlStorageValue>) -> worker::Result<Vec<Vec<SqlStorageValue>>> {
        self.sql.exec(query, values)?.raw().collect()
    }
}

//! The Durable Object that keeps, for one account, the reasoning data that providers want back in later
//! requests. Entries are sealed; the object has no key to them.

use worker::{DurableObject, Env, Request, Response, Result, SqlStorage, State, durable_object};

use super::sql::{as_number, as_text, has_table, number, rows, run, text};
use crate::edge::clock::now;
use crate::edge::js::set_alarm;
use crate::reasoning_store::{SealedEntry, StoreCommand, StoreResponse};

const TABLE: &str = "things";
const CREATE: &str =
    "CREATE TABLE things (id TEXT PRIMARY KEY, sealed TEXT NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID";
/// The most bytes of entries in one response, which has to fit into the gateway's memory. Entries that were
/// asked for first come first.
const MAX_RESPONSE_BYTES: usize = 8 << 20;
/// Expired entries are deleted at most this often, in milliseconds: each time, the whole table is read.
const SWEEP_INTERVAL: u64 = 3_600_000;

/// The reasoning store of one account, with the account's name. The class name is part of wrangler.toml.
#[durable_object(alarm)]
pub struct Vault {
    state: State,
    sql: SqlStorage,
}

impl DurableObject for Vault {
    fn new(state: State, _: Env) -> Self {
        Self { sql: state.storage().sql(), state }
    }

    async fn fetch(&self, mut request: Request) -> Result<Response> {
        let command = request.text().await?;
        let response =
            serde_json::from_str(&command).map_or(Ok(StoreResponse::Malformed), |command| self.handle(command))?;
        Response::ok(serde_json::to_string(&response)?)
    }

    /// Deletes expired entries; after the last one, the whole object.
    async fn alarm(&self) -> Result<Response> {
        if !has_table(&self.sql, TABLE)? {
            return Response::empty();
        }
        run(&self.sql, "DELETE FROM things WHERE until <= ?", vec![number(now())?])?;
        match self.next_expiry()? {
            Some(until) => set_alarm(&self.state, until.max(now().saturating_add(SWEEP_INTERVAL))),
            None => self.state.storage().delete_all().await?,
        }
        Response::empty()
    }
}

impl Vault {
    fn handle(&self, command: StoreCommand) -> Result<StoreResponse> {
        match command {
            StoreCommand::Keep { things, life } => {
                self.put(&things, now().saturating_add(life)).map(|()| StoreResponse::Kept)
            }
            StoreCommand::Recall(ids) => self.get(&ids).map(StoreResponse::Found),
        }
    }

    fn put(&self, entries: &[SealedEntry], until: u64) -> Result<()> {
        // An alarm is set for as long as the table exists.
        if !has_table(&self.sql, TABLE)? {
            run(&self.sql, CREATE, Vec::new())?;
            set_alarm(&self.state, until);
        }
        for SealedEntry { id, sealed } in entries {
            let values = vec![text(id), text(sealed), number(until)?];
            run(&self.sql, "INSERT OR REPLACE INTO things VALUES (?, ?, ?)", values)?;
        }
        Ok(())
    }

    /// The entries with these ids that have not expired. Looking creates nothing.
    fn get(&self, ids: &[String]) -> Result<Vec<SealedEntry>> {
        let (mut found, mut room) = (Vec::new(), MAX_RESPONSE_BYTES);
        if !has_table(&self.sql, TABLE)? {
            return Ok(found);
        }
        for id in ids {
            let query = "SELECT sealed FROM things WHERE id = ? AND until > ?";
            let rows = rows(&self.sql, query, vec![text(id), number(now())?])?;
            let Some(sealed) = rows.first().and_then(|row| as_text(row.first())) else { continue };
            if sealed.len() > room {
                break;
            }
            room -= sealed.len();
            found.push(SealedEntry { id: id.clone(), sealed });
        }
        Ok(found)
    }

    /// When the first entry expires.
    fn next_expiry(&self) -> Result<Option<u64>> {
        let rows = rows(&self.sql, "SELECT MIN(until) FROM things", Vec::new())?;
        Ok(rows.first().and_then(|row| as_number(row.first())))
    }
}

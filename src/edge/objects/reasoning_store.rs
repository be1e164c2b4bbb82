//! The Durable Object that keeps, for one account, the reasoning data that providers want back in later
//! requests. Entries are sealed; the object has no key to them.

use worker::{DurableObject, Env, Request, Response, Result, SqlStorage, State, durable_object};

use super::command;
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

/// The table of responses, in slices below the limit of a row. All slices of one share a moment of expiry.
const RESPONSES: &str = "responses";
const CREATE_RESPONSES: &str =
    "CREATE TABLE responses (id TEXT PRIMARY KEY, sealed TEXT NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID";

/// The ids of the slices of a response: from the first one, to below the second.
fn slices(id: &str) -> (String, String) {
    (format!("{id}/"), format!("{id}0"))
}

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

    async fn fetch(&self, request: Request) -> Result<Response> {
        let command = command::read(&request).await?;
        let response =
            serde_json::from_str(&command).map_or(Ok(StoreResponse::Malformed), |command| self.handle(command))?;
        command::respond(serde_json::to_string(&response)?)
    }

    /// Deletes expired entries; after the last one, the whole object.
    async fn alarm(&self) -> Result<Response> {
        for table in [TABLE, RESPONSES] {
            if has_table(&self.sql, table)? {
                run(&self.sql, &format!("DELETE FROM {table} WHERE until <= ?"), vec![number(now())?])?;
            }
        }
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
            StoreCommand::KeepResponse { things, life, cap } => {
                self.keep_response(&things, now().saturating_add(life), cap).map(|()| StoreResponse::Kept)
            }
            StoreCommand::ReadResponse(id) => self.read_response(&id).map(StoreResponse::Found),
            StoreCommand::DropResponse(id) => {
                self.ensure_responses(now())?;
                let (from, to) = slices(&id);
                run(&self.sql, "DELETE FROM responses WHERE id >= ? AND id < ?", vec![text(&from), text(&to)])?;
                Ok(StoreResponse::Kept)
            }
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

    /// Makes the table of responses, with an alarm for its first entry.
    fn ensure_responses(&self, until: u64) -> Result<()> {
        if !has_table(&self.sql, RESPONSES)? {
            run(&self.sql, CREATE_RESPONSES, Vec::new())?;
            if !has_table(&self.sql, TABLE)? {
                set_alarm(&self.state, until.max(now().saturating_add(SWEEP_INTERVAL)));
            }
        }
        Ok(())
    }

    fn keep_response(&self, entries: &[SealedEntry], until: u64, cap: u64) -> Result<()> {
        self.ensure_responses(until)?;
        for SealedEntry { id, sealed } in entries {
            let values = vec![text(id), text(sealed), number(until)?];
            run(&self.sql, "INSERT OR REPLACE INTO responses VALUES (?, ?, ?)", values)?;
        }
        loop {
            let query = "SELECT SUM(LENGTH(sealed)), MIN(until) FROM responses";
            let found = rows(&self.sql, query, Vec::new())?;
            let row = found.first().map_or(&[][..], Vec::as_slice);
            let (bytes, oldest) = (as_number(row.first()).unwrap_or(0), as_number(row.get(1)).unwrap_or(0));
            if bytes <= cap || oldest >= until {
                return Ok(());
            }
            run(&self.sql, "DELETE FROM responses WHERE until <= ?", vec![number(oldest)?])?;
        }
    }

    /// The slices of a response. Looking does the same work whether it exists or not.
    fn read_response(&self, id: &str) -> Result<Vec<SealedEntry>> {
        if !has_table(&self.sql, RESPONSES)? {
            return Ok(Vec::new());
        }
        let (from, to) = slices(id);
        let query = "SELECT id, sealed FROM responses WHERE id >= ? AND id < ? AND until > ? ORDER BY id";
        let found = rows(&self.sql, query, vec![text(&from), text(&to), number(now())?])?;
        let entry = |row: &Vec<_>| Some(SealedEntry { id: as_text(row.first())?, sealed: as_text(row.get(1))? });
        Ok(found.iter().filter_map(entry).collect())
    }

    /// When the first entry expires.
    fn next_expiry(&self) -> Result<Option<u64>> {
        let mut first = None;
        for table in [TABLE, RESPONSES] {
            if has_table(&self.sql, table)? {
                let rows = rows(&self.sql, &format!("SELECT MIN(until) FROM {table}"), Vec::new())?;
                let until = rows.first().and_then(|row| as_number(row.first()));
                first = [first, until].into_iter().flatten().min();
            }
        }
        Ok(first)
    }
}

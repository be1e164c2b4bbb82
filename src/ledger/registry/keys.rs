//! The registry of the keys made at run time. It has no storage and no clock: callers pass the time and store
//! the writes. It records which version of a key the key's account has confirmed.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value};

use super::command::{RegistryCommand, RegistryRefusal, RegistryResponse, RegistryWrite};
use crate::config::Millis;
use crate::ids::KeyHash;
use crate::ledger::api_key::ApiKey;
use crate::ledger::key_schema;
use crate::ledger::signing::SigningSecrets;
use crate::ledger::unreadable::UnreadableRecord;

/// The maximum number of keys.
const MAX_KEYS: usize = 10_000;
/// The maximum number of removed keys whose records are kept.
const MAX_REMOVED: usize = 10_000;

/// The registry of keys.
#[derive(Debug, Default)]
pub struct KeyRegistry {
    /// By number, in the order of their creation. Removed keys are included.
    pub(super) records: BTreeMap<u64, ApiKey>,
    /// The number of each key, by its id.
    numbers: HashMap<String, u64>,
    pub(super) signing: SigningSecrets,
}

impl KeyRegistry {
    /// Opens the registry from its stored records, and from [`RegistryWrite::Signing`].
    ///
    /// # Errors
    /// A record cannot be read. Without it, the registry would reuse the number and the id of a key; without
    /// the signing secret, it would make a new one, which would invalidate all keys.
    pub fn open(rows: impl Iterator<Item = (u64, String)>, signing: Option<&str>) -> Result<Self, UnreadableRecord> {
        let mut registry = Self::default();
        if let Some(text) = signing {
            registry.signing =
                serde_json::from_str(text).map_err(|error| UnreadableRecord::new("signing", 0, &error))?;
        }
        for (number, text) in rows {
            let record: ApiKey =
                serde_json::from_str(&text).map_err(|error| UnreadableRecord::new("keys", number, &error))?;
            registry.numbers.insert(record.id.clone(), number);
            registry.records.insert(number, record);
        }
        Ok(registry)
    }

    /// Carries out a command, and appends what must be stored to `writes`. The response must not be sent
    /// before the writes are stored.
    pub fn handle(
        &mut self,
        command: RegistryCommand,
        now: Millis,
        writes: &mut Vec<RegistryWrite>,
    ) -> RegistryResponse {
        let done = match command {
            RegistryCommand::Create(record) => self.create(*record, now, writes),
            RegistryCommand::Edit { id, patch, secret } => match self.edited(&id, &patch, secret) {
                Ok(Some((number, record))) => Ok(self.change(number, record, now, writes)),
                Ok(None) => Ok(RegistryResponse::Malformed),
                Err(refusal) => Err(refusal),
            },
            RegistryCommand::Confirm { id, version } => self.confirm(&id, version, writes),
            RegistryCommand::BeginRemoval(id) => self.begin_removal(&id, now, writes),
            RegistryCommand::CompleteRemoval(id) => self.complete_removal(&id, writes),
            RegistryCommand::Read(id) => {
                self.find(&id).map(|(_, record)| RegistryResponse::Record(Box::new(record.clone())))
            }
            RegistryCommand::List { after, limit, removed } => self.list(after.as_deref(), limit, removed),
            RegistryCommand::Signing(bits) => Ok(self.signing_secrets(bits, now, writes)),
            RegistryCommand::Versions => Ok(self.versions()),
            // Its object knows it.
            RegistryCommand::Size => Ok(RegistryResponse::Malformed),
            RegistryCommand::AddVersion(bits) => self.change_signing(|signing| signing.renew(bits, now), writes),
            RegistryCommand::EndVersion(version) => self.change_signing(|signing| signing.end(version), writes),
        };
        self.mark_outdated(done.unwrap_or_else(RegistryResponse::Refused))
    }

    fn create(
        &mut self,
        mut record: ApiKey,
        now: Millis,
        writes: &mut Vec<RegistryWrite>,
    ) -> Result<RegistryResponse, RegistryRefusal> {
        record.origin = record.requested();
        if !self.is_signed(&record) {
            return Err(RegistryRefusal::Outdated);
        }
        let known = self.find(&record.id).ok().map(|(number, known)| (number, known.clone()));
        let number = match known {
            Some((_, known)) if known.removing => return Err(RegistryRefusal::Removing),
            Some((_, known)) if known.origin != record.origin => return Err(RegistryRefusal::Taken),
            Some((_, known)) if known.confirmed > 0 => return Ok(RegistryResponse::AlreadyCreated(Box::new(known))),
            // Its creation was not completed: repeat it with the new secret.
            Some((number, known)) => {
                (record.created_at, record.updated_at) = (known.created_at, known.updated_at);
                number
            }
            None => self.records.last_key_value().map_or(1, |(last, _)| last + 1),
        };
        let is_new = !self.records.contains_key(&number);
        if is_new && self.records.values().filter(|record| !record.removed).count() >= MAX_KEYS {
            return Err(RegistryRefusal::Full);
        }
        self.check_parent(&record)?;
        if is_new {
            record.created_at = now;
            // A removed key with this id has the same account, so the versions of the new key must be higher.
            let removed = self.numbers.get(&record.id).copied();
            let removed_at = |number| self.records.get(&number).map(|removed| removed.updated_at);
            record.updated_at = removed.and_then(removed_at).unwrap_or(0);
            self.forget(removed, writes);
        }
        Ok(self.store(number, record, now, writes))
    }

    /// The record of a key with a patch and a new secret, and its number. `None` if the patch is malformed.
    fn edited(
        &self,
        id: &str,
        patch: &Map<String, Value>,
        secret: Option<(KeyHash, String)>,
    ) -> Result<Option<(u64, ApiKey)>, RegistryRefusal> {
        let (number, record) = self.find(id)?;
        let mut record = record.clone();
        if record.removing {
            return Err(RegistryRefusal::Removing);
        }
        if key_schema::apply_patch(&mut record, patch).is_err() {
            return Ok(None);
        }
        if let Some((hash, hint)) = secret {
            (record.hash, record.hint) = (hash, hint);
            if !self.is_signed(&record) {
                return Err(RegistryRefusal::Outdated);
            }
        }
        self.check_parent(&record)?;
        Ok(Some((number, record)))
    }

    /// A parent must exist and must not have a parent itself.
    fn check_parent(&self, record: &ApiKey) -> Result<(), RegistryRefusal> {
        let Some(parent) = record.parent() else { return Ok(()) };
        if parent == record.id {
            return Err(RegistryRefusal::OwnParent);
        }
        let (_, found) = self.find(parent).map_err(|_| RegistryRefusal::NoParent)?;
        if found.removing {
            return Err(RegistryRefusal::NoParent);
        }
        if found.parent().is_some() {
            return Err(RegistryRefusal::Grandparent);
        }
        if self.count_members(&record.id) > 0 { Err(RegistryRefusal::ParentOfOthers) } else { Ok(()) }
    }

    fn confirm(
        &mut self,
        id: &str,
        version: Millis,
        writes: &mut Vec<RegistryWrite>,
    ) -> Result<RegistryResponse, RegistryRefusal> {
        let (number, record) = self.find(id)?;
        let mut record = record.clone();
        if version <= record.updated_at && version > record.confirmed {
            record.confirmed = version;
            self.write(number, record.clone(), writes);
        }
        Ok(RegistryResponse::Record(Box::new(record)))
    }

    fn begin_removal(
        &mut self,
        id: &str,
        now: Millis,
        writes: &mut Vec<RegistryWrite>,
    ) -> Result<RegistryResponse, RegistryRefusal> {
        let (number, record) = self.find(id)?;
        let mut record = record.clone();
        if record.removing {
            return Ok(RegistryResponse::Record(Box::new(record)));
        }
        match self.count_members(id) {
            0 => record.removing = true,
            count => return Err(RegistryRefusal::Members(count)),
        }
        Ok(self.change(number, record, now, writes))
    }

    fn complete_removal(
        &mut self,
        id: &str,
        writes: &mut Vec<RegistryWrite>,
    ) -> Result<RegistryResponse, RegistryRefusal> {
        let (number, record) = self.find(id)?;
        if !record.removing {
            return Ok(RegistryResponse::Malformed);
        }
        let tombstone = record.without_metadata();
        self.write(number, tombstone, writes);
        let removed = || self.records.iter().filter(|(_, record)| record.removed).map(|(number, _)| *number);
        let oldest = if removed().count() > MAX_REMOVED { removed().next() } else { None };
        self.forget(oldest, writes);
        Ok(RegistryResponse::Removed)
    }

    fn list(&self, after: Option<&str>, limit: usize, removed: bool) -> Result<RegistryResponse, RegistryRefusal> {
        let next = |id: &str| self.numbers.get(id).map(|number| number + 1).ok_or(RegistryRefusal::Unknown);
        let first = after.map_or(Ok(0), next)?;
        let listed = self.records.range(first..).map(|(_, record)| record);
        let mut rest = listed.filter(|record| removed || !record.removed);
        let records = rest.by_ref().take(limit).cloned().collect();
        Ok(RegistryResponse::Page { records, more: rest.next().is_some() })
    }

    fn find(&self, id: &str) -> Result<(u64, &ApiKey), RegistryRefusal> {
        let number = self.numbers.get(id).copied().ok_or(RegistryRefusal::Unknown)?;
        let record = self.records.get(&number).filter(|record| !record.removed);
        record.map(|record| (number, record)).ok_or(RegistryRefusal::Unknown)
    }

    fn count_members(&self, id: &str) -> usize {
        self.records.values().filter(|record| record.parent() == Some(id)).count()
    }

    fn forget(&mut self, number: Option<u64>, writes: &mut Vec<RegistryWrite>) {
        let Some((number, record)) = number.and_then(|number| self.records.remove_entry(&number)) else { return };
        self.numbers.remove(&record.id);
        writes.push(RegistryWrite::Drop(number));
    }

    /// Stores the changed record of a key.
    fn change(
        &mut self,
        number: u64,
        record: ApiKey,
        now: Millis,
        writes: &mut Vec<RegistryWrite>,
    ) -> RegistryResponse {
        let before = self.records.get(&number).cloned();
        match (before, self.store(number, record, now, writes)) {
            (Some(before), RegistryResponse::Record(after)) => {
                RegistryResponse::Changed { before: Box::new(before), after }
            }
            (_, stored) => stored,
        }
    }

    /// Stores a changed record. Its `updated_at` is higher than before, so that it identifies the version.
    fn store(
        &mut self,
        number: u64,
        mut record: ApiKey,
        now: Millis,
        writes: &mut Vec<RegistryWrite>,
    ) -> RegistryResponse {
        record.updated_at = now.max(record.updated_at + 1);
        self.write(number, record.clone(), writes);
        RegistryResponse::Record(Box::new(record))
    }

    fn write(&mut self, number: u64, mut record: ApiKey, writes: &mut Vec<RegistryWrite>) {
        record.outdated = false;
        writes.push(RegistryWrite::Put(number, serde_json::to_string(&record).unwrap_or_default()));
        self.numbers.insert(record.id.clone(), number);
        self.records.insert(number, record);
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;

//! What the list of keys knows of the secrets that sign them: which version has signed which key. It knows no storage.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::directory::{Directory, Refusal, Reply, Write};
use super::record::Record;
use super::secret::version_of;
use super::signing::{Denial, Signer, Signing, Verdict};
use crate::config::Millis;

/// A version of the secret that signs keys, as its operator sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Its number.
    pub version: u32,
    /// When it was made.
    pub made_at: Millis,
    /// How many keys it has signed that are there.
    pub keys: u64,
}

impl Directory {
    pub(super) fn sign(&mut self, bits: Option<String>, now: Millis, writes: &mut Vec<Write>) -> Reply {
        let is_new = self.signing.as_ref().is_some_and(|signing| signing.current().is_none());
        if let Some(bits) = bits.filter(|_| is_new)
            && self.change_signing(|signing| signing.renew(bits, now), writes).is_err()
        {
            return Reply::Confused;
        }
        self.signing.clone().map_or(Reply::Confused, Reply::Signing)
    }

    pub(super) fn change_signing(
        &mut self,
        change: impl FnOnce(&mut Signing) -> Result<(), Denial>,
        writes: &mut Vec<Write>,
    ) -> Result<Reply, Refusal> {
        let Some(signing) = &mut self.signing else { return Ok(Reply::Confused) };
        match change(signing) {
            Ok(()) => writes.push(Write::Signing(serde_json::to_string(signing).unwrap_or_default())),
            Err(Denial::Weak) => return Ok(Reply::Confused),
            Err(Denial::Full) => return Err(Refusal::VersionsFull),
            Err(Denial::Only) => return Err(Refusal::OnlyVersion),
            Err(Denial::Unknown) => return Err(Refusal::Unknown),
        }
        Ok(self.versions())
    }

    pub(super) fn versions(&self) -> Reply {
        let Some(signing) = &self.signing else { return Reply::Confused };
        let mut keys: HashMap<u32, u64> = HashMap::new();
        let there = self.records.values().filter(|record| !record.removed);
        there.for_each(|record| *keys.entry(version_of(&record.hash)).or_default() += 1);
        let version = |signer: &Signer| Version {
            version: signer.version(),
            made_at: signer.made_at(),
            keys: keys.remove(&signer.version()).unwrap_or(0),
        };
        let versions = signing.valid().iter().map(version).collect();
        Reply::Versions(versions, keys.values().sum())
    }

    /// Says of the keys in an answer which of them open nothing any more until they are rotated.
    pub(super) fn mark(&self, mut reply: Reply) -> Reply {
        let outdated = |record: &Record| !self.is_signed(record);
        match &mut reply {
            Reply::Record(record) | Reply::Known(record) => record.outdated = outdated(record),
            Reply::Page { records, .. } => records.iter_mut().for_each(|record| record.outdated = outdated(record)),
            Reply::Removed | Reply::Signing(_) | Reply::Versions(..) | Reply::Refused(_) | Reply::Confused => {}
        }
        reply
    }

    /// Whether a key is signed with a version that is valid.
    pub(super) fn is_signed(&self, record: &Record) -> bool {
        self.signing.as_ref().is_some_and(|signing| signing.stands(version_of(&record.hash)) == Verdict::Good)
    }
}

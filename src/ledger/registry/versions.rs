//! The versions of the signing secret in the registry, and the keys that each of them signed.

use std::collections::HashMap;

use super::command::{RegistryRefusal, RegistryResponse, RegistryWrite, SigningVersion};
use super::keys::KeyRegistry;
use crate::config::Millis;
use crate::ledger::api_key::ApiKey;
use crate::ledger::key_text::version_of;
use crate::ledger::signing::{SignatureCheck, SigningRefusal, SigningSecret, SigningSecrets};

impl KeyRegistry {
    pub(super) fn signing_secrets(
        &mut self,
        bits: Option<String>,
        now: Millis,
        writes: &mut Vec<RegistryWrite>,
    ) -> RegistryResponse {
        if self.signing.current().is_none()
            && let Some(bits) = bits
            && self.change_signing(|signing| signing.renew(bits, now), writes).is_err()
        {
            return RegistryResponse::Malformed;
        }
        RegistryResponse::Signing(self.signing.clone())
    }

    pub(super) fn change_signing(
        &mut self,
        change: impl FnOnce(&mut SigningSecrets) -> Result<(), SigningRefusal>,
        writes: &mut Vec<RegistryWrite>,
    ) -> Result<RegistryResponse, RegistryRefusal> {
        let signing = &mut self.signing;
        match change(signing) {
            Ok(()) => writes.push(RegistryWrite::Signing(serde_json::to_string(signing).unwrap_or_default())),
            Err(SigningRefusal::InvalidSecret) => return Ok(RegistryResponse::Malformed),
            Err(SigningRefusal::Full) => return Err(RegistryRefusal::VersionsFull),
            Err(SigningRefusal::Only) => return Err(RegistryRefusal::OnlyVersion),
            Err(SigningRefusal::Unknown) => return Err(RegistryRefusal::Unknown),
        }
        Ok(self.versions())
    }

    pub(super) fn versions(&self) -> RegistryResponse {
        let mut keys: HashMap<u32, u64> = HashMap::new();
        let existing = self.records.values().filter(|record| !record.removed);
        existing.for_each(|record| *keys.entry(version_of(&record.hash)).or_default() += 1);
        let version = |signer: &SigningSecret| SigningVersion {
            version: signer.version(),
            made_at: signer.made_at(),
            keys: keys.remove(&signer.version()).unwrap_or(0),
        };
        let versions = self.signing.valid().iter().map(version).collect();
        RegistryResponse::Versions(versions, keys.values().sum())
    }

    /// Marks the keys in a response that must be rotated before they work again.
    pub(super) fn mark_outdated(&self, mut response: RegistryResponse) -> RegistryResponse {
        let outdated = |record: &ApiKey| !self.is_signed(record);
        match &mut response {
            RegistryResponse::Record(record) | RegistryResponse::AlreadyCreated(record) => {
                record.outdated = outdated(record)
            }
            RegistryResponse::Changed { before, after } => {
                (before.outdated, after.outdated) = (outdated(before), outdated(after));
            }
            RegistryResponse::Page { records, .. } => {
                records.iter_mut().for_each(|record| record.outdated = outdated(record))
            }
            RegistryResponse::Size(_)
            | RegistryResponse::Removed
            | RegistryResponse::Signing(_)
            | RegistryResponse::Versions(..)
            | RegistryResponse::Refused(_)
            | RegistryResponse::Malformed => {}
        }
        response
    }

    /// Whether a key is signed with a valid version.
    pub(super) fn is_signed(&self, record: &ApiKey) -> bool {
        self.signing.check_version(version_of(&record.hash)) == SignatureCheck::Good
    }
}

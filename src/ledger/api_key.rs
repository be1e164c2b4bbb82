//! The record of an API key as the registry stores it: everything but the text of the key.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::command::AccountCommand;
use super::key_text::account;
use super::letters::hex;
use super::limits::KeyLimits;
use super::secret::KeySecret;
use crate::config::Millis;
use crate::ids::{AccountId, KeyHash};

/// The record of one API key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Its id, which never changes.
    pub id: String,
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Free members set by its creator.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// The fingerprint of its text ([`super::key_text::SignedKey::hash`]).
    pub hash: KeyHash,
    /// The last letters of its text.
    pub hint: String,
    /// Its limits.
    #[serde(rename = "terms")]
    pub limits: KeyLimits,
    /// When it was created.
    pub created_at: Millis,
    /// When it was last changed. Strictly increasing, so that it identifies a version.
    pub updated_at: Millis,
    /// The newest version that its account has confirmed; 0 if none.
    #[serde(rename = "posted")]
    pub confirmed: Millis,
    /// Its removal has begun, and it is no longer valid.
    #[serde(rename = "leaving", default, skip_serializing_if = "std::ops::Not::not")]
    pub removing: bool,
    /// It is removed. The record remains because its receipts do.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
    /// Its text is signed with a version of the secret that is no longer valid, or not signed. Set in
    /// responses, never stored.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub outdated: bool,
    /// A digest of the fields it was created with, which makes creation idempotent.
    pub origin: String,
}

/// The status of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyStatus {
    /// It is valid.
    Active,
    /// It is disabled.
    Disabled,
    /// It has expired.
    Expired,
    /// It needs a new text: the secret that signed its own is no longer valid.
    MustRotate,
    /// Its creation was not completed; repeat it.
    Incomplete,
    /// Its removal was not completed; repeat it.
    Deleting,
}

impl KeyStatus {
    /// The status in the admin API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
            Self::Expired => "expired",
            Self::MustRotate => "must_rotate",
            Self::Incomplete => "incomplete",
            Self::Deleting => "deleting",
        }
    }
}

impl ApiKey {
    /// Replaces its text.
    pub fn set_secret(&mut self, secret: &KeySecret) {
        (self.hash, self.hint) = (secret.hash(), secret.hint());
    }

    /// The name of its account, which is also its `key_id`.
    pub fn account(&self) -> AccountId {
        account(&self.id)
    }

    /// The id of the key whose limits apply as well.
    pub fn parent(&self) -> Option<&str> {
        self.limits.parent.as_ref().map(|parent| id_of(parent.as_str()))
    }

    /// The command that brings its account up to date. While a key is being removed, its limits admit
    /// nothing, and no text has its hash.
    pub fn account_command(&self) -> AccountCommand {
        if self.removing {
            let limits = KeyLimits { enabled: false, ..KeyLimits::default() };
            return AccountCommand::SetLimits { hash: KeyHash::default(), limits, version: self.updated_at };
        }
        let limits = KeyLimits { owner: self.owner.clone(), ..self.limits.clone() };
        AccountCommand::SetLimits { hash: self.hash.clone(), limits, version: self.updated_at }
    }

    /// The record that remains after removal.
    pub(super) fn without_metadata(&self) -> Self {
        let Self { created_at, updated_at, confirmed: posted, .. } = *self;
        Self {
            id: self.id.clone(),
            created_at,
            updated_at,
            confirmed: posted,
            removing: true,
            removed: true,
            ..Self::default()
        }
    }

    /// The status at a time.
    pub fn status(&self, now: Millis) -> KeyStatus {
        match self {
            Self { removing: true, .. } => KeyStatus::Deleting,
            Self { confirmed: 0, .. } => KeyStatus::Incomplete,
            Self { limits: KeyLimits { enabled: false, .. }, .. } => KeyStatus::Disabled,
            record if !record.limits.are_valid(now) => KeyStatus::Expired,
            Self { outdated: true, .. } => KeyStatus::MustRotate,
            _ => KeyStatus::Active,
        }
    }

    /// A digest of all fields that its creator can set.
    pub(super) fn requested(&self) -> String {
        let patch = (&self.name, &self.owner, &self.metadata, &self.limits);
        hex(&Sha256::digest(serde_json::to_vec(&patch).unwrap_or_default()))
    }
}

/// The id of a key, given as that or as the name of its account.
pub fn id_of(name: &str) -> &str {
    name.strip_prefix("vk_").unwrap_or(name)
}

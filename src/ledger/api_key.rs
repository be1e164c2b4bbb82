//! A key's record, as the directory keeps it: everything about the key but the key. It knows no requests and no storage.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::command::AccountCommand;
use super::key_text::account;
use super::letters::hex;
use super::limits::KeyLimits;
use super::secret::KeySecret;
use crate::config::Millis;

/// The record of one key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Its id, never changed.
    pub id: String,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Whatever its makers want to find beside it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// The fingerprint of its text ([`super::key_text::SignedKey::hash`]).
    pub hash: String,
    /// The last letters of its text.
    pub hint: String,
    /// What it may do.
    pub terms: KeyLimits,
    /// When it was made.
    pub created_at: Millis,
    /// When it was last changed. No two changes have the same time, so that it tells versions apart.
    pub updated_at: Millis,
    /// The newest version of which its account is known to have been told; 0 if none.
    pub posted: Millis,
    /// It is on its way out, and works no more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leaving: bool,
    /// It is gone; what is left of it says that there are books in its name.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
    /// Its text is signed with a version of the secret that is not valid any more, or not at all. The directory says so in its answers;
    /// it is not written down.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub outdated: bool,
    /// A digest of what it was made from, by which the same wish is known again.
    pub origin: String,
}

/// What can be said of a key at a glance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyStatus {
    /// It works.
    Active,
    /// It was switched off.
    Disabled,
    /// It is past its end.
    Expired,
    /// It has to be given a new text: the secret that signed its own is not valid any more.
    MustRotate,
    /// It was never made to the end: its creation is to be repeated.
    Incomplete,
    /// It was never removed to the end: its deletion is to be repeated.
    Deleting,
}

impl KeyStatus {
    /// The word for it.
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
    /// Gives it a new key.
    pub fn take(&mut self, secret: &KeySecret) {
        (self.hash, self.hint) = (secret.hash(), secret.hint());
    }

    /// The name of its account, which is its `key_id` as well.
    pub fn account(&self) -> String {
        account(&self.id)
    }

    /// The id of the key whose limits hold for it as well.
    pub fn parent(&self) -> Option<&str> {
        self.terms.parent.as_deref().map(id_of)
    }

    /// What its account has to be told. A key that is on its way out has terms that let nothing pass, and a hash that no text has.
    pub fn order(&self) -> AccountCommand {
        if self.leaving {
            let terms = KeyLimits { enabled: false, ..KeyLimits::default() };
            return AccountCommand::Post { hash: String::new(), terms, version: self.updated_at };
        }
        AccountCommand::Post { hash: self.hash.clone(), terms: self.terms.clone(), version: self.updated_at }
    }

    /// What is left of it when it is gone.
    pub(super) fn without_metadata(&self) -> Self {
        let Self { created_at, updated_at, posted, .. } = *self;
        Self { id: self.id.clone(), created_at, updated_at, posted, leaving: true, removed: true, ..Self::default() }
    }

    /// How it stands at this time.
    pub fn status(&self, now: Millis) -> KeyStatus {
        match self {
            Self { leaving: true, .. } => KeyStatus::Deleting,
            Self { posted: 0, .. } => KeyStatus::Incomplete,
            Self { terms: KeyLimits { enabled: false, .. }, .. } => KeyStatus::Disabled,
            record if !record.terms.are_valid(now) => KeyStatus::Expired,
            Self { outdated: true, .. } => KeyStatus::MustRotate,
            _ => KeyStatus::Active,
        }
    }

    /// A digest of all that its maker can wish.
    pub(super) fn requested(&self) -> String {
        let wish = (&self.name, &self.owner, &self.metadata, &self.terms);
        hex(&Sha256::digest(serde_json::to_vec(&wish).unwrap_or_default()))
    }
}

/// The id of a virtual key, given as that or as the name of its account.
pub fn id_of(name: &str) -> &str {
    name.strip_prefix("vk_").unwrap_or(name)
}

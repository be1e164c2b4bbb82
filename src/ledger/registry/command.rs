//! Commands to the registry of API keys, its responses, and what it writes.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::config::Millis;
use crate::ids::KeyHash;
use crate::ledger::api_key::{ApiKey, id_of};
use crate::ledger::secret::KeySecret;
use crate::ledger::signing::SigningSecrets;

/// A command to the registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RegistryCommand {
    /// Creates a key. It becomes active when its account has confirmed it.
    Create(Box<ApiKey>),
    /// Changes fields of a key, and its text if a secret is given.
    Edit {
        /// The key's id.
        id: String,
        /// The fields, as [`crate::ledger::key_schema::apply_patch`] reads them.
        #[serde(rename = "wish")]
        patch: Map<String, Value>,
        /// The hash and the hint of the new text.
        secret: Option<(KeyHash, String)>,
    },
    /// The account has confirmed this version of its key.
    #[serde(rename = "Posted")]
    Confirm {
        /// The key's id.
        id: String,
        /// The record's `updated_at`.
        version: Millis,
    },
    /// Begins the removal of a key.
    #[serde(rename = "Retire")]
    BeginRemoval(String),
    /// Completes the removal of a key.
    #[serde(rename = "Remove")]
    CompleteRemoval(String),
    /// Reads a key.
    Read(String),
    /// Reads keys, oldest first.
    List {
        /// The last id of the page before.
        after: Option<String>,
        /// How many at most.
        limit: usize,
        /// Includes removed keys.
        removed: bool,
    },
    /// Reads the secrets that sign keys. If there are none, the first is made from the given random bits.
    Signing(Option<String>),
    /// Reads how many bytes the registry's database takes.
    Size,
    /// Reads the versions of the secret, and how many keys each has signed.
    Versions,
    /// Adds a version, from these random bits.
    #[serde(rename = "Renew")]
    AddVersion(String),
    /// Ends a version.
    #[serde(rename = "End")]
    EndVersion(u32),
}

/// The response of the registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RegistryResponse {
    /// The key as it is now.
    Record(Box<ApiKey>),
    /// The key was changed: as it was, and as it is now.
    Changed {
        /// As it was.
        before: Box<ApiKey>,
        /// As it is now.
        after: Box<ApiKey>,
    },
    /// The key exists, and was created with the same fields.
    #[serde(rename = "Known")]
    AlreadyCreated(Box<ApiKey>),
    /// A page of keys.
    Page {
        /// One page of keys, in the order of their creation.
        records: Vec<ApiKey>,
        /// Whether more follow.
        more: bool,
    },
    /// The bytes that the registry's database takes.
    Size(u64),
    /// The key is removed.
    Removed,
    /// The secrets that sign keys.
    Signing(SigningSecrets),
    /// The valid versions, oldest first; and the number of keys that none of them has signed.
    Versions(Vec<SigningVersion>, u64),
    /// The command is refused.
    Refused(RegistryRefusal),
    /// The command could not be parsed or applied.
    #[serde(rename = "Confused")]
    Malformed,
}

/// Why a command is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RegistryRefusal {
    /// There is no such key.
    Unknown,
    /// The id belongs to a key that was created with other fields.
    Taken,
    /// The key is being removed.
    #[serde(rename = "Leaving")]
    Removing,
    /// The registry has as many keys as it can.
    Full,
    /// This many keys have it as their parent.
    Members(usize),
    /// The parent does not exist.
    NoParent,
    /// A key cannot be its own parent.
    OwnParent,
    /// The parent has a parent itself.
    Grandparent,
    /// The key is a parent itself.
    ParentOfOthers,
    /// The key is signed with a version that is no longer valid.
    Outdated,
    /// As many versions are valid as can be.
    VersionsFull,
    /// It is the only version.
    OnlyVersion,
}

/// One write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistryWrite {
    /// Inserts or replaces the record with a number.
    Put(u64, String),
    /// Deletes the record with a number.
    Drop(u64),
    /// Replaces the secrets that sign keys.
    Signing(String),
}

impl RegistryCommand {
    /// Changes fields of a key.
    pub fn edit(id: &str, patch: Map<String, Value>) -> Self {
        Self::Edit { id: id_of(id).to_owned(), patch, secret: None }
    }

    /// Replaces the text of a key.
    pub fn rotate(id: &str, secret: &KeySecret) -> Self {
        let secret = Some((secret.hash(), secret.hint()));
        Self::Edit { id: id_of(id).to_owned(), patch: Map::new(), secret }
    }
}

/// A version of the signing secret, without the secret itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningVersion {
    /// Its number.
    pub version: u32,
    /// When it was made.
    pub made_at: Millis,
    /// The number of existing keys that it signed.
    pub keys: u64,
}

//! What the gateway asks of the registry of keys, what the registry answers, and what it wants written.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::config::Millis;
use crate::ledger::api_key::{ApiKey, id_of};
use crate::ledger::secret::KeySecret;
use crate::ledger::signing::SigningSecrets;

/// What is asked of the directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RegistryCommand {
    /// Enters a new key. It counts as made when its account has been told.
    Create(Box<ApiKey>),
    /// Changes fields of a key, and its secret if one is given.
    Edit {
        /// The key's id.
        id: String,
        /// The fields, as [`crate::ledger::key_schema::apply_patch`] reads them.
        wish: Map<String, Value>,
        /// The new secret's hash and hint.
        secret: Option<(String, String)>,
    },
    /// The account has been told of this version of its key.
    Posted {
        /// The key's id.
        id: String,
        /// The record's `updated_at`.
        version: Millis,
    },
    /// Makes a key ready to be removed.
    Retire(String),
    /// Removes a key that is ready for it.
    Remove(String),
    /// One key.
    Read(String),
    /// Keys, oldest first.
    List {
        /// The last one of the page before.
        after: Option<String>,
        /// How many.
        limit: usize,
        /// Those that are gone, too.
        removed: bool,
    },
    /// The secrets that sign keys. Where there are none and random bits are given, the first is made of these.
    Signing(Option<String>),
    /// The versions of the secret, and how many keys each has signed.
    Versions,
    /// Makes a new version, of these random bits.
    Renew(String),
    /// Ends a version.
    End(u32),
}

/// The answer of the directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RegistryResponse {
    /// The key, as it is now.
    Record(Box<ApiKey>),
    /// The key was there already, made of the same wish.
    Known(Box<ApiKey>),
    /// A page.
    Page {
        /// The keys.
        records: Vec<ApiKey>,
        /// Whether others follow.
        more: bool,
    },
    /// It is gone.
    Removed,
    /// The secrets that sign keys.
    Signing(SigningSecrets),
    /// The versions that are valid, oldest first; and how many keys are there that none of them has signed.
    Versions(Vec<SigningVersion>, u64),
    /// It cannot be.
    Refused(RegistryRefusal),
    /// The order was not understood.
    Confused,
}

/// Why something cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RegistryRefusal {
    /// There is no such key.
    Unknown,
    /// The id is taken by a key that was made of another wish.
    Taken,
    /// The key is being removed.
    Leaving,
    /// There are as many keys as there can be.
    Full,
    /// Others have it as their parent.
    Members(usize),
    /// The parent does not exist.
    NoParent,
    /// A key cannot be its own parent.
    OwnParent,
    /// The parent has a parent itself.
    Grandparent,
    /// The key is a parent itself.
    ParentOfOthers,
    /// The key is signed with a version that is not valid any more.
    Outdated,
    /// As many versions as there can be are valid.
    VersionsFull,
    /// It is the only version.
    OnlyVersion,
}

/// Something to be written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistryWrite {
    /// A record under its number, in the place of another.
    Put(u64, String),
    /// It is gone.
    Drop(u64),
    /// The secrets that sign keys, in the place of others.
    Signing(String),
}

impl RegistryCommand {
    /// Changes fields of a key.
    pub fn edit(id: &str, wish: Map<String, Value>) -> Self {
        Self::Edit { id: id_of(id).to_owned(), wish, secret: None }
    }

    /// Gives a key a new secret.
    pub fn rotate(id: &str, secret: &KeySecret) -> Self {
        let secret = Some((secret.hash(), secret.hint()));
        Self::Edit { id: id_of(id).to_owned(), wish: Map::new(), secret }
    }
}

/// A version of the secret that signs keys, as its operator sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningVersion {
    /// Its number.
    pub version: u32,
    /// When it was made.
    pub made_at: Millis,
    /// How many keys it has signed that are there.
    pub keys: u64,
}

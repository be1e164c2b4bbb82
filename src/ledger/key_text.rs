//! The text of a key made at run time: its syntax and its fingerprint. Whether a key is valid is checked
//! elsewhere.

use sha2::{Digest, Sha256};

use super::letters::hex;
use crate::ids::{AccountId, KeyHash};

/// The prefix of every key. The text is `sk-lb-ID-` followed by version, secret and MAC without separators.
pub const PREFIX: &str = "sk-lb-";

/// The length of a key's secret in characters.
pub(super) const SECRET_LENGTH: usize = 40;
/// The length of a MAC in characters: 128 bits of an HMAC-SHA-256 in base 62.
pub(super) const MAC_LENGTH: usize = 22;
/// The maximum number of digits of a version.
const MAX_VERSION_DIGITS: usize = 9;

/// A presented key, parsed but not verified.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum PresentedKey<'t> {
    /// A key with a signature, which is not verified.
    Signed(SignedKey<'t>),
    /// A key in the format that was used before keys were signed, with its id. No such key is valid any more.
    Unsigned(&'t str),
}

/// A key with a signature, which is not verified.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SignedKey<'t> {
    text: &'t str,
    id: &'t str,
    version: u32,
}

impl<'t> PresentedKey<'t> {
    /// Parses a presented key. `None` if it does not have the syntax of a key.
    pub fn parse(text: &'t str) -> Option<Self> {
        let (id, tail) = text.strip_prefix(PREFIX)?.rsplit_once('-')?;
        if !is_id(id) || !tail.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return None;
        }
        if tail.len() == SECRET_LENGTH {
            return Some(Self::Unsigned(id));
        }
        let digits =
            tail.len().checked_sub(SECRET_LENGTH + MAC_LENGTH).filter(|digits| *digits <= MAX_VERSION_DIGITS)?;
        let version = tail.get(..digits).filter(|digits| !digits.starts_with('0'))?.parse().ok()?;
        Some(Self::Signed(SignedKey { text, id, version }))
    }
}

impl SignedKey<'_> {
    /// The account of the key.
    pub fn account(&self) -> AccountId {
        account(self.id)
    }

    /// The id of the key.
    pub fn id(&self) -> &str {
        self.id
    }

    /// The version of the secret that signed the key.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The fingerprint of the key: the version, a dot, and the SHA-256 of the text in hex.
    pub fn hash(&self) -> KeyHash {
        fingerprint(self.version, self.text)
    }

    /// The signed part of the text, and the MAC.
    pub(super) fn parts(&self) -> (&str, &str) {
        self.text.split_at_checked(self.text.len().saturating_sub(MAC_LENGTH)).unwrap_or_default()
    }
}

/// The version of the secret that signed the key with this fingerprint; 0 for a key made before keys were
/// signed.
pub fn version_of(hash: &KeyHash) -> u32 {
    hash.as_str().split_once('.').and_then(|(version, _)| version.parse().ok()).unwrap_or(0)
}

/// The account of the key with this id. It is also the key's `key_id`.
pub fn account(id: &str) -> AccountId {
    format!("vk_{id}").into()
}

/// Whether `id` has the syntax of a key's id: 1 to 64 of the characters `a-z`, `0-9`, `_` and `-`.
pub fn is_id(id: &str) -> bool {
    let is_allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-');
    (1..=64).contains(&id.len()) && id.bytes().all(is_allowed)
}

pub(super) fn fingerprint(version: u32, text: &str) -> KeyHash {
    format!("{version}.{}", hex(&Sha256::digest(text.as_bytes()))).into()
}

//! The text of a key made at run time: its form, how it is read, and its fingerprint. It says nothing of whether the key is good.

use sha2::{Digest, Sha256};

use super::letters::hex;

/// What the text of every key begins with: `sk-lb-ID-VERSION SECRET MAC`, the last three without anything between them.
pub const PREFIX: &str = "sk-lb-";

/// Letters of a key's secret.
pub(super) const LENGTH: usize = 40;
/// Letters of a MAC: 128 bits of an HMAC-SHA-256, in 62 letters.
pub(super) const MAC_LENGTH: usize = 22;
/// Digits of a version, at most.
const VERSION_LENGTH: usize = 9;
/// A presented key, by its form; whether it is good is not known yet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum PresentedKey<'t> {
    /// A key that claims to be signed.
    Signed(SignedKey<'t>),
    /// A key as they were made before keys were signed, of this id. None of them is good any more.
    Unsigned(&'t str),
}

/// A key that claims to be signed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SignedKey<'t> {
    text: &'t str,
    id: &'t str,
    version: u32,
}

impl<'t> PresentedKey<'t> {
    /// Reads a presented key. `None` if it has not the form of one.
    pub fn parse(text: &'t str) -> Option<Self> {
        let (id, tail) = text.strip_prefix(PREFIX)?.rsplit_once('-')?;
        if !is_id(id) || !tail.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return None;
        }
        if tail.len() == LENGTH {
            return Some(Self::Unsigned(id));
        }
        let digits = tail.len().checked_sub(LENGTH + MAC_LENGTH).filter(|digits| *digits <= VERSION_LENGTH)?;
        let version = tail.get(..digits).filter(|digits| !digits.starts_with('0'))?.parse().ok()?;
        Some(Self::Signed(SignedKey { text, id, version }))
    }
}

impl SignedKey<'_> {
    /// The account that it claims.
    pub fn account(&self) -> String {
        account(self.id)
    }

    /// The id of the key that it claims to be.
    pub fn id(&self) -> &str {
        self.id
    }

    /// The version of the secret that it claims to be signed with.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Its fingerprint: that version, a dot, and the SHA-256 of its text in hex.
    pub fn hash(&self) -> String {
        fingerprint(self.version, self.text)
    }

    /// What is signed, and the MAC that it shows.
    pub(super) fn parts(&self) -> (&str, &str) {
        self.text.split_at_checked(self.text.len().saturating_sub(MAC_LENGTH)).unwrap_or_default()
    }
}

/// The version of the secret with which a key of this fingerprint was signed; 0 for a key that was made before keys were signed.
pub fn version_of(hash: &str) -> u32 {
    hash.split_once('.').and_then(|(version, _)| version.parse().ok()).unwrap_or(0)
}

/// The name of the account of a key with this id; its `key_id` as well.
pub fn account(id: &str) -> String {
    format!("vk_{id}")
}

/// Whether this may be a key's id: 1 to 64 of `a-z`, `0-9`, `_` and `-`.
pub fn is_id(id: &str) -> bool {
    let sound = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-');
    (1..=64).contains(&id.len()) && id.bytes().all(sound)
}

pub(super) fn fingerprint(version: u32, text: &str) -> String {
    format!("{version}.{}", hex(&Sha256::digest(text.as_bytes())))
}

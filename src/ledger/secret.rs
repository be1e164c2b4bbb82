//! The text of a key made at run time: how it is made, read and hashed. It knows no records and no terms, and keeps nothing.

use std::fmt;
use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::signing::{MAC_LENGTH, SigningSecret};

/// What the text of every key begins with: `sk-lb-ID-VERSION SECRET MAC`, the last three without anything between them.
pub const PREFIX: &str = "sk-lb-";

/// Letters of a key's secret.
const LENGTH: usize = 40;
/// Letters of an id that nobody chose.
const ID_LENGTH: usize = 16;
/// Digits of a version, at most.
const VERSION_LENGTH: usize = 9;
const LETTERS: &[u8; 62] = b"abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
/// The first so many of them are in lower case: those of ids.
const LOWER: u128 = 36;

/// A new key. Its text is shown once, and nowhere kept.
#[derive(Clone, PartialEq, Eq)]
pub struct KeySecret {
    text: String,
    version: u32,
}

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

impl KeySecret {
    /// Makes a key for an id, from 256 random bits, of which the secret holds 238; and signs it.
    pub fn make(id: &str, dice: [u128; 2], signer: &SigningSecret) -> Self {
        let version = signer.version();
        let mut text = format!("{PREFIX}{id}-{version}");
        for die in dice {
            draw(&mut text, die, LENGTH / 2, 62);
        }
        let mac = signer.mac(&text);
        Self { text: text + &mac, version }
    }

    /// Reads a presented key. `None` if it has not the form of one.
    pub fn parse(text: &str) -> Option<PresentedKey<'_>> {
        let (id, tail) = text.strip_prefix(PREFIX)?.rsplit_once('-')?;
        if !is_id(id) || !tail.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return None;
        }
        if tail.len() == LENGTH {
            return Some(PresentedKey::Unsigned(id));
        }
        let digits = tail.len().checked_sub(LENGTH + MAC_LENGTH).filter(|digits| *digits <= VERSION_LENGTH)?;
        let version = tail.get(..digits).filter(|digits| !digits.starts_with('0'))?.parse().ok()?;
        Some(PresentedKey::Signed(SignedKey { text, id, version }))
    }

    /// The text that a caller shows.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its fingerprint, as [`SignedKey::hash`].
    pub fn hash(&self) -> String {
        fingerprint(self.version, &self.text)
    }

    /// Its last four letters, by which people tell keys apart.
    pub fn hint(&self) -> String {
        self.text.get(self.text.len().saturating_sub(4)..).unwrap_or_default().to_owned()
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

impl fmt::Debug for KeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The name of the account of a key with this id; its `key_id` as well.
pub fn account(id: &str) -> String {
    format!("vk_{id}")
}

/// An id for a key whose maker gave none: 16 letters, 82 bits.
pub fn make_id(dice: u128) -> String {
    let mut id = String::with_capacity(ID_LENGTH);
    draw(&mut id, dice, ID_LENGTH, LOWER);
    id
}

/// Whether this may be a key's id: 1 to 64 of `a-z`, `0-9`, `_` and `-`.
pub fn is_id(id: &str) -> bool {
    let sound = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-');
    (1..=64).contains(&id.len()) && id.bytes().all(sound)
}

pub(super) fn draw(text: &mut String, mut die: u128, count: usize, base: u128) {
    for _ in 0..count {
        let letter = usize::try_from(die % base).ok().and_then(|at| LETTERS.get(at));
        text.extend(letter.map(|letter| char::from(*letter)));
        die /= base;
    }
}

fn fingerprint(version: u32, text: &str) -> String {
    format!("{version}.{}", hex(&Sha256::digest(text.as_bytes())))
}

/// Bytes in hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::signing::tests::signer;
    use super::*;

    fn signed(text: &str) -> SignedKey<'_> {
        match KeySecret::parse(text) {
            Some(PresentedKey::Signed(signed)) => signed,
            _ => panic!("{text}"),
        }
    }

    #[test]
    fn a_key_names_its_account_and_nothing_more() {
        let secret = KeySecret::make("team-a_1", [u128::MAX, 12_345], &signer(7));
        assert_eq!(secret.text().len(), "sk-lb-team-a_1-7".len() + 40 + 22);
        let read = signed(secret.text());
        assert_eq!((read.account(), read.version(), read.hash()), ("vk_team-a_1".to_owned(), 7, secret.hash()));
        assert!(secret.text().ends_with(&secret.hint()) && secret.hint().len() == 4);
        assert!(!format!("{secret:?}").contains(&secret.hint()));
        assert_eq!((secret.hash().len(), version_of(&secret.hash())), (66, 7));
        assert_eq!((version_of("ab12"), version_of("")), (0, 0));
    }

    #[test]
    fn fingerprints_are_sha_256() {
        let hash = "3.ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(fingerprint(3, "abc"), hash);
    }

    #[test]
    fn a_key_made_before_keys_were_signed_is_told_from_others() {
        let old = format!("sk-lb-a-b-{}", "x".repeat(40));
        assert!(KeySecret::parse(&old) == Some(PresentedKey::Unsigned("a-b")));
    }

    #[test]
    fn what_is_no_key_is_told_from_one() {
        let good = KeySecret::make("a", [1, 2], &signer(1)).text().to_owned();
        let long = KeySecret::make(&"a".repeat(65), [1, 2], &signer(1));
        let (shorter, upper) = (&good[..good.len() - 1], good.replace("-a-", "-A-"));
        let (zero, none) = (good.replace("-a-1", "-a-01"), good.replace("-a-1", "-a-"));
        let (word, huge) = (good.replace("-a-1", "-a-x"), good.replace("-a-1", "-a-1234567890"));
        for text in
            ["", "sk-lb-", "sk-lb--", "sk-lb-a-", shorter, &upper, long.text(), &zero, &none, &word, &huge, "sk-lb-a-é"]
        {
            assert!(KeySecret::parse(text).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_made_can_be_read(id in "[a-z0-9_-]{1,64}", a: u128, b: u128, dice: u128, version in 1u32..999_999_999) {
            let secret = KeySecret::make(&id, [a, b], &signer(version));
            let read = signed(secret.text());
            prop_assert_eq!((read.account(), read.version(), read.hash()), (account(&id), version, secret.hash()));
            prop_assert!(is_id(&make_id(dice)) && make_id(dice).len() == 16);
        }

        #[test]
        fn any_text_is_read_without_harm(text: String, tail in "sk-lb-.*", word in "sk-lb-a-[0-9a-zA-Z]{60,75}") {
            for text in [&text, &tail, &word] {
                if let Some(PresentedKey::Signed(signed)) = KeySecret::parse(text) {
                    prop_assert_eq!(signed.parts().1.len(), 22);
                    prop_assert_eq!(version_of(&signed.hash()), signed.version());
                }
            }
        }
    }
}

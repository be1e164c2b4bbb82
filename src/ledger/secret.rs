//! The text of a key made at run time: how it is made, read and hashed. It knows no records and no terms, and keeps nothing.

use std::fmt;
use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// What the text of every key begins with; its id and its secret follow, `sk-lb-ID-SECRET`.
pub const PREFIX: &str = "sk-lb-";

/// Letters of a key's secret.
const LENGTH: usize = 40;
/// Letters of an id that nobody chose.
const ID_LENGTH: usize = 16;
const LETTERS: &[u8; 62] = b"abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
/// The first so many of them are in lower case: those of ids.
const LOWER: u128 = 36;

/// A new key. Its text is shown once, and nowhere kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Makes a key for an id, from 256 random bits. The secret holds 238 of them.
    pub fn make(id: &str, dice: [u128; 2]) -> Self {
        let mut text = format!("{PREFIX}{id}-");
        for die in dice {
            draw(&mut text, die, LENGTH / 2, 62);
        }
        Self(text)
    }

    /// Reads a presented key: the account that it claims, and its SHA-256 in hex. `None` if it has not the form of one. Whether it is
    /// good only the account can say.
    pub fn parse(text: &str) -> Option<(String, String)> {
        let (id, secret) = text.strip_prefix(PREFIX)?.rsplit_once('-')?;
        let sound = secret.len() == LENGTH && secret.bytes().all(|b| b.is_ascii_alphanumeric());
        (sound && is_id(id)).then(|| (account(id), hash(text)))
    }

    /// The text that a caller shows.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Its SHA-256 in hex.
    pub fn hash(&self) -> String {
        hash(&self.0)
    }

    /// Its last four letters, by which people tell keys apart.
    pub fn hint(&self) -> String {
        self.0.get(self.0.len().saturating_sub(4)..).unwrap_or_default().to_owned()
    }
}

impl fmt::Debug for Secret {
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

fn draw(text: &mut String, mut die: u128, count: usize, base: u128) {
    for _ in 0..count {
        let letter = usize::try_from(die % base).ok().and_then(|at| LETTERS.get(at));
        text.extend(letter.map(|letter| char::from(*letter)));
        die /= base;
    }
}

fn hash(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
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

    use super::*;

    #[test]
    fn a_key_names_its_account_and_nothing_more() {
        let secret = Secret::make("team-a_1", [u128::MAX, 12_345]);
        assert_eq!(secret.text().len(), "sk-lb-team-a_1-".len() + 40);
        assert_eq!(Secret::parse(secret.text()), Some(("vk_team-a_1".to_owned(), secret.hash())));
        assert!(secret.text().ends_with(&secret.hint()) && secret.hint().len() == 4);
        assert!(!format!("{secret:?}").contains(&secret.hint()));
        assert_eq!(secret.hash().len(), 64);
    }

    #[test]
    fn hashes_are_sha_256() {
        assert_eq!(hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn what_is_no_key_is_told_from_one() {
        let good = Secret::make("a", [1, 2]).text().to_owned();
        let long = Secret::make(&"a".repeat(65), [1, 2]);
        let (shorter, upper) = (&good[..good.len() - 1], good.replace("-a-", "-A-"));
        for text in ["", "sk-lb-", "sk-lb--", "sk-lb-a-", shorter, &format!("{good}x"), &upper, long.text(), "é"] {
            assert_eq!(Secret::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_made_can_be_read(id in "[a-z0-9_-]{1,64}", a: u128, b: u128, dice: u128) {
            let secret = Secret::make(&id, [a, b]);
            prop_assert_eq!(Secret::parse(secret.text()), Some((account(&id), secret.hash())));
            prop_assert!(is_id(&make_id(dice)) && make_id(dice).len() == 16);
        }

        #[test]
        fn any_text_is_read_without_harm(text: String, tail in "sk-lb-.*") {
            Secret::parse(&text);
            Secret::parse(&tail);
        }
    }
}

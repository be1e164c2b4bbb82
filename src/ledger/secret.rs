//! Makes the texts of keys.

use std::fmt;

use super::key_text::{PREFIX, SECRET_LENGTH, fingerprint};
use super::letters::{LOWERCASE, push_letters};
use super::signing::SigningSecret;
use crate::ids::KeyHash;

/// The length of a random id.
const ID_LENGTH: usize = 16;

/// The text of a new key. It is shown once and never stored.
#[derive(Clone, PartialEq, Eq)]
pub struct KeySecret {
    text: String,
    version: u32,
}

impl KeySecret {
    /// Makes a signed text for the key with this id, from 256 random bits (the secret keeps 238 of them).
    pub fn make(id: &str, random: [u128; 2], signer: &SigningSecret) -> Self {
        let version = signer.version();
        let mut text = format!("{PREFIX}{id}-{version}");
        for bits in random {
            push_letters(&mut text, bits, SECRET_LENGTH / 2, 62);
        }
        let mac = signer.mac(&text);
        Self { text: text + &mac, version }
    }

    /// The text that callers present.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its fingerprint, as [`super::key_text::SignedKey::hash`].
    pub fn hash(&self) -> KeyHash {
        fingerprint(self.version, &self.text)
    }

    /// Its last four characters, by which people recognise the key.
    pub fn hint(&self) -> String {
        self.text.get(self.text.len().saturating_sub(4)..).unwrap_or_default().to_owned()
    }
}

impl fmt::Debug for KeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A random id: 16 characters, 82 bits.
pub fn make_id(random: u128) -> String {
    let mut id = String::with_capacity(ID_LENGTH);
    push_letters(&mut id, random, ID_LENGTH, LOWERCASE);
    id
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::key_text::{PresentedKey, SignedKey, account, is_id, version_of};
    use super::super::signing::tests::signer;
    use super::*;

    fn signed(text: &str) -> SignedKey<'_> {
        match PresentedKey::parse(text) {
            Some(PresentedKey::Signed(signed)) => signed,
            _ => panic!("{text}"),
        }
    }

    #[test]
    fn a_key_contains_its_account_and_version() {
        let secret = KeySecret::make("team-a_1", [u128::MAX, 12_345], &signer(7));
        assert_eq!(secret.text().len(), "sk-lb-team-a_1-7".len() + 40 + 22);
        let read = signed(secret.text());
        assert_eq!(read.account().as_str(), "vk_team-a_1");
        assert_eq!(read.version(), 7);
        assert_eq!(read.hash(), secret.hash());
        assert!(secret.text().ends_with(&secret.hint()) && secret.hint().len() == 4);
        assert!(!format!("{secret:?}").contains(&secret.hint()));
        assert_eq!(secret.hash().as_str().len(), 66);
        assert_eq!(version_of(&secret.hash()), 7);
        assert_eq!(version_of(&"ab12".into()), 0);
        assert_eq!(version_of(&"".into()), 0);
    }

    #[test]
    fn fingerprints_are_sha_256() {
        let hash = "3.ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(fingerprint(3, "abc").as_str(), hash);
    }

    #[test]
    fn a_key_from_before_keys_were_signed_is_recognised() {
        let old = format!("sk-lb-a-b-{}", "x".repeat(40));
        assert!(PresentedKey::parse(&old) == Some(PresentedKey::Unsigned("a-b")));
    }

    #[test]
    fn a_text_that_is_not_a_key_is_not_parsed() {
        let good = KeySecret::make("a", [1, 2], &signer(1)).text().to_owned();
        let long = KeySecret::make(&"a".repeat(65), [1, 2], &signer(1));
        let (shorter, upper) = (&good[..good.len() - 1], good.replace("-a-", "-A-"));
        let (zero, none) = (good.replace("-a-1", "-a-01"), good.replace("-a-1", "-a-"));
        let (word, huge) = (good.replace("-a-1", "-a-x"), good.replace("-a-1", "-a-1234567890"));
        for text in
            ["", "sk-lb-", "sk-lb--", "sk-lb-a-", shorter, &upper, long.text(), &zero, &none, &word, &huge, "sk-lb-a-é"]
        {
            assert!(PresentedKey::parse(text).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_new_key_is_parsed(id in "[a-z0-9_-]{1,64}", a: u128, b: u128, random: u128, version in 1u32..999_999_999) {
            let secret = KeySecret::make(&id, [a, b], &signer(version));
            let read = signed(secret.text());
            prop_assert_eq!(read.account(), account(&id));
            prop_assert_eq!(read.version(), version);
            prop_assert_eq!(read.hash(), secret.hash());
            prop_assert!(is_id(&make_id(random)) && make_id(random).len() == 16);
        }

        #[test]
        fn any_text_is_parsed_without_panic(text: String, tail in "sk-lb-.*", word in "sk-lb-a-[0-9a-zA-Z]{60,75}") {
            for text in [&text, &tail, &word] {
                if let Some(PresentedKey::Signed(signed)) = PresentedKey::parse(text) {
                    prop_assert_eq!(signed.parts().1.len(), 22);
                    prop_assert_eq!(version_of(&signed.hash()), signed.version());
                }
            }
        }
    }
}

//! The secret that signs the texts of keys. Up to two versions of it are valid at a time.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::key_text::{MAC_LENGTH, SignedKey};
use super::letters::push_letters;
use crate::config::Millis;

/// The maximum number of versions that are valid at a time.
const MAX_VALID: usize = 2;
/// The last possible version: the text of a key has nine digits for it.
const MAX_VERSION: u32 = 999_999_999;

/// One version of the secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningSecret {
    version: u32,
    /// 256 bits in hex.
    secret: String,
    made_at: Millis,
}

/// The versions of the secret. The registry sends them to the gateway's isolates, and nowhere else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningSecrets {
    /// The valid versions, oldest first.
    valid: Vec<SigningSecret>,
    /// The newest version ever made; 0 if there is none.
    last: u32,
}

/// The result of checking a key's signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureCheck {
    /// The signature is valid.
    Good,
    /// The signature is wrong.
    Bad,
    /// The version is no longer valid, or the key was made before keys were signed.
    EndedVersion,
    /// There is no such version yet, as far as is known here.
    UnknownVersion,
}

/// Why a version cannot be added or ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningRefusal {
    /// The maximum number of versions is valid.
    Full,
    /// It is the only valid version.
    Only,
    /// There is no such version, or it has been ended.
    Unknown,
    /// The given bits are not a secret.
    InvalidSecret,
}

/// 256 random bits in hex, from which a secret is made.
pub fn bits(random: [u128; 2]) -> String {
    random.iter().map(|bits| format!("{bits:032x}")).collect()
}

impl SigningSecret {
    /// Its number, from 1.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// When it was made, in milliseconds since 1970.
    pub fn made_at(&self) -> Millis {
        self.made_at
    }

    /// The MAC of a text.
    pub(super) fn mac(&self, text: &str) -> String {
        let mut letters = String::with_capacity(MAC_LENGTH);
        // HMAC accepts keys of any length, so this cannot fail.
        if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()) {
            mac.update(text.as_bytes());
            let bytes = mac.finalize().into_bytes();
            let half = bytes.iter().take(16).fold(0u128, |sum, byte| (sum << 8) | u128::from(*byte));
            push_letters(&mut letters, half, MAC_LENGTH, 62);
        }
        letters
    }

    fn has_signed(&self, signed: &SignedKey<'_>) -> bool {
        let (text, shown) = signed.parts();
        let mac = self.mac(text);
        mac.len() == MAC_LENGTH && bool::from(mac.as_bytes().ct_eq(shown.as_bytes()))
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({}, …)", self.version)
    }
}

impl SigningSecrets {
    /// The version that signs new keys; `None` if there is none yet.
    pub fn current(&self) -> Option<&SigningSecret> {
        self.valid.last()
    }

    /// The valid versions, oldest first.
    pub fn valid(&self) -> &[SigningSecret] {
        &self.valid
    }

    /// Whether a version is valid. `Good` does not verify any key.
    pub fn check_version(&self, version: u32) -> SignatureCheck {
        match version {
            _ if self.find(version).is_some() => SignatureCheck::Good,
            version if version > self.last => SignatureCheck::UnknownVersion,
            _ => SignatureCheck::EndedVersion,
        }
    }

    /// Verifies the signature of a presented key, in the same time for every id.
    pub fn verify(&self, signed: &SignedKey<'_>) -> SignatureCheck {
        match self.find(signed.version()) {
            Some(signer) if signer.has_signed(signed) => SignatureCheck::Good,
            Some(_) => SignatureCheck::Bad,
            None => self.check_version(signed.version()),
        }
    }

    /// Adds a version from 256 bits in hex ([`bits`]).
    ///
    /// # Errors
    /// [`SigningRefusal::Full`] if two are valid, [`SigningRefusal::InvalidSecret`] if `secret` is not 256
    /// bits in hex.
    pub(super) fn renew(&mut self, secret: String, now: Millis) -> Result<(), SigningRefusal> {
        let is_hex = secret.len() == 64 && secret.bytes().all(|b| b.is_ascii_hexdigit());
        if !is_hex || secret.bytes().all(|b| b == b'0') {
            return Err(SigningRefusal::InvalidSecret);
        }
        if self.valid.len() >= MAX_VALID || self.last >= MAX_VERSION {
            return Err(SigningRefusal::Full);
        }
        self.last += 1;
        self.valid.push(SigningSecret { version: self.last, secret, made_at: now });
        Ok(())
    }

    /// Ends a version. The keys that it signed become invalid.
    ///
    /// # Errors
    /// [`SigningRefusal::Only`] if it is the only one, [`SigningRefusal::Unknown`] if it is not valid.
    pub(super) fn end(&mut self, version: u32) -> Result<(), SigningRefusal> {
        if self.find(version).is_none() {
            return Err(SigningRefusal::Unknown);
        }
        if self.valid.len() == 1 {
            return Err(SigningRefusal::Only);
        }
        self.valid.retain(|signer| signer.version != version);
        Ok(())
    }

    fn find(&self, version: u32) -> Option<&SigningSecret> {
        self.valid.iter().find(|signer| signer.version == version)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::key_text::PresentedKey;
    use super::super::secret::KeySecret;
    use super::*;

    /// A version of some secret.
    pub fn signer(version: u32) -> SigningSecret {
        SigningSecret { version, secret: bits([7, u128::from(version)]), made_at: 0 }
    }

    fn verify(signing: &SigningSecrets, text: &str) -> SignatureCheck {
        match PresentedKey::parse(text) {
            Some(PresentedKey::Signed(signed)) => signing.verify(&signed),
            _ => panic!("{text}"),
        }
    }

    fn two() -> SigningSecrets {
        let mut signing = SigningSecrets::default();
        signing.renew(bits([1, 2]), 10).unwrap();
        signing.renew(bits([3, 4]), 20).unwrap();
        signing
    }

    #[test]
    fn a_mac_is_hmac_sha_256() {
        // Test case 2 of RFC 4231, its first 16 bytes: 5bdcc146bf60754e6a042426089575c7.
        let signer = SigningSecret { version: 1, secret: "Jefe".to_owned(), made_at: 0 };
        let mut letters = String::new();
        push_letters(&mut letters, 0x5bdc_c146_bf60_754e_6a04_2426_0895_75c7, 22, 62);
        assert_eq!(signer.mac("what do ya want for nothing?"), letters);
    }

    #[test]
    fn no_character_of_a_signed_key_can_be_changed() {
        let signing = two();
        let key = KeySecret::make("a-b", [5, 6], signing.current().unwrap());
        assert_eq!(verify(&signing, key.text()), SignatureCheck::Good);
        for at in "sk-lb-".len()..key.text().len() {
            let mut letters = key.text().as_bytes().to_vec();
            letters[at] = if letters[at] == b'q' { b'r' } else { b'q' };
            let text = String::from_utf8(letters).unwrap();
            if let Some(PresentedKey::Signed(signed)) = PresentedKey::parse(&text) {
                assert_ne!(signing.verify(&signed), SignatureCheck::Good, "{text}");
            }
        }
        assert_eq!(verify(&signing, &key.text().replace("-a-b-2", "-a-b-1")), SignatureCheck::Bad);
        assert_eq!(verify(&signing, &key.text().replace("-a-b-", "-a-c-")), SignatureCheck::Bad);
    }

    #[test]
    fn ended_and_unknown_versions_are_different_results() {
        let mut signing = two();
        let old = KeySecret::make("a", [5, 6], &signing.valid()[0]);
        assert_eq!(verify(&signing, old.text()), SignatureCheck::Good);
        assert_eq!(signing.end(1), Ok(()));
        assert_eq!(verify(&signing, old.text()), SignatureCheck::EndedVersion);
        assert_eq!(
            [signing.check_version(0), signing.check_version(2), signing.check_version(3)],
            [SignatureCheck::EndedVersion, SignatureCheck::Good, SignatureCheck::UnknownVersion]
        );
        assert_eq!(signing.end(1), Err(SigningRefusal::Unknown));
        assert_eq!(signing.end(2), Err(SigningRefusal::Only));
        assert_eq!(signing.renew(bits([5, 6]), 30), Ok(()));
        assert_eq!(signing.current().map(SigningSecret::version), Some(3));
        assert_eq!(SigningSecrets::default().check_version(1), SignatureCheck::UnknownVersion);
    }

    #[test]
    fn at_most_two_versions_are_valid_and_none_is_made_from_invalid_bits() {
        assert_eq!(two().renew(bits([5, 6]), 0), Err(SigningRefusal::Full));
        for weak in ["", "ab", &"0".repeat(64), &"x".repeat(64)] {
            assert_eq!(
                SigningSecrets::default().renew(weak.to_owned(), 0),
                Err(SigningRefusal::InvalidSecret),
                "{weak}"
            );
        }
    }

    #[test]
    fn a_secret_is_not_printed() {
        let shown = format!("{:?}", two());
        assert!(!shown.contains("0000") && shown.contains("Signer(2, …)"), "{shown}");
    }
}

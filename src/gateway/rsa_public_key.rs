//! Public keys of RSA, as a JSON Web Key Set has them (RFC 7517).

use serde::Deserialize;

/// The longest part of a key: 4096 bits as base64.
const MAX_PART: usize = 683;
/// The shortest modulus: 2048 bits as base64.
const MIN_MODULUS: usize = 342;

/// A public key of RSA.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RsaPublicKey {
    /// Its id.
    #[serde(rename = "kid")]
    pub id: String,
    /// Its kind: `RSA`.
    kty: String,
    /// Its modulus, in base64 for URLs.
    #[serde(rename = "n")]
    pub modulus: String,
    /// Its exponent, likewise.
    #[serde(rename = "e")]
    pub exponent: String,
}

impl RsaPublicKey {
    /// Whether it is of the usual kind, and neither too short nor too long.
    pub(super) fn is_sound(&self) -> bool {
        let is_short = [&self.id, &self.modulus, &self.exponent].iter().all(|part| part.len() <= MAX_PART);
        is_short && self.kty == "RSA" && self.modulus.len() >= MIN_MODULUS
    }
}

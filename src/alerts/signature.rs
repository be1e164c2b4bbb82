//! Signatures of notices: those of Standard Webhooks (standardwebhooks.com), and that of Feishu's robots.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::config::Millis;
use crate::wire::base64;

/// Precedes the base64 of a secret.
const PREFIX: &str = "whsec_";
/// The allowed lengths of a secret, in bytes.
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;
/// The most secrets: the old one stays valid while receivers change to the new one.
const MAX_SECRETS: usize = 2;

/// The secrets that sign the notices of one destination.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret {
    keys: Vec<Vec<u8>>,
}

/// Why a secret cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretFault {
    /// It is not `whsec_` and base64.
    Malformed,
    /// It has fewer than 24 or more than 64 bytes.
    Length,
    /// There are more than two.
    TooMany,
}

impl WebhookSecret {
    /// Reads `whsec_` and base64; during a rotation two of them, separated by a comma or spaces, the new one
    /// first.
    ///
    /// # Errors
    /// [`SecretFault`] if there is none, or one cannot be used.
    pub fn read(text: &str) -> Result<Self, SecretFault> {
        let words = text.split([',', ' ']).filter(|word| !word.is_empty());
        let keys = words.map(read_key).collect::<Result<Vec<_>, _>>()?;
        match keys.len() {
            0 => Err(SecretFault::Malformed),
            1..=MAX_SECRETS => Ok(Self { keys }),
            _ => Err(SecretFault::TooMany),
        }
    }

    /// The header `webhook-signature`: one signature for each secret. `seconds` is the header
    /// `webhook-timestamp`.
    pub fn sign(&self, id: &str, seconds: u64, body: &str) -> String {
        let signed = format!("{id}.{seconds}.{body}");
        let signatures: Vec<String> =
            self.keys.iter().map(|key| format!("v1,{}", base64::encode(&mac(key, signed.as_bytes())))).collect();
        signatures.join(" ")
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(…)")
    }
}

impl fmt::Display for SecretFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "expected `whsec_` and base64, as Standard Webhooks prescribes",
            Self::Length => "expected a secret of 24 to 64 bytes",
            Self::TooMany => "expected one secret, or two during a rotation",
        })
    }
}

fn read_key(word: &str) -> Result<Vec<u8>, SecretFault> {
    let key = word.strip_prefix(PREFIX).and_then(base64::decode).ok_or(SecretFault::Malformed)?;
    if LENGTHS.contains(&key.len()) { Ok(key) } else { Err(SecretFault::Length) }
}

/// The field `sign` of a message to a Feishu bot: the HMAC of nothing, whose key is the time and the secret.
pub fn feishu_sign(secret: &str, now: Millis) -> String {
    let key = format!("{}\n{secret}", now / 1000);
    base64::encode(&mac(key.as_bytes(), b""))
}

fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    // HMAC accepts keys of any length, so this cannot fail.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";

    #[test]
    fn a_signature_is_that_of_the_specification() {
        let signature = WebhookSecret::read(SECRET).unwrap().sign(ID, 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_rotation_has_two_signatures() {
        let new = format!("whsec_{}", base64::encode(&[7; 32]));
        let both = WebhookSecret::read(&format!("{new}, {SECRET}")).unwrap().sign(ID, 1, "{}");
        let each = [new.as_str(), SECRET].map(|secret| WebhookSecret::read(secret).unwrap().sign(ID, 1, "{}"));
        assert_eq!(both, each.join(" "));
    }

    #[test]
    fn weak_and_malformed_secrets_are_refused() {
        let short = format!("whsec_{}", base64::encode(&[7; 23]));
        let long = format!("whsec_{}", base64::encode(&[7; 65]));
        let three = [SECRET; 3].join(" ");
        for (text, fault) in [
            ("", SecretFault::Malformed),
            ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", SecretFault::Malformed),
            ("whsec_***", SecretFault::Malformed),
            (short.as_str(), SecretFault::Length),
            (long.as_str(), SecretFault::Length),
            (three.as_str(), SecretFault::TooMany),
        ] {
            assert_eq!(WebhookSecret::read(text), Err(fault), "{text}");
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        assert_eq!(format!("{:?}", WebhookSecret::read(SECRET).unwrap()), "WebhookSecret(…)");
    }

    /// Computed with Python's hmac from the rule in Feishu's guide to custom bots.
    #[test]
    fn feishu_signs_nothing_with_the_time_and_the_secret() {
        assert_eq!(feishu_sign("demo", 1_599_360_473_999), "l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8=");
    }
}

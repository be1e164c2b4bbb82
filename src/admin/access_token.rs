//! The tokens of Cloudflare Access: JSON Web Tokens (RFC 7519) that are signed with RS256, as values.

use serde::Deserialize;

use crate::config::{AccessSettings, Millis};
use crate::wire::base64::decode_url;

/// The only algorithm of a signature. A token cannot choose another.
const ALGORITHM: &str = "RS256";
/// The longest token, in bytes.
const MAX_LENGTH: usize = 16 << 10;
/// How far the clock of the issuer may be ahead.
const LEEWAY: Millis = 60_000;

/// A token whose signature is still to be verified.
#[derive(Debug, PartialEq, Eq)]
pub struct AccessToken<'t> {
    /// The id of the key that is said to have signed it.
    pub key_id: String,
    /// The part of the token that the signature covers: header and claims.
    pub signed: &'t str,
    /// The decoded signature, to be verified with RS256.
    pub signature: Vec<u8>,
    claims: Claims,
}

/// What is wrong with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenFault {
    /// It is not a token that is signed with RS256.
    Malformed,
    /// No key of the team has signed it.
    Unsigned,
    /// Another team or application issued it, or it is for another application.
    Foreign,
    /// It has expired, or is not valid yet.
    Untimely,
    /// It has neither an email address nor a client id.
    Anonymous,
}

impl TokenFault {
    /// The fault in words: "The token …".
    pub fn text(self) -> &'static str {
        match self {
            Self::Malformed => "is not a token that is signed with RS256",
            Self::Unsigned => "is not signed by a key of the team",
            Self::Foreign => "was issued by another team, or for another application",
            Self::Untimely => "has expired, or is not valid yet",
            Self::Anonymous => "names no identity",
        }
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
}

#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    exp: u64,
    #[serde(default)]
    nbf: u64,
    #[serde(default)]
    iat: u64,
    /// The email address of a person; empty for service tokens.
    #[serde(default)]
    email: String,
    /// The client id of a service token.
    #[serde(default)]
    common_name: String,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Default for Audience {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

impl<'t> AccessToken<'t> {
    /// Reads a token. Nothing of it is to be believed before its signature is verified.
    ///
    /// # Errors
    /// It is malformed, or names another algorithm than RS256.
    pub fn read(text: &'t str) -> Result<Self, TokenFault> {
        if text.len() > MAX_LENGTH {
            return Err(TokenFault::Malformed);
        }
        let parts: Vec<&str> = text.split('.').collect();
        let [header, claims, signature] = parts[..] else { return Err(TokenFault::Malformed) };
        let (signed, _) = text.rsplit_once('.').ok_or(TokenFault::Malformed)?;
        let decode = |part: &str| decode_url(part).ok_or(TokenFault::Malformed);
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| TokenFault::Malformed)?;
        if header.alg != ALGORITHM {
            return Err(TokenFault::Malformed);
        }
        let claims = serde_json::from_slice(&decode(claims)?).map_err(|_| TokenFault::Malformed)?;
        Ok(Self { key_id: header.kid, signed, signature: decode(signature)?, claims })
    }

    /// Whom it names, in lower case: an address of email, or the client id of a service token.
    ///
    /// # Errors
    /// It is not for this application or not for now, or names nobody.
    pub fn identity(&self, settings: &AccessSettings, now: Millis) -> Result<String, TokenFault> {
        let Claims { iss, aud, exp, nbf, iat, email, common_name } = &self.claims;
        let is_for_us = match aud {
            Audience::One(one) => *one == settings.audience,
            Audience::Several(several) => several.contains(&settings.audience),
        };
        if *iss != settings.origin || !is_for_us {
            return Err(TokenFault::Foreign);
        }
        let begins = (*nbf).max(*iat).saturating_mul(1_000);
        if exp.saturating_mul(1_000) <= now || begins > now.saturating_add(LEEWAY) {
            return Err(TokenFault::Untimely);
        }
        let identity = if email.is_empty() { common_name } else { email };
        if identity.is_empty() { Err(TokenFault::Anonymous) } else { Ok(identity.to_lowercase()) }
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};

    use super::*;

    const NOW: Millis = 1_700_000_000_000;

    fn settings() -> AccessSettings {
        AccessSettings {
            origin: "https://team.cloudflareaccess.com".to_owned(),
            audience: "app".to_owned(),
            writers: Vec::new(),
            readers: None,
        }
    }

    fn token(header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        [part(header), part(claims), URL_SAFE_NO_PAD.encode("signature")].join(".")
    }

    fn identity(changes: &Value) -> Result<String, TokenFault> {
        let mut claims = json!({"iss": "https://team.cloudflareaccess.com", "aud": ["app"], "exp": 1_700_000_060,
            "iat": 1_699_999_000, "nbf": 1_699_999_000, "email": "Alice@Example.com", "type": "app"});
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let text = token(&json!({"alg": "RS256", "kid": "k"}), &claims);
        AccessToken::read(&text)?.identity(&settings(), NOW)
    }

    #[test]
    fn a_token_for_this_application_names_an_identity() {
        assert_eq!(identity(&json!({})).as_deref(), Ok("alice@example.com"));
        assert_eq!(identity(&json!({"aud": "app"})).as_deref(), Ok("alice@example.com"));
        assert_eq!(identity(&json!({"email": "", "common_name": "e3.access"})).as_deref(), Ok("e3.access"));
    }

    #[test]
    fn a_claim_that_does_not_hold_is_refused() {
        for (changes, fault) in [
            (json!({"aud": ["other"]}), TokenFault::Foreign),
            (json!({"aud": "other"}), TokenFault::Foreign),
            (json!({"aud": []}), TokenFault::Foreign),
            (json!({"iss": "https://evil.cloudflareaccess.com"}), TokenFault::Foreign),
            (json!({"iss": "https://team.cloudflareaccess.com/"}), TokenFault::Foreign),
            (json!({"exp": 1_700_000_000}), TokenFault::Untimely),
            (json!({"exp": 1_600_000_000}), TokenFault::Untimely),
            (json!({"nbf": 1_700_000_061}), TokenFault::Untimely),
            (json!({"iat": 1_700_000_061}), TokenFault::Untimely),
            (json!({"email": ""}), TokenFault::Anonymous),
            (json!({"exp": "never"}), TokenFault::Malformed),
            (json!({"exp": -5}), TokenFault::Malformed),
            (json!({"aud": null}), TokenFault::Malformed),
        ] {
            assert_eq!(identity(&changes), Err(fault), "{changes}");
        }
        assert!(identity(&json!({"nbf": 1_700_000_060})).is_ok());
    }

    #[test]
    fn a_token_has_a_greatest_length() {
        let of = |padding: usize| {
            let claims = json!({"iss": "", "aud": "", "exp": 1, "padding": "x".repeat(padding)});
            AccessToken::read(&token(&json!({"alg": "RS256", "kid": "k"}), &claims)).map(|read| read.key_id)
        };
        assert_eq!(of(12_000), Ok("k".to_owned()));
        assert_eq!(of(13_000), Err(TokenFault::Malformed), "longer than 16 KiB");
    }

    #[test]
    fn a_token_cannot_choose_its_algorithm() {
        for alg in ["none", "None", "HS256", "RS512", "ES256", "rs256", ""] {
            let text = token(&json!({"alg": alg, "kid": "k"}), &json!({"iss": "", "aud": "", "exp": 1}));
            assert_eq!(AccessToken::read(&text), Err(TokenFault::Malformed), "{alg}");
        }
        let long = "a".repeat(20_000);
        for text in ["", "a", "a.b", "a.b.c", "..", "a.b.c.d", "e30.e30.", long.as_str()] {
            assert_eq!(AccessToken::read(text), Err(TokenFault::Malformed), "{text}");
        }
        let text = token(&json!({"alg": "RS256", "kid": "k"}), &json!({"iss": "", "aud": "", "exp": 1}));
        let read = AccessToken::read(&text).unwrap();
        assert_eq!((read.key_id.as_str(), read.signature.as_slice()), ("k", b"signature".as_slice()));
        assert_eq!(format!("{}.{}", read.signed, URL_SAFE_NO_PAD.encode("signature")), text);
    }
}

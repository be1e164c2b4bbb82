//! Authenticates the access keys of the configuration. Keys are held as hashes and compared in constant time.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::error::{Error, Result};
use crate::ids::AccountId;

/// The environment variable that holds the access keys.
pub const VARIABLE: &str = "ACCESS_API_KEYS";

/// A caller who was authenticated by a configured key. It holds the key's stable id, never the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfiguredKey {
    /// `key_` and the first 12 hex digits of the key's SHA-256; `anonymous` where no key is required.
    pub key_id: AccountId,
}

/// The configured access keys.
#[derive(Default)]
pub struct AccessKeys {
    keys: Vec<(AccountId, [u8; 32])>,
}

impl AccessKeys {
    /// Reads the variable: a comma-separated list, or a JSON list (numbers count as text), string, or object
    /// (its member names).
    pub fn read(variable: &str) -> Self {
        let names = from_json(variable).unwrap_or_else(|| variable.split(',').map(str::to_owned).collect());
        let names = names.iter().map(|name| name.trim()).filter(|name| !name.is_empty());
        Self { keys: names.map(|name| (id(name), hash(name))).collect() }
    }

    /// Whether no key is set.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The SHA-256 of all keys, in the order of the variable.
    pub fn hashes(&self) -> impl Iterator<Item = &[u8; 32]> {
        self.keys.iter().map(|(_, hash)| hash)
    }

    /// The ids of all keys, in the order of the variable.
    pub fn ids(&self) -> impl Iterator<Item = &AccountId> {
        self.keys.iter().map(|(id, _)| id)
    }

    /// Authenticates a caller.
    ///
    /// # Errors
    /// 401 if no key is presented, the key is unknown, or none is configured.
    pub fn authenticate(&self, presented: Option<&str>) -> Result<ConfiguredKey> {
        if self.is_empty() {
            let message = format!(
                "this gateway has no access keys yet, so every call is refused. Its operator sets {VARIABLE} (in .dev.vars, or by `wrangler secret put {VARIABLE}`)."
            );
            return Err(Error::key_refused(&message));
        }
        let Some(presented) = presented else {
            return Err(Error::key_missing());
        };
        let presented = hash(presented);
        // No early exit, so that the time does not depend on the keys.
        let found = self
            .keys
            .iter()
            .fold(None, |found, (id, key)| if bool::from(key.ct_eq(&presented)) { Some(id) } else { found });
        found.map(|id| ConfiguredKey { key_id: id.clone() }).ok_or_else(Error::key_unknown)
    }
}

/// The headers that hold nothing but the access key.
const KEY_HEADERS: &[&str] = &["x-api-key", "api-key", "x-goog-api-key"];

/// The access key in the headers of a request: `Authorization` (with or without the scheme), or one of
/// `KEY_HEADERS`. Some clients send an empty header beside the one that counts.
pub fn presented(header: impl Fn(&str) -> Option<String>) -> Option<String> {
    let given = |key: &String| !key.is_empty();
    let bearer = header("authorization").and_then(|value| bearer(&value)).filter(given);
    bearer.or_else(|| KEY_HEADERS.iter().find_map(|name| header(name).filter(given)))
}

/// The password in the headers of a request (`Authorization: Basic`). The user's name does not matter.
pub fn password(header: impl Fn(&str) -> Option<String>) -> Option<String> {
    let value = header("authorization")?;
    let (scheme, credentials) = value.trim_matches([' ', '\t']).split_once([' ', '\t'])?;
    let credentials = STANDARD.decode(credentials.trim_matches([' ', '\t'])).ok()?;
    let credentials = String::from_utf8(credentials).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    credentials.split_once(':').map(|(_, password)| password.to_owned()).filter(|password| !password.is_empty())
}

fn bearer(value: &str) -> Option<String> {
    let value = value.trim_matches([' ', '\t']);
    match value.split_once([' ', '\t']) {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => Some(key.trim_matches([' ', '\t']).to_owned()),
        Some(_) => None,
        None if value.eq_ignore_ascii_case("bearer") => None,
        None => Some(value.to_owned()),
    }
}

fn from_json(variable: &str) -> Option<Vec<String>> {
    match serde_json::from_str(variable).ok()? {
        Value::Array(items) => Some(items.iter().filter_map(key_text).collect()),
        Value::Object(members) => Some(members.keys().cloned().collect()),
        Value::String(key) => Some(vec![key]),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

fn key_text(item: &Value) -> Option<String> {
    match item {
        Value::String(key) => Some(key.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn hash(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

fn id(key: &str) -> AccountId {
    let mut id = "key_".to_owned();
    for byte in hash(key).iter().take(6) {
        let _ = write!(id, "{byte:02x}");
    }
    id.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(variable: &str, key: &str) -> bool {
        AccessKeys::read(variable).authenticate(Some(key)).is_ok()
    }

    #[test]
    fn every_form_of_the_variable_is_read() {
        assert!(admits("a, b ,,c", "b") && !admits("a,b", "a,b"));
        assert!(admits(r#"["a","b"]"#, "b") && admits("[123456]", "123456"));
        assert!(admits("123456", "123456"));
        assert!(admits(r#""secretkey""#, "secretkey"));
        assert!(admits(r#"{"a":false}"#, "a"));
        assert!(admits("true", "true"));
    }

    #[test]
    fn no_part_of_a_key_is_a_key() {
        assert!(!admits(r#""secretkey""#, "s") && !admits("secretkey", "secret") && !admits("secretkey", ""));
        assert!(!admits("a", "A"));
    }

    #[test]
    fn without_keys_every_caller_is_refused_and_the_message_says_why() {
        for empty in ["", " , ", "[]"] {
            let error = AccessKeys::read(empty).authenticate(Some("a")).unwrap_err();
            assert_eq!(error.status(), 401);
            assert!(error.message().contains(VARIABLE));
        }
    }

    #[test]
    fn a_key_is_found_in_any_header() {
        let with =
            |name: &'static str, value: &'static str| presented(move |asked| (asked == name).then(|| value.to_owned()));
        for value in ["Bearer k", "bearer k", "BEARER  k", "k"] {
            assert_eq!(with("authorization", value).as_deref(), Some("k"), "{value}");
        }
        assert_eq!(with("x-api-key", "k").as_deref(), Some("k"));
        assert_eq!(with("api-key", "k").as_deref(), Some("k"));
        assert_eq!(with("x-goog-api-key", "k").as_deref(), Some("k"));
        let both = |name: &str| match name {
            "x-api-key" => Some(String::new()),
            "x-goog-api-key" => Some("k".to_owned()),
            _ => None,
        };
        assert_eq!(presented(both).as_deref(), Some("k"), "an empty header is none");
        assert_eq!(with("authorization", "Basic k"), None);
        assert_eq!(with("authorization", "Bearer"), None);
        assert_eq!(with("cookie", "k"), None);
    }

    #[test]
    fn a_password_is_found_whatever_the_user() {
        let sent = |value: &'static str| password(move |_| Some(value.to_owned()));
        for value in ["Basic dTprOjE=", "basic  OmE6Yg==", "BASIC dTprOjE= "] {
            assert!(sent(value).is_some(), "{value}");
        }
        assert_eq!(sent("Basic dTprOjE=").as_deref(), Some("k:1"));
        for value in ["Bearer dTprOjE=", "Basic", "Basic dQ==", "Basic dTo=", "Basic ?", "Basic /w=="] {
            assert_eq!(sent(value), None, "{value}");
        }
        assert_eq!(password(|_| None), None);
    }

    #[test]
    fn ids_are_stable_and_do_not_contain_the_key() {
        let caller = AccessKeys::read("sk-secret").authenticate(Some("sk-secret")).unwrap();
        let key_id = caller.key_id.as_str();
        assert!(key_id.starts_with("key_") && key_id.len() == 16 && !key_id.contains("secret"));
    }
}

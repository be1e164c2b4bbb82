//! The keys of a provider's accounts.

use std::fmt;

use crate::config::{KeySource, Provider};
use crate::error::{Error, Result};

/// A provider's key. `Debug` prints `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct ProviderKey(String);

impl ProviderKey {
    /// The text of the key, for the provider's header.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ProviderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// One of the keys with which a provider is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PooledKey {
    /// The key.
    pub key: ProviderKey,
    /// The account that it belongs to: keys with the same number share limits and money.
    pub account: usize,
    /// Its share of the requests, in proportion to the other keys'; at least 1.
    pub weight: u32,
}

/// The credentials of a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderAccount {
    /// The provider is called with one of these keys; at least one, none of them twice.
    Keyed(Vec<PooledKey>),
    /// The provider needs no key.
    Keyless,
    /// The provider cannot be called before this environment variable is set.
    Missing(String),
}

impl ProviderAccount {
    /// Looks up the keys of a provider. `secret` returns the value of an environment variable.
    pub fn open(provider: &Provider, secret: impl Fn(&str) -> Option<String>) -> Self {
        Self::open_with_notes(provider, secret).0
    }

    /// Looks up the keys of a provider. Also returns what is wrong with some of them, if others can be used.
    pub fn open_with_notes(provider: &Provider, secret: impl Fn(&str) -> Option<String>) -> (Self, Vec<String>) {
        let KeySource::Secrets { variables, inline } = &provider.key else { return (Self::Keyless, Vec::new()) };
        let mut pool = Pool::default();
        for variable in variables {
            let value = secret(&variable.name);
            pool.add(
                value.as_deref().unwrap_or_default(),
                &variable.name,
                variable.account.as_deref(),
                variable.weight,
            );
        }
        if let Some(key) = inline.as_deref().filter(|_| pool.keys.is_empty()) {
            pool.notes.clear();
            pool.add(key, "api_key", None, 1);
        }
        if pool.keys.is_empty() {
            let first = variables.first().map(|variable| variable.name.clone());
            return (Self::Missing(first.unwrap_or_default()), Vec::new());
        }
        (Self::Keyed(pool.keys), pool.notes)
    }

    /// The keys; none if the provider needs none, or if none is set.
    pub fn keys(&self) -> &[PooledKey] {
        if let Self::Keyed(keys) = self { keys } else { &[] }
    }

    /// The key at an index of [`Self::keys`], or the first one; `None` if the provider needs no key.
    ///
    /// # Errors
    /// 503 `provider_key_missing`, naming the variable that has to be set.
    pub fn key(&self, provider: &str, index: usize) -> Result<Option<&ProviderKey>> {
        match self {
            Self::Keyed(keys) => Ok(keys.get(index).or(keys.first()).map(|pooled| &pooled.key)),
            Self::Keyless => Ok(None),
            Self::Missing(name) => {
                let message = format!(
                    "The provider `{provider}` has no usable key yet. The gateway's operator sets {name} (in .dev.vars, or by `wrangler secret put {name}`)."
                );
                Err(Error::gateway(503, "provider_key_missing", message))
            }
        }
    }
}

/// The keys that have been found, with the names of their accounts.
#[derive(Default)]
struct Pool<'a> {
    keys: Vec<PooledKey>,
    /// The name of each account, in the order of their numbers; `None` for one of a single key.
    accounts: Vec<Option<&'a str>>,
    notes: Vec<String>,
}

impl<'a> Pool<'a> {
    /// Adds the keys in the value of a variable.
    fn add(&mut self, value: &str, variable: &str, account: Option<&'a str>, weight: u32) {
        let before = self.keys.len();
        for text in value.split(|c: char| c == ',' || c.is_whitespace()).filter(|text| !text.is_empty()) {
            if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
                self.notes.push(format!("a key in {variable} has characters that no header can hold; it is not used"));
            } else if self.keys.iter().any(|known| known.key.reveal() == text) {
                self.notes.push(format!("a key in {variable} is listed twice; it is used once"));
            } else {
                let account = self.account(account);
                self.keys.push(PooledKey { key: ProviderKey(text.to_owned()), account, weight });
            }
        }
        if self.keys.len() == before && value.trim().is_empty() {
            self.notes.push(format!("{variable} is not set; the other keys are used"));
        }
    }

    /// The number of an account.
    fn account(&mut self, name: Option<&'a str>) -> usize {
        let known = name.and_then(|_| self.accounts.iter().position(|known| *known == name));
        known.unwrap_or_else(|| {
            self.accounts.push(name);
            self.accounts.len() - 1
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::formats::KINDS;

    fn opened(row: &str, secrets: &[(&str, &str)]) -> (ProviderAccount, Vec<String>) {
        let text = format!("providers: {{ p: {{ base_url: 'https://a.b', models: {{ m: {{}} }}, {row} }} }}");
        let config = Config::read(&text, KINDS).unwrap();
        let secret =
            |name: &str| secrets.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        ProviderAccount::open_with_notes(&config.providers[0], secret)
    }

    fn keys(account: &ProviderAccount) -> Vec<(&str, usize, u32)> {
        account.keys().iter().map(|pooled| (pooled.key.reveal(), pooled.account, pooled.weight)).collect()
    }

    #[test]
    fn a_variable_may_hold_several_keys() {
        for value in ["a,b", " a , b,", "a b", "a\nb\n", "a,\r\n\tb"] {
            let (account, notes) = opened("", &[("P_API_KEY", value)]);
            assert_eq!(keys(&account), [("a", 0, 1), ("b", 1, 1)], "{value:?}");
            assert_eq!(notes, [""; 0], "{value:?}");
        }
    }

    #[test]
    fn keys_of_one_account_have_its_number() {
        let row =
            "keys: [{ env: A, account: team, weight: 3 }, B, { env: C, account: team }, { env: D, account: own }]";
        let secrets = [("A", "a1,a2"), ("B", "b1 b2"), ("C", "c"), ("D", "d")];
        let expected = [("a1", 0, 3), ("a2", 0, 3), ("b1", 1, 1), ("b2", 2, 1), ("c", 0, 1), ("d", 3, 1)];
        assert_eq!(keys(&opened(row, &secrets).0), expected);
    }

    #[test]
    fn a_key_that_cannot_be_used_is_noted_if_another_can() {
        let (account, notes) = opened("keys: [A, B, C]", &[("A", "a"), ("B", " "), ("C", "é,a")]);
        assert_eq!(keys(&account), [("a", 0, 1)]);
        let expected = [
            "B is not set; the other keys are used",
            "a key in C has characters that no header can hold; it is not used",
            "a key in C is listed twice; it is used once",
        ];
        assert_eq!(notes, expected);
    }

    #[test]
    fn without_any_key_the_first_variable_is_missing() {
        for secrets in [&[][..], &[("A", " "), ("B", "é")]] {
            let (account, notes) = opened("keys: [A, B]", secrets);
            assert_eq!(account, ProviderAccount::Missing("A".to_owned()));
            assert_eq!(notes, [""; 0]);
            assert_eq!(account.key("p", 0).unwrap_err().code(), Some("provider_key_missing"));
        }
    }

    #[test]
    fn the_key_in_the_file_counts_if_no_variable_is_set() {
        let (account, notes) = opened("api_key: inline", &[]);
        assert_eq!(keys(&account), [("inline", 0, 1)]);
        assert_eq!(notes, [""; 0]);
        assert_eq!(keys(&opened("api_key: inline", &[("P_API_KEY", "set")]).0), [("set", 0, 1)]);
    }

    #[test]
    fn an_index_beyond_the_keys_means_the_first() {
        let (account, _) = opened("", &[("P_API_KEY", "a,b")]);
        let key = |index| account.key("p", index).unwrap().map(ProviderKey::reveal);
        assert_eq!((key(0), key(1), key(2)), (Some("a"), Some("b"), Some("a")));
    }

    #[test]
    fn keys_are_not_printed() {
        let (account, _) = opened("", &[("P_API_KEY", "topsecret,othersecret")]);
        assert!(!format!("{account:?}").contains("secret"));
    }
}

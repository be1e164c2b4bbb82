//! The key of a provider's account.

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
    /// The provider is called with one of these keys; at least one.
    Keyed(Vec<PooledKey>),
    /// The provider needs no key.
    Keyless,
    /// The provider cannot be called before this environment variable is set.
    Missing(String),
}

impl ProviderAccount {
    /// Looks up the keys of a provider. `secret` returns the value of an environment variable.
    pub fn open(provider: &Provider, secret: impl Fn(&str) -> Option<String>) -> Self {
        let KeySource::Secret { name, inline } = &provider.key else { return Self::Keyless };
        let found = secret(name).or_else(|| inline.clone()).map(|key| key.trim().to_owned());
        let sendable = |key: &String| !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic());
        match found.filter(sendable) {
            Some(key) => Self::Keyed(vec![PooledKey { key: ProviderKey(key), account: 0, weight: 1 }]),
            None => Self::Missing(name.clone()),
        }
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

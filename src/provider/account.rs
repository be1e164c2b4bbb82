//! One upstream account: its key, or the reason why there is none.

use std::fmt;

use crate::config::{KeySource, Provider};
use crate::error::{Error, Result};

/// A provider's key. It is shown to nobody but its provider.
#[derive(Clone, PartialEq, Eq)]
pub struct ProviderKey(String);

impl ProviderKey {
    /// The key itself, for the provider's header.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ProviderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Whether a provider can be called now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderAccount {
    /// With this key.
    Keyed(ProviderKey),
    /// Without any.
    Keyless,
    /// Not before this variable is set.
    Missing(String),
}

impl ProviderAccount {
    /// Looks up the key of a provider's row; `secret` gives the value of a variable.
    pub fn open(provider: &Provider, secret: impl Fn(&str) -> Option<String>) -> Self {
        let KeySource::Secret { name, inline } = &provider.key else { return Self::Keyless };
        let found = secret(name).or_else(|| inline.clone()).map(|key| key.trim().to_owned());
        let sendable = |key: &String| !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic());
        match found.filter(sendable) {
            Some(key) => Self::Keyed(ProviderKey(key)),
            None => Self::Missing(name.clone()),
        }
    }

    /// The key to call with, if one is needed.
    ///
    /// # Errors
    /// 503 naming the variable that has to be set.
    pub fn key(&self, provider: &str) -> Result<Option<&ProviderKey>> {
        match self {
            Self::Keyed(key) => Ok(Some(key)),
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

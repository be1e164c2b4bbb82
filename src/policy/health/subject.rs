//! What a state of health is about.

use crate::config::Region;
use crate::policy::failure::{FailureClass, FailureScope};

/// Where an attempt goes. Providers, keys and accounts are counted in the order of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'m> {
    /// The index of the provider.
    pub provider: usize,
    /// The provider's name for the model.
    pub model: &'m str,
    /// The index of the key among the provider's keys; 0 if it needs none.
    pub key: usize,
    /// The index of the account that the key belongs to: keys of one account share its limits.
    pub account: usize,
    /// The region from which its calls leave; `None` if they leave from where this isolate runs.
    pub region: Option<Region>,
}

/// What a state of health is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A provider, with all its models and keys. It has a breaker.
    Host {
        /// The index of the provider.
        provider: usize,
    },
    /// A model at a provider, with all keys. It has a breaker.
    Target {
        /// The index of the provider.
        provider: usize,
        /// The provider's name for the model.
        model: String,
    },
    /// A key, for one model. It rests.
    KeyModel {
        /// The index of the provider.
        provider: usize,
        /// The index of the key.
        key: usize,
        /// The provider's name for the model.
        model: String,
    },
    /// A key, for all models. It rests.
    Key {
        /// The index of the provider.
        provider: usize,
        /// The index of the key.
        key: usize,
    },
    /// An account with a provider, with all keys that belong to it. It rests.
    Account {
        /// The index of the provider.
        provider: usize,
        /// The index of the account.
        account: usize,
    },
    /// A provider as it is seen from the place where this isolate runs, or from a region. It rests. Of the
    /// former, other isolates in the same place are told.
    Here {
        /// The index of the provider.
        provider: usize,
        /// The region from which its calls leave instead.
        region: Option<Region>,
    },
}

impl Subject {
    /// What a failure of this class and scope changes at the place where it happened; `None` if nothing: a
    /// caller must not be able to close a place for others by what it sends.
    pub fn of_failure(class: FailureClass, scope: FailureScope, place: Place<'_>) -> Option<Self> {
        let Place { provider, model, key, account, region } = place;
        let model = || model.to_owned();
        match class {
            FailureClass::Overload
            | FailureClass::Unreachable
            | FailureClass::Timeout
            | FailureClass::Hollow
            | FailureClass::Truncated => Some(match scope {
                FailureScope::Host => Self::Host { provider },
                FailureScope::Request
                | FailureScope::Model
                | FailureScope::Key
                | FailureScope::Account
                | FailureScope::Here => Self::Target { provider, model: model() },
            }),
            FailureClass::Rate | FailureClass::Quota | FailureClass::Capacity => match scope {
                FailureScope::Request | FailureScope::Here => None,
                FailureScope::Model => Some(Self::KeyModel { provider, key, model: model() }),
                FailureScope::Key => Some(Self::Key { provider, key }),
                FailureScope::Account | FailureScope::Host => Some(Self::Account { provider, account }),
            },
            FailureClass::Credential => match scope {
                FailureScope::Request | FailureScope::Here => None,
                FailureScope::Model => Some(Self::KeyModel { provider, key, model: model() }),
                // Whoever owns it: another key may be good.
                FailureScope::Key | FailureScope::Account | FailureScope::Host => Some(Self::Key { provider, key }),
            },
            FailureClass::Region => Some(Self::Here { provider, region }),
            FailureClass::TpmSize
            | FailureClass::Context
            | FailureClass::Policy
            | FailureClass::Unsupported
            | FailureClass::Caller => None,
        }
    }

    /// Whether an attempt at this place depends on the subject.
    pub fn covers(&self, place: Place<'_>) -> bool {
        match self {
            Self::Host { provider } => *provider == place.provider,
            Self::Here { provider, region } => *provider == place.provider && *region == place.region,
            Self::Target { provider, model } => *provider == place.provider && model == place.model,
            Self::KeyModel { provider, key, model } => {
                *provider == place.provider && *key == place.key && model == place.model
            }
            Self::Key { provider, key } => *provider == place.provider && *key == place.key,
            Self::Account { provider, account } => *provider == place.provider && *account == place.account,
        }
    }

    /// Whether it has a breaker. Others rest.
    pub fn has_breaker(&self) -> bool {
        matches!(self, Self::Host { .. } | Self::Target { .. })
    }

    /// Whether other isolates are told of its changes.
    pub fn is_shared(&self) -> bool {
        !matches!(self, Self::Here { region: Some(_), .. })
    }

    /// The index of the provider.
    pub fn provider(&self) -> usize {
        match self {
            Self::Host { provider }
            | Self::Target { provider, .. }
            | Self::KeyModel { provider, .. }
            | Self::Key { provider, .. }
            | Self::Account { provider, .. }
            | Self::Here { provider, .. } => *provider,
        }
    }
}

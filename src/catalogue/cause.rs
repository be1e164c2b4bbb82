//! What can go wrong with a call of a provider, and how much of the provider fails with it.

/// The class of a failure. It decides whether another target, another key or a wait can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureClass {
    /// A limit of requests or tokens in a short time. The same call can succeed after a wait.
    Rate,
    /// The balance or the allowance of a longer period is used up.
    Quota,
    /// The provider does not accept the gateway's key.
    Credential,
    /// The provider is overloaded or broken.
    Overload,
    /// The provider has no capacity for one model or one service tier.
    Capacity,
    /// The prompt exceeds the model's context window.
    Context,
    /// The request alone exceeds the account's limit of tokens in a short time: it never fits this target.
    TpmSize,
    /// The provider's content policy refuses the request.
    Policy,
    /// This model or account cannot serve the request; another may.
    Unsupported,
    /// The provider does not serve the country that the call came from.
    Region,
    /// The provider could not be reached, or the connection broke.
    Unreachable,
    /// The response did not come in the time allowed.
    Timeout,
    /// A successful status without a usable response.
    Hollow,
    /// The response broke off.
    Truncated,
    /// The request is invalid, whatever serves it.
    Caller,
}

/// How much of a provider fails for the same cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureScope {
    /// Only this request.
    Request,
    /// Requests for this model with this key.
    Model,
    /// Requests with this key, for any model.
    Key,
    /// Requests with any key of this key's account with the provider.
    Account,
    /// Requests with any key to this provider of the configuration.
    Host,
    /// Requests to this provider from the place where this isolate runs. Elsewhere the provider may serve.
    Here,
}

/// The classes, and their names in the table of causes, in logs and in the admin API.
const CLASS_NAMES: &[(FailureClass, &str)] = &[
    (FailureClass::Rate, "rate"),
    (FailureClass::Quota, "quota"),
    (FailureClass::Credential, "credential"),
    (FailureClass::Overload, "overload"),
    (FailureClass::Capacity, "capacity"),
    (FailureClass::Context, "context"),
    (FailureClass::TpmSize, "tpm_size"),
    (FailureClass::Policy, "policy"),
    (FailureClass::Unsupported, "unsupported"),
    (FailureClass::Region, "region"),
    (FailureClass::Unreachable, "unreachable"),
    (FailureClass::Timeout, "timeout"),
    (FailureClass::Hollow, "hollow"),
    (FailureClass::Truncated, "truncated"),
    (FailureClass::Caller, "caller"),
];

/// The scopes, and their names in the table of causes, in logs and in the admin API.
const SCOPE_NAMES: &[(FailureScope, &str)] = &[
    (FailureScope::Request, "request"),
    (FailureScope::Model, "model"),
    (FailureScope::Key, "key"),
    (FailureScope::Account, "account"),
    (FailureScope::Host, "host"),
    (FailureScope::Here, "here"),
];

fn name_of<T: PartialEq>(names: &[(T, &'static str)], wanted: &T) -> &'static str {
    names.iter().find(|(known, _)| known == wanted).map_or("", |(_, name)| name)
}

fn named<T: Copy>(names: &[(T, &str)], wanted: &str) -> Option<T> {
    names.iter().find(|(_, name)| *name == wanted).map(|(known, _)| *known)
}

impl FailureScope {
    /// Its name, such as `model`.
    pub fn name(self) -> &'static str {
        name_of(SCOPE_NAMES, &self)
    }

    /// The scope of this name.
    pub fn named(name: &str) -> Option<Self> {
        named(SCOPE_NAMES, name)
    }
}

impl FailureClass {
    /// Its name, such as `tpm_size`.
    pub fn name(self) -> &'static str {
        name_of(CLASS_NAMES, &self)
    }

    /// The class of this name.
    pub fn named(name: &str) -> Option<Self> {
        named(CLASS_NAMES, name)
    }

    /// The scope of a failure of this class if nothing else is known.
    pub fn usual_scope(self) -> FailureScope {
        match self {
            Self::Context
            | Self::TpmSize
            | Self::Policy
            | Self::Unsupported
            | Self::Hollow
            | Self::Truncated
            | Self::Caller => FailureScope::Request,
            Self::Rate | Self::Capacity | Self::Overload | Self::Timeout => FailureScope::Model,
            Self::Credential => FailureScope::Key,
            Self::Quota => FailureScope::Account,
            Self::Unreachable => FailureScope::Host,
            Self::Region => FailureScope::Here,
        }
    }
}

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

impl FailureClass {
    /// Its name in receipts and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Quota => "quota",
            Self::Credential => "credential",
            Self::Overload => "overload",
            Self::Capacity => "capacity",
            Self::Context => "context",
            Self::TpmSize => "tpm_size",
            Self::Policy => "policy",
            Self::Unsupported => "unsupported",
            Self::Region => "region",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Hollow => "hollow",
            Self::Truncated => "truncated",
            Self::Caller => "caller",
        }
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

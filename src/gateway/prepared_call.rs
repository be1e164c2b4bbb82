//! A call of a provider, as values.

use super::platform::ProviderRequest;
use super::response_context::ResponseContext;
use crate::formats::{CallReader, ProviderFormat};

/// A call of a provider that is ready to be sent. It holds nothing of the client's body.
pub(super) struct PreparedCall {
    pub(super) request: ProviderRequest,
    pub(super) format: &'static ProviderFormat,
    pub(super) reading: Reading,
}

/// How the response of a call is read.
#[expect(clippy::large_enum_variant, reason = "one for each request; a box would be one allocation more")]
pub(super) enum Reading {
    /// As generated tokens, or as the provider's bytes.
    Response(ResponseContext),
    /// As the response of a call, which is written in the client's format.
    Call(TranslatedCall),
}

/// How the response of a call is read.
pub(super) struct TranslatedCall {
    pub(super) read: CallReader,
    /// The length of the question's JSON in bytes.
    pub(super) length: u64,
}

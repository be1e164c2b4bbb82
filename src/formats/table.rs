//! The table of formats.

use super::client_format::ClientFormat;
use super::provider_format::ProviderFormat;
use super::written_request::WriteTarget;
use super::{anthropic, echo, gemini, openai, responses, tally};
use crate::canonical::ModelRequest;
use crate::catalogue::Facts;
use crate::config::FormatKind;
use crate::error::{Error, Result};
use crate::wire::json::Document;
use tally::TokenTally;

/// The formats that a provider's row may name as its `adapter`. A row without one has the first.
pub const KINDS: &[FormatKind] = &[
    openai::KIND,
    anthropic::KIND,
    gemini::KIND,
    responses::KIND,
    echo::KIND,
    #[cfg(feature = "toy")]
    super::toy::KIND,
];

/// The formats of providers.
pub const PROVIDER_FORMATS: &[ProviderFormat] = &[
    openai::PROVIDER,
    anthropic::PROVIDER,
    gemini::PROVIDER,
    responses::PROVIDER,
    #[cfg(feature = "toy")]
    super::toy::PROVIDER,
];

/// The format of clients that call `/chat/completions` and all paths that no other format has.
pub const CHAT: &ClientFormat = &openai::CLIENT;

/// The format of clients that call `/messages`.
pub const MESSAGES: &ClientFormat = &anthropic::CLIENT;

/// The format of clients that call `/models/MODEL:generateContent`.
pub const CONTENTS: &ClientFormat = &gemini::CLIENT;

/// The format of clients that call `/responses`.
pub const RESPONSES: &ClientFormat = &responses::CLIENT;

/// What other hosts have in paths before or behind the version, and the format whose API is there.
pub const HOST_ROOTS: &[(&str, &ClientFormat)] = &[("/openai", CHAT), ("/anthropic", MESSAGES)];

/// The formats of clients.
pub const CLIENT_FORMATS: &[&ClientFormat] = &[
    CHAT,
    MESSAGES,
    CONTENTS,
    &gemini::ARRAY_CLIENT,
    RESPONSES,
    #[cfg(feature = "toy")]
    &super::toy::CLIENT,
];

/// The provider format that the configuration calls `name`.
pub fn provider_format(name: &str) -> Option<&'static ProviderFormat> {
    PROVIDER_FORMATS.iter().find(|format| format.kind.name == name)
}

/// The texts of a conversation, framed as in OpenAI's format: the encodings that the gateway counts with are
/// those of its models.
///
/// # Errors
/// 400 for what that format cannot express, or if there is too much to count.
pub fn tally_conversation(request: &ModelRequest<'_>, model: &str) -> Result<TokenTally> {
    let written = (openai::PROVIDER.write)(
        request,
        WriteTarget { model, max_output: None, limit_field: None, facts: &Facts::UNKNOWN },
    )?;
    let document = Document::read(&written.body)
        .map_err(|_| Error::caller(400, "unsupported_endpoint", "This prompt cannot be counted."))?;
    tally::chat(&document)
}

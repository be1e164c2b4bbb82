//! Google's Gemini API, as providers speak it: `generateContent` and `streamGenerateContent`.
//! Source: <https://ai.google.dev/api/generate-content>, and recorded traffic.

mod count;
mod embed;
mod errors;
mod request;
mod response;
mod stream;
mod thinking;
mod wire;

use super::auth::AuthScheme;
use super::tap::EventTap;
use super::{CountCall, EmbedCall, ProviderFormat};
use crate::config::FormatKind;

/// The format's row in the table of formats.
pub const KIND: FormatKind = FormatKind { name: "gemini", remote: true, root: "/v1beta", endpoint: "" };

/// The format as providers speak it.
pub const UPSTREAM: ProviderFormat = ProviderFormat {
    kind: KIND,
    auth: AuthScheme::Header("x-goog-api-key"),
    write: request::write,
    whole: response::read,
    usage: |_| None,
    stream: || Box::new(stream::Decoder::default()),
    tap: |options| Box::new(EventTap::new(Box::new(stream::Decoder::default()), options)),
    recalls: |_| true,
    refusal: errors::read,
    count: Some(CountCall { write: count::write, read: count::read }),
    embed: Some(EmbedCall { write: embed::write, whole: embed::translate }),
};

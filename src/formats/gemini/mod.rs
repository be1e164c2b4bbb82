//! Google's Gemini API as its providers speak it: `generateContent` and `streamGenerateContent`.
//! Source: <https://ai.google.dev/api/generate-content>, and recorded traffic.

mod count;
mod decode;
mod embed;
mod logprobs;
mod outbound;
mod thinking;
mod turns;
mod wire;
mod write;

use super::{CountCall, EmbedCall, ProviderFormat};
use crate::config::FormatKind;

/// The adapter's row in the table.
pub const KIND: FormatKind = FormatKind { name: "gemini", remote: true, root: "/v1beta", endpoint: "" };

/// The format as providers speak it.
pub const UPSTREAM: ProviderFormat = ProviderFormat {
    kind: KIND,
    key: |key| ("x-goog-api-key", key.to_owned()),
    write: write::write,
    whole: decode::whole,
    usage: |_| None,
    stream: || Box::new(decode::Stream::default()),
    recalls: |_| true,
    refusal: outbound::refusal,
    count: Some(CountCall { write: count::write, read: count::read }),
    embed: Some(EmbedCall { write: embed::write, whole: embed::whole }),
};

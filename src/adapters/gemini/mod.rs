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

use super::{Count, Embed, Upstream};
use crate::config::AdapterKind;

/// The adapter's row in the table.
pub const KIND: AdapterKind = AdapterKind { name: "gemini", remote: true, root: "/v1beta", endpoint: "" };

/// The format as providers speak it.
pub const UPSTREAM: Upstream = Upstream {
    kind: KIND,
    key: |key| ("x-goog-api-key", key.to_owned()),
    write: write::write,
    whole: decode::whole,
    usage: |_| None,
    stream: || Box::new(decode::Stream::default()),
    recalls: |_| true,
    refusal: outbound::refusal,
    count: Some(Count { write: count::write, read: count::read }),
    embed: Some(Embed { write: embed::write, whole: embed::whole }),
};

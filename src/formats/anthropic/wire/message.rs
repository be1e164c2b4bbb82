//! The JSON of a message, whole or as stream events, as it is written for clients.

use serde::Serialize;

use crate::canonical::{Raw, Usage};

/// What the format has a place for, and this gateway knows nothing of: clients rely on its being there.
pub(crate) type Unknown = Option<()>;

#[derive(Serialize)]
pub(crate) struct Message<'a> {
    pub(crate) id: &'a str,
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) role: &'static str,
    pub(crate) model: &'a str,
    pub(crate) content: &'a [OutBlock],
    pub(crate) container: Unknown,
    pub(crate) diagnostics: Unknown,
    pub(crate) stop_details: Unknown,
    pub(crate) stop_reason: Option<&'static str>,
    /// Which of the texts ended the answer is known to no other format.
    pub(crate) stop_sequence: Option<&'static str>,
    pub(crate) usage: Served,
}

/// The tokens, and how they came about.
#[derive(Serialize)]
pub(crate) struct Served {
    #[serde(flatten)]
    pub(crate) tokens: Tokens,
    pub(crate) cache_creation: Option<Creation>,
    pub(crate) inference_geo: Unknown,
    pub(crate) service_tier: Option<&'static str>,
    pub(crate) speed: Unknown,
}

#[derive(Serialize)]
pub(crate) struct Tokens {
    pub(crate) input_tokens: u64,
    pub(crate) cache_creation_input_tokens: u64,
    pub(crate) cache_read_input_tokens: u64,
    pub(crate) output_tokens: u64,
    pub(crate) output_tokens_details: Option<Details>,
    pub(crate) server_tool_use: Unknown,
}

/// What was written to the cache, by the time for which it is kept.
#[derive(Serialize)]
pub(crate) struct Creation {
    pub(crate) ephemeral_5m_input_tokens: u64,
    pub(crate) ephemeral_1h_input_tokens: u64,
}

impl Creation {
    /// Nothing, unless a part of it is known to be kept for an hour: caches of other providers have other times.
    pub(crate) fn of(usage: &Usage) -> Option<Self> {
        let hour = usage.cache_write_1h.min(usage.cache_write);
        let short = usage.cache_write - hour;
        (hour > 0).then_some(Self { ephemeral_5m_input_tokens: short, ephemeral_1h_input_tokens: hour })
    }
}

#[derive(Serialize)]
pub(crate) struct Details {
    pub(crate) thinking_tokens: u64,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum OutBlock {
    Text { citations: Unknown, text: Raw<'static> },
    Thinking { thinking: Raw<'static>, signature: Raw<'static> },
    ToolUse { id: String, caller: Caller, name: String, input: Raw<'static> },
}

/// Who calls a tool: the model itself, or a tool of its provider's.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Caller {
    Direct {},
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Step<'a> {
    MessageStart { message: Message<'a> },
    ContentBlockStart { index: u32, content_block: OutBlock },
    ContentBlockDelta { index: u32, delta: Delta<'a> },
    ContentBlockStop { index: u32 },
    MessageDelta { delta: End, usage: Tokens },
    MessageStop {},
}

impl Step<'_> {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::MessageStart { .. } => "message_start",
            Self::ContentBlockStart { .. } => "content_block_start",
            Self::ContentBlockDelta { .. } => "content_block_delta",
            Self::ContentBlockStop { .. } => "content_block_stop",
            Self::MessageDelta { .. } => "message_delta",
            Self::MessageStop {} => "message_stop",
        }
    }
}

#[derive(Serialize)]
#[serde(tag = "type")]
pub(crate) enum Delta<'a> {
    #[serde(rename = "text_delta")]
    Text { text: Raw<'a> },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: Raw<'a> },
    #[serde(rename = "signature_delta")]
    Signature { signature: Raw<'a> },
    #[serde(rename = "input_json_delta")]
    InputJson { partial_json: Raw<'a> },
}

#[derive(Serialize)]
pub(crate) struct End {
    pub(crate) container: Unknown,
    pub(crate) stop_details: Unknown,
    pub(crate) stop_reason: &'static str,
    pub(crate) stop_sequence: Option<&'static str>,
}

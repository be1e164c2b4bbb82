//! The JSON of a message for clients, whole or as stream events.

use serde::Serialize;

use crate::canonical::{Raw, Usage};

/// A field that clients expect to be present and for which this gateway has no value.
pub(crate) type AlwaysNull = Option<()>;

#[derive(Serialize)]
pub(crate) struct ResponseMessage<'a> {
    pub(crate) id: &'a str,
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) role: &'static str,
    pub(crate) model: &'a str,
    pub(crate) content: &'a [ResponseBlock],
    pub(crate) container: AlwaysNull,
    pub(crate) diagnostics: AlwaysNull,
    pub(crate) stop_details: AlwaysNull,
    pub(crate) stop_reason: Option<&'static str>,
    /// Always null: no other format tells which stop sequence ended the response.
    pub(crate) stop_sequence: Option<&'static str>,
    pub(crate) usage: MessageUsage,
}

/// Token counts and how the request was served.
#[derive(Serialize)]
pub(crate) struct MessageUsage {
    #[serde(flatten)]
    pub(crate) tokens: TokenCounts,
    pub(crate) cache_creation: Option<CacheCreationCounts>,
    pub(crate) inference_geo: AlwaysNull,
    pub(crate) service_tier: Option<&'static str>,
    pub(crate) speed: AlwaysNull,
}

#[derive(Serialize)]
pub(crate) struct TokenCounts {
    pub(crate) input_tokens: u64,
    pub(crate) cache_creation_input_tokens: u64,
    pub(crate) cache_read_input_tokens: u64,
    pub(crate) output_tokens: u64,
    pub(crate) output_tokens_details: Option<OutputDetails>,
    pub(crate) server_tool_use: AlwaysNull,
    /// Only `true`: the provider reported no usage.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) estimated: bool,
}

/// Tokens written to the cache, by the time to live.
#[derive(Serialize)]
pub(crate) struct CacheCreationCounts {
    pub(crate) ephemeral_5m_input_tokens: u64,
    pub(crate) ephemeral_1h_input_tokens: u64,
}

impl CacheCreationCounts {
    /// `None` unless a one-hour part is known: caches of other providers have other times to live.
    pub(crate) fn of(usage: &Usage) -> Option<Self> {
        let one_hour = usage.cache_write_1h.min(usage.cache_write);
        let five_minutes = usage.cache_write - one_hour;
        (one_hour > 0).then_some(Self { ephemeral_5m_input_tokens: five_minutes, ephemeral_1h_input_tokens: one_hour })
    }
}

#[derive(Serialize)]
pub(crate) struct OutputDetails {
    pub(crate) thinking_tokens: u64,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum ResponseBlock {
    Text { citations: AlwaysNull, text: Raw<'static> },
    Thinking { thinking: Raw<'static>, signature: Raw<'static> },
    ToolUse { id: String, caller: ToolCaller, name: String, input: Raw<'static> },
}

/// Who calls a tool: the model itself or a server tool.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum ToolCaller {
    Direct {},
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum StreamEvent<'a> {
    MessageStart {
        message: ResponseMessage<'a>,
    },
    ContentBlockStart {
        index: u32,
        content_block: ResponseBlock,
    },
    ContentBlockDelta {
        index: u32,
        delta: BlockDelta<'a>,
    },
    ContentBlockStop {
        index: u32,
    },
    MessageDelta {
        delta: MessageDelta,
        usage: TokenCounts,
        #[serde(skip_serializing_if = "Option::is_none")]
        x_llm_bridge: Option<Recovery>,
    },
    MessageStop {},
}

impl StreamEvent<'_> {
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
pub(crate) enum BlockDelta<'a> {
    #[serde(rename = "text_delta")]
    Text { text: Raw<'a> },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: Raw<'a> },
    #[serde(rename = "signature_delta")]
    Signature { signature: Raw<'a> },
    #[serde(rename = "input_json_delta")]
    InputJson { partial_json: Raw<'a> },
}

/// How the message went on that an attempt had left unfinished.
#[derive(Serialize)]
pub(crate) struct Recovery {
    pub(crate) recovered: &'static str,
}

#[derive(Serialize)]
pub(crate) struct MessageDelta {
    pub(crate) container: AlwaysNull,
    pub(crate) stop_details: AlwaysNull,
    pub(crate) stop_reason: &'static str,
    pub(crate) stop_sequence: Option<&'static str>,
}

//! The JSON of a Messages API request, as it is written for providers. Texts, schemas and arguments are carried as JSON.

use serde::Serialize;

use crate::canonical::Raw;

/// A request.
#[derive(Serialize)]
pub(crate) struct Body<'a> {
    pub(crate) model: &'a str,
    pub(crate) max_tokens: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) system: Option<Content<'a>>,
    pub(crate) messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tool_choice: Option<Choice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) thinking: Option<Thinking>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) output_config: Option<OutputConfig<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) stop_sequences: Vec<&'a Raw<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) temperature: Option<&'a Raw<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) top_p: Option<&'a Raw<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) top_k: Option<&'a Raw<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) metadata: Option<Metadata<'a>>,
}

/// Who asks.
#[derive(Serialize)]
pub(crate) struct Metadata<'a> {
    pub(crate) user_id: &'a Raw<'a>,
}

/// A turn.
#[derive(Serialize)]
pub(crate) struct Message<'a> {
    pub(crate) role: &'static str,
    pub(crate) content: Content<'a>,
}

/// A plain text, or blocks.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Content<'a> {
    Text(&'a Raw<'a>),
    Blocks(Vec<Piece<'a>>),
}

/// A block that is made here, or one that was kept.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Piece<'a> {
    Made(Block<'a>),
    Kept(Raw<'a>),
}

/// A block of content.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Block<'a> {
    Text {
        text: &'a Raw<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<&'a Raw<'a>>,
    },
    Image {
        source: Source<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<&'a Raw<'a>>,
    },
    Document {
        source: Source<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<&'a Raw<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<&'a Raw<'a>>,
    },
    ToolUse {
        id: &'a str,
        name: &'a str,
        input: Raw<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<&'a Raw<'a>>,
    },
    ToolResult {
        tool_use_id: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        content: Option<Content<'a>>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        is_error: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<&'a Raw<'a>>,
    },
    Thinking {
        thinking: &'a Raw<'a>,
        signature: &'a Raw<'a>,
    },
    RedactedThinking {
        data: &'a Raw<'a>,
    },
}

/// Where a picture or document is.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Source<'a> {
    Base64 { media_type: &'a str, data: &'a str },
    Text { media_type: &'static str, data: String },
    Url { url: &'a str },
}

/// A tool.
#[derive(Serialize)]
pub(crate) struct Tool<'a> {
    pub(crate) name: &'a Raw<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<&'a Raw<'a>>,
    pub(crate) input_schema: Raw<'a>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) strict: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cache_control: Option<&'a Raw<'a>>,
}

/// Whether tools are to be called.
#[derive(Serialize)]
pub(crate) struct Choice<'a> {
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<&'a Raw<'a>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) disable_parallel_tool_use: bool,
}

/// How much the model is to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Thinking {
    Enabled {
        budget_tokens: u64,
    },
    Adaptive {
        #[serde(skip_serializing_if = "Option::is_none")]
        display: Option<&'static str>,
    },
}

/// The form of the answer, and the effort made for it.
#[derive(Serialize)]
pub(crate) struct OutputConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) format: Option<Format<'a>>,
}

/// The form of the answer.
#[derive(Serialize)]
pub(crate) struct Format<'a> {
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) schema: &'a Raw<'a>,
}

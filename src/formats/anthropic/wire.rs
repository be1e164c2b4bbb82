//! The JSON of the Messages API as it is written, and the few fields of an answer that are read. Texts, schemas and arguments are carried.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::canonical::{Raw, Usage, read_count};
use crate::wire::list::Few;

/// A request.
#[derive(Serialize)]
pub(super) struct Body<'a> {
    pub(super) model: &'a str,
    pub(super) max_tokens: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) system: Option<Content<'a>>,
    pub(super) messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tool_choice: Option<Choice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) thinking: Option<Thinking>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) output_config: Option<OutputConfig<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) stop_sequences: Vec<&'a Raw<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) temperature: Option<&'a Raw<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) top_p: Option<&'a Raw<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) top_k: Option<&'a Raw<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) metadata: Option<Metadata<'a>>,
}

/// Who asks.
#[derive(Serialize)]
pub(super) struct Metadata<'a> {
    pub(super) user_id: &'a Raw<'a>,
}

/// A turn.
#[derive(Serialize)]
pub(super) struct Message<'a> {
    pub(super) role: &'static str,
    pub(super) content: Content<'a>,
}

/// A plain text, or blocks.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Content<'a> {
    Text(&'a Raw<'a>),
    Blocks(Vec<Piece<'a>>),
}

/// A block that is made here, or one that was kept.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Piece<'a> {
    Made(Block<'a>),
    Kept(Raw<'a>),
}

/// A block of content.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Block<'a> {
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
pub(super) enum Source<'a> {
    Base64 { media_type: &'a str, data: &'a str },
    Text { media_type: &'static str, data: String },
    Url { url: &'a str },
}

/// A tool.
#[derive(Serialize)]
pub(super) struct Tool<'a> {
    pub(super) name: &'a Raw<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<&'a Raw<'a>>,
    pub(super) input_schema: Raw<'a>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) strict: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cache_control: Option<&'a Raw<'a>>,
}

/// Whether tools are to be called.
#[derive(Serialize)]
pub(super) struct Choice<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<&'a Raw<'a>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) disable_parallel_tool_use: bool,
}

/// How much the model is to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Thinking {
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
pub(super) struct OutputConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) format: Option<Format<'a>>,
}

/// The form of the answer.
#[derive(Serialize)]
pub(super) struct Format<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) schema: &'a Raw<'a>,
}

/// A whole answer, or what `message_start` says of one.
#[derive(Deserialize)]
pub(super) struct Answer<'a> {
    #[serde(borrow)]
    pub(super) id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) model: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) content: Option<Few<Raw<'a>, 10_000>>,
    #[serde(borrow)]
    pub(super) stop_reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) usage: Option<Raw<'a>>,
}

/// One event of a streamed answer; which fields are there depends on its type.
#[derive(Deserialize)]
pub(super) struct Step<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Cow<'a, str>,
    #[serde(default)]
    pub(super) index: u64,
    #[serde(borrow)]
    pub(super) message: Option<Raw<'a>>,
    #[serde(borrow)]
    pub(super) content_block: Option<Raw<'a>>,
    #[serde(borrow)]
    pub(super) delta: Option<Raw<'a>>,
    #[serde(borrow)]
    pub(super) usage: Option<Raw<'a>>,
}

/// A block of an answer, or a piece of one, or the end of the answer.
#[derive(Deserialize)]
pub(super) struct Said<'a> {
    #[serde(borrow, default, rename = "type")]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) text: Option<Raw<'a>>,
    #[serde(borrow)]
    pub(super) thinking: Option<Raw<'a>>,
    #[serde(borrow)]
    pub(super) signature: Option<Raw<'a>>,
    #[serde(borrow)]
    pub(super) id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) input: Option<Raw<'a>>,
    #[serde(borrow)]
    pub(super) partial_json: Option<Raw<'a>>,
    #[serde(borrow)]
    pub(super) stop_reason: Option<Cow<'a, str>>,
}

/// The tokens so far. A field that is missing says nothing new.
#[derive(Deserialize)]
pub(super) struct Tokens {
    #[serde(default, deserialize_with = "read_count")]
    pub(super) input_tokens: Option<u64>,
    #[serde(default, deserialize_with = "read_count")]
    pub(super) cache_read_input_tokens: Option<u64>,
    /// All that was written to the cache.
    #[serde(default, deserialize_with = "read_count")]
    pub(super) cache_creation_input_tokens: Option<u64>,
    /// The same by the time for which it is kept.
    pub(super) cache_creation: Option<Creation>,
    #[serde(default, deserialize_with = "read_count")]
    pub(super) output_tokens: Option<u64>,
    pub(super) output_tokens_details: Option<Details>,
}

/// What was written to the cache, by the time for which it is kept.
/// Source: <https://platform.claude.com/docs/en/build-with-claude/prompt-caching>, "1-hour cache duration".
#[derive(Deserialize)]
pub(super) struct Creation {
    #[serde(default, deserialize_with = "read_count")]
    pub(super) ephemeral_5m_input_tokens: Option<u64>,
    #[serde(default, deserialize_with = "read_count")]
    pub(super) ephemeral_1h_input_tokens: Option<u64>,
}

impl Creation {
    /// All of it, if something is told.
    fn sum(&self) -> Option<u64> {
        let (short, hour) = (self.ephemeral_5m_input_tokens, self.ephemeral_1h_input_tokens);
        short.or(hour).map(|_| short.unwrap_or(0).saturating_add(hour.unwrap_or(0)))
    }
}

/// What the tokens of the answer were for.
#[derive(Deserialize)]
pub(super) struct Details {
    #[serde(default, deserialize_with = "read_count")]
    pub(super) thinking_tokens: Option<u64>,
}

impl Tokens {
    /// Takes over what is said here; the last word on each number counts.
    pub(super) fn update(&self, usage: &mut Usage) {
        let creation = self.cache_creation.as_ref();
        let cache_write = self.cache_creation_input_tokens.or(creation.and_then(Creation::sum));
        let fields = [
            (&mut usage.uncached_input, self.input_tokens),
            (&mut usage.cache_read, self.cache_read_input_tokens),
            (&mut usage.cache_write, cache_write),
            (&mut usage.cache_write_1h, creation.and_then(|creation| creation.ephemeral_1h_input_tokens)),
            (&mut usage.output, self.output_tokens),
            (&mut usage.reasoning, self.output_tokens_details.as_ref().and_then(|details| details.thinking_tokens)),
        ];
        for (field, said) in fields {
            *field = said.unwrap_or(*field);
        }
        // A part is no more than the whole, whichever was corrected last.
        usage.cache_write_1h = usage.cache_write_1h.min(usage.cache_write);
    }
}

/// Reads an object; a list would pass for the members of a struct, in their order.
pub(super) fn object<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Option<T> {
    json.trim_ascii_start().starts_with(b"{").then(|| serde_json::from_slice(json).ok())?
}

/// What stands between the quotes of a JSON string.
pub(super) fn inside<'r>(raw: &'r Raw<'_>) -> &'r str {
    raw.get().strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default()
}

/// Whether a text shows nothing: the API refuses such blocks.
pub(super) fn is_empty_text(raw: &Raw<'_>) -> bool {
    let inside = inside(raw).trim();
    inside.is_empty() || inside.len() < 64 && raw.text().is_some_and(|text| text.trim().is_empty())
}

/// A call's arguments as the object that they should be. What is none is kept, under a name that says so.
pub(super) fn arguments<'a>(json: &'a str) -> Raw<'a> {
    let trimmed = json.trim();
    let read = trimmed.starts_with('{').then(|| Raw::parse(trimmed)).flatten();
    read.unwrap_or_else(|| match trimmed {
        "" | "null" | "\"\"" => Raw::of(&serde_json::Map::new()),
        _ => Raw::of(&serde_json::json!({ "_invalid_json": json })),
    })
}

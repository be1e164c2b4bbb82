//! The vendor-neutral request to a model. Fields that only one wire format has are listed by name.

use std::borrow::Cow;

use super::{Raw, UniqueNames};

/// A conversation, and how to continue it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelRequest<'a> {
    /// Whether the response is to be streamed.
    pub stream: bool,
    /// The turns so far, oldest first.
    pub turns: Vec<Turn<'a>>,
    /// The tools that the model may call.
    pub tools: Vec<Tool<'a>>,
    /// Whether it must or must not call one.
    pub tool_choice: Option<ToolChoice<'a>>,
    /// Whether it may call several at once, if the client says so.
    pub parallel_calls: Option<bool>,
    /// The form of the output, if it is not free text.
    pub response_format: Option<ResponseFormat<'a>>,
    /// The output limit, in tokens.
    pub max_tokens: Option<u64>,
    /// Stop sequences, as JSON strings.
    pub stop: Vec<Raw<'a>>,
    /// The number of choices, if not one.
    pub choices: Option<u64>,
    /// Log probabilities are wanted, with this many alternatives for each token.
    pub logprobs: Option<u64>,
    /// Sampling parameters.
    pub sampling: Sampling<'a>,
    /// How much to reason, if the client says so.
    pub thinking: Option<Thinking>,
    /// Whether the client asks to be shown thoughts, however much it wants of them.
    pub shows_thinking: bool,
    /// The last turn is the beginning of the response, which a host wants marked by this member.
    pub prefill: Option<&'static str>,
    /// The end user, as the client names them: a JSON string.
    pub user: Option<Raw<'a>>,
    /// Reasoning state of earlier calls that the client carried: the id of each call, and what the gateway
    /// sealed. No format writes it; opened, it is that of the call ([`ToolCall::reasoning_state`]).
    pub sealed_states: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Fields without a place here, by their names in the client's format (`logit_bias`, `messages[].name`),
    /// each once. A field whose value is the default anyway is not listed.
    pub unmapped_fields: UniqueNames<'a>,
}

/// Sampling parameters: JSON numbers, as the client wrote them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sampling<'a> {
    /// Temperature.
    pub temperature: Option<Raw<'a>>,
    /// Nucleus sampling.
    pub top_p: Option<Raw<'a>>,
    /// The number of candidates for each token.
    pub top_k: Option<Raw<'a>>,
    /// The seed for reproducible output.
    pub seed: Option<Raw<'a>>,
    /// Penalty for tokens that have occurred.
    pub presence_penalty: Option<Raw<'a>>,
    /// Penalty for tokens by how often they have occurred.
    pub frequency_penalty: Option<Raw<'a>>,
}

/// How much the model is to reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thinking {
    /// Not at all.
    Off,
    /// As much as it sees fit.
    Free,
    /// By a level.
    Effort(Effort),
    /// At most this many tokens.
    Budget(u64),
}

/// A level of reasoning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// `minimal`.
    Minimal,
    /// `low`.
    Low,
    /// `medium`.
    Medium,
    /// `high`.
    High,
    /// `xhigh`.
    Higher,
    /// `max`.
    Highest,
}

/// The parts of one role, in order. Two turns of one role may follow each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn<'a> {
    /// The role.
    pub role: Role,
    /// The parts, in order.
    pub parts: Vec<Part<'a>>,
}

/// The role of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Instructions.
    System,
    /// The user, and the results of tools.
    User,
    /// The model.
    Assistant,
}

/// A part of a turn.
#[derive(Clone, Debug, PartialEq)]
pub enum Part<'a> {
    /// Text.
    Text {
        /// A JSON string.
        text: Raw<'a>,
        /// `cache_control`, as the client wrote it: the prompt up to here is to be cached.
        cache: Option<Raw<'a>>,
    },
    /// An image, audio or a document.
    Media(Media<'a>),
    /// A tool call.
    Call(ToolCall<'a>),
    /// The result of a tool call.
    Result {
        /// The call's id.
        call: Cow<'a, str>,
        /// Text and media.
        parts: Vec<Part<'a>>,
        /// Whether the tool failed.
        failed: bool,
        /// As for text.
        cache: Option<Raw<'a>>,
    },
    /// Reasoning, where the client's format carries it back.
    Thinking {
        /// A JSON string.
        text: Raw<'a>,
        /// The provider's signature of it: a JSON string.
        signature: Option<Raw<'a>>,
    },
    /// Encrypted reasoning that only its provider can read: a JSON string.
    Redacted(Raw<'a>),
}

/// An image, audio or a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Media<'a> {
    /// The kind.
    pub kind: MediaKind,
    /// The source.
    pub source: MediaSource<'a>,
    /// The file name: a JSON string.
    pub name: Option<Raw<'a>>,
    /// As for text.
    pub cache: Option<Raw<'a>>,
}

/// The kind of a medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaKind {
    /// An image.
    Image,
    /// Audio.
    Audio,
    /// A text document or PDF.
    Document,
}

/// Where a medium comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum MediaSource<'a> {
    /// Inline.
    Data {
        /// Its media type: `image/png`.
        mime: Cow<'a, str>,
        /// Its bytes in base64.
        base64: Cow<'a, str>,
    },
    /// A URL that the provider can reach.
    Url(Cow<'a, str>),
}

/// A tool call.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolCall<'a> {
    /// Its id.
    pub id: Cow<'a, str>,
    /// The tool's name.
    pub name: Cow<'a, str>,
    /// The arguments: a JSON object.
    pub arguments: Raw<'a>,
    /// The state that the provider wants back with this call, if it was kept
    /// ([`super::ResponseEvent::ReasoningState`]).
    pub reasoning_state: Option<Raw<'a>>,
    /// As for text.
    pub cache: Option<Raw<'a>>,
}

/// A tool that the model may call.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool<'a> {
    /// Its name: a JSON string.
    pub name: Raw<'a>,
    /// Its description: a JSON string.
    pub description: Option<Raw<'a>>,
    /// The JSON schema of its arguments, untouched.
    pub parameters: Option<Raw<'a>>,
    /// Whether arguments must follow the schema, if the client says so.
    pub strict: Option<bool>,
    /// As for text.
    pub cache: Option<Raw<'a>>,
}

/// Whether tools are to be called.
#[derive(Clone, Debug, PartialEq)]
pub enum ToolChoice<'a> {
    /// As the model sees fit.
    Auto,
    /// No tool.
    None,
    /// At least one.
    Required,
    /// This tool: a JSON string.
    Tool(Raw<'a>),
}

/// The form of the output.
#[derive(Clone, Debug, PartialEq)]
pub enum ResponseFormat<'a> {
    /// Any JSON object.
    Json,
    /// JSON that follows a schema.
    Schema {
        /// The name of the schema: a JSON string.
        name: Option<Raw<'a>>,
        /// The schema, untouched.
        schema: Raw<'a>,
        /// Whether the output must follow the schema, if the client says so.
        strict: Option<bool>,
    },
}

impl ModelRequest<'_> {
    /// The number of choices, at least one.
    pub fn choice_count(&self) -> u64 {
        self.choices.unwrap_or(1).max(1)
    }
}

//! What a client asks. A field stands here only if two wire formats share the idea; what has no place is told by its name.

use std::borrow::Cow;

use super::{Raw, UniqueNames};

/// A conversation, and how it is to go on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelRequest<'a> {
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// The turns so far, oldest first.
    pub turns: Vec<Turn<'a>>,
    /// What the model may call.
    pub tools: Vec<Tool<'a>>,
    /// Whether it must, or must not.
    pub tool_choice: Option<ToolChoice<'a>>,
    /// Whether it may call several at once, if the client says so.
    pub parallel_calls: Option<bool>,
    /// The form of the answer, if it is not to be free text.
    pub response_format: Option<ResponseFormat<'a>>,
    /// The most tokens that the answer may have.
    pub max_tokens: Option<u64>,
    /// Texts that end the answer, as JSON strings.
    pub stop: Vec<Raw<'a>>,
    /// How many answers are wanted, if not one.
    pub choices: Option<u64>,
    /// The log probabilities of tokens are wanted, and so many alternatives of each.
    pub logprobs: Option<u64>,
    /// How the next token is drawn.
    pub sampling: Sampling<'a>,
    /// How much the model is to think before it answers, if the client says so.
    pub thinking: Option<Thinking>,
    /// Who asks, in the client's words: a JSON string.
    pub user: Option<Raw<'a>>,
    /// Fields for which there is no place here, by their names in the client's format (`logit_bias`, `messages[].name`), each once.
    /// One whose value is what a provider does without it is not worth a word.
    pub unmapped_fields: UniqueNames<'a>,
}

/// How the next token is drawn. JSON numbers, as the client wrote them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sampling<'a> {
    /// The temperature.
    pub temperature: Option<Raw<'a>>,
    /// The share of probability that tokens are drawn from.
    pub top_p: Option<Raw<'a>>,
    /// How many tokens are drawn from.
    pub top_k: Option<Raw<'a>>,
    /// For the same answer again.
    pub seed: Option<Raw<'a>>,
    /// Against tokens that have occurred.
    pub presence_penalty: Option<Raw<'a>>,
    /// … the more so, the more often.
    pub frequency_penalty: Option<Raw<'a>>,
}

/// How much the model is to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thinking {
    /// Not at all.
    Off,
    /// As much as it finds fit.
    Free,
    /// In a word.
    Effort(Effort),
    /// In tokens, at most.
    Budget(u64),
}

/// How much the model is to think, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// Next to nothing.
    Minimal,
    /// Little.
    Low,
    /// Some.
    Medium,
    /// Much.
    High,
    /// More than is usual.
    Higher,
    /// All it can.
    Highest,
}

/// What one side says before the other does. Two turns of one side may follow each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn<'a> {
    /// Whose turn it is.
    pub role: Role,
    /// What is said, in order.
    pub parts: Vec<Part<'a>>,
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Instructions.
    System,
    /// The person, and the results of tools.
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
        /// `cache_control`, as the client wrote it: up to here, the prompt is worth keeping.
        cache: Option<Raw<'a>>,
    },
    /// Something to look at or to listen to.
    Media(Media<'a>),
    /// The model calls a tool.
    Call(ToolCall<'a>),
    /// What came of a call.
    Result {
        /// The call's id.
        call: Cow<'a, str>,
        /// What it gave: text and media.
        parts: Vec<Part<'a>>,
        /// The tool failed.
        failed: bool,
        /// As for text.
        cache: Option<Raw<'a>>,
    },
    /// What the model thought, where the client's format carries that back.
    Thinking {
        /// A JSON string.
        text: Raw<'a>,
        /// The provider's proof that it thought so: a JSON string.
        signature: Option<Raw<'a>>,
    },
    /// What the model thought, unreadable to all but its provider: a JSON string.
    Redacted(Raw<'a>),
}

/// Something to look at or to listen to.
#[derive(Clone, Debug, PartialEq)]
pub struct Media<'a> {
    /// What it is.
    pub kind: MediaKind,
    /// Where it is.
    pub source: MediaSource<'a>,
    /// What it is called: a JSON string.
    pub name: Option<Raw<'a>>,
    /// As for text.
    pub cache: Option<Raw<'a>>,
}

/// What kind of thing it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaKind {
    /// A picture.
    Image,
    /// Sound.
    Audio,
    /// A text document or PDF.
    Document,
}

/// Where something is.
#[derive(Clone, Debug, PartialEq)]
pub enum MediaSource<'a> {
    /// Here.
    Data {
        /// Its media type: `image/png`.
        mime: Cow<'a, str>,
        /// Its bytes in base64.
        base64: Cow<'a, str>,
    },
    /// At an address that the provider can reach.
    Url(Cow<'a, str>),
}

/// The model calls a tool.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolCall<'a> {
    /// Its id.
    pub id: Cow<'a, str>,
    /// The tool's name.
    pub name: Cow<'a, str>,
    /// A JSON object.
    pub arguments: Raw<'a>,
    /// What the provider wants back with this call, in its own words, if that was kept: see [`super::ResponseEvent::ReasoningState`].
    pub reasoning_state: Option<Raw<'a>>,
    /// As for text.
    pub cache: Option<Raw<'a>>,
}

/// Something the model may call.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool<'a> {
    /// Its name: a JSON string.
    pub name: Raw<'a>,
    /// What it is for: a JSON string.
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
    /// As the model finds fit.
    Auto,
    /// None.
    None,
    /// At least one.
    Required,
    /// This one: a JSON string.
    Tool(Raw<'a>),
}

/// The form of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum ResponseFormat<'a> {
    /// Some JSON object.
    Json,
    /// JSON after a schema.
    Schema {
        /// What it is called: a JSON string.
        name: Option<Raw<'a>>,
        /// The schema, untouched.
        schema: Raw<'a>,
        /// Whether the answer must follow it, if the client says so.
        strict: Option<bool>,
    },
}

impl ModelRequest<'_> {
    /// The most that may be drawn from each choice and all of them: `choices`, or one.
    pub fn answers(&self) -> u64 {
        self.choices.unwrap_or(1).max(1)
    }
}

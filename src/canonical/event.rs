//! The vendor-neutral events of a response. A complete response consists of the same events as a stream.

use std::borrow::Cow;

use super::{Raw, Usage};
use crate::error::Error;

/// One event of a response. `choice` numbers the choices of one request, from 0.
#[derive(Clone, Debug)]
pub enum ResponseEvent<'a> {
    /// The response begins. May occur more than once; the last one counts.
    Start {
        /// The provider's id of the response.
        id: Option<Cow<'a, str>>,
        /// The model that the provider reports.
        model: Option<Cow<'a, str>>,
    },
    /// More text.
    Text {
        /// The choice.
        choice: u32,
        /// A JSON string.
        text: Raw<'a>,
    },
    /// More reasoning.
    Thinking {
        /// The choice.
        choice: u32,
        /// A JSON string.
        text: Raw<'a>,
    },
    /// A tool call begins. Its arguments follow.
    Call {
        /// The choice.
        choice: u32,
        /// The number of the call, from 0, unique within the choice.
        call: u32,
        /// The call's id, never empty. A provider that has none is given one.
        id: Cow<'a, str>,
        /// The tool's name.
        name: Cow<'a, str>,
    },
    /// More of the arguments of a tool call.
    Arguments {
        /// The choice.
        choice: u32,
        /// The number of the call.
        call: u32,
        /// A JSON string that holds a piece of JSON. All pieces together are an object; no piece at all means
        /// `{}`.
        json: Raw<'a>,
    },
    /// State that the provider wants back with a tool call when the conversation goes on.
    ReasoningState {
        /// The call's id.
        id: Cow<'a, str>,
        /// As the provider wrote it; only its format reads it. Writers for clients get it sealed, as a JSON
        /// string, and only those of clients that carry it.
        memory: Raw<'a>,
    },
    /// Log probabilities of the text, in OpenAI's form:
    /// `{"content":[{"token","logprob","bytes","top_logprobs"}]}`.
    Logprobs {
        /// The choice.
        choice: u32,
        /// A JSON object.
        logprobs: Raw<'a>,
    },
    /// A choice ends.
    Finish {
        /// The choice.
        choice: u32,
        /// The reason.
        reason: FinishReason,
    },
    /// The tokens used so far. The last one counts.
    Usage(Usage),
    /// The service tier that the provider reports, as it spells it.
    Tier(Cow<'a, str>),
    /// The provider reports a failure in place of the rest.
    Failed(Error),
    /// The provider marks the end of the stream.
    End,
}

impl ResponseEvent<'_> {
    /// A copy that does not borrow from the bytes it came in.
    pub fn owned(self) -> ResponseEvent<'static> {
        let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        match self {
            Self::Start { id, model } => ResponseEvent::Start { id: id.map(own), model: model.map(own) },
            Self::Text { choice, text } => ResponseEvent::Text { choice, text: text.owned() },
            Self::Thinking { choice, text } => ResponseEvent::Thinking { choice, text: text.owned() },
            Self::Call { choice, call, id, name } => ResponseEvent::Call { choice, call, id: own(id), name: own(name) },
            Self::Arguments { choice, call, json } => ResponseEvent::Arguments { choice, call, json: json.owned() },
            Self::ReasoningState { id, memory } => {
                ResponseEvent::ReasoningState { id: own(id), memory: memory.owned() }
            }
            Self::Logprobs { choice, logprobs } => ResponseEvent::Logprobs { choice, logprobs: logprobs.owned() },
            Self::Finish { choice, reason } => ResponseEvent::Finish { choice, reason },
            Self::Usage(usage) => ResponseEvent::Usage(usage),
            Self::Tier(tier) => ResponseEvent::Tier(own(tier)),
            Self::Failed(error) => ResponseEvent::Failed(error),
            Self::End => ResponseEvent::End,
        }
    }
}

/// Why a choice ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// The model finished.
    Stop,
    /// The token limit was reached.
    Length,
    /// The context window was full before the token limit was reached.
    Context,
    /// The provider has paused the turn: it goes on when the conversation so far is sent back.
    Paused,
    /// The model calls tools.
    Calls,
    /// The provider or the model withheld the output, or the rest of it.
    Filtered,
}

//! What a model answers, step by step. A whole answer is the same steps at once.

use std::borrow::Cow;

use super::{Raw, Usage};
use crate::error::Error;

/// One step of an answer. `choice` counts the answers to one question, from 0.
#[derive(Clone, Debug)]
pub enum ResponseEvent<'a> {
    /// The answer begins. It may be told more than once, the later the better.
    Start {
        /// The provider's id for it.
        id: Option<Cow<'a, str>>,
        /// The model that the provider says it uses.
        model: Option<Cow<'a, str>>,
    },
    /// More text: a JSON string.
    Text {
        /// Which answer.
        choice: u32,
        /// A JSON string.
        text: Raw<'a>,
    },
    /// More of what it thinks.
    Thinking {
        /// Which answer.
        choice: u32,
        /// A JSON string.
        text: Raw<'a>,
    },
    /// A call of a tool begins; its arguments follow.
    Call {
        /// Which answer.
        choice: u32,
        /// Which of its calls, from 0, each with a number of its own to the end of the answer.
        call: u32,
        /// The call's id, never empty. A provider that has none is given one.
        id: Cow<'a, str>,
        /// The tool's name.
        name: Cow<'a, str>,
    },
    /// More of the arguments of a call.
    Arguments {
        /// Which answer.
        choice: u32,
        /// Which of its calls.
        call: u32,
        /// A JSON string that holds a piece of JSON. All pieces together are an object; no piece at all means `{}`.
        json: Raw<'a>,
    },
    /// What the provider wants back, together with a call, when the conversation goes on.
    ReasoningState {
        /// The call's id.
        id: Cow<'a, str>,
        /// In the provider's own words; only its adapter reads them.
        memory: Raw<'a>,
    },
    /// Log probabilities of what was said, as OpenAI writes them: `{"content":[{"token","logprob","bytes","top_logprobs"}]}`.
    Logprobs {
        /// Which answer.
        choice: u32,
        /// A JSON object.
        logprobs: Raw<'a>,
    },
    /// An answer is at its end.
    Finish {
        /// Which answer.
        choice: u32,
        /// Why.
        reason: FinishReason,
    },
    /// The tokens it took so far; the last one counts.
    Usage(Usage),
    /// How the provider says it served the request, in its word.
    Tier(Cow<'a, str>),
    /// The provider reports a failure instead of the rest.
    Failed(Error),
    /// The provider says that nothing more will come.
    End,
}

impl ResponseEvent<'_> {
    /// The same, kept beyond the bytes it came in.
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

/// Why an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// It was all said.
    Stop,
    /// The limit of tokens was reached.
    Length,
    /// Tools are to be called.
    Calls,
    /// The provider or the model declined to say it, or the rest of it.
    Filtered,
}

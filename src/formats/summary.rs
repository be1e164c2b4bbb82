//! What is known of a response once it has been read: one type for whole bodies and for streams of all
//! formats.

use crate::canonical::{FinishReason, ResponseEvent, Usage};
use crate::error::{Error, Result};

/// The most that is kept of a response's text for its tokens to be counted, in bytes.
const MAX_COUNTABLE: usize = 32 << 10;

/// The most that is kept of a response's text for the log, in bytes, without the piece that reaches it.
const MAX_LOGGED: usize = 1 << 20;

/// The most choices that are tracked. A response with more counts as finished when these have finished.
const MAX_CHOICES: usize = 128;

/// State that the provider wants back with a tool call: the call's id, and JSON that only the provider's
/// format reads.
pub type ReasoningState = (String, String);

/// What a response reports of itself. A stream's tap fills it directly; for translated streams and whole
/// bodies it is a fold over canonical events ([`ResponseSummary::record`]).
#[derive(Clone, Debug, Default)]
pub struct ResponseSummary {
    /// The tokens, as last reported.
    pub usage: Option<Usage>,
    /// Content came after `usage` was reported.
    pub content_after_usage: bool,
    /// The model that the provider says it used.
    pub model: Option<String>,
    /// How the provider says it served the request, in its word (`flex`, `priority`), as far as that decides
    /// the price.
    pub tier: Option<String>,
    /// The beginning of the text, for counting its tokens: JSON objects, one per line.
    pub countable: Vec<u8>,
    /// The length of the whole text, roughly, in bytes.
    pub length: u64,
    /// The text, where [`ResponseSummary::keep_text`] asked for it.
    pub text: Option<String>,
    /// There is content: text, reasoning, a tool call or a finish reason.
    pub has_content: bool,
    /// There is something for the client: text, reasoning or a tool call.
    pub has_output: bool,
    /// Why the response ended, if a choice of it has.
    pub finish: Option<FinishReason>,
    /// The provider sent its end marker.
    pub has_ended: bool,
    /// It sent more events after it.
    pub runs_on: bool,
    /// The error that the provider reported, or a violation of the format.
    pub error: Option<Error>,
    /// Events that could not be read.
    pub malformed: u32,
    /// The JSON that reports the usage, if it was withheld for the cost to be added to it.
    pub withheld_usage: Option<Vec<u8>>,
    /// Reasoning state that has not been taken yet. It has to be stored before the client gets what came with
    /// it.
    pub reasoning_states: Vec<ReasoningState>,
    /// When the response counts as complete.
    pub completion: Completion,
    /// The choices that have begun.
    pub(super) choices: Vec<ChoiceState>,
}

/// When a response counts as complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Completion {
    /// Each choice that began has finished.
    #[default]
    EachFinished,
    /// At least this many choices have begun (0 counts as 1) and each has finished; or the end marker came
    /// after content. Such a response may report all of its usage before its content.
    FinishedOrEnded(u64),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct ChoiceState {
    number: u64,
    finished: bool,
}

impl ResponseSummary {
    /// A response that failed as a whole.
    pub fn failed(error: Error) -> Self {
        Self { error: Some(error), ..Self::default() }
    }

    /// Keeps the text as well, for operators who log it.
    #[must_use]
    pub fn keep_text(mut self, keep: bool) -> Self {
        self.text = keep.then(String::new);
        self
    }

    /// The summary of a whole body, whose events `read` hands on.
    pub fn of_events(read: impl FnOnce(&mut dyn FnMut(ResponseEvent<'_>)) -> Result<()>) -> Self {
        let mut summary = Self::default();
        let outcome = read(&mut |event| summary.record(&event));
        summary.end_body(outcome);
        summary
    }

    /// A whole body has been read to its end, with this outcome: it is complete, or its error says why not.
    pub fn end_body(&mut self, outcome: Result<()>) {
        if let Err(error) = outcome {
            self.error = Some(error);
        } else if self.error.is_none() && !self.is_complete() {
            let message = "The provider's answer does not come to an end.";
            self.error = Some(Error::upstream(502, "upstream_invalid_response", message));
        }
    }

    /// Whether the response came without an error.
    ///
    /// # Errors
    /// The error that it came with.
    pub fn check(&self) -> Result<()> {
        self.error.clone().map_or(Ok(()), Err)
    }

    /// Whether all of the response came.
    pub fn is_complete(&self) -> bool {
        let finished = self.choices.iter().all(|choice| choice.finished);
        let (begun, ended) = match self.completion {
            Completion::EachFinished => (1, false),
            Completion::FinishedOrEnded(choices) => {
                (choices.clamp(1, MAX_CHOICES as u64), self.has_ended && self.has_content)
            }
        };
        self.error.is_none() && (ended || finished && self.choices.len() as u64 >= begun)
    }

    /// Whether the response ended without content and without an error.
    pub fn is_empty(&self) -> bool {
        self.has_ended && !self.has_content && self.error.is_none()
    }

    /// Whether the response came to its usual end without anything for the client.
    pub fn is_hollow(&self) -> bool {
        !self.has_output && self.error.is_none() && self.finish == Some(FinishReason::Stop)
    }

    /// Whether the provider or the model withheld all of the response.
    pub fn is_withheld(&self) -> bool {
        !self.has_output && self.error.is_none() && self.finish == Some(FinishReason::Filtered)
    }

    /// The usage, if it covers the whole response as far as it came.
    pub fn total_usage(&self) -> Option<Usage> {
        self.usage.filter(|_| !self.usage_is_partial())
    }

    /// The usage, if more was generated after it was reported.
    pub fn partial_usage(&self) -> Option<Usage> {
        self.usage.filter(|_| self.usage_is_partial())
    }

    fn usage_is_partial(&self) -> bool {
        let may_be_early = matches!(self.completion, Completion::FinishedOrEnded(_));
        self.content_after_usage && !(may_be_early && self.is_complete())
    }

    /// Adds an event of the response.
    pub fn record(&mut self, event: &ResponseEvent<'_>) {
        match event {
            ResponseEvent::Start { model, .. } => {
                if let Some(model) = model.as_ref().filter(|model| !model.is_empty()) {
                    self.model = Some(model.clone().into_owned());
                }
            }
            ResponseEvent::Text { choice, text } => {
                self.add_json("content", text.get());
                self.has_output |= text.get() != "\"\"";
                self.begin(u64::from(*choice));
                self.log_text(|| text.text().unwrap_or_default());
            }
            ResponseEvent::Thinking { choice, text } => {
                self.add_json("reasoning_content", text.get());
                self.has_output = true;
                self.begin(u64::from(*choice));
            }
            ResponseEvent::Call { choice, .. } => {
                (self.content_after_usage, self.has_output) = (true, true);
                self.begin(u64::from(*choice));
            }
            ResponseEvent::Arguments { choice, json, .. } => {
                self.add_json("content", json.get());
                self.begin(u64::from(*choice));
            }
            ResponseEvent::Finish { choice, reason } => {
                (self.has_content, self.finish) = (true, Some(*reason));
                self.choice(u64::from(*choice), true);
            }
            ResponseEvent::Usage(usage) => (self.usage, self.content_after_usage) = (Some(*usage), false),
            ResponseEvent::Tier(tier) => self.tier = Some(tier.clone().into_owned()),
            ResponseEvent::Failed(error) => self.error = Some(error.clone()),
            ResponseEvent::End => self.has_ended = true,
            ResponseEvent::ReasoningState { id, memory } => {
                self.reasoning_states.push((id.clone().into_owned(), memory.get().to_owned()));
            }
            ResponseEvent::Logprobs { .. } => {}
        }
    }

    fn begin(&mut self, number: u64) {
        self.has_content = true;
        self.choice(number, false);
    }

    /// A choice has begun, or has `finished`.
    pub(super) fn choice(&mut self, number: u64, finished: bool) {
        if let Some(known) = self.choices.iter_mut().find(|choice| choice.number == number) {
            known.finished |= finished;
        } else if self.choices.len() < MAX_CHOICES {
            self.choices.push(ChoiceState { number, finished });
        }
    }

    /// Adds text, a JSON string, under the name by which the counter of tokens knows it.
    fn add_json(&mut self, field: &str, json: &str) {
        let length = json.len().saturating_sub(2) as u64;
        self.length = self.length.saturating_add(length);
        self.content_after_usage |= length > 0;
        if self.countable.len() + json.len() + field.len() < MAX_COUNTABLE {
            let line = ["{\"", field, "\":", json, "}\n"];
            line.iter().for_each(|piece| self.countable.extend_from_slice(piece.as_bytes()));
        }
    }

    /// Adds text for the log, if it is kept and has room.
    pub(super) fn log_text<T: AsRef<str>>(&mut self, text: impl FnOnce() -> T) {
        if let Some(kept) = self.text.as_mut().filter(|kept| kept.len() < MAX_LOGGED) {
            kept.push_str(text().as_ref());
        }
    }
}

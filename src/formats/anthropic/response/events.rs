//! The events of an answer that whole answers and streams have in common.

use std::borrow::Cow;

use super::super::wire::json::{inside, object};
use super::super::wire::response::{Answer, Said, Tokens};
use crate::canonical::{FinishReason, Raw, ResponseEvent, Usage};
use crate::formats::EventSink;
use crate::formats::tier::{Served, Words};

/// Hands on text, if there is any.
pub(crate) fn text(text: Option<&Raw<'_>>, each: EventSink<'_>) {
    if let Some(text) = text.filter(|text| !inside(text).is_empty()) {
        each(ResponseEvent::Text { choice: 0, text: text.clone() });
    }
}

/// Hands on thoughts, if they can be read.
pub(crate) fn thinking(text: Option<&Raw<'_>>, each: EventSink<'_>) {
    if let Some(text) = text.filter(|text| !inside(text).is_empty()) {
        each(ResponseEvent::Thinking { choice: 0, text: text.clone() });
    }
}

/// Why an answer ends.
pub(crate) fn finish(reason: &str) -> FinishReason {
    match reason {
        "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
        "tool_use" => FinishReason::Calls,
        "refusal" => FinishReason::Filtered,
        // `end_turn`, `stop_sequence`, `pause_turn`, and what is not known yet.
        _ => FinishReason::Stop,
    }
}

/// What has been told so far.
#[derive(Default)]
pub(crate) struct Told {
    calls: u32,
    /// Blocks of thoughts since the last call, with a comma between them.
    kept: String,
    usage: Usage,
    served: Served,
}

impl Told {
    /// Hands on the head of an answer.
    pub(crate) fn start(&self, answer: &Answer<'_>, each: EventSink<'_>) {
        let word = |word: &Option<Cow<'_, str>>| word.clone().filter(|word| !word.is_empty()).map(Cow::into_owned);
        each(ResponseEvent::Start { id: word(&answer.id).map(Cow::Owned), model: word(&answer.model).map(Cow::Owned) });
    }

    /// Keeps a block that the provider wants back with the next call.
    pub(crate) fn keep(&mut self, block: &str) {
        if !self.kept.is_empty() {
            self.kept.push(',');
        }
        self.kept.push_str(block);
    }

    /// Hands on a call, and what stood before it, and gives its number.
    pub(crate) fn call(&mut self, said: &Said<'_>, each: EventSink<'_>) -> u32 {
        let call = self.calls;
        self.calls = call.saturating_add(1);
        let given = said.id.as_deref().filter(|id| !id.is_empty());
        let id = given.map_or_else(|| Cow::Owned(format!("toolu_{call}")), Cow::Borrowed);
        let name = Cow::Borrowed(said.name.as_deref().unwrap_or_default());
        each(ResponseEvent::Call { choice: 0, call, id: id.clone(), name });
        let kept = std::mem::take(&mut self.kept);
        if let Some(memory) = Raw::parse(&format!("[{kept}]")).filter(|memory| !memory.is_blank()) {
            each(ResponseEvent::ReasoningState { id, memory });
        }
        call
    }

    /// Hands on the tokens so far: of each number, the last that was said.
    pub(crate) fn usage(&mut self, raw: Option<&Raw<'_>>, each: EventSink<'_>) {
        let Some((raw, tokens)) = raw.and_then(|raw| Some((raw, object::<Tokens>(raw.get().as_bytes())?))) else {
            return;
        };
        tokens.update(&mut self.usage);
        each(ResponseEvent::Usage(self.usage));
        let words = object::<Words<'_>>(raw.get().as_bytes());
        if let Some(tier) = words.as_ref().and_then(|words| self.served.take(words)) {
            each(ResponseEvent::Tier(Cow::Borrowed(tier)));
        }
    }
}

/// The value of `usage` alone.
pub(crate) fn told(raw: &str) -> Option<Usage> {
    let mut usage = Usage::default();
    object::<Tokens>(raw.as_bytes())?.update(&mut usage);
    Some(usage)
}

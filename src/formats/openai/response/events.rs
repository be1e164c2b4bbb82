//! The events of an answer, whole or a chunk of one; whatever habits its provider has.
//! Source: the OpenAI API reference, "Chat", and recorded traffic of those who speak it.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::super::outbound::in_spite;
use super::super::wire::{MOST, members, object, string, text, thought, usage, words};
use super::calls::{Calls, Said};
use crate::canonical::{FinishReason, Raw, ResponseEvent};
use crate::error::Error;
use crate::formats::EventSink;
use crate::formats::tier::Served;
use crate::wire::list::Few;

object! {
    /// A whole answer, or a chunk of one.
    Answer {
        id: "id",
        model: "model",
        error: "error",
        choices: "choices",
        usage: "usage",
        x_groq: "x_groq",
        tier: "service_tier",
    }
}

object! {
    ChoiceIn {
        index: "index",
        delta: "delta",
        message: "message",
        finish: "finish_reason",
        logprobs: "logprobs",
        error: "error",
    }
}

object! {
    /// A part of content that is a list (Mistral).
    Part { text: "text", thinking: "thinking" }
}

/// Choices that are told apart; more are not listened to.
const CHOICES: usize = 128;

/// What has been read so far.
#[derive(Default)]
pub(crate) struct State {
    id: bool,
    model: bool,
    served: Served,
    choices: Vec<(u32, Calls)>,
    pub(crate) malformed: u32,
    pub(crate) over: bool,
}

impl State {
    /// Reads an answer or a chunk; `None` if it is none.
    pub(crate) fn answer(&mut self, answer: &Answer<'_>, data: &[u8], each: EventSink<'_>) -> Option<()> {
        let choices: Few<ChoiceIn<'_>, MOST> = match answer.choices {
            Some(choices) => serde_json::from_str(choices.get()).ok()?,
            None => Few::default(),
        };
        self.start(answer, each);
        for choice in choices.iter() {
            self.choice(choice, data, each);
        }
        if let Some(usage) = usage(answer.usage, answer.x_groq) {
            each(ResponseEvent::Usage(usage));
        }
        Some(())
    }

    fn start(&mut self, answer: &Answer<'_>, each: EventSink<'_>) {
        let word = |raw: Option<&'_ RawValue>, known: bool| raw.filter(|raw| !known && raw.get() != "\"\"").is_some();
        let (has_id, has_model) = (word(answer.id, self.id), word(answer.model, self.model));
        if has_id || has_model {
            let id = answer.id.filter(|_| has_id).and_then(text);
            let model = answer.model.filter(|_| has_model).and_then(text);
            (self.id, self.model) = (self.id || id.is_some(), self.model || model.is_some());
            if id.is_some() || model.is_some() {
                each(ResponseEvent::Start { id, model });
            }
        }
        let words = words(answer.tier, answer.usage);
        if let Some(tier) = words.as_ref().and_then(|words| self.served.take(words)) {
            each(ResponseEvent::Tier(Cow::Borrowed(tier)));
        }
    }

    fn choice(&mut self, choice: &ChoiceIn<'_>, data: &[u8], each: EventSink<'_>) {
        if self.over {
            return;
        }
        let number = choice.index.and_then(|raw| raw.get().parse().ok()).unwrap_or(0);
        let Some(calls) = calls(&mut self.choices, number) else { return };
        if let Some(said) = members::<Said<'_>>(choice.delta.or(choice.message)) {
            tell(number, &said, each);
            calls.read(number, &said, data, each);
        }
        if let Some(logprobs) = choice.logprobs.map(Raw::from).filter(|raw| raw.get().starts_with('{')) {
            each(ResponseEvent::Logprobs { choice: number, logprobs });
        }
        match choice.finish.and_then(text).as_deref().map(reason) {
            Some(Some(reason)) => {
                let reason = calls.finish(number, reason, each);
                each(ResponseEvent::Finish { choice: number, reason });
            }
            Some(None) if choice.finish.is_some_and(|raw| raw.get() != "\"\"") => {
                self.over = true;
                each(ResponseEvent::Failed(failed(choice)));
            }
            _ => {}
        }
    }
}

/// Why an answer broke off that ends with a word for that.
fn failed(choice: &ChoiceIn<'_>) -> Error {
    if let Some(error) = choice.error {
        return in_spite(error.get().as_bytes());
    }
    let word = choice.finish.and_then(text).unwrap_or_default();
    Error::upstream(502, "upstream_error", format!("The provider broke the answer off: {word}."))
}

fn calls(choices: &mut Vec<(u32, Calls)>, number: u32) -> Option<&mut Calls> {
    let known = choices.iter().position(|(known, _)| *known == number);
    let at = match known {
        Some(at) => at,
        None if choices.len() >= CHOICES => return None,
        None => {
            choices.push((number, Calls::default()));
            choices.len() - 1
        }
    };
    choices.get_mut(at).map(|(_, calls)| calls)
}

/// The words of a message, or of a piece of one.
fn tell(choice: u32, said: &Said<'_>, each: EventSink<'_>) {
    let words = |raw: Option<&'_ RawValue>| raw.filter(|raw| raw.get() != "\"\"").is_some();
    // Some send both, and both the same.
    let thinking = if words(said.reasoning_content) { said.reasoning_content } else { said.reasoning };
    if let Some(text) = thinking.filter(|_| words(thinking)).and_then(string) {
        each(ResponseEvent::Thinking { choice, text });
    }
    let Some(content) = said.content.filter(|_| words(said.content)) else { return refused(choice, said, each) };
    if let Some(text) = string(content) {
        each(ResponseEvent::Text { choice, text });
    } else {
        let parts: Few<Part<'_>, MOST> = serde_json::from_str(content.get()).unwrap_or_default();
        for part in parts.iter() {
            if let Some(text) = part.thinking.and_then(thought).filter(|text| !text.is_blank()) {
                each(ResponseEvent::Thinking { choice, text });
            }
            if let Some(text) = part.text.and_then(string).filter(|text| !text.is_blank()) {
                each(ResponseEvent::Text { choice, text });
            }
        }
    }
    refused(choice, said, each);
}

fn refused(choice: u32, said: &Said<'_>, each: EventSink<'_>) {
    if let Some(text) = said.refusal.and_then(string).filter(|text| !text.is_blank()) {
        each(ResponseEvent::Text { choice, text });
    }
}

/// What a word for the end means; `None` if it is a failure, or no word.
fn reason(word: &str) -> Option<FinishReason> {
    match word {
        // DeepSeek, Z.ai, OpenRouter, vLLM.
        "" | "error" | "network_error" | "insufficient_system_resource" | "abort" => None,
        "length" | "max_tokens" | "model_length" | "MAX_TOKENS" => Some(FinishReason::Length),
        "tool_calls" | "function_call" | "tool_use" => Some(FinishReason::Calls),
        "content_filter" | "safety" | "sensitive" | "refusal" | "SAFETY" => Some(FinishReason::Filtered),
        _ => Some(FinishReason::Stop),
    }
}

//! Turns responses and chunks into events, with the variations of all providers of this format.
//! Source: the OpenAI API reference, "Chat", and recorded traffic.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::super::errors::read_in_success;
use super::super::wire::{
    MAX_ITEMS, choice_number, details_text, members, object, read_usage, served_fields, string, text, thinking_text,
};
use super::calls::{CallTracker, MessageDeltaFields};
use crate::canonical::{FinishReason, Raw, ResponseEvent};
use crate::error::Error;
use crate::formats::stream::EventSink;
use crate::formats::tier::ServedTier;
use crate::wire::list::BoundedList;

object! {
    /// A whole response, or a chunk of a stream.
    ResponseFields {
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
    ChoiceFields {
        index: "index",
        delta: "delta",
        message: "message",
        finish: "finish_reason",
        logprobs: "logprobs",
        error: "error",
        usage: "usage",
    }
}

object! {
    /// A part of content that is a list (Mistral).
    ContentPartDelta { text: "text", thinking: "thinking" }
}

object! {
    /// An image that the model made (OpenRouter, LiteLLM). Other formats get it as Markdown.
    ImageDelta { image_url: "image_url" }
}

object! {
    ImageUrl { url: "url" }
}

/// The most choices of a response; further ones are ignored.
const MAX_CHOICES: usize = 128;

/// State across the chunks of a response.
#[derive(Default)]
pub(crate) struct ChatEventReader {
    has_id: bool,
    has_model: bool,
    served: ServedTier,
    choices: Vec<ChoiceState>,
    pub(crate) malformed: u32,
    pub(crate) is_over: bool,
}

/// A choice so far.
#[derive(Default)]
struct ChoiceState {
    number: u32,
    calls: CallTracker,
    has_output: bool,
    has_finished: bool,
}

impl ChatEventReader {
    /// Reads a response or a chunk; `None` if it is malformed.
    pub(crate) fn read_response(
        &mut self,
        response: &ResponseFields<'_>,
        data: &[u8],
        emit: EventSink<'_>,
    ) -> Option<()> {
        let choices: BoundedList<ChoiceFields<'_>, MAX_ITEMS> = match response.choices {
            Some(choices) => serde_json::from_str(choices.get()).ok()?,
            None => BoundedList::default(),
        };
        self.emit_start(response, emit);
        for choice in choices.iter() {
            self.read_choice(choice, data, emit);
        }
        // Moonshot reports the usage of a stream in its choice.
        let usage = response.usage.or_else(|| choices.iter().find_map(|choice| choice.usage));
        if let Some(usage) = read_usage(usage, response.x_groq) {
            emit(ResponseEvent::Usage(usage));
        }
        Some(())
    }

    fn emit_start(&mut self, response: &ResponseFields<'_>, emit: EventSink<'_>) {
        let word = |raw: Option<&'_ RawValue>, found: bool| raw.filter(|raw| !found && raw.get() != "\"\"").is_some();
        let (has_id, has_model) = (word(response.id, self.has_id), word(response.model, self.has_model));
        if has_id || has_model {
            let id = response.id.filter(|_| has_id).and_then(text);
            let model = response.model.filter(|_| has_model).and_then(text);
            (self.has_id, self.has_model) = (self.has_id || id.is_some(), self.has_model || model.is_some());
            if id.is_some() || model.is_some() {
                emit(ResponseEvent::Start { id, model });
            }
        }
        let words = served_fields(response.tier, response.usage);
        if let Some(tier) = words.as_ref().and_then(|words| self.served.take(words)) {
            emit(ResponseEvent::Tier(Cow::Borrowed(tier)));
        }
    }

    fn read_choice(&mut self, choice: &ChoiceFields<'_>, data: &[u8], emit: EventSink<'_>) {
        if self.is_over {
            return;
        }
        let number = u32::try_from(choice_number(choice.index)).unwrap_or(0);
        let Some(state) = choice_of(&mut self.choices, number) else { return };
        if let Some(message) = members::<MessageDeltaFields<'_>>(choice.delta.or(choice.message)) {
            let mut emit = |event: ResponseEvent<'_>| {
                state.has_output = true;
                emit(event);
            };
            emit_message(number, &message, &mut emit);
            state.calls.read(number, &message, data, &mut emit);
        }
        if let Some(logprobs) = choice.logprobs.map(Raw::from).filter(|raw| raw.get().starts_with('{')) {
            emit(ResponseEvent::Logprobs { choice: number, logprobs });
        }
        match choice.finish.and_then(text).as_deref().map(finish_reason) {
            Some(Some(reason)) => {
                state.has_finished = true;
                let reason = state.calls.finish(number, reason, emit);
                emit(ResponseEvent::Finish { choice: number, reason });
            }
            Some(None) if choice.finish.is_some_and(|raw| raw.get() != "\"\"") => {
                self.is_over = true;
                emit(ResponseEvent::Failed(failed_choice(choice)));
            }
            _ => {}
        }
    }
}

impl ChatEventReader {
    /// The provider says that the response is complete. Some hosts (Snowflake) give no finish reason: a choice with
    /// content has finished then, as it has for a client of the same format.
    pub(crate) fn end(&mut self, emit: EventSink<'_>) {
        for choice in self.choices.iter_mut().filter(|choice| choice.has_output && !choice.has_finished) {
            choice.has_finished = true;
            let reason = choice.calls.finish(choice.number, FinishReason::Stop, emit);
            emit(ResponseEvent::Finish { choice: choice.number, reason });
        }
        emit(ResponseEvent::End);
    }
}

/// The error of a choice that ended with a failure.
fn failed_choice(choice: &ChoiceFields<'_>) -> Error {
    if let Some(error) = choice.error {
        return read_in_success(error.get().as_bytes());
    }
    let word = choice.finish.and_then(text).unwrap_or_default();
    Error::upstream(502, "upstream_error", format!("The provider broke the response off: {word}."))
}

fn choice_of(choices: &mut Vec<ChoiceState>, number: u32) -> Option<&mut ChoiceState> {
    let found = choices.iter().position(|choice| choice.number == number);
    let at = match found {
        Some(at) => at,
        None if choices.len() >= MAX_CHOICES => return None,
        None => {
            choices.push(ChoiceState { number, ..ChoiceState::default() });
            choices.len() - 1
        }
    };
    choices.get_mut(at)
}

/// Emits the thinking, text and refusal of a message or of a delta.
fn emit_message(choice: u32, message: &MessageDeltaFields<'_>, emit: EventSink<'_>) {
    emit_words(choice, message, emit);
    let images: BoundedList<ImageDelta<'_>, MAX_ITEMS> =
        message.images.and_then(|images| serde_json::from_str(images.get()).ok()).unwrap_or_default();
    for url in images.iter().filter_map(|image| members::<ImageUrl<'_>>(image.image_url)?.url.and_then(text)) {
        emit(ResponseEvent::Text { choice, text: Raw::quoted(&format!("\n![image]({url})\n")) });
    }
}

fn emit_words(choice: u32, message: &MessageDeltaFields<'_>, emit: EventSink<'_>) {
    let words = |raw: Option<&'_ RawValue>| raw.filter(|raw| raw.get() != "\"\"").is_some();
    if let Some(text) = reasoning(message) {
        emit(ResponseEvent::Thinking { choice, text });
    }
    let Some(content) = message.content.filter(|_| words(message.content)) else {
        return emit_refusal(choice, message, emit);
    };
    if let Some(text) = string(content) {
        emit(ResponseEvent::Text { choice, text });
    } else {
        let parts: BoundedList<ContentPartDelta<'_>, MAX_ITEMS> =
            serde_json::from_str(content.get()).unwrap_or_default();
        for part in parts.iter() {
            if let Some(text) = part.thinking.and_then(thinking_text).filter(|text| !text.is_blank()) {
                emit(ResponseEvent::Thinking { choice, text });
            }
            if let Some(text) = part.text.and_then(string).filter(|text| !text.is_blank()) {
                emit(ResponseEvent::Text { choice, text });
            }
        }
    }
    emit_refusal(choice, message, emit);
}

/// The reasoning of a message or of a delta. Some providers send several fields with the same text, so one of
/// them is read.
fn reasoning<'a>(message: &MessageDeltaFields<'a>) -> Option<Raw<'a>> {
    let text = |raw: Option<&'a RawValue>| raw.and_then(string).filter(|text| !text.is_blank());
    let details = || message.reasoning_details.and_then(details_text);
    text(message.reasoning_content).or_else(|| text(message.reasoning)).or_else(details)
}

fn emit_refusal(choice: u32, message: &MessageDeltaFields<'_>, emit: EventSink<'_>) {
    if let Some(text) = message.refusal.and_then(string).filter(|text| !text.is_blank()) {
        emit(ResponseEvent::Text { choice, text });
    }
}

/// The finish reason for a provider's word; `None` if it is empty or reports a failure.
fn finish_reason(word: &str) -> Option<FinishReason> {
    match word {
        // Words of DeepSeek, Z.ai, OpenRouter and vLLM.
        "" | "error" | "network_error" | "insufficient_system_resource" | "abort" => None,
        "length" | "max_tokens" | "model_length" | "max_output_tokens" | "MAX_TOKENS" => Some(FinishReason::Length),
        // Words of Claude's models, as gateways pass them on.
        "model_context_window_exceeded" => Some(FinishReason::Context),
        "pause_turn" => Some(FinishReason::Paused),
        "tool_calls" | "function_call" | "tool_use" => Some(FinishReason::Calls),
        "content_filter" | "safety" | "sensitive" | "refusal" | "SAFETY" => Some(FinishReason::Filtered),
        _ => Some(FinishReason::Stop),
    }
}

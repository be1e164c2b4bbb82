//! Turns messages into events, for whole responses and streams alike.

use std::borrow::Cow;

use super::super::wire::json::{escaped_text, object};
use super::super::wire::response::{BlockFields, MessageFields, ReportedUsage, UsageFields};
use crate::canonical::{FinishReason, Raw, ResponseEvent, Usage};
use crate::formats::stream::EventSink;
use crate::formats::tier::{ServedFields, ServedTier};
use crate::wire::dense::is_dense;

/// Emits a text, unless it is empty.
pub(crate) fn emit_text(text: Option<&Raw<'_>>, emit: EventSink<'_>) {
    if let Some(text) = text.filter(|text| !escaped_text(text).is_empty()) {
        emit(ResponseEvent::Text { choice: 0, text: text.clone() });
    }
}

/// Emits thinking, unless it is empty (models may send a signature alone).
pub(crate) fn emit_thinking(text: Option<&Raw<'_>>, emit: EventSink<'_>) {
    if let Some(text) = text.filter(|text| !escaped_text(text).is_empty()) {
        emit(ResponseEvent::Thinking { choice: 0, text: text.clone() });
    }
}

/// The reason of a response that the context window ended.
pub(crate) const CONTEXT: &str = "model_context_window_exceeded";
/// The reason of one that is to be continued by sending it back.
pub(crate) const PAUSED: &str = "pause_turn";

/// The reason in `stop_reason`.
pub(crate) fn finish_reason(reason: &str) -> FinishReason {
    match reason {
        "max_tokens" => FinishReason::Length,
        CONTEXT => FinishReason::Context,
        PAUSED => FinishReason::Paused,
        "tool_use" => FinishReason::Calls,
        "refusal" => FinishReason::Filtered,
        // `end_turn`, `stop_sequence`, and unknown reasons.
        _ => FinishReason::Stop,
    }
}

/// State across the events of a message.
#[derive(Default)]
pub(crate) struct EventReader {
    calls: u32,
    /// Thinking blocks since the last call, as JSON with commas between them.
    thinking_blocks: String,
    usage: ReportedUsage,
    served: ServedTier,
}

impl EventReader {
    /// Emits the start of a message.
    pub(crate) fn start(&self, message: &MessageFields<'_>, emit: EventSink<'_>) {
        let word = |word: &Option<Cow<'_, str>>| word.clone().filter(|word| !word.is_empty()).map(Cow::into_owned);
        emit(ResponseEvent::Start {
            id: word(&message.id).map(Cow::Owned),
            model: word(&message.model).map(Cow::Owned),
        });
    }

    /// Keeps a thinking block, which the provider wants back with the next call.
    pub(crate) fn keep_thinking(&mut self, block: &str) {
        if !self.thinking_blocks.is_empty() {
            self.thinking_blocks.push(',');
        }
        self.thinking_blocks.push_str(block);
    }

    /// Emits a call and the reasoning state that belongs to it; returns the call's number.
    pub(crate) fn call(&mut self, fields: &BlockFields<'_>, emit: EventSink<'_>) -> u32 {
        let call = self.calls;
        self.calls = call.saturating_add(1);
        let provider_id = fields.id.as_deref().filter(|id| !id.is_empty());
        let id = provider_id.map_or_else(|| Cow::Owned(format!("toolu_{call}")), Cow::Borrowed);
        let name = Cow::Borrowed(fields.name.as_deref().unwrap_or_default());
        emit(ResponseEvent::Call { choice: 0, call, id: id.clone(), name });
        let thinking_blocks = std::mem::take(&mut self.thinking_blocks);
        if let Some(memory) = Raw::parse(&format!("[{thinking_blocks}]")).filter(|memory| !memory.is_blank()) {
            emit(ResponseEvent::ReasoningState { id, memory });
        }
        call
    }

    /// Emits the usage so far: of each count, the last one reported.
    pub(crate) fn usage(&mut self, raw: Option<&Raw<'_>>, emit: EventSink<'_>) {
        let Some((raw, fields)) = raw.and_then(|raw| Some((raw, usage_fields(raw.get())?))) else { return };
        self.usage.take(&fields);
        emit(ResponseEvent::Usage(self.usage.total()));
        let words = object::<ServedFields<'_>>(raw.get().as_bytes());
        if let Some(tier) = words.as_ref().and_then(|words| self.served.take(words)) {
            emit(ResponseEvent::Tier(Cow::Borrowed(tier)));
        }
    }
}

/// The fields of a `usage`. A parsed list takes many times the memory of its text, so one with many items is
/// not read.
fn usage_fields(raw: &str) -> Option<UsageFields> {
    if is_dense(raw.as_bytes()) { None } else { object(raw.as_bytes()) }
}

/// Reads the value of `usage` alone.
pub(crate) fn read_usage(raw: &str) -> Option<Usage> {
    let mut usage = ReportedUsage::default();
    usage.take(&usage_fields(raw)?);
    Some(usage.total())
}

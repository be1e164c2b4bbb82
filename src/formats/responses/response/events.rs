//! Turns a provider's items and events into canonical events, for whole responses and streams alike.
//! Source: the OpenAI API reference, "The response object", "Streaming events", and recorded traffic.

use std::borrow::Cow;

use serde_json::Value;
use serde_json::value::RawValue;

use super::super::errors::read_in_success;
use super::super::wire::fields::{Fields, each, escaped_text};
use crate::canonical::{FinishReason, IMPOSSIBLE_COUNT, Raw, ResponseEvent, Usage, count, dollars};
use crate::formats::stream::EventSink;
use crate::formats::tier;
use crate::wire::dense::{member_at, parse_tree};

/// Reasoning longer than this, in bytes, is shown but not kept for the provider.
const MAX_KEPT_REASONING: usize = 4 << 20;

/// State across the items of a response.
#[derive(Default)]
pub(crate) struct EventReader {
    calls: u32,
    searches: u64,
    /// Reasoning items since the last call, as JSON with commas between them.
    reasoning: String,
}

/// What an item is to the events that follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ItemRole {
    /// A call of a function, by its number.
    Call(u32),
    /// A call of a custom tool, whose input is plain text.
    Custom(u32),
    /// Anything else.
    Other,
}

impl EventReader {
    /// Emits the beginning of an item.
    pub(crate) fn begin(&mut self, item: &mut Fields<'_>, kind: &str, emit: EventSink<'_>) -> ItemRole {
        let is_custom = match kind {
            "function_call" => false,
            "custom_tool_call" => true,
            _ => return ItemRole::Other,
        };
        let call = self.calls;
        self.calls = call.saturating_add(1);
        let own = item.word("call_id").or_else(|| item.word("id")).filter(|id| !id.is_empty());
        let id = own.unwrap_or_else(|| Cow::Owned(format!("call_{call}")));
        let name = item.word("name").unwrap_or_default();
        emit(ResponseEvent::Call { choice: 0, call, id: id.clone(), name });
        let reasoning = std::mem::take(&mut self.reasoning);
        if let Some(memory) = Raw::parse(&format!("[{reasoning}]")).filter(|memory| !memory.is_blank()) {
            emit(ResponseEvent::ReasoningState { id, memory });
        }
        if is_custom { ItemRole::Custom(call) } else { ItemRole::Call(call) }
    }

    /// Emits an item that comes whole: none of its pieces has been emitted.
    pub(crate) fn whole(&mut self, item: &mut Fields<'_>, emit: EventSink<'_>) {
        let kind = item.word("type").unwrap_or_default();
        let role = self.begin(item, &kind, emit);
        self.contents(item, &kind, role, emit);
        self.end(item, &kind);
    }

    /// Emits all that an item holds.
    pub(crate) fn contents(&self, item: &mut Fields<'_>, kind: &str, role: ItemRole, emit: EventSink<'_>) {
        match (kind, role) {
            (_, ItemRole::Call(call)) => {
                // Some hosts write the arguments as an object.
                let raw = item.raw("arguments");
                let json = raw.map(|raw| if raw.is_text() { raw } else { Raw::quoted(raw.get()) });
                if let Some(json) = json.filter(|json| !escaped_text(json).is_empty()) {
                    emit(ResponseEvent::Arguments { choice: 0, call, json });
                }
            }
            (_, ItemRole::Custom(call)) => emit_input(item.raw("input").as_ref(), call, emit),
            ("message", _) => {
                let content = item.take("content");
                texts(content, &mut |text| emit(ResponseEvent::Text { choice: 0, text }));
                let _ = each(content.map_or("[]", RawValue::get), &"", |_, mut part: Fields<'_>| {
                    let logprobs = part.raw("logprobs").as_ref().and_then(log_probabilities);
                    logprobs.into_iter().for_each(|logprobs| emit(ResponseEvent::Logprobs { choice: 0, logprobs }));
                    Ok(())
                });
            }
            ("reasoning", _) => {
                let mut has_text = false;
                let lists = [item.take("content"), item.take("summary")];
                let Some(list) = lists.into_iter().flatten().find(|list| list.get() != "[]") else { return };
                texts(Some(list), &mut |text| {
                    if std::mem::replace(&mut has_text, true) {
                        emit(paragraph());
                    }
                    emit(ResponseEvent::Thinking { choice: 0, text });
                });
            }
            _ => {}
        }
    }

    /// Takes note of an item that is complete: reasoning that the provider wants back, and its own searches.
    pub(crate) fn end(&mut self, item: &mut Fields<'_>, kind: &str) {
        if kind == "web_search_call" {
            self.searches = self.searches.saturating_add(1);
        }
        let Some(sealed) = item.raw("encrypted_content").filter(|raw| kind == "reasoning" && raw.is_text()) else {
            return;
        };
        if self.reasoning.len() <= MAX_KEPT_REASONING {
            let comma = if self.reasoning.is_empty() { "" } else { "," };
            // Without its id, which the provider would look up: it stores nothing.
            let kept = [comma, "{\"type\":\"reasoning\",\"summary\":[],\"encrypted_content\":", sealed.get(), "}"];
            self.reasoning.push_str(&kept.concat());
        }
    }

    /// Emits the start of a response.
    pub(crate) fn start(&self, response: &mut Fields<'_>, emit: EventSink<'_>) {
        let (id, model) = (response.word("id"), response.word("model"));
        emit(ResponseEvent::Start { id, model });
    }

    /// Emits how a response ended: the usage, the tier, the reason; or its failure.
    pub(crate) fn finish(&mut self, response: &mut Fields<'_>, emit: EventSink<'_>) {
        let usage = response.take("usage").map(RawValue::get);
        if let Some(usage) = usage.and_then(read_usage) {
            emit(ResponseEvent::Usage(Usage { searches: usage.searches.max(self.searches), ..usage }));
        }
        if let Some(tier) = tier::of_response(usage, response.take("service_tier").map(RawValue::get)) {
            emit(ResponseEvent::Tier(Cow::Owned(tier)));
        }
        let status = response.word("status").unwrap_or_default();
        if let Some(error) = response.take("error").map(RawValue::get) {
            return emit(ResponseEvent::Failed(read_in_success(error.as_bytes())));
        }
        let details = response.take("incomplete_details").and_then(|raw| Fields::read(raw.get(), &"").ok());
        let cut = details.and_then(|mut details| details.word("reason"));
        let reason = match (status.as_ref(), cut.as_deref()) {
            ("failed" | "cancelled", _) => return emit(ResponseEvent::Failed(read_in_success(b"{}"))),
            // A response in the background, which has not ended.
            ("in_progress" | "queued", _) => return,
            (_, Some("content_filter")) => FinishReason::Filtered,
            ("incomplete", _) | (_, Some(_)) => FinishReason::Length,
            _ if self.calls > 0 => FinishReason::Calls,
            _ => FinishReason::Stop,
        };
        emit(ResponseEvent::Finish { choice: 0, reason });
        emit(ResponseEvent::End);
    }
}

/// What separates two paragraphs of reasoning.
pub(crate) fn paragraph() -> ResponseEvent<'static> {
    ResponseEvent::Thinking { choice: 0, text: Raw::quoted("\n\n") }
}

/// Emits the input of a custom tool as arguments: an object with one text.
pub(crate) fn emit_input(input: Option<&Raw<'_>>, call: u32, emit: EventSink<'_>) {
    let input = input.filter(|input| input.is_text()).map_or("\"\"", Raw::get);
    let json = Raw::quoted(&format!("{{\"input\":{input}}}"));
    emit(ResponseEvent::Arguments { choice: 0, call, json });
}

/// Hands on the texts of a list of parts that are not empty.
fn texts<'a>(list: Option<&'a RawValue>, take: &mut dyn FnMut(Raw<'a>)) {
    let _ = each(list.map_or("[]", RawValue::get), &"", |_, mut part: Fields<'a>| {
        let text = part.raw("text").or_else(|| part.raw("refusal"));
        if let Some(text) = text.filter(|text| !escaped_text(text).is_empty()) {
            take(text);
        }
        Ok(())
    });
}

/// Reads the value of `usage`; `None` if it reports no tokens. `input_tokens` includes those of the cache, and
/// `output_tokens` the reasoning.
pub(crate) fn read_usage(raw: &str) -> Option<Usage> {
    let usage = parse_tree(raw.as_bytes())?;
    let number = |path: &[&str]| member_at(&usage, path).and_then(count);
    let part = |path: &[&str]| number(path).filter(|tokens| *tokens != IMPOSSIBLE_COUNT).unwrap_or(0);
    let (prompt, output) = (number(&["input_tokens"])?, number(&["output_tokens"]).unwrap_or(0));
    let cache_read = part(&["input_tokens_details", "cached_tokens"]).min(prompt);
    let cache_write = part(&["input_tokens_details", "cache_write_tokens"]).min(prompt - cache_read);
    Some(Usage {
        uncached_input: prompt - cache_read - cache_write,
        cache_read,
        cache_write,
        output,
        reasoning: part(&["output_tokens_details", "reasoning_tokens"]).min(output),
        reported_cost: usage.get("cost").and_then(dollars),
        has_detailed_cost: usage.get("cost_details").is_some_and(Value::is_object),
        ..Usage::default()
    })
}

/// The probabilities of a piece of text, as chats have them; `None` if the list is empty.
pub(crate) fn log_probabilities(list: &Raw<'_>) -> Option<Raw<'static>> {
    (list.get().starts_with('[') && !list.is_blank())
        .then(|| Raw::from_string(["{\"content\":", list.get(), ",\"refusal\":null}"].concat()))?
}

//! What is known of a message besides its blocks, for whole responses and streams.

use super::super::wire::api::PLACEHOLDER_PREFIX;
use super::super::wire::message::{
    CacheCreationCounts, MessageUsage, OutputDetails, ResponseBlock, ResponseMessage, TokenCounts, ToolCaller,
};
use super::events::{CONTEXT, PAUSED};
use crate::canonical::{FinishReason, Raw, ResponseEvent, Usage};
use crate::formats::client_format::ResponseHead;

pub(crate) fn tool_use(id: &str, name: &str, input: Raw<'static>) -> ResponseBlock {
    ResponseBlock::ToolUse { id: id.to_owned(), caller: ToolCaller::Direct {}, name: name.to_owned(), input }
}

/// The signature written to clients where the provider gave none. It is removed when it comes back.
pub(crate) fn placeholder_signature() -> Raw<'static> {
    Raw::quoted(&format!("{PLACEHOLDER_PREFIX}unsigned"))
}

/// What is known of a message so far.
pub(crate) struct MessageState {
    head: ResponseHead,
    id: String,
    usage: Usage,
    tier: Option<String>,
    finish: Option<FinishReason>,
    pub(crate) has_calls: bool,
}

impl MessageState {
    pub(crate) fn new(head: ResponseHead) -> Self {
        let id = format!("msg_{:032x}", head.random);
        Self { head, id, usage: Usage::default(), tier: None, finish: None, has_calls: false }
    }

    pub(crate) fn update(&mut self, event: &ResponseEvent<'_>) {
        match event {
            ResponseEvent::Start { id, model } => {
                if let Some(id) = id.as_deref().filter(|id| id.starts_with("msg_")) {
                    id.clone_into(&mut self.id);
                }
                if let Some(model) = model.as_deref() {
                    model.clone_into(&mut self.head.model);
                }
            }
            ResponseEvent::Usage(usage) => self.usage = *usage,
            ResponseEvent::Tier(tier) => self.tier = Some(tier.clone().into_owned()),
            ResponseEvent::Finish { choice: 0, reason } => self.finish = Some(*reason),
            _ => {}
        }
    }

    /// Some providers report `stop` although the model calls a tool.
    pub(crate) fn stop_reason(&self) -> &'static str {
        match self.finish {
            Some(FinishReason::Length) => "max_tokens",
            Some(FinishReason::Context) => CONTEXT,
            Some(FinishReason::Paused) => PAUSED,
            Some(FinishReason::Filtered) => "refusal",
            Some(FinishReason::Calls) => "tool_use",
            Some(FinishReason::Stop) | None if self.has_calls => "tool_use",
            Some(FinishReason::Stop) | None => "end_turn",
        }
    }

    pub(crate) fn message(&self) -> ResponseMessage<'_> {
        ResponseMessage {
            id: &self.id,
            kind: "message",
            role: "assistant",
            model: &self.head.model,
            content: &[],
            container: None,
            diagnostics: None,
            stop_details: None,
            stop_reason: None,
            stop_sequence: None,
            usage: MessageUsage {
                tokens: self.tokens(),
                cache_creation: CacheCreationCounts::of(&self.usage),
                inference_geo: None,
                service_tier: self.tier.as_deref().and_then(service_tier),
                speed: None,
            },
        }
    }

    pub(crate) fn tokens(&self) -> TokenCounts {
        let thinking_tokens = self.usage.reasoning;
        TokenCounts {
            input_tokens: self.usage.uncached_input,
            cache_creation_input_tokens: self.usage.cache_write,
            cache_read_input_tokens: self.usage.cache_read,
            output_tokens: self.usage.output,
            output_tokens_details: (thinking_tokens > 0).then_some(OutputDetails { thinking_tokens }),
            server_tool_use: None,
            estimated: self.usage.is_estimated,
        }
    }
}

/// The service tier in this format's words; `None` if it has no word for it.
fn service_tier(word: &str) -> Option<&'static str> {
    match word {
        "standard" | "default" => Some("standard"),
        "priority" => Some("priority"),
        "batch" => Some("batch"),
        _ => None,
    }
}

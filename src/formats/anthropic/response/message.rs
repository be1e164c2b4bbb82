//! What clients are told of an answer besides its blocks, whole or streamed.

use super::super::wire::api::OURS;
use super::super::wire::message::{Caller, Creation, Details, Message, OutBlock, Served, Tokens};
use crate::canonical::{FinishReason, Raw, ResponseEvent, Usage};
use crate::formats::ResponseHead;

pub(crate) fn call(id: &str, name: &str, input: Raw<'static>) -> OutBlock {
    OutBlock::ToolUse { id: id.to_owned(), caller: Caller::Direct {}, name: name.to_owned(), input }
}

/// What stands where a client wants a proof of thought. It is taken out again when it comes back.
pub(crate) fn unsigned() -> Raw<'static> {
    Raw::quoted(&format!("{OURS}unsigned"))
}

/// What is known of an answer so far.
pub(crate) struct Told {
    head: ResponseHead,
    id: String,
    usage: Usage,
    tier: Option<String>,
    finish: Option<FinishReason>,
    pub(crate) called: bool,
}

impl Told {
    pub(crate) fn new(head: ResponseHead) -> Self {
        let id = format!("msg_{:032x}", head.random);
        Self { head, id, usage: Usage::default(), tier: None, finish: None, called: false }
    }

    pub(crate) fn note(&mut self, event: &ResponseEvent<'_>) {
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

    /// Some providers say that they stop when they call.
    pub(crate) fn reason(&self) -> &'static str {
        match self.finish {
            Some(FinishReason::Length) => "max_tokens",
            Some(FinishReason::Filtered) => "refusal",
            Some(FinishReason::Calls) => "tool_use",
            Some(FinishReason::Stop) | None if self.called => "tool_use",
            Some(FinishReason::Stop) | None => "end_turn",
        }
    }

    pub(crate) fn message(&self) -> Message<'_> {
        Message {
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
            usage: Served {
                tokens: self.tokens(),
                cache_creation: Creation::of(&self.usage),
                inference_geo: None,
                service_tier: self.tier.as_deref().and_then(tier),
                speed: None,
            },
        }
    }

    pub(crate) fn tokens(&self) -> Tokens {
        let thinking_tokens = self.usage.reasoning;
        Tokens {
            input_tokens: self.usage.uncached_input,
            cache_creation_input_tokens: self.usage.cache_write,
            cache_read_input_tokens: self.usage.cache_read,
            output_tokens: self.usage.output,
            output_tokens_details: (thinking_tokens > 0).then_some(Details { thinking_tokens }),
            server_tool_use: None,
        }
    }
}

/// How a request was served, in this format's words.
fn tier(word: &str) -> Option<&'static str> {
    match word {
        "standard" | "default" => Some("standard"),
        "priority" => Some("priority"),
        "batch" => Some("batch"),
        _ => None,
    }
}

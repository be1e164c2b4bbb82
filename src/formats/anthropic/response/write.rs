//! Writes a whole message for a client.
//! Source: <https://docs.anthropic.com/en/api/messages>.

use super::super::wire::json::arguments_object;
use super::super::wire::message::ResponseBlock;
use super::blocks::{BlockKind, BlockQueue, PendingBlock};
use super::message::{MessageState, placeholder_signature, tool_use};
use crate::canonical::ResponseEvent;
use crate::formats::client_format::ResponseHead;

/// Writes a whole message.
pub(crate) fn write(head: &ResponseHead, events: &[ResponseEvent<'_>]) -> Vec<u8> {
    let mut state = MessageState::new(head.clone());
    let mut blocks = BlockQueue::default();
    for event in events {
        state.update(event);
        state.has_calls |= matches!(event, ResponseEvent::Call { choice: 0, .. });
        blocks.add_event(event);
    }
    let content: Vec<_> = blocks.0.iter().map(response_block).collect();
    let mut message = state.message();
    (message.content, message.stop_reason) = (&content, Some(state.stop_reason()));
    serde_json::to_vec(&message).unwrap_or_default()
}

fn response_block(block: &PendingBlock) -> ResponseBlock {
    match &block.kind {
        BlockKind::Text => ResponseBlock::Text { citations: None, text: block.quoted() },
        BlockKind::Thinking => ResponseBlock::Thinking { thinking: block.quoted(), signature: placeholder_signature() },
        BlockKind::Call { id, name, .. } => tool_use(id, name, arguments_object(&block.text()).owned()),
    }
}

//! A whole answer as clients of the Messages API want it.
//! Source: <https://docs.anthropic.com/en/api/messages>.

use super::super::wire::json::arguments;
use super::super::wire::message::OutBlock;
use super::blocks::{Block, Blocks, Kind};
use super::message::{Told, call, unsigned};
use crate::canonical::ResponseEvent;
use crate::formats::ResponseHead;

/// Writes a whole answer.
pub(crate) fn write(head: &ResponseHead, events: &[ResponseEvent<'_>]) -> Vec<u8> {
    let mut told = Told::new(head.clone());
    let mut blocks = Blocks::default();
    for event in events {
        told.note(event);
        told.called |= matches!(event, ResponseEvent::Call { choice: 0, .. });
        blocks.take(event);
    }
    let content: Vec<_> = blocks.0.iter().map(whole_block).collect();
    let mut message = told.message();
    (message.content, message.stop_reason) = (&content, Some(told.reason()));
    serde_json::to_vec(&message).unwrap_or_default()
}

fn whole_block(block: &Block) -> OutBlock {
    match &block.kind {
        Kind::Text => OutBlock::Text { citations: None, text: block.quoted() },
        Kind::Thinking => OutBlock::Thinking { thinking: block.quoted(), signature: unsigned() },
        Kind::Call { id, name, .. } => call(id, name, arguments(&block.text()).owned()),
    }
}

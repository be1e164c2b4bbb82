//! Writes a streamed message for a client.
//! Source: <https://docs.anthropic.com/en/docs/build-with-claude/streaming>.

use super::super::errors;
use super::super::response::blocks::{BlockKind, BlockQueue, PendingBlock};
use super::super::response::message::{MessageState, placeholder_signature, tool_use};
use super::super::wire::json::arguments_object;
use super::super::wire::message::{BlockDelta, MessageDelta, Recovery, ResponseBlock, StreamEvent};
use crate::canonical::{Raw, ResponseEvent};
use crate::error::Error;
use crate::formats::client_format::ResponseHead;
use crate::formats::stream::StreamEncoder;
use crate::formats::tap::PassthroughEnd;
use crate::wire::sse;

/// Writes a streamed message.
pub(crate) struct Encoder {
    state: MessageState,
    blocks: BlockQueue,
    has_started: bool,
    /// Whether the first of the blocks has been opened.
    is_open: bool,
    /// The index of the first of the blocks.
    index: u32,
    /// How the message went on that an attempt had left unfinished.
    recovered: Option<&'static str>,
    is_over: bool,
}

impl Encoder {
    pub(crate) fn new(head: ResponseHead) -> Self {
        Self {
            state: MessageState::new(head),
            blocks: BlockQueue::default(),
            has_started: false,
            is_open: false,
            index: 0,
            recovered: None,
            is_over: false,
        }
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.has_started, true) {
            write_event(&StreamEvent::MessageStart { message: self.state.message() }, out);
        }
    }

    /// Writes what can be written: of the first block everything, of the others nothing until it is closed;
    /// at the `end`, everything.
    fn write_blocks(&mut self, end: bool, out: &mut Vec<u8>) {
        loop {
            let is_last = self.blocks.0.len() <= 1;
            let Some(block) = self.blocks.0.front_mut() else { return };
            let closes = end || (!is_last && block.is_complete());
            if !std::mem::replace(&mut self.is_open, true) {
                write_event(
                    &StreamEvent::ContentBlockStart { index: self.index, content_block: opened_block(block) },
                    out,
                );
            }
            if block.can_stream() || closes {
                write_pending(self.index, block, out);
            }
            if !closes {
                return;
            }
            if matches!(block.kind, BlockKind::Thinking) {
                let delta = BlockDelta::Signature { signature: placeholder_signature() };
                write_event(&StreamEvent::ContentBlockDelta { index: self.index, delta }, out);
            }
            write_event(&StreamEvent::ContentBlockStop { index: self.index }, out);
            self.blocks.0.pop_front();
            self.is_open = false;
            self.index = self.index.saturating_add(1);
        }
    }

    /// Most events add to the open block: they are written at once, without a copy.
    fn append_to_open_block(&self, event: &ResponseEvent<'_>, out: &mut Vec<u8>) -> bool {
        let single = if self.blocks.0.len() == 1 { self.blocks.0.front() } else { None };
        let Some(block) = single.filter(|block| self.is_open && block.body.is_empty()) else { return false };
        let delta = match (event, &block.kind) {
            (ResponseEvent::Text { choice: 0, text }, BlockKind::Text) => BlockDelta::Text { text: text.clone() },
            (ResponseEvent::Thinking { choice: 0, text }, BlockKind::Thinking) => {
                BlockDelta::Thinking { thinking: text.clone() }
            }
            _ => return false,
        };
        write_event(&StreamEvent::ContentBlockDelta { index: self.index, delta }, out);
        true
    }

    fn fail(&mut self, failure: &Error, out: &mut Vec<u8>) {
        self.is_over = true;
        errors::write_event(failure, out);
    }
}

/// Ends a stream of the provider's own bytes, whose `message_stop` has not passed.
pub(in crate::formats::anthropic) fn end_passthrough(end: PassthroughEnd<'_>, out: &mut Vec<u8>) {
    match end {
        PassthroughEnd::Complete => write_event(&StreamEvent::MessageStop {}, out),
        PassthroughEnd::Reported => {}
        PassthroughEnd::Incomplete(failure) => errors::write_event(failure, out),
    }
}

impl StreamEncoder for Encoder {
    fn event(&mut self, event: &ResponseEvent<'_>, out: &mut Vec<u8>) {
        if self.is_over {
            return;
        }
        if let ResponseEvent::Failed(failure) = event {
            return self.fail(failure, out);
        }
        if self.append_to_open_block(event, out) {
            return;
        }
        self.state.update(event);
        self.state.has_calls |= matches!(event, ResponseEvent::Call { choice: 0, .. });
        if self.blocks.add_event(event) {
            self.start(out);
            self.write_blocks(false, out);
        }
        if matches!(event, ResponseEvent::Finish { choice: 0, .. }) {
            self.write_blocks(true, out);
        }
    }

    fn finish(&mut self, failure: Option<&Error>, out: &mut Vec<u8>) {
        if self.is_over {
            return;
        }
        if let Some(failure) = failure {
            return self.fail(failure, out);
        }
        self.is_over = true;
        self.start(out);
        self.write_blocks(true, out);
        let delta = MessageDelta {
            container: None,
            stop_details: None,
            stop_reason: self.state.stop_reason(),
            stop_sequence: None,
        };
        let x_llm_bridge = self.recovered.map(|recovered| Recovery { recovered });
        write_event(&StreamEvent::MessageDelta { delta, usage: self.state.tokens(), x_llm_bridge }, out);
        write_event(&StreamEvent::MessageStop {}, out);
    }

    fn recovered(&mut self, how: &'static str) {
        self.recovered = Some(how);
    }
}

fn opened_block(block: &PendingBlock) -> ResponseBlock {
    match &block.kind {
        BlockKind::Text => ResponseBlock::Text { citations: None, text: Raw::quoted("") },
        BlockKind::Thinking => ResponseBlock::Thinking { thinking: Raw::quoted(""), signature: Raw::quoted("") },
        BlockKind::Call { id, name, .. } => tool_use(id, name, Raw::of(&serde_json::Map::new())),
    }
}

/// Writes the pending part of a block.
fn write_pending(index: u32, block: &mut PendingBlock, out: &mut Vec<u8>) {
    if block.body.is_empty() {
        return;
    }
    let delta = match &block.kind {
        BlockKind::Text => BlockDelta::Text { text: block.quoted() },
        BlockKind::Thinking => BlockDelta::Thinking { thinking: block.quoted() },
        BlockKind::Call { .. } if block.can_stream() => BlockDelta::InputJson { partial_json: block.quoted() },
        BlockKind::Call { .. } => {
            BlockDelta::InputJson { partial_json: Raw::quoted(arguments_object(&block.text()).get()) }
        }
    };
    block.body.clear();
    write_event(&StreamEvent::ContentBlockDelta { index, delta }, out);
}

fn write_event(step: &StreamEvent<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(step.name().as_bytes());
    out.push(b'\n');
    sse::write(&serde_json::to_vec(step).unwrap_or_default(), out);
}

#[cfg(test)]
mod tests {
    use super::super::super::response;
    use super::*;
    use crate::canonical::{FinishReason, Usage};

    fn head() -> ResponseHead {
        ResponseHead { random: 7, created: 0, model: "m".to_owned(), include_usage: true, ..ResponseHead::default() }
    }

    fn streamed(events: &[ResponseEvent<'_>], failure: Option<&Error>) -> String {
        let mut encoder = Encoder::new(head());
        let mut out = Vec::new();
        events.iter().for_each(|event| encoder.event(event, &mut out));
        encoder.finish(failure, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn call(call: u32) -> ResponseEvent<'static> {
        ResponseEvent::Call { choice: 0, call, id: format!("t{call}").into(), name: "f".into() }
    }

    fn arguments(call: u32, json: &str) -> ResponseEvent<'static> {
        ResponseEvent::Arguments { choice: 0, call, json: Raw::quoted(json) }
    }

    /// Each event of a stream in short: its type, its block, and what it adds.
    fn steps(stream: &str) -> Vec<String> {
        let data = stream.lines().filter_map(|line| line.strip_prefix("data: "));
        let short = |data: &str| {
            let step: serde_json::Value = serde_json::from_str(data).unwrap();
            let delta = &step["delta"];
            let mut added = ["text", "thinking", "partial_json", "signature", "stop_reason"].iter();
            let added = added.find_map(|key| delta[key].as_str()).unwrap_or_default();
            format!("{} {} {added}", step["type"].as_str().unwrap(), step["index"])
        };
        data.map(short).collect()
    }

    #[test]
    fn interleaved_calls_are_written_one_after_the_other() {
        let events = [
            call(0),
            call(1),
            arguments(0, "{\"a\":"),
            arguments(1, "{\"b\":\"}"),
            arguments(0, "1}"),
            arguments(1, "\"}"),
            ResponseEvent::Finish { choice: 0, reason: FinishReason::Calls },
        ];
        let expected = [
            "message_start null ",
            "content_block_start 0 ",
            "content_block_delta 0 {\"a\":",
            "content_block_delta 0 1}",
            "content_block_stop 0 ",
            "content_block_start 1 ",
            "content_block_delta 1 {\"b\":\"}",
            "content_block_delta 1 \"}",
            "content_block_stop 1 ",
            "message_delta null tool_use",
            "message_stop null ",
        ];
        assert_eq!(steps(&streamed(&events, None)), expected);
    }

    #[test]
    fn thinking_ends_in_a_placeholder_signature() {
        let events = [
            ResponseEvent::Thinking { choice: 0, text: Raw::quoted("hm") },
            ResponseEvent::Text { choice: 0, text: Raw::quoted("") },
            ResponseEvent::Text { choice: 0, text: Raw::quoted("yes") },
            ResponseEvent::Finish { choice: 0, reason: FinishReason::Stop },
        ];
        let steps = steps(&streamed(&events, None));
        assert!(steps.contains(&"content_block_delta 0 llm-bridge:unsigned".to_owned()), "{steps:?}");
        assert!(steps.contains(&"content_block_delta 1 yes".to_owned()), "{steps:?}");
        assert!(
            String::from_utf8(response::write(&head(), &events))
                .unwrap()
                .contains(r#""signature":"llm-bridge:unsigned""#)
        );
    }

    #[test]
    fn arguments_that_are_not_an_object_are_kept() {
        let events = [call(0), arguments(0, "not "), arguments(0, "json")];
        let written = r#"{"_invalid_json":"not json"}"#;
        assert!(String::from_utf8(response::write(&head(), &events)).unwrap().contains(written));
        assert!(steps(&streamed(&events, None)).contains(&format!("content_block_delta 0 {written}")));
        let cut = [call(0), arguments(0, "{\"a\":")];
        assert!(String::from_utf8(response::write(&head(), &cut)).unwrap().contains(r#"{"_invalid_json":"{\"a\":"}"#));
        assert!(String::from_utf8(response::write(&head(), &[call(0)])).unwrap().contains(r#""input":{}"#));
    }

    #[test]
    fn a_failed_stream_ends_with_an_error_event() {
        let failure = Error::upstream(529, "x", "Overloaded");
        let written = streamed(&[ResponseEvent::Text { choice: 0, text: Raw::quoted("a") }], Some(&failure));
        let end = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"},\"request_id\":null}\n\n";
        assert!(written.ends_with(end), "{written}");
        let text = ResponseEvent::Text { choice: 0, text: Raw::quoted("a") };
        assert_eq!(streamed(&[ResponseEvent::Failed(failure), text], None), end);
    }

    #[test]
    fn the_end_reports_all_token_counts_with_those_of_the_cache() {
        let usage = Usage { uncached_input: 1, cache_read: 2, cache_write: 3, output: 4, ..Usage::default() };
        let written = streamed(&[ResponseEvent::Usage(usage)], None);
        let tokens = r#""usage":{"input_tokens":1,"cache_creation_input_tokens":3,"cache_read_input_tokens":2,"output_tokens":4,"output_tokens_details":null,"server_tool_use":null}"#;
        assert!(
            written.contains(&format!(r#""delta":{{"container":null,"stop_details":null,"stop_reason":"end_turn","stop_sequence":null}},{tokens}"#)),
            "{written}"
        );
        let written = streamed(&[ResponseEvent::Usage(Usage { cache_write_1h: 2, ..usage })], None);
        let creation = r#""cache_creation":{"ephemeral_5m_input_tokens":1,"ephemeral_1h_input_tokens":2},"#;
        assert!(written.contains(creation), "{written}");
    }
}

//! A streamed answer as clients of the Messages API want it.
//! Source: <https://docs.anthropic.com/en/docs/build-with-claude/streaming>.

use super::super::errors;
use super::super::response::blocks::{Block, Blocks, Kind};
use super::super::response::message::{Told, call, unsigned};
use super::super::wire::json::arguments;
use super::super::wire::message::{Delta, End, OutBlock, Step};
use crate::canonical::{Raw, ResponseEvent};
use crate::error::Error;
use crate::formats::tap::PassthroughEnd;
use crate::formats::{ResponseHead, StreamEncoder};
use crate::wire::sse;

/// Writes a streamed answer.
pub(crate) struct Encoder {
    told: Told,
    blocks: Blocks,
    started: bool,
    /// The first of the blocks has been opened.
    open: bool,
    /// The number of the first of the blocks.
    index: u32,
    over: bool,
}

impl Encoder {
    pub(crate) fn new(head: ResponseHead) -> Self {
        Self { told: Told::new(head), blocks: Blocks::default(), started: false, open: false, index: 0, over: false }
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.started, true) {
            write(&Step::MessageStart { message: self.told.message() }, out);
        }
    }

    /// Tells what can be told: of the first block all, of others nothing until it is closed; at the `end`, all of all.
    fn pump(&mut self, end: bool, out: &mut Vec<u8>) {
        loop {
            let last = self.blocks.0.len() <= 1;
            let Some(block) = self.blocks.0.front_mut() else { return };
            let closing = end || (!last && block.is_done());
            if !std::mem::replace(&mut self.open, true) {
                write(&Step::ContentBlockStart { index: self.index, content_block: begin(block) }, out);
            }
            if block.is_plain() || closing {
                tell(self.index, block, out);
            }
            if !closing {
                return;
            }
            if matches!(block.kind, Kind::Thinking) {
                let delta = Delta::Signature { signature: unsigned() };
                write(&Step::ContentBlockDelta { index: self.index, delta }, out);
            }
            write(&Step::ContentBlockStop { index: self.index }, out);
            self.blocks.0.pop_front();
            self.open = false;
            self.index = self.index.saturating_add(1);
        }
    }

    /// Most steps add to the block that is open: then nothing is kept, and nothing copied.
    fn adds(&self, event: &ResponseEvent<'_>, out: &mut Vec<u8>) -> bool {
        let only = if self.blocks.0.len() == 1 { self.blocks.0.front() } else { None };
        let Some(block) = only.filter(|block| self.open && block.body.is_empty()) else { return false };
        let delta = match (event, &block.kind) {
            (ResponseEvent::Text { choice: 0, text }, Kind::Text) => Delta::Text { text: text.clone() },
            (ResponseEvent::Thinking { choice: 0, text }, Kind::Thinking) => Delta::Thinking { thinking: text.clone() },
            _ => return false,
        };
        write(&Step::ContentBlockDelta { index: self.index, delta }, out);
        true
    }

    fn fail(&mut self, failure: &Error, out: &mut Vec<u8>) {
        self.over = true;
        errors::write_event(failure, out);
    }
}

/// Ends a stream of the provider's own bytes, whose `message_stop` has not passed.
pub(in crate::formats::anthropic) fn end_passthrough(end: PassthroughEnd<'_>, out: &mut Vec<u8>) {
    match end {
        PassthroughEnd::Complete => write(&Step::MessageStop {}, out),
        PassthroughEnd::Reported => {}
        PassthroughEnd::Incomplete(failure) => errors::write_event(failure, out),
    }
}

impl StreamEncoder for Encoder {
    fn event(&mut self, event: &ResponseEvent<'_>, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        if let ResponseEvent::Failed(failure) = event {
            return self.fail(failure, out);
        }
        if self.adds(event, out) {
            return;
        }
        self.told.note(event);
        self.told.called |= matches!(event, ResponseEvent::Call { choice: 0, .. });
        if self.blocks.take(event) {
            self.start(out);
            self.pump(false, out);
        }
        if matches!(event, ResponseEvent::Finish { choice: 0, .. }) {
            self.pump(true, out);
        }
    }

    fn finish(&mut self, failure: Option<&Error>, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        if let Some(failure) = failure {
            return self.fail(failure, out);
        }
        self.over = true;
        self.start(out);
        self.pump(true, out);
        let delta = End { container: None, stop_details: None, stop_reason: self.told.reason(), stop_sequence: None };
        write(&Step::MessageDelta { delta, usage: self.told.tokens() }, out);
        write(&Step::MessageStop {}, out);
    }
}

fn begin(block: &Block) -> OutBlock {
    match &block.kind {
        Kind::Text => OutBlock::Text { citations: None, text: Raw::quoted("") },
        Kind::Thinking => OutBlock::Thinking { thinking: Raw::quoted(""), signature: Raw::quoted("") },
        Kind::Call { id, name, .. } => call(id, name, Raw::of(&serde_json::Map::new())),
    }
}

/// Tells what has not been told of a block yet.
fn tell(index: u32, block: &mut Block, out: &mut Vec<u8>) {
    if block.body.is_empty() {
        return;
    }
    let delta = match &block.kind {
        Kind::Text => Delta::Text { text: block.quoted() },
        Kind::Thinking => Delta::Thinking { thinking: block.quoted() },
        Kind::Call { .. } if block.is_plain() => Delta::InputJson { partial_json: block.quoted() },
        Kind::Call { .. } => Delta::InputJson { partial_json: Raw::quoted(arguments(&block.text()).get()) },
    };
    block.body.clear();
    write(&Step::ContentBlockDelta { index, delta }, out);
}

fn write(step: &Step<'_>, out: &mut Vec<u8>) {
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

    /// Each step of a stream in short: what it is, which block, and what it adds.
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
    fn calls_that_come_interleaved_are_told_one_after_the_other() {
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
    fn thoughts_end_in_a_signature_that_is_known_as_ours() {
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
    fn arguments_that_are_no_object_are_never_silently_none() {
        let events = [call(0), arguments(0, "not "), arguments(0, "json")];
        let told = r#"{"_invalid_json":"not json"}"#;
        assert!(String::from_utf8(response::write(&head(), &events)).unwrap().contains(told));
        assert!(steps(&streamed(&events, None)).contains(&format!("content_block_delta 0 {told}")));
        let cut = [call(0), arguments(0, "{\"a\":")];
        assert!(String::from_utf8(response::write(&head(), &cut)).unwrap().contains(r#"{"_invalid_json":"{\"a\":"}"#));
        assert!(String::from_utf8(response::write(&head(), &[call(0)])).unwrap().contains(r#""input":{}"#));
    }

    #[test]
    fn a_stream_that_fails_ends_in_an_error_and_in_nothing_else() {
        let failure = Error::upstream(529, "x", "Overloaded");
        let told = streamed(&[ResponseEvent::Text { choice: 0, text: Raw::quoted("a") }], Some(&failure));
        let end = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"},\"request_id\":null}\n\n";
        assert!(told.ends_with(end), "{told}");
        let text = ResponseEvent::Text { choice: 0, text: Raw::quoted("a") };
        assert_eq!(streamed(&[ResponseEvent::Failed(failure), text], None), end);
    }

    #[test]
    fn the_end_tells_all_tokens_with_those_of_the_cache() {
        let usage = Usage { uncached_input: 1, cache_read: 2, cache_write: 3, output: 4, ..Usage::default() };
        let told = streamed(&[ResponseEvent::Usage(usage)], None);
        let tokens = r#""usage":{"input_tokens":1,"cache_creation_input_tokens":3,"cache_read_input_tokens":2,"output_tokens":4,"output_tokens_details":null,"server_tool_use":null}"#;
        assert!(
            told.contains(&format!(r#""delta":{{"container":null,"stop_details":null,"stop_reason":"end_turn","stop_sequence":null}},{tokens}"#)),
            "{told}"
        );
        let told = streamed(&[ResponseEvent::Usage(Usage { cache_write_1h: 2, ..usage })], None);
        let creation = r#""cache_creation":{"ephemeral_5m_input_tokens":1,"ephemeral_1h_input_tokens":2},"#;
        assert!(told.contains(creation), "{told}");
    }
}

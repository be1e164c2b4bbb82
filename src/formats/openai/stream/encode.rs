//! Writes a stream of chunks for a client. Everything but the content is prepared once; content is copied as
//! it came.
//! Source: the OpenAI API reference, "The chat completion chunk object".

use super::super::errors;
use super::super::response::head::{ResponsePrefix, finish_reason, make_id, write_tier};
use super::super::wire::{DONE, WrittenUsage, single_line, write_json, write_number};
use crate::canonical::{FinishReason, Raw, ResponseEvent, Usage};
use crate::error::Error;
use crate::formats::client_format::ResponseHead;
use crate::formats::stream::{StreamEncoder, recovered_member};
use crate::wire::json::quote;

/// The end of a choice that neither finishes nor has log probabilities.
const UNFINISHED: &[u8] = b"},\"logprobs\":null,\"finish_reason\":null}]";

/// The beginning of an event's line.
const DATA: &[u8] = b"data: ";

/// The beginning of a tool call.
#[derive(Clone, Copy)]
struct CallStart<'a> {
    choice: u32,
    call: u32,
    id: &'a str,
    name: &'a str,
}

/// Writes a stream of chunks.
pub struct Encoder {
    head: ResponseHead,
    id: Option<String>,
    model: Option<String>,
    tier: Option<String>,
    usage: Option<Usage>,
    /// The beginning of a chunk, up to its choices; empty before the first chunk.
    prefix: Vec<u8>,
    /// The end of a chunk.
    suffix: &'static [u8],
    /// Choices whose first chunk, which names the role, has been written.
    started: Vec<u32>,
    /// Calls that have no arguments yet, as choice and call.
    without_arguments: Vec<(u32, u32)>,
    /// The usage chunk, held back if the cost is to be reported with it.
    held_usage: Option<Vec<u8>>,
    /// How the response went on that an attempt had left unfinished.
    recovered: Option<&'static str>,
    is_over: bool,
}

impl Encoder {
    /// A stream that has not begun.
    pub fn new(head: ResponseHead) -> Self {
        let suffix: &[u8] = if head.include_usage { b",\"usage\":null}\n\n" } else { b"}\n\n" };
        Self {
            head,
            id: None,
            model: None,
            tier: None,
            usage: None,
            prefix: Vec::new(),
            suffix,
            started: Vec::new(),
            without_arguments: Vec::new(),
            held_usage: None,
            recovered: None,
            is_over: false,
        }
    }

    /// Prepares the beginning of chunks.
    fn prepare_prefix(&mut self) {
        let id = self.id.take().unwrap_or_else(|| make_id(&self.head));
        let model = self.model.as_deref().unwrap_or(&self.head.model);
        self.prefix.extend_from_slice(DATA);
        let (created, fingerprint) = (self.head.created, self.head.fingerprint);
        ResponsePrefix { object: "chat.completion.chunk", id: &id, created, model, fingerprint }
            .write(&mut self.prefix);
        self.prefix.extend_from_slice(b",\"choices\":[");
    }

    /// Writes the beginning of a chunk, up to its choices.
    fn open_chunk(&mut self, out: &mut Vec<u8>) {
        if self.prefix.is_empty() {
            self.prepare_prefix();
        }
        out.extend_from_slice(&self.prefix);
    }

    /// Writes the first chunk of a choice, unless it has been written.
    fn start_choice(&mut self, choice: u32, out: &mut Vec<u8>) {
        if !self.started.contains(&choice) {
            self.started.push(choice);
            let role = b"\"role\":\"assistant\",\"content\":\"\",\"refusal\":null";
            self.write_delta(choice, &[role], out);
        }
    }

    /// Writes a chunk whose delta consists of these pieces of JSON.
    fn write_delta(&mut self, choice: u32, pieces: &[&[u8]], out: &mut Vec<u8>) {
        self.open_delta(choice, out);
        pieces.iter().for_each(|piece| out.extend_from_slice(piece));
        out.extend_from_slice(UNFINISHED);
        out.extend_from_slice(self.suffix);
    }

    /// Writes a chunk up to the contents of its delta.
    fn open_delta(&mut self, choice: u32, out: &mut Vec<u8>) {
        self.open_chunk(out);
        out.extend_from_slice(b"{\"index\":");
        write_number(u64::from(choice), out);
        out.extend_from_slice(b",\"delta\":{");
    }

    fn write_arguments(&mut self, choice: u32, call: u32, json: &Raw<'_>, out: &mut Vec<u8>) {
        self.open_delta(choice, out);
        out.extend_from_slice(b"\"tool_calls\":[{\"index\":");
        write_number(u64::from(call), out);
        out.extend_from_slice(b",\"function\":{\"arguments\":");
        out.extend_from_slice(json.get().as_bytes());
        out.extend_from_slice(b"}}]");
        out.extend_from_slice(UNFINISHED);
        out.extend_from_slice(self.suffix);
    }

    fn write_call(&mut self, start: CallStart<'_>, out: &mut Vec<u8>) {
        let CallStart { choice, call, id, name } = start;
        self.without_arguments.push((choice, call));
        let started = format!(
            "{{\"index\":{call},\"id\":{},\"type\":\"function\",\"function\":{{\"name\":{}",
            quote(id),
            quote(name)
        );
        let pieces: &[&[u8]] = &[b"\"tool_calls\":[", started.as_bytes(), b",\"arguments\":\"\"}}]"];
        self.write_delta(choice, pieces, out);
    }

    fn write_logprobs(&mut self, choice: u32, logprobs: &Raw<'_>, out: &mut Vec<u8>) {
        self.open_delta(choice, out);
        out.extend_from_slice(b"},\"logprobs\":");
        single_line(logprobs, out);
        out.extend_from_slice(b",\"finish_reason\":null}]");
        out.extend_from_slice(self.suffix);
    }

    fn write_finish(&mut self, choice: u32, reason: FinishReason, out: &mut Vec<u8>) {
        // Clients parse the arguments as JSON, so a call without arguments gets an empty object.
        while let Some(at) = self.without_arguments.iter().position(|(of, _)| *of == choice) {
            let (_, call) = self.without_arguments.remove(at);
            self.write_arguments(choice, call, &Raw::quoted("{}"), out);
        }
        self.open_delta(choice, out);
        out.extend_from_slice(b"},\"logprobs\":null,\"finish_reason\":\"");
        out.extend_from_slice(finish_reason(reason).as_bytes());
        out.extend_from_slice(b"\"}]");
        out.extend_from_slice(recovered_member(self.recovered).as_bytes());
        out.extend_from_slice(self.suffix);
    }

    /// Writes the chunk with the usage and the service tier.
    fn write_usage(&mut self, usage: Usage, out: &mut Vec<u8>) {
        self.open_chunk(out);
        out.extend_from_slice(b"]");
        write_tier(self.tier.as_deref(), out);
        out.extend_from_slice(b",\"usage\":");
        write_json(&WrittenUsage::from(usage), out);
        out.extend_from_slice(b"}\n\n");
    }

    fn write_failure(&mut self, failure: &Error, out: &mut Vec<u8>) {
        errors::write_event(failure, out);
        out.extend_from_slice(DONE);
        self.is_over = true;
    }

    /// Writes an event of a choice.
    fn choice_event(&mut self, choice: u32, event: &ResponseEvent<'_>, out: &mut Vec<u8>) {
        self.start_choice(choice, out);
        match event {
            ResponseEvent::Text { text, .. } => {
                self.write_delta(choice, &[b"\"content\":", text.get().as_bytes()], out)
            }
            ResponseEvent::Thinking { text, .. } => {
                self.write_delta(choice, &[b"\"reasoning_content\":", text.get().as_bytes()], out);
            }
            ResponseEvent::Call { call, id, name, .. } => {
                self.write_call(CallStart { choice, call: *call, id, name }, out);
            }
            ResponseEvent::Arguments { call, json, .. } if !json.is_blank() => {
                self.without_arguments.retain(|without_arguments| *without_arguments != (choice, *call));
                self.write_arguments(choice, *call, json, out);
            }
            ResponseEvent::Logprobs { logprobs, .. } => self.write_logprobs(choice, logprobs, out),
            ResponseEvent::Finish { reason, .. } => self.write_finish(choice, *reason, out),
            ResponseEvent::Start { .. }
            | ResponseEvent::Arguments { .. }
            | ResponseEvent::ReasoningState { .. }
            | ResponseEvent::Usage(_)
            | ResponseEvent::Tier(_)
            | ResponseEvent::Failed(_)
            | ResponseEvent::End => {}
        }
    }
}

impl StreamEncoder for Encoder {
    fn event(&mut self, event: &ResponseEvent<'_>, out: &mut Vec<u8>) {
        if self.is_over {
            return;
        }
        match event {
            ResponseEvent::Start { id, model } => {
                // Chunks that have been written fix the id and the model.
                self.id = id.as_deref().map(str::to_owned).or(self.id.take());
                self.model = model.as_deref().map(str::to_owned).or(self.model.take());
                self.start_choice(0, out);
            }
            ResponseEvent::Text { choice, .. }
            | ResponseEvent::Thinking { choice, .. }
            | ResponseEvent::Call { choice, .. }
            | ResponseEvent::Arguments { choice, .. }
            | ResponseEvent::Logprobs { choice, .. }
            | ResponseEvent::Finish { choice, .. } => self.choice_event(*choice, event, out),
            ResponseEvent::Usage(usage) => self.usage = Some(*usage),
            ResponseEvent::Tier(tier) => self.tier = Some(tier.clone().into_owned()),
            ResponseEvent::Failed(failure) => self.write_failure(failure, out),
            ResponseEvent::ReasoningState { .. } | ResponseEvent::End => {}
        }
    }

    fn finish(&mut self, failure: Option<&Error>, out: &mut Vec<u8>) {
        if self.is_over {
            return;
        }
        if let Some(failure) = failure {
            return self.write_failure(failure, out);
        }
        if let Some(usage) = self.usage.filter(|_| self.head.include_usage) {
            let mut chunk = Vec::new();
            self.write_usage(usage, &mut chunk);
            if self.head.include_cost {
                self.held_usage = chunk.strip_prefix(DATA).map(|chunk| chunk.trim_ascii_end().to_vec());
            } else {
                out.extend_from_slice(&chunk);
            }
        }
        out.extend_from_slice(DONE);
        self.is_over = true;
    }

    fn recovered(&mut self, how: &'static str) {
        self.recovered = Some(how);
    }

    fn withheld_usage(&self) -> Option<&[u8]> {
        self.held_usage.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(include_usage: bool) -> ResponseHead {
        ResponseHead { random: 7, created: 1, model: "m".into(), include_usage, ..ResponseHead::default() }
    }

    fn written(include_usage: bool, events: &[ResponseEvent<'_>], failure: Option<&Error>) -> String {
        let (mut stream, mut out) = (Encoder::new(head(include_usage)), Vec::new());
        events.iter().for_each(|event| stream.event(event, &mut out));
        stream.finish(failure, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn text(text: &str) -> ResponseEvent<'static> {
        ResponseEvent::Text { choice: 0, text: Raw::quoted(text) }
    }

    const STOP: ResponseEvent<'static> = ResponseEvent::Finish { choice: 0, reason: FinishReason::Stop };

    #[test]
    fn a_stream_is_what_the_format_says() {
        let usage = Usage {
            uncached_input: 1,
            cache_read: 2,
            cache_write: 4,
            cache_write_1h: 3,
            output: 3,
            reasoning: 1,
            ..Usage::default()
        };
        let start = ResponseEvent::Start { id: Some("x".into()), model: Some("y".into()) };
        let events = [start, text("a\"\n"), STOP, ResponseEvent::Usage(usage), ResponseEvent::End];
        let chunk = |choices: &str, rest: &str| {
            format!(
                "data: {{\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"y\",\"choices\":[{choices}]{rest}}}\n\n"
            )
        };
        let delta = |delta: &str, finish: &str| {
            format!("{{\"index\":0,\"delta\":{{{delta}}},\"logprobs\":null,\"finish_reason\":{finish}}}")
        };
        let frames = |rest: &str| {
            [
                chunk(&delta(r#""role":"assistant","content":"","refusal":null"#, "null"), rest),
                chunk(&delta(r#""content":"a\"\n""#, "null"), rest),
                chunk(&delta("", "\"stop\""), rest),
            ]
            .concat()
        };
        assert_eq!(written(false, &events, None), frames("") + "data: [DONE]\n\n");
        let usage = r#","usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10,"prompt_tokens_details":{"cached_tokens":2,"cache_write_tokens":4},"completion_tokens_details":{"reasoning_tokens":1}}"#;
        let whole = [frames(",\"usage\":null"), chunk("", usage), "data: [DONE]\n\n".into()].concat();
        assert_eq!(written(true, &events, None), whole);
        let (mut stream, mut out) = (Encoder::new(ResponseHead { include_cost: true, ..head(true) }), Vec::new());
        events.iter().for_each(|event| stream.event(event, &mut out));
        assert_eq!(stream.withheld_usage(), None);
        stream.finish(None, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), frames(",\"usage\":null") + "data: [DONE]\n\n");
        let held_usage = format!("data: {}\n\n", String::from_utf8_lossy(stream.withheld_usage().unwrap()));
        assert_eq!(held_usage, chunk("", usage));
    }

    #[test]
    fn a_call_without_arguments_has_an_empty_object_of_them() {
        let call = |call| ResponseEvent::Call { choice: 0, call, id: format!("c{call}").into(), name: "f".into() };
        let json = ResponseEvent::Arguments { choice: 0, call: 1, json: Raw::quoted("{\"a\":1}") };
        let written = written(
            false,
            &[call(0), call(1), json, ResponseEvent::Finish { choice: 0, reason: FinishReason::Calls }],
            None,
        );
        assert!(written.contains(
            r#""tool_calls":[{"index":0,"id":"c0","type":"function","function":{"name":"f","arguments":""}}]"#
        ));
        assert!(written.contains(r#"[{"index":0,"function":{"arguments":"{}"}}]"#), "{written}");
        assert!(!written.contains(r#"[{"index":1,"function":{"arguments":"{}"}}]"#));
        assert!(written.contains("\"finish_reason\":\"tool_calls\""));
    }

    #[test]
    fn a_failure_is_written_once() {
        let failure = Error::upstream(502, "stream_truncated", "cut");
        let once = |written: String| {
            assert_eq!((written.matches("\"error\"").count(), written.matches("[DONE]").count()), (1, 1), "{written}");
            assert!(written.ends_with("data: [DONE]\n\n"));
        };
        once(written(true, &[text("a")], Some(&failure)));
        once(written(true, &[text("a"), ResponseEvent::Failed(failure.clone()), text("b")], None));
        once(written(true, &[ResponseEvent::Failed(failure.clone()), ResponseEvent::End], Some(&failure)));
    }

    #[test]
    fn each_choice_has_its_own_number_and_role() {
        let second = ResponseEvent::Text { choice: 1, text: Raw::quoted("b") };
        let written = written(false, &[text("a"), second], None);
        assert_eq!(written.matches("\"role\"").count(), 2);
        assert!(written.contains("{\"index\":1,\"delta\":{\"content\":\"b\"}"));
    }
}

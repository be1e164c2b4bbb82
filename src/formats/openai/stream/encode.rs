//! Steps of an answer as the chunks of a stream. All but the words themselves is prepared once; they are copied as they came.
//! Source: the OpenAI API reference, "The chat completion chunk object".

use super::super::inbound;
use super::super::response::head::{finish_reason, id, open, tier};
use super::super::wire::{DONE, OutUsage, flat, json, number};
use crate::canonical::{FinishReason, Raw, ResponseEvent, Usage};
use crate::error::Error;
use crate::formats::{ResponseHead, StreamEncoder};
use crate::wire::json::quote;

/// What stands between a choice's delta and its reason to finish, if nothing else does.
const GOES_ON: &[u8] = b"},\"logprobs\":null,\"finish_reason\":null}]";

/// What a chunk's line begins with.
const DATA: &[u8] = b"data: ";

/// Writes a stream of chunks.
pub struct Encoder {
    head: ResponseHead,
    id: Option<String>,
    model: Option<String>,
    tier: Option<String>,
    usage: Option<Usage>,
    /// A chunk's beginning, up to the number of its choice; nothing before the first one.
    before: Vec<u8>,
    /// A chunk's end.
    after: &'static [u8],
    /// Choices whose first chunk, which names the role, was written.
    begun: Vec<u32>,
    /// Calls without arguments so far.
    bare: Vec<(u32, u32)>,
    /// The chunk that tells the usage, if the cost is to be told with it.
    kept: Option<Vec<u8>>,
    over: bool,
}

impl Encoder {
    /// A writer.
    pub fn new(head: ResponseHead) -> Self {
        let after: &[u8] = if head.include_usage { b",\"usage\":null}\n\n" } else { b"}\n\n" };
        Self {
            head,
            id: None,
            model: None,
            tier: None,
            usage: None,
            before: Vec::new(),
            after,
            begun: Vec::new(),
            bare: Vec::new(),
            kept: None,
            over: false,
        }
    }

    /// All of a chunk but its choices, which come next, and its end.
    fn prepare(&mut self) {
        let id = self.id.take().unwrap_or_else(|| id(&self.head));
        let model = self.model.as_deref().unwrap_or(&self.head.model);
        self.before.extend_from_slice(DATA);
        open(&mut self.before, "chat.completion.chunk", &id, self.head.created, model, self.head.fingerprint);
        self.before.extend_from_slice(b",\"choices\":[");
    }

    /// The beginning of a chunk, up to its choices.
    fn chunk(&mut self, out: &mut Vec<u8>) {
        if self.before.is_empty() {
            self.prepare();
        }
        out.extend_from_slice(&self.before);
    }

    /// The first chunk of a choice, if it was not written yet.
    fn begin(&mut self, choice: u32, out: &mut Vec<u8>) {
        if !self.begun.contains(&choice) {
            self.begun.push(choice);
            let role = b"\"role\":\"assistant\",\"content\":\"\",\"refusal\":null";
            self.delta(choice, &[role], out);
        }
    }

    /// A chunk whose delta consists of these pieces of JSON.
    fn delta(&mut self, choice: u32, pieces: &[&[u8]], out: &mut Vec<u8>) {
        self.choice(choice, out);
        pieces.iter().for_each(|piece| out.extend_from_slice(piece));
        out.extend_from_slice(GOES_ON);
        out.extend_from_slice(self.after);
    }

    /// A chunk up to the inside of its delta.
    fn choice(&mut self, choice: u32, out: &mut Vec<u8>) {
        self.chunk(out);
        out.extend_from_slice(b"{\"index\":");
        number(u64::from(choice), out);
        out.extend_from_slice(b",\"delta\":{");
    }

    fn arguments(&mut self, choice: u32, call: u32, json: &Raw<'_>, out: &mut Vec<u8>) {
        self.choice(choice, out);
        out.extend_from_slice(b"\"tool_calls\":[{\"index\":");
        number(u64::from(call), out);
        out.extend_from_slice(b",\"function\":{\"arguments\":");
        out.extend_from_slice(json.get().as_bytes());
        out.extend_from_slice(b"}}]");
        out.extend_from_slice(GOES_ON);
        out.extend_from_slice(self.after);
    }

    fn call(&mut self, choice: u32, call: u32, id: &str, name: &str, out: &mut Vec<u8>) {
        self.bare.push((choice, call));
        let begun = format!(
            "{{\"index\":{call},\"id\":{},\"type\":\"function\",\"function\":{{\"name\":{}",
            quote(id),
            quote(name)
        );
        let pieces: &[&[u8]] = &[b"\"tool_calls\":[", begun.as_bytes(), b",\"arguments\":\"\"}}]"];
        self.delta(choice, pieces, out);
    }

    fn logprobs(&mut self, choice: u32, logprobs: &Raw<'_>, out: &mut Vec<u8>) {
        self.choice(choice, out);
        out.extend_from_slice(b"},\"logprobs\":");
        flat(logprobs, out);
        out.extend_from_slice(b",\"finish_reason\":null}]");
        out.extend_from_slice(self.after);
    }

    fn end(&mut self, choice: u32, reason: FinishReason, out: &mut Vec<u8>) {
        // No arguments at all are no JSON, and clients parse them.
        while let Some(at) = self.bare.iter().position(|(of, _)| *of == choice) {
            let (_, call) = self.bare.remove(at);
            self.arguments(choice, call, &Raw::quoted("{}"), out);
        }
        self.choice(choice, out);
        out.extend_from_slice(b"},\"logprobs\":null,\"finish_reason\":\"");
        out.extend_from_slice(finish_reason(reason).as_bytes());
        out.extend_from_slice(b"\"}]");
        out.extend_from_slice(self.after);
    }

    /// The chunk that tells the usage, and how the request was served.
    fn tell(&mut self, usage: Usage, out: &mut Vec<u8>) {
        self.chunk(out);
        out.extend_from_slice(b"]");
        tier(self.tier.as_deref(), out);
        out.extend_from_slice(b",\"usage\":");
        json(&OutUsage::from(usage), out);
        out.extend_from_slice(b"}\n\n");
    }

    fn fail(&mut self, failure: &Error, out: &mut Vec<u8>) {
        inbound::error_event(failure, out);
        out.extend_from_slice(DONE);
        self.over = true;
    }

    /// What belongs to a choice.
    fn said(&mut self, choice: u32, event: &ResponseEvent<'_>, out: &mut Vec<u8>) {
        self.begin(choice, out);
        match event {
            ResponseEvent::Text { text, .. } => self.delta(choice, &[b"\"content\":", text.get().as_bytes()], out),
            ResponseEvent::Thinking { text, .. } => {
                self.delta(choice, &[b"\"reasoning_content\":", text.get().as_bytes()], out);
            }
            ResponseEvent::Call { call, id, name, .. } => self.call(choice, *call, id, name, out),
            ResponseEvent::Arguments { call, json, .. } if !json.is_blank() => {
                self.bare.retain(|bare| *bare != (choice, *call));
                self.arguments(choice, *call, json, out);
            }
            ResponseEvent::Logprobs { logprobs, .. } => self.logprobs(choice, logprobs, out),
            ResponseEvent::Finish { reason, .. } => self.end(choice, *reason, out),
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
        if self.over {
            return;
        }
        match event {
            ResponseEvent::Start { id, model } => {
                // Chunks that were written keep the rest to their words.
                self.id = id.as_deref().map(str::to_owned).or(self.id.take());
                self.model = model.as_deref().map(str::to_owned).or(self.model.take());
                self.begin(0, out);
            }
            ResponseEvent::Text { choice, .. }
            | ResponseEvent::Thinking { choice, .. }
            | ResponseEvent::Call { choice, .. }
            | ResponseEvent::Arguments { choice, .. }
            | ResponseEvent::Logprobs { choice, .. }
            | ResponseEvent::Finish { choice, .. } => self.said(*choice, event, out),
            ResponseEvent::Usage(usage) => self.usage = Some(*usage),
            ResponseEvent::Tier(tier) => self.tier = Some(tier.clone().into_owned()),
            ResponseEvent::Failed(failure) => self.fail(failure, out),
            ResponseEvent::ReasoningState { .. } | ResponseEvent::End => {}
        }
    }

    fn finish(&mut self, failure: Option<&Error>, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        if let Some(failure) = failure {
            return self.fail(failure, out);
        }
        if let Some(usage) = self.usage.filter(|_| self.head.include_usage) {
            let mut told = Vec::new();
            self.tell(usage, &mut told);
            if self.head.include_cost {
                self.kept = told.strip_prefix(DATA).map(|chunk| chunk.trim_ascii_end().to_vec());
            } else {
                out.extend_from_slice(&told);
            }
        }
        out.extend_from_slice(DONE);
        self.over = true;
    }

    fn kept_usage(&self) -> Option<&[u8]> {
        self.kept.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(include_usage: bool) -> ResponseHead {
        ResponseHead { random: 7, created: 1, model: "m".into(), include_usage, ..ResponseHead::default() }
    }

    fn told(include_usage: bool, events: &[ResponseEvent<'_>], failure: Option<&Error>) -> String {
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
        let usage =
            Usage { uncached_input: 1, cache_read: 2, cache_write: 4, cache_write_1h: 3, output: 3, reasoning: 1 };
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
        assert_eq!(told(false, &events, None), frames("") + "data: [DONE]\n\n");
        let usage = r#","usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10,"prompt_tokens_details":{"cached_tokens":2,"cache_write_tokens":4},"completion_tokens_details":{"reasoning_tokens":1}}"#;
        let whole = [frames(",\"usage\":null"), chunk("", usage), "data: [DONE]\n\n".into()].concat();
        assert_eq!(told(true, &events, None), whole);
        let (mut stream, mut out) = (Encoder::new(ResponseHead { include_cost: true, ..head(true) }), Vec::new());
        events.iter().for_each(|event| stream.event(event, &mut out));
        assert_eq!(stream.kept_usage(), None);
        stream.finish(None, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), frames(",\"usage\":null") + "data: [DONE]\n\n");
        let kept = format!("data: {}\n\n", String::from_utf8_lossy(stream.kept_usage().unwrap()));
        assert_eq!(kept, chunk("", usage));
    }

    #[test]
    fn a_call_without_arguments_has_an_empty_object_of_them() {
        let call = |call| ResponseEvent::Call { choice: 0, call, id: format!("c{call}").into(), name: "f".into() };
        let json = ResponseEvent::Arguments { choice: 0, call: 1, json: Raw::quoted("{\"a\":1}") };
        let told = told(
            false,
            &[call(0), call(1), json, ResponseEvent::Finish { choice: 0, reason: FinishReason::Calls }],
            None,
        );
        assert!(told.contains(
            r#""tool_calls":[{"index":0,"id":"c0","type":"function","function":{"name":"f","arguments":""}}]"#
        ));
        assert!(told.contains(r#"[{"index":0,"function":{"arguments":"{}"}}]"#), "{told}");
        assert!(!told.contains(r#"[{"index":1,"function":{"arguments":"{}"}}]"#));
        assert!(told.contains("\"finish_reason\":\"tool_calls\""));
    }

    #[test]
    fn a_failure_is_told_once() {
        let failure = Error::upstream(502, "stream_truncated", "cut");
        let once = |told: String| {
            assert_eq!((told.matches("\"error\"").count(), told.matches("[DONE]").count()), (1, 1), "{told}");
            assert!(told.ends_with("data: [DONE]\n\n"));
        };
        once(told(true, &[text("a")], Some(&failure)));
        once(told(true, &[text("a"), ResponseEvent::Failed(failure.clone()), text("b")], None));
        once(told(true, &[ResponseEvent::Failed(failure.clone()), ResponseEvent::End], Some(&failure)));
    }

    #[test]
    fn each_choice_has_its_own_number_and_role() {
        let second = ResponseEvent::Text { choice: 1, text: Raw::quoted("b") };
        let told = told(false, &[text("a"), second], None);
        assert_eq!(told.matches("\"role\"").count(), 2);
        assert!(told.contains("{\"index\":1,\"delta\":{\"content\":\"b\"}"));
    }
}

//! A provider's answer, whole or streamed, as steps; whatever habits the provider has.
//! Source: the OpenAI API reference, "Chat", and recorded traffic of those who speak it.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::calls::Calls;
use super::fields::{members, object, string, text};
use super::outbound::{in_spite, invalid};
use super::parts::thought;
use super::wire::{MOST, is_error, usage, words};
use crate::canonical::{FinishReason, Raw, ResponseEvent};
use crate::error::{Error, Result};
use crate::formats::tier::Served;
use crate::formats::{EventSink, StreamDecoder, oversized};
use crate::wire::list::Few;
use crate::wire::sse::{Block, Reader};

object! {
    /// A whole answer, or a chunk of one.
    Answer {
        id: "id",
        model: "model",
        error: "error",
        choices: "choices",
        usage: "usage",
        x_groq: "x_groq",
        tier: "service_tier",
    }
}

object! {
    ChoiceIn {
        index: "index",
        delta: "delta",
        message: "message",
        finish: "finish_reason",
        logprobs: "logprobs",
        error: "error",
    }
}

object! {
    /// A message, or a piece of one.
    Said {
        content: "content",
        refusal: "refusal",
        reasoning_content: "reasoning_content",
        reasoning: "reasoning",
        calls: "tool_calls",
        function_call: "function_call",
    }
}

object! {
    /// A part of content that is a list (Mistral).
    Part { text: "text", thinking: "thinking" }
}

/// Choices that are told apart; more are not listened to.
const CHOICES: usize = 128;

/// Reads a streamed answer.
#[derive(Default)]
pub(super) struct Stream {
    reader: Reader,
    state: State,
}

impl StreamDecoder for Stream {
    fn push(&mut self, bytes: &[u8], each: EventSink<'_>) {
        let state = &mut self.state;
        self.reader.push(bytes, &mut |block| state.block(block, each));
    }

    fn finish(&mut self, each: EventSink<'_>) {
        let broken_off = self.state.malformed;
        let state = &mut self.state;
        self.reader.finish(&mut |block| state.block(block, each));
        // A block that was cut is no event that could not be read.
        self.state.malformed = broken_off;
    }

    fn malformed(&self) -> u32 {
        self.state.malformed.saturating_add(self.reader.oversized())
    }
}

/// Reads a whole answer that came with a status of success.
///
/// # Errors
/// 502 if it is none, or an error in spite of its status.
pub(super) fn whole(body: &[u8], each: EventSink<'_>) -> Result<()> {
    let Ok(answer) = serde_json::from_slice::<Answer<'_>>(body) else {
        return Err(if is_error(body) { in_spite(body) } else { invalid("a body that is not a chat completion") });
    };
    if answer.error.is_some() {
        return Err(in_spite(body));
    }
    if answer.choices.is_none() {
        return Err(invalid("a body that has no choices"));
    }
    let mut state = State::default();
    let mut failure = None;
    let read = state.answer(&answer, body, &mut |event| match event {
        ResponseEvent::Failed(error) => failure = Some(error),
        event => each(event),
    });
    read.ok_or_else(|| invalid("a body that is not a chat completion"))?;
    failure.map_or(Ok(()), Err)?;
    each(ResponseEvent::End);
    Ok(())
}

/// What has been read so far.
#[derive(Default)]
struct State {
    id: bool,
    model: bool,
    served: Served,
    choices: Vec<(u32, Calls)>,
    malformed: u32,
    over: bool,
}

impl State {
    fn block(&mut self, block: Block<'_>, each: EventSink<'_>) {
        if block.oversized && !std::mem::replace(&mut self.over, true) {
            return each(ResponseEvent::Failed(oversized()));
        }
        let Some(data) = block.data.filter(|_| !self.over) else { return };
        if data.trim_ascii() == b"[DONE]" {
            self.over = true;
            return each(ResponseEvent::End);
        }
        let answer = serde_json::from_slice::<Answer<'_>>(data).ok();
        let read = answer.and_then(|answer| match answer.error {
            None => self.answer(&answer, data, each),
            Some(_) => None,
        });
        if read.is_some() {
            return;
        }
        if is_error(data) {
            self.over = true;
            return each(ResponseEvent::Failed(in_spite(data)));
        }
        self.malformed = self.malformed.saturating_add(1);
    }

    /// Reads an answer or a chunk; `None` if it is none.
    fn answer(&mut self, answer: &Answer<'_>, data: &[u8], each: EventSink<'_>) -> Option<()> {
        let choices: Few<ChoiceIn<'_>, MOST> = match answer.choices {
            Some(choices) => serde_json::from_str(choices.get()).ok()?,
            None => Few::default(),
        };
        self.start(answer, each);
        for choice in choices.iter() {
            self.choice(choice, data, each);
        }
        if let Some(usage) = usage(answer.usage, answer.x_groq) {
            each(ResponseEvent::Usage(usage));
        }
        Some(())
    }

    fn start(&mut self, answer: &Answer<'_>, each: EventSink<'_>) {
        let word = |raw: Option<&'_ RawValue>, known: bool| raw.filter(|raw| !known && raw.get() != "\"\"").is_some();
        let (has_id, has_model) = (word(answer.id, self.id), word(answer.model, self.model));
        if has_id || has_model {
            let id = answer.id.filter(|_| has_id).and_then(text);
            let model = answer.model.filter(|_| has_model).and_then(text);
            (self.id, self.model) = (self.id || id.is_some(), self.model || model.is_some());
            if id.is_some() || model.is_some() {
                each(ResponseEvent::Start { id, model });
            }
        }
        let words = words(answer.tier, answer.usage);
        if let Some(tier) = words.as_ref().and_then(|words| self.served.take(words)) {
            each(ResponseEvent::Tier(Cow::Borrowed(tier)));
        }
    }

    fn choice(&mut self, choice: &ChoiceIn<'_>, data: &[u8], each: EventSink<'_>) {
        if self.over {
            return;
        }
        let number = choice.index.and_then(|raw| raw.get().parse().ok()).unwrap_or(0);
        let Some(calls) = calls(&mut self.choices, number) else { return };
        if let Some(said) = members::<Said<'_>>(choice.delta.or(choice.message)) {
            tell(number, &said, each);
            calls.read(number, &said, data, each);
        }
        if let Some(logprobs) = choice.logprobs.map(Raw::from).filter(|raw| raw.get().starts_with('{')) {
            each(ResponseEvent::Logprobs { choice: number, logprobs });
        }
        match choice.finish.and_then(text).as_deref().map(reason) {
            Some(Some(reason)) => {
                let reason = calls.finish(number, reason, each);
                each(ResponseEvent::Finish { choice: number, reason });
            }
            Some(None) if choice.finish.is_some_and(|raw| raw.get() != "\"\"") => {
                self.over = true;
                each(ResponseEvent::Failed(failed(choice)));
            }
            _ => {}
        }
    }
}

/// Why an answer broke off that ends with a word for that.
fn failed(choice: &ChoiceIn<'_>) -> Error {
    if let Some(error) = choice.error {
        return in_spite(error.get().as_bytes());
    }
    let word = choice.finish.and_then(text).unwrap_or_default();
    Error::upstream(502, "upstream_error", format!("The provider broke the answer off: {word}."))
}

fn calls(choices: &mut Vec<(u32, Calls)>, number: u32) -> Option<&mut Calls> {
    let known = choices.iter().position(|(known, _)| *known == number);
    let at = match known {
        Some(at) => at,
        None if choices.len() >= CHOICES => return None,
        None => {
            choices.push((number, Calls::default()));
            choices.len() - 1
        }
    };
    choices.get_mut(at).map(|(_, calls)| calls)
}

/// The words of a message, or of a piece of one.
fn tell(choice: u32, said: &Said<'_>, each: EventSink<'_>) {
    let words = |raw: Option<&'_ RawValue>| raw.filter(|raw| raw.get() != "\"\"").is_some();
    // Some send both, and both the same.
    let thinking = if words(said.reasoning_content) { said.reasoning_content } else { said.reasoning };
    if let Some(text) = thinking.filter(|_| words(thinking)).and_then(string) {
        each(ResponseEvent::Thinking { choice, text });
    }
    let Some(content) = said.content.filter(|_| words(said.content)) else { return refused(choice, said, each) };
    if let Some(text) = string(content) {
        each(ResponseEvent::Text { choice, text });
    } else {
        let parts: Few<Part<'_>, MOST> = serde_json::from_str(content.get()).unwrap_or_default();
        for part in parts.iter() {
            if let Some(text) = part.thinking.and_then(thought).filter(|text| !text.is_blank()) {
                each(ResponseEvent::Thinking { choice, text });
            }
            if let Some(text) = part.text.and_then(string).filter(|text| !text.is_blank()) {
                each(ResponseEvent::Text { choice, text });
            }
        }
    }
    refused(choice, said, each);
}

fn refused(choice: u32, said: &Said<'_>, each: EventSink<'_>) {
    if let Some(text) = said.refusal.and_then(string).filter(|text| !text.is_blank()) {
        each(ResponseEvent::Text { choice, text });
    }
}

/// What a word for the end means; `None` if it is a failure, or no word.
fn reason(word: &str) -> Option<FinishReason> {
    match word {
        // DeepSeek, Z.ai, OpenRouter, vLLM.
        "" | "error" | "network_error" | "insufficient_system_resource" | "abort" => None,
        "length" | "max_tokens" | "model_length" | "MAX_TOKENS" => Some(FinishReason::Length),
        "tool_calls" | "function_call" | "tool_use" => Some(FinishReason::Calls),
        "content_filter" | "safety" | "sensitive" | "refusal" | "SAFETY" => Some(FinishReason::Filtered),
        _ => Some(FinishReason::Stop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The steps, each as a line.
    fn read(stream: &str) -> Vec<String> {
        let mut told = Vec::new();
        let mut each = |event: ResponseEvent<'_>| told.push(line(&event));
        let mut decode = Stream::default();
        decode.push(stream.as_bytes(), &mut each);
        decode.finish(&mut each);
        assert_eq!(decode.malformed(), 0);
        told
    }

    fn line(event: &ResponseEvent<'_>) -> String {
        match event {
            ResponseEvent::Start { id, model } => {
                format!("start {} {}", id.as_deref().unwrap_or("-"), model.as_deref().unwrap_or("-"))
            }
            ResponseEvent::Text { choice, text } => format!("text {choice} {text:?}"),
            ResponseEvent::Thinking { text, .. } => format!("thinking {text:?}"),
            ResponseEvent::Call { call, id, name, .. } => format!("call {call} {id} {name}"),
            ResponseEvent::Arguments { call, json, .. } => format!("arguments {call} {}", json.text().unwrap()),
            ResponseEvent::Finish { choice, reason } => format!("finish {choice} {reason:?}"),
            ResponseEvent::Usage(usage) => format!("usage {} {}", usage.prompt(), usage.output),
            ResponseEvent::Failed(error) => format!("failed {}", error.message()),
            other => format!("{other:?}"),
        }
    }

    fn choices(all: &[&str]) -> Vec<String> {
        read(&all.iter().map(|choice| format!("data: {{\"choices\":[{choice}]}}\n\n")).collect::<String>())
    }

    fn deltas(all: &[&str]) -> Vec<String> {
        choices(
            &all.iter()
                .map(|delta| format!("{{\"index\":0,\"delta\":{delta}}}"))
                .collect::<Vec<_>>()
                .iter()
                .map(String::as_str)
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn texts_of_all_habits() {
        assert_eq!(deltas(&[r#"{"role":"assistant","content":""}"#, r#"{"content":"a\n"}"#]), [r#"text 0 "a\n""#]);
        assert_eq!(
            deltas(&[r#"{"content":null,"reasoning_content":"h"}"#, r#"{"reasoning":"m","content":""}"#]),
            [r#"thinking "h""#, r#"thinking "m""#]
        );
        assert_eq!(deltas(&[r#"{"reasoning_content":"h","reasoning":"h"}"#]).len(), 1);
        let list =
            r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"t"}]},{"type":"text","text":"x"}]}"#;
        assert_eq!(deltas(&[list]), [r#"thinking "t""#, r#"text 0 "x""#]);
        assert_eq!(deltas(&[r#"{"refusal":"no"}"#]), [r#"text 0 "no""#]);
    }

    #[test]
    fn empty_things_and_odd_heads_are_passed_over() {
        let stream = ": OPENROUTER PROCESSING\r\n\r\ndata: {\"id\":\"\",\"model\":\"\",\"choices\":[],\"prompt_filter_results\":[]}\r\n\r\n\
            data: {\"id\":\"a\",\"model\":\"m\",\"service_tier\":\"\",\"choices\":[{\"delta\":{\"content\":\"x\"},\"finish_reason\":\"\"}]}\n\n\
            data: {\"id\":\"b\",\"model\":\"m\",\"choices\":null,\"usage\":null,\"x_groq\":{\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}}\n\n\
            data: {\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":2}}\n\ndata: [DONE]\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n";
        assert_eq!(read(stream), ["start a m", "text 0 \"x\"", "usage 3 2", "usage 4 2", "End"]);
    }

    #[test]
    fn reasons_of_all_habits() {
        let finish =
            |reason: &str| choices(&[&format!("{{\"delta\":{{}},\"finish_reason\":\"{reason}\"}}")]).pop().unwrap();
        for (word, meaning) in [
            ("stop", "Stop"),
            ("eos", "Stop"),
            ("length", "Length"),
            ("function_call", "Calls"),
            ("content_filter", "Filtered"),
        ] {
            assert_eq!(finish(word), format!("finish 0 {meaning}"));
        }
        assert!(finish("insufficient_system_resource").starts_with("failed"));
        let call = r#"{"delta":{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"stop"}"#;
        assert_eq!(choices(&[call]), ["call 0 c f", "arguments 0 {}", "finish 0 Calls"]);
    }

    #[test]
    fn several_choices_are_told_apart() {
        let told = choices(&[r#"{"index":1,"delta":{"content":"b"}}"#, r#"{"index":0,"delta":{"content":"a"}}"#]);
        assert_eq!(told, [r#"text 1 "b""#, r#"text 0 "a""#]);
    }

    #[test]
    fn an_error_ends_it() {
        let stream =
            "event: error\ndata: {\"error\":{\"message\":\"busy\",\"code\":503},\"choices\":7}\n\ndata: [DONE]\n\n";
        assert_eq!(read(stream), ["failed busy"]);
        assert_eq!(
            choices(&[r#"{"delta":{},"finish_reason":"error","error":{"message":"gone"}}"#, "{}"]),
            ["failed gone"]
        );
    }

    #[test]
    fn what_is_no_chunk_is_counted() {
        let mut decode = Stream::default();
        decode.push(b"data: {oops\n\ndata: [1]\n\ndata: {\"choices\":[1]}\n\ndata: {\"cho", &mut |_| panic!());
        decode.finish(&mut |_| panic!());
        assert_eq!(decode.malformed(), 3);
    }

    #[test]
    fn a_whole_answer_is_the_same_steps() {
        let body = br#"{"id":"x","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":null,"reasoning":"r",
            "tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":{"a":1}}}]},"finish_reason":"tool_calls"}],
            "usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
        let mut told = Vec::new();
        whole(body, &mut |event| told.push(line(&event))).unwrap();
        let expected = [
            "start x m",
            "thinking \"r\"",
            "call 0 c f",
            "arguments 0 {\"a\":1}",
            "finish 0 Calls",
            "usage 1 2",
            "End",
        ];
        assert_eq!(told, expected);
        for no_answer in ["{}", "[]", "<html>", r#"{"error":{"message":"no"}}"#, r#"{"choices":7}"#] {
            assert_eq!(whole(no_answer.as_bytes(), &mut |_| {}).unwrap_err().status(), 502, "{no_answer}");
        }
    }
}

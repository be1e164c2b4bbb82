//! A streamed answer of a provider's, read.

use super::super::outbound::in_spite;
use super::super::response::events::{Answer, State};
use super::super::wire::is_error;
use crate::canonical::ResponseEvent;
use crate::formats::{EventSink, StreamDecoder, oversized};
use crate::wire::sse::{Block, Reader};

/// Reads a streamed answer.
#[derive(Default)]
pub(crate) struct Decoder {
    reader: Reader,
    state: State,
}

impl StreamDecoder for Decoder {
    fn push(&mut self, bytes: &[u8], each: EventSink<'_>) {
        let state = &mut self.state;
        self.reader.push(bytes, &mut |block| self::block(state, block, each));
    }

    fn finish(&mut self, each: EventSink<'_>) {
        let broken_off = self.state.malformed;
        let state = &mut self.state;
        self.reader.finish(&mut |block| self::block(state, block, each));
        // A block that was cut is no event that could not be read.
        self.state.malformed = broken_off;
    }

    fn malformed(&self) -> u32 {
        self.state.malformed.saturating_add(self.reader.oversized())
    }
}

/// Takes an event of the stream.
fn block(state: &mut State, block: Block<'_>, each: EventSink<'_>) {
    if block.oversized && !std::mem::replace(&mut state.over, true) {
        return each(ResponseEvent::Failed(oversized()));
    }
    let Some(data) = block.data.filter(|_| !state.over) else { return };
    if data.trim_ascii() == b"[DONE]" {
        state.over = true;
        return each(ResponseEvent::End);
    }
    let answer = serde_json::from_slice::<Answer<'_>>(data).ok();
    let read = answer.and_then(|answer| match answer.error {
        None => state.answer(&answer, data, each),
        Some(_) => None,
    });
    if read.is_some() {
        return;
    }
    if is_error(data) {
        state.over = true;
        return each(ResponseEvent::Failed(in_spite(data)));
    }
    state.malformed = state.malformed.saturating_add(1);
}

#[cfg(test)]
mod tests {
    use super::super::super::response;
    use super::*;

    /// The steps, each as a line.
    fn read(stream: &str) -> Vec<String> {
        let mut told = Vec::new();
        let mut each = |event: ResponseEvent<'_>| told.push(line(&event));
        let mut decode = Decoder::default();
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
        let mut decode = Decoder::default();
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
        response::read(body, &mut |event| told.push(line(&event))).unwrap();
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
            assert_eq!(response::read(no_answer.as_bytes(), &mut |_| {}).unwrap_err().status(), 502, "{no_answer}");
        }
    }
}

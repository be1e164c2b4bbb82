//! Reads a provider's stream of chunks.

use super::super::errors::{is_unnamed_error, read_in_success};
use super::super::response::events::{ChatEventReader, ResponseFields};
use super::super::wire::{is_error, says_error};
use crate::canonical::ResponseEvent;
use crate::formats::stream::{EventSink, StreamDecoder, oversized};
use crate::wire::sse::{Block, SseReader};

/// Reads a streamed response.
#[derive(Default)]
pub(crate) struct Decoder {
    reader: SseReader,
    state: ChatEventReader,
}

impl StreamDecoder for Decoder {
    fn push(&mut self, bytes: &[u8], emit: EventSink<'_>) {
        let state = &mut self.state;
        self.reader.push(bytes, &mut |block| read_block(state, block, emit));
    }

    fn finish(&mut self, emit: EventSink<'_>) {
        let malformed = self.state.malformed;
        let state = &mut self.state;
        self.reader.finish(&mut |block| read_block(state, block, emit));
        // A block that was cut off does not count as malformed.
        self.state.malformed = malformed;
    }

    fn malformed(&self) -> u32 {
        self.state.malformed.saturating_add(self.reader.oversized())
    }
}

/// Reads an event of the stream.
fn read_block(state: &mut ChatEventReader, block: Block<'_>, emit: EventSink<'_>) {
    if block.oversized && !std::mem::replace(&mut state.is_over, true) {
        return emit(ResponseEvent::Failed(oversized()));
    }
    let Some(data) = block.data.filter(|_| !state.is_over) else { return };
    if data.trim_ascii() == b"[DONE]" {
        state.is_over = true;
        return state.end(emit);
    }
    let response = serde_json::from_slice::<ResponseFields<'_>>(data).ok();
    let is_bare = |response: &ResponseFields<'_>| response.choices.or(response.usage).or(response.x_groq).is_none();
    let is_unnamed = response.as_ref().is_some_and(is_bare) && is_unnamed_error(data);
    let read = response.filter(|_| !is_unnamed).and_then(|response| match response.error.filter(|it| says_error(it)) {
        None => state.read_response(&response, data, emit),
        Some(_) => None,
    });
    if read.is_some() {
        return;
    }
    if is_unnamed || is_error(data) {
        state.is_over = true;
        return emit(ResponseEvent::Failed(read_in_success(data)));
    }
    state.malformed = state.malformed.saturating_add(1);
}

#[cfg(test)]
mod tests {
    use super::super::super::response;
    use super::*;

    /// The events of a stream, each as a line.
    fn read(stream: &str) -> Vec<String> {
        let mut events = Vec::new();
        let mut emit = |event: ResponseEvent<'_>| events.push(line(&event));
        let mut decode = Decoder::default();
        decode.push(stream.as_bytes(), &mut emit);
        decode.finish(&mut emit);
        assert_eq!(decode.malformed(), 0);
        events
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
    fn texts_of_all_providers() {
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
    fn empty_fields_and_odd_chunks_are_skipped() {
        let stream = ": OPENROUTER PROCESSING\r\n\r\ndata: {\"id\":\"\",\"model\":\"\",\"choices\":[],\"prompt_filter_results\":[]}\r\n\r\n\
            data: {\"id\":\"a\",\"model\":\"m\",\"service_tier\":\"\",\"choices\":[{\"delta\":{\"content\":\"x\"},\"finish_reason\":\"\"}]}\n\n\
            data: {\"id\":\"b\",\"model\":\"m\",\"choices\":null,\"usage\":null,\"x_groq\":{\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}}\n\n\
            data: {\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":2}}\n\ndata: [DONE]\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n";
        assert_eq!(read(stream), ["start a m", "text 0 \"x\"", "usage 3 2", "usage 4 2", "finish 0 Stop", "End"]);
    }

    #[test]
    fn finish_reasons_of_all_providers() {
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
    fn an_end_marker_ends_choices_without_a_finish_reason_and_a_cut_does_not() {
        let text = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
        let call = "data: {\"choices\":[{\"index\":\"1\",\"delta\":{\"tool_calls\":[{\"id\":\"c\",\"function\":{\"name\":\"f\"}}]}}]}\n\n";
        let role = "data: {\"choices\":[{\"index\":2,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
        let events = read(&[text, call, role, "data: [DONE]\n\n"].concat());
        assert_eq!(events, ["text 0 \"a\"", "call 0 c f", "finish 0 Stop", "finish 1 Calls", "End"]);
        assert_eq!(read(text), ["text 0 \"a\""]);
        assert_eq!(read(&[role, "data: [DONE]\n\n"].concat()), ["End"]);
    }

    #[test]
    fn several_choices_are_kept_apart() {
        let events = choices(&[r#"{"index":1,"delta":{"content":"b"}}"#, r#"{"index":0,"delta":{"content":"a"}}"#]);
        assert_eq!(events, [r#"text 1 "b""#, r#"text 0 "a""#]);
    }

    #[test]
    fn an_error_ends_the_stream() {
        let stream =
            "event: error\ndata: {\"error\":{\"message\":\"busy\",\"code\":503},\"choices\":7}\n\ndata: [DONE]\n\n";
        assert_eq!(read(stream), ["failed busy"]);
        assert_eq!(
            choices(&[r#"{"delta":{},"finish_reason":"error","error":{"message":"gone"}}"#, "{}"]),
            ["failed gone"]
        );
    }

    #[test]
    fn malformed_chunks_are_counted() {
        let mut decode = Decoder::default();
        decode.push(b"data: {oops\n\ndata: [1]\n\ndata: {\"choices\":[1]}\n\ndata: {\"cho", &mut |_| panic!());
        decode.finish(&mut |_| panic!());
        assert_eq!(decode.malformed(), 3);
    }

    #[test]
    fn a_whole_response_gives_the_same_events() {
        let body = br#"{"id":"x","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":null,"reasoning":"r",
            "tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":{"a":1}}}]},"finish_reason":"tool_calls"}],
            "usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
        let mut events = Vec::new();
        response::read(body, &mut |event| events.push(line(&event))).unwrap();
        let expected = [
            "start x m",
            "thinking \"r\"",
            "call 0 c f",
            "arguments 0 {\"a\":1}",
            "finish 0 Calls",
            "usage 1 2",
            "End",
        ];
        assert_eq!(events, expected);
        for no_answer in ["{}", "[]", "<html>", r#"{"error":{"message":"no"}}"#, r#"{"choices":7}"#] {
            assert_eq!(response::read(no_answer.as_bytes(), &mut |_| {}).unwrap_err().status(), 502, "{no_answer}");
        }
    }
}

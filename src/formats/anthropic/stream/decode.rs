//! A streamed answer, read however it is cut.
//! Source: <https://docs.anthropic.com/en/docs/build-with-claude/streaming>.

use super::super::errors::in_spite;
use super::super::response::events::{Told, finish, text, thinking};
use super::super::wire::json::{inside, object};
use super::super::wire::response::{Said, Step};
use crate::canonical::{Raw, ResponseEvent};
use crate::formats::{EventSink, StreamDecoder, oversized};
use crate::wire::sse::{Block, Reader};

/// Blocks that are open at one time; more are not listened to.
const BLOCKS: usize = 512;

/// Thoughts longer than this are told, but not kept for the provider, in bytes.
const THOUGHTS: usize = 4 << 20;

/// Reads a streamed answer.
#[derive(Default)]
pub(crate) struct Decoder {
    reader: Reader,
    state: State,
}

/// What has been read of a streamed answer.
#[derive(Default)]
pub(crate) struct State {
    told: Told,
    open: Vec<Open>,
    /// A block has begun, of whatever kind.
    pub(crate) begun: bool,
    pub(crate) malformed: u32,
}

/// A block that has begun.
struct Open {
    index: u64,
    kind: Kind,
}

enum Kind {
    Text,
    /// The insides of two JSON strings.
    Thinking {
        thinking: String,
        signature: String,
    },
    Call {
        call: u32,
        /// What the start of the block gave as its whole input, until a piece comes.
        input: Option<Raw<'static>>,
    },
    /// What servers did on their own.
    Other,
}

impl StreamDecoder for Decoder {
    fn push(&mut self, bytes: &[u8], each: EventSink<'_>) {
        let Self { reader, state } = self;
        reader.push(bytes, &mut |block| state.take(block, each));
    }

    fn finish(&mut self, each: EventSink<'_>) {
        let Self { reader, state } = self;
        reader.finish(&mut |block| state.take(block, each));
    }

    fn malformed(&self) -> u32 {
        self.state.malformed.saturating_add(self.reader.oversized())
    }
}

impl State {
    /// Takes an event.
    pub(crate) fn take(&mut self, block: Block<'_>, each: EventSink<'_>) {
        if block.oversized {
            each(ResponseEvent::Failed(oversized()));
        }
        let Some(data) = block.data.filter(|data| !data.is_empty()) else { return };
        match object::<Step<'_>>(data) {
            Some(step) => self.step(&step, data, each),
            None => self.malformed = self.malformed.saturating_add(1),
        }
    }

    fn step(&mut self, step: &Step<'_>, data: &[u8], each: EventSink<'_>) {
        match step.kind.as_ref() {
            "message_start" => {
                let Some(message) = step.message.as_ref().and_then(|raw| object(raw.get().as_bytes())) else {
                    self.malformed = self.malformed.saturating_add(1);
                    return;
                };
                self.told.start(&message, each);
                self.told.usage(message.usage.as_ref(), each);
            }
            "content_block_start" => self.open(step, each),
            "content_block_delta" => self.delta(step, each),
            "content_block_stop" => self.close(step.index, each),
            "message_delta" => {
                self.told.usage(step.usage.as_ref(), each);
                let said = step.delta.as_ref().and_then(|raw| object::<Said<'_>>(raw.get().as_bytes()));
                if let Some(reason) = said.and_then(|said| said.stop_reason) {
                    each(ResponseEvent::Finish { choice: 0, reason: finish(&reason) });
                }
            }
            "message_stop" => each(ResponseEvent::End),
            "error" => each(ResponseEvent::Failed(in_spite(data))),
            // `ping`, and what is not known yet.
            _ => {}
        }
    }

    fn open(&mut self, step: &Step<'_>, each: EventSink<'_>) {
        self.begun = true;
        let said = step.content_block.as_ref().and_then(|raw| object::<Said<'_>>(raw.get().as_bytes()));
        let (Some(said), Some(raw)) = (said, &step.content_block) else {
            self.malformed = self.malformed.saturating_add(1);
            return;
        };
        let kind = match said.kind.as_ref() {
            "text" => {
                text(said.text.as_ref(), each);
                Kind::Text
            }
            "thinking" => {
                thinking(said.thinking.as_ref(), each);
                let inside = |raw: Option<&Raw<'_>>| raw.map(inside).unwrap_or_default().to_owned();
                Kind::Thinking { thinking: inside(said.thinking.as_ref()), signature: inside(said.signature.as_ref()) }
            }
            "redacted_thinking" => {
                self.told.keep(raw.get());
                Kind::Other
            }
            "tool_use" => {
                let call = self.told.call(&said, each);
                Kind::Call { call, input: said.input.filter(|input| !input.is_blank()).map(|input| input.owned()) }
            }
            _ => Kind::Other,
        };
        self.open.retain(|open| open.index != step.index);
        if self.open.len() < BLOCKS {
            self.open.push(Open { index: step.index, kind });
        }
    }

    fn delta(&mut self, step: &Step<'_>, each: EventSink<'_>) {
        let Some(said) = step.delta.as_ref().and_then(|raw| object::<Said<'_>>(raw.get().as_bytes())) else {
            self.malformed = self.malformed.saturating_add(1);
            return;
        };
        let Some(open) = self.open.iter_mut().find(|open| open.index == step.index) else { return };
        match (said.kind.as_ref(), &mut open.kind) {
            ("text_delta", Kind::Text) => text(said.text.as_ref(), each),
            ("thinking_delta", Kind::Thinking { thinking: whole, .. }) => {
                keep(whole, said.thinking.as_ref());
                thinking(said.thinking.as_ref(), each);
            }
            ("signature_delta", Kind::Thinking { signature, .. }) => keep(signature, said.signature.as_ref()),
            ("input_json_delta", Kind::Call { call, input }) => {
                if let Some(json) = said.partial_json.filter(|json| !inside(json).is_empty()) {
                    *input = None;
                    each(ResponseEvent::Arguments { choice: 0, call: *call, json });
                }
            }
            // Citations, and what belongs to blocks that are not told.
            _ => {}
        }
    }

    fn close(&mut self, index: u64, each: EventSink<'_>) {
        let Some(at) = self.open.iter().position(|open| open.index == index) else { return };
        match self.open.swap_remove(at).kind {
            Kind::Thinking { thinking, signature } => {
                let block = format!(r#"{{"type":"thinking","thinking":"{thinking}","signature":"{signature}"}}"#);
                self.told.keep(&block);
            }
            Kind::Call { call, input: Some(input) } => {
                each(ResponseEvent::Arguments { choice: 0, call, json: Raw::quoted(input.get()) });
            }
            Kind::Text | Kind::Call { .. } | Kind::Other => {}
        }
    }
}

/// Adds a piece to what is kept of a thought, unless that is long already: half of one is worth nothing, and its signature says so.
fn keep(kept: &mut String, piece: Option<&Raw<'_>>) {
    if kept.len() <= THOUGHTS {
        kept.push_str(piece.map(inside).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canonical::Usage;

    fn told(data: &[&str]) -> Vec<String> {
        let mut events = Vec::new();
        let mut stream = Decoder::default();
        for data in data {
            stream
                .push(format!("event: x\ndata: {data}\n\n").as_bytes(), &mut |event| events.push(format!("{event:?}")));
        }
        events
    }

    #[test]
    fn a_signature_without_words_goes_back_with_the_call() {
        let events = told(&[
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"a\/b"}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}"#,
        ]);
        let memory = r#"ReasoningState { id: "t", memory: [{"type":"thinking","thinking":"","signature":"a\/b"}] }"#;
        assert_eq!(events, [r#"Call { choice: 0, call: 0, id: "t", name: "f" }"#, memory]);
    }

    #[test]
    fn tokens_are_the_last_that_were_said_and_never_a_sum() {
        let events = told(&[
            r#"{"type":"message_start","message":{"usage":{"input_tokens":10,"cache_read_input_tokens":4,"output_tokens":1}}}"#,
            r#"{"type":"ping"}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":10,"cache_read_input_tokens":4,"output_tokens":9}}"#,
        ]);
        let usage = |output| {
            format!(
                "{:?}",
                ResponseEvent::Usage(Usage { uncached_input: 10, cache_read: 4, output, ..Usage::default() })
            )
        };
        assert_eq!(events[1..], [usage(1), usage(9), "Finish { choice: 0, reason: Stop }".to_owned()]);
    }

    fn tokens(usages: &[&str]) -> Usage {
        let mut last = None;
        let mut stream = Decoder::default();
        for (at, usage) in usages.iter().map(|usage| usage.replace('\n', "")).enumerate() {
            let data = match at {
                0 => format!(r#"{{"type":"message_start","message":{{"usage":{usage}}}}}"#),
                _ => format!(r#"{{"type":"message_delta","delta":{{}},"usage":{usage}}}"#),
            };
            let mut note = |event: ResponseEvent<'_>| {
                if let ResponseEvent::Usage(usage) = event {
                    last = Some(usage);
                }
            };
            stream.push(format!("data: {data}\n\n").as_bytes(), &mut note);
        }
        last.unwrap()
    }

    const START: &str = r#"{"input_tokens":10,"cache_read_input_tokens":4,"cache_creation_input_tokens":9,"output_tokens":1,
        "cache_creation":{"ephemeral_5m_input_tokens":2,"ephemeral_1h_input_tokens":7}}"#;
    const STARTED: Usage =
        Usage { uncached_input: 10, cache_read: 4, cache_write: 9, cache_write_1h: 7, output: 1, reasoning: 0 };

    #[test]
    fn pain_7_tokens_of_the_cache_are_counted_once_whether_they_are_repeated_or_left_out() {
        assert_eq!(tokens(&[START]), STARTED);
        assert_eq!(tokens(&[START, r#"{"output_tokens":30}"#]), Usage { output: 30, ..STARTED });
        let repeated =
            r#"{"input_tokens":10,"cache_read_input_tokens":4,"cache_creation_input_tokens":9,"output_tokens":30}"#;
        assert_eq!(tokens(&[START, repeated]), Usage { output: 30, ..STARTED });
        let nulls = r#"{"input_tokens":null,"cache_read_input_tokens":null,"cache_creation_input_tokens":null,"cache_creation":null,"output_tokens":30}"#;
        assert_eq!(tokens(&[START, nulls]), Usage { output: 30, ..STARTED });
        assert_eq!(tokens(&[START, START, START]), STARTED);
    }

    #[test]
    fn what_the_end_corrects_is_what_counts() {
        let late = [r#"{"input_tokens":0,"output_tokens":0}"#, START];
        assert_eq!(tokens(&late), STARTED);
        let less =
            r#"{"input_tokens":3,"cache_read_input_tokens":20,"cache_creation_input_tokens":5,"output_tokens":30}"#;
        let corrected = Usage {
            uncached_input: 3,
            cache_read: 20,
            cache_write: 5,
            cache_write_1h: 5,
            output: 30,
            ..Usage::default()
        };
        assert_eq!(tokens(&[START, less]), corrected);
        let grown = r#"{"output_tokens":5,"output_tokens_details":{"thinking_tokens":3}}"#;
        let more = r#"{"output_tokens":30,"output_tokens_details":{"thinking_tokens":20}}"#;
        assert_eq!(tokens(&[START, grown, more]), Usage { output: 30, reasoning: 20, ..STARTED });
    }

    #[test]
    fn writes_that_are_told_by_their_time_alone_are_writes() {
        let split = r#"{"cache_creation":{"ephemeral_1h_input_tokens":7,"ephemeral_5m_input_tokens":2}}"#;
        assert_eq!(tokens(&[split]), Usage { cache_write: 9, cache_write_1h: 7, ..Usage::default() });
        assert_eq!(tokens(&[r#"{"cache_creation_input_tokens":9,"cache_creation":{}}"#]).cache_write, 9);
        let too_many = r#"{"cache_creation_input_tokens":3,"cache_creation":{"ephemeral_1h_input_tokens":7}}"#;
        assert_eq!(tokens(&[too_many]), Usage { cache_write: 3, cache_write_1h: 3, ..Usage::default() });
    }

    #[test]
    fn a_failure_in_the_middle_has_the_status_that_it_deserves() {
        let mut status = 0;
        Decoder::default().push(
            b"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n",
            &mut |event| if let ResponseEvent::Failed(error) = event { status = error.status() },
        );
        assert_eq!(status, 529);
    }

    #[test]
    fn input_that_comes_whole_is_told_once() {
        let start = r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t","name":"f","input":{"a":1}}}"#;
        let stop = r#"{"type":"content_block_stop","index":1}"#;
        let piece =
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{}"}}"#;
        let arguments =
            |events: Vec<String>| events.into_iter().filter(|event| event.starts_with("Arg")).collect::<Vec<_>>();
        assert_eq!(arguments(told(&[start, stop])), [r#"Arguments { choice: 0, call: 0, json: "{\"a\":1}" }"#]);
        assert_eq!(arguments(told(&[start, piece, stop])), [r#"Arguments { choice: 0, call: 0, json: "{}" }"#]);
    }
}

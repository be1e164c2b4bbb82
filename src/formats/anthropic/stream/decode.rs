//! Reads a provider's streamed message, however its bytes are cut.
//! Source: <https://docs.anthropic.com/en/docs/build-with-claude/streaming>.

use super::super::errors::{is_any_error, read_in_success};
use super::super::response::events::{EventReader, emit_text, emit_thinking, finish_reason};
use super::super::wire::json::{escaped_text, object};
use super::super::wire::response::{BlockFields, EventFields};
use crate::canonical::{Raw, ResponseEvent};
use crate::formats::stream::{EventSink, StreamDecoder, oversized};
use crate::wire::sse::{Block, SseReader};

/// The most blocks that may be open at a time; further ones are ignored.
const MAX_OPEN_BLOCKS: usize = 512;

/// Thinking longer than this, in bytes, is emitted but not kept for the provider.
const MAX_KEPT_THINKING: usize = 4 << 20;

/// Reads a streamed message.
#[derive(Default)]
pub(crate) struct Decoder {
    reader: SseReader,
    state: DecoderState,
}

/// What has been read of a streamed message.
#[derive(Default)]
pub(crate) struct DecoderState {
    reader: EventReader,
    open: Vec<OpenBlock>,
    pub(crate) begun: bool,
    pub(crate) malformed: u32,
}

/// An open block.
struct OpenBlock {
    index: u64,
    kind: OpenBlockKind,
}

enum OpenBlockKind {
    Text,
    /// The contents of two JSON strings, still escaped.
    Thinking {
        thinking: String,
        signature: String,
    },
    Call {
        call: u32,
        /// The whole input, if the start of the block gave it; dropped when a piece comes.
        input: Option<Raw<'static>>,
    },
    /// Tools that run on Anthropic's servers.
    Other,
}

impl StreamDecoder for Decoder {
    fn push(&mut self, bytes: &[u8], emit: EventSink<'_>) {
        let Self { reader, state } = self;
        reader.push(bytes, &mut |block| state.take(block, emit));
    }

    fn finish(&mut self, emit: EventSink<'_>) {
        let Self { reader, state } = self;
        reader.finish(&mut |block| state.take(block, emit));
    }

    fn malformed(&self) -> u32 {
        self.state.malformed.saturating_add(self.reader.oversized())
    }
}

impl DecoderState {
    /// Reads an event.
    pub(crate) fn take(&mut self, block: Block<'_>, emit: EventSink<'_>) {
        if block.oversized {
            emit(ResponseEvent::Failed(oversized()));
        }
        let Some(data) = block.data.filter(|data| !data.is_empty()) else { return };
        match object::<EventFields<'_>>(data) {
            Some(event) => self.event(&event, data, emit),
            None => self.malformed = self.malformed.saturating_add(1),
        }
    }

    fn event(&mut self, event: &EventFields<'_>, data: &[u8], emit: EventSink<'_>) {
        match event.kind.as_ref() {
            "message_start" => {
                let Some(message) = event.message.as_ref().and_then(|raw| object(raw.get().as_bytes())) else {
                    self.malformed = self.malformed.saturating_add(1);
                    return;
                };
                self.reader.start(&message, emit);
                self.reader.usage(message.usage.as_ref(), emit);
            }
            "content_block_start" => self.open(event, emit),
            "content_block_delta" => self.delta(event, emit),
            "content_block_stop" => self.close(event.index, emit),
            "message_delta" => {
                self.reader.usage(event.usage.as_ref(), emit);
                let fields = event.delta.as_ref().and_then(|raw| object::<BlockFields<'_>>(raw.get().as_bytes()));
                if let Some(reason) = fields.and_then(|fields| fields.stop_reason) {
                    emit(ResponseEvent::Finish { choice: 0, reason: finish_reason(&reason) });
                }
            }
            "message_stop" => emit(ResponseEvent::End),
            "error" => emit(ResponseEvent::Failed(read_in_success(data))),
            // `ping`, unknown events, and errors of hosts that only resemble Anthropic.
            "" if is_any_error(data) => emit(ResponseEvent::Failed(read_in_success(data))),
            _ => {}
        }
    }

    fn open(&mut self, event: &EventFields<'_>, emit: EventSink<'_>) {
        self.begun = true;
        let fields = event.content_block.as_ref().and_then(|raw| object::<BlockFields<'_>>(raw.get().as_bytes()));
        let (Some(fields), Some(raw)) = (fields, &event.content_block) else {
            self.malformed = self.malformed.saturating_add(1);
            return;
        };
        let kind = match fields.kind.as_ref() {
            "text" => {
                emit_text(fields.text.as_ref(), emit);
                OpenBlockKind::Text
            }
            "thinking" => {
                emit_thinking(fields.thinking.as_ref(), emit);
                let escaped_text = |raw: Option<&Raw<'_>>| raw.map(escaped_text).unwrap_or_default().to_owned();
                OpenBlockKind::Thinking {
                    thinking: escaped_text(fields.thinking.as_ref()),
                    signature: escaped_text(fields.signature.as_ref()),
                }
            }
            "redacted_thinking" => {
                self.reader.keep_thinking(raw.get());
                OpenBlockKind::Other
            }
            "tool_use" => {
                let call = self.reader.call(&fields, emit);
                OpenBlockKind::Call {
                    call,
                    input: fields.input.filter(|input| !input.is_blank()).map(|input| input.owned()),
                }
            }
            _ => OpenBlockKind::Other,
        };
        self.open.retain(|open| open.index != event.index);
        if self.open.len() < MAX_OPEN_BLOCKS {
            self.open.push(OpenBlock { index: event.index, kind });
        }
    }

    /// Opens a block that only its deltas tell of: some hosts leave its start out. A call cannot be without a name.
    fn open_unannounced(&mut self, index: u64, delta: &str) {
        let kind = match delta {
            "text_delta" => OpenBlockKind::Text,
            "thinking_delta" => OpenBlockKind::Thinking { thinking: String::new(), signature: String::new() },
            _ => return,
        };
        self.begun = true;
        if self.open.len() < MAX_OPEN_BLOCKS {
            self.open.push(OpenBlock { index, kind });
        }
    }

    fn delta(&mut self, event: &EventFields<'_>, emit: EventSink<'_>) {
        let Some(fields) = event.delta.as_ref().and_then(|raw| object::<BlockFields<'_>>(raw.get().as_bytes())) else {
            self.malformed = self.malformed.saturating_add(1);
            return;
        };
        if self.open.iter().all(|open| open.index != event.index) {
            self.open_unannounced(event.index, fields.kind.as_ref());
        }
        let Some(open) = self.open.iter_mut().find(|open| open.index == event.index) else { return };
        match (fields.kind.as_ref(), &mut open.kind) {
            ("text_delta", OpenBlockKind::Text) => emit_text(fields.text.as_ref(), emit),
            ("thinking_delta", OpenBlockKind::Thinking { thinking: whole, .. }) => {
                append(whole, fields.thinking.as_ref());
                emit_thinking(fields.thinking.as_ref(), emit);
            }
            ("signature_delta", OpenBlockKind::Thinking { signature, .. }) => {
                append(signature, fields.signature.as_ref())
            }
            ("input_json_delta", OpenBlockKind::Call { call, input }) => {
                if let Some(json) = fields.partial_json.filter(|json| !escaped_text(json).is_empty()) {
                    *input = None;
                    emit(ResponseEvent::Arguments { choice: 0, call: *call, json });
                }
            }
            // Citations, and deltas of ignored blocks.
            _ => {}
        }
    }

    fn close(&mut self, index: u64, emit: EventSink<'_>) {
        let Some(at) = self.open.iter().position(|open| open.index == index) else { return };
        match self.open.swap_remove(at).kind {
            OpenBlockKind::Thinking { thinking, signature } => {
                let block = format!(r#"{{"type":"thinking","thinking":"{thinking}","signature":"{signature}"}}"#);
                self.reader.keep_thinking(&block);
            }
            OpenBlockKind::Call { call, input: Some(input) } => {
                emit(ResponseEvent::Arguments { choice: 0, call, json: Raw::quoted(input.get()) });
            }
            OpenBlockKind::Text | OpenBlockKind::Call { .. } | OpenBlockKind::Other => {}
        }
    }
}

/// Appends to the kept thinking, unless that is too long already: a part of it is useless, because the
/// signature covers the whole.
fn append(kept: &mut String, piece: Option<&Raw<'_>>) {
    if kept.len() <= MAX_KEPT_THINKING {
        kept.push_str(piece.map(escaped_text).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canonical::Usage;

    fn events_of(data: &[&str]) -> Vec<String> {
        let mut events = Vec::new();
        let mut stream = Decoder::default();
        for data in data {
            stream
                .push(format!("event: x\ndata: {data}\n\n").as_bytes(), &mut |event| events.push(format!("{event:?}")));
        }
        events
    }

    #[test]
    fn a_signature_without_thinking_belongs_to_the_call() {
        let events = events_of(&[
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"a\/b"}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}"#,
        ]);
        let memory = r#"ReasoningState { id: "t", memory: [{"type":"thinking","thinking":"","signature":"a\/b"}] }"#;
        assert_eq!(events, [r#"Call { choice: 0, call: 0, id: "t", name: "f" }"#, memory]);
    }

    #[test]
    fn the_last_reported_counts_apply_and_are_never_summed() {
        let events = events_of(&[
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
    const STARTED: Usage = Usage {
        uncached_input: 10,
        cache_read: 4,
        cache_write: 9,
        cache_write_1h: 7,
        output: 1,
        reasoning: 0,
        audio_input: 0,
        cached_audio: 0,
        audio_output: 0,
        image_output: 0,
        searches: 0,
        has_other_model: false,
        reported_cost: None,
        has_detailed_cost: false,
        is_estimated: false,
    };

    #[test]
    fn cache_tokens_are_counted_once_whether_repeated_or_left_out() {
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
    fn the_steps_of_a_streamed_response_are_counted_once() {
        let steps = r#"{"output_tokens":30,"iterations":[{"type":"compaction","input_tokens":500,"output_tokens":70},
            {"type":"message","input_tokens":10,"output_tokens":30}],"server_tool_use":{"web_search_requests":2}}"#;
        let expected = Usage { uncached_input: 510, output: 100, searches: 2, ..STARTED };
        assert_eq!(tokens(&[START, steps]), expected);
        assert_eq!(tokens(&[START, steps, steps]), expected);
    }

    #[test]
    fn corrections_at_the_end_apply() {
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
    fn cache_writes_reported_by_time_to_live_alone_are_counted() {
        let split = r#"{"cache_creation":{"ephemeral_1h_input_tokens":7,"ephemeral_5m_input_tokens":2}}"#;
        assert_eq!(tokens(&[split]), Usage { cache_write: 9, cache_write_1h: 7, ..Usage::default() });
        assert_eq!(tokens(&[r#"{"cache_creation_input_tokens":9,"cache_creation":{}}"#]).cache_write, 9);
        let too_many = r#"{"cache_creation_input_tokens":3,"cache_creation":{"ephemeral_1h_input_tokens":7}}"#;
        assert_eq!(tokens(&[too_many]), Usage { cache_write: 3, cache_write_1h: 3, ..Usage::default() });
    }

    #[test]
    fn an_error_event_has_the_status_of_its_type() {
        let mut status = 0;
        Decoder::default().push(
            b"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n",
            &mut |event| if let ResponseEvent::Failed(error) = event { status = error.status() },
        );
        assert_eq!(status, 529);
    }

    #[test]
    fn input_given_at_the_start_is_emitted_once() {
        let start = r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t","name":"f","input":{"a":1}}}"#;
        let stop = r#"{"type":"content_block_stop","index":1}"#;
        let piece =
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{}"}}"#;
        let arguments =
            |events: Vec<String>| events.into_iter().filter(|event| event.starts_with("Arg")).collect::<Vec<_>>();
        assert_eq!(arguments(events_of(&[start, stop])), [r#"Arguments { choice: 0, call: 0, json: "{\"a\":1}" }"#]);
        assert_eq!(arguments(events_of(&[start, piece, stop])), [r#"Arguments { choice: 0, call: 0, json: "{}" }"#]);
    }
}

//! Reads a provider's streamed response from pieces of any length. Items are identified by their index, because
//! some hosts change an item's id between events.
//! Source: the OpenAI API reference, "Streaming events", and recorded traffic.

use super::super::errors::read_in_success;
use super::super::response::events::{EventReader, ItemRole, emit_input, log_probabilities, paragraph};
use super::super::wire::fields::{Fields, each, escaped_text};
use crate::canonical::{Raw, ResponseEvent};
use crate::formats::stream::{EventSink, StreamDecoder, oversized};
use crate::wire::json::parse_integer;
use crate::wire::sse::{Block, SseReader};

/// The most items that may be open at a time; further ones are read once they are done.
const MAX_OPEN_ITEMS: usize = 512;

/// Reads a streamed response.
#[derive(Default)]
pub(crate) struct Decoder {
    reader: SseReader,
    state: DecoderState,
}

/// What has been read of a streamed response.
#[derive(Default)]
struct DecoderState {
    reader: EventReader,
    open: Vec<OpenItem>,
    /// Whether an item has come.
    has_items: bool,
    malformed: u32,
}

/// An open item.
struct OpenItem {
    index: u64,
    role: ItemRole,
    /// Whether a piece of its contents has come, so that its end repeats them.
    has_pieces: bool,
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
    fn take(&mut self, block: Block<'_>, emit: EventSink<'_>) {
        if block.oversized {
            emit(ResponseEvent::Failed(oversized()));
        }
        // Some hosts end as streams of chats do.
        let Some(data) = block.data.filter(|data| !data.is_empty() && *data != b"[DONE]") else { return };
        let event = std::str::from_utf8(data).ok().and_then(|text| Fields::read(text, &"").ok());
        let read = event.and_then(|mut event| self.event(&mut event, data, emit));
        if read.is_none() {
            self.malformed = self.malformed.saturating_add(1);
        }
    }

    /// Reads an event; `None` if it is malformed.
    fn event(&mut self, event: &mut Fields<'_>, data: &[u8], emit: EventSink<'_>) -> Option<()> {
        let Some(kind) = event.word("type") else {
            // An error without an event of its own.
            event.has("error").then(|| emit(ResponseEvent::Failed(read_in_success(data))))?;
            return Some(());
        };
        match kind.as_ref() {
            "response.created" => self.reader.start(&mut object(event, "response")?, emit),
            "response.output_item.added" => self.open(event, emit)?,
            "response.output_item.done" => self.close(event, emit)?,
            "response.output_text.delta" | "response.refusal.delta" => {
                self.piece(event, emit, |text, _| Some(ResponseEvent::Text { choice: 0, text }))?;
                let logprobs = event.raw("logprobs").as_ref().and_then(log_probabilities);
                logprobs.into_iter().for_each(|logprobs| emit(ResponseEvent::Logprobs { choice: 0, logprobs }));
            }
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                self.piece(event, emit, |text, _| Some(ResponseEvent::Thinking { choice: 0, text }))?;
            }
            "response.reasoning_summary_part.added" => {
                let is_first = event.take("summary_index").is_none_or(|index| index.get() == "0");
                (!is_first).then(|| emit(paragraph()));
            }
            "response.function_call_arguments.delta" => self.piece(event, emit, |json, role| match role {
                ItemRole::Call(call) => Some(ResponseEvent::Arguments { choice: 0, call, json }),
                ItemRole::Custom(_) | ItemRole::Other => None,
            })?,
            "response.completed" | "response.incomplete" | "response.failed" => {
                self.end(&mut object(event, "response")?, emit);
            }
            "error" | "response.error" => emit(ResponseEvent::Failed(read_in_success(data))),
            // Events that repeat what came, and those of tools that run at the provider.
            _ => {}
        }
        Some(())
    }

    fn open(&mut self, event: &mut Fields<'_>, emit: EventSink<'_>) -> Option<()> {
        self.has_items = true;
        let (index, mut item) = (place(event), object(event, "item")?);
        let kind = item.word("type")?;
        self.open.retain(|open| open.index != index);
        if self.open.len() < MAX_OPEN_ITEMS {
            let role = self.reader.begin(&mut item, &kind, emit);
            self.open.push(OpenItem { index, role, has_pieces: false });
        }
        Some(())
    }

    /// Emits a piece of an item's contents.
    fn piece<'e>(
        &mut self,
        event: &mut Fields<'e>,
        emit: EventSink<'_>,
        of: impl FnOnce(Raw<'e>, ItemRole) -> Option<ResponseEvent<'e>>,
    ) -> Option<()> {
        let (index, delta) = (place(event), event.raw("delta").filter(Raw::is_text)?);
        let at = self.open.iter().position(|open| open.index == index);
        let open = at.and_then(|at| self.open.get_mut(at));
        let role = open.as_ref().map_or(ItemRole::Other, |open| open.role);
        if !escaped_text(&delta).is_empty()
            && let Some(piece) = of(delta, role)
        {
            if let Some(open) = open {
                open.has_pieces = true;
            } else if self.open.len() < MAX_OPEN_ITEMS {
                // Some hosts do not open an item. Its end repeats the text of its deltas, which must not come twice.
                self.open.push(OpenItem { index, role: ItemRole::Other, has_pieces: true });
            }
            emit(piece);
        }
        Some(())
    }

    fn close(&mut self, event: &mut Fields<'_>, emit: EventSink<'_>) -> Option<()> {
        self.has_items = true;
        let (index, mut item) = (place(event), object(event, "item")?);
        let Some(at) = self.open.iter().position(|open| open.index == index) else {
            self.reader.whole(&mut item, emit);
            return Some(());
        };
        let OpenItem { role, has_pieces, .. } = self.open.swap_remove(at);
        let kind = item.word("type")?;
        match role {
            _ if has_pieces => {}
            ItemRole::Custom(call) => emit_input(item.raw("input").as_ref(), call, emit),
            ItemRole::Call(_) | ItemRole::Other => self.reader.contents(&mut item, &kind, role, emit),
        }
        self.reader.end(&mut item, &kind);
        Some(())
    }

    /// The response has ended. Some hosts send its items only now.
    fn end(&mut self, response: &mut Fields<'_>, emit: EventSink<'_>) {
        if let Some(output) = response.take("output").filter(|_| !self.has_items) {
            let (reader, open) = (&mut self.reader, &self.open);
            let has_come = |place: usize| open.iter().any(|open| open.has_pieces && open.index == place as u64);
            let _ = each(output.get(), &"", |place, mut item: Fields<'_>| {
                if !has_come(place) {
                    reader.whole(&mut item, emit);
                }
                Ok(())
            });
        }
        self.reader.finish(response, emit);
    }
}

fn object<'a>(event: &mut Fields<'a>, name: &str) -> Option<Fields<'a>> {
    Fields::read(event.take(name)?.get(), &"").ok()
}

/// The place of an item in the response.
fn place(event: &mut Fields<'_>) -> u64 {
    event.take("output_index").and_then(|raw| parse_integer(raw.get())).unwrap_or(0)
}

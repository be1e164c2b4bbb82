//! A whole message from the events of a stream.
//! Source: <https://docs.anthropic.com/en/docs/build-with-claude/streaming>.

use super::wire::json::arguments_object;
use crate::error::{Error, Result};
use crate::formats::assemble::{EventFold, Fields, Rule, Rules, Size, Value, contents, malformed};
use crate::wire::json::{Document, parse_integer};

/// The members of a message besides its content.
const MESSAGE: Rules = Rules {
    known: &[
        ("id", Rule::First),
        ("type", Rule::First),
        ("role", Rule::First),
        ("model", Rule::First),
        ("usage", Rule::Object(&USAGE)),
    ],
    other: Rule::Last,
};

/// The last report of each count applies.
const USAGE: Rules = Rules {
    known: &[
        ("cache_creation", Rule::Object(&COUNTS)),
        ("output_tokens_details", Rule::Object(&COUNTS)),
        ("server_tool_use", Rule::Object(&COUNTS)),
    ],
    other: Rule::Last,
};

const COUNTS: Rules = Rules { known: &[], other: Rule::Last };

/// A block as its first event gives it.
const BLOCK: Rules = Rules { known: &[], other: Rule::Last };

/// A message so far.
#[derive(Default)]
pub(super) struct MessageFold {
    fields: Fields,
    blocks: Vec<BlockBuilder>,
    has_begun: bool,
    has_ended: bool,
}

struct BlockBuilder {
    index: u64,
    fields: Fields,
    /// The pieces of the input's JSON: the contents of a JSON string, still escaped.
    input: String,
}

impl EventFold for MessageFold {
    fn event(&mut self, data: &[u8]) -> Result<()> {
        if self.has_ended {
            return Ok(());
        }
        let event = Document::read(data).map_err(|_| malformed())?;
        self.take(&event).ok_or_else(malformed)
    }

    fn size(&self) -> Size {
        self.blocks.iter().map(BlockBuilder::size).fold(self.fields.size(), Size::plus)
    }

    fn into_response(self) -> Result<Fields> {
        let Self { mut fields, blocks, has_begun, .. } = self;
        if !has_begun {
            let message = "The provider answered with a stream that holds no message.";
            return Err(Error::upstream(502, "upstream_invalid_response", message));
        }
        let blocks: Option<Vec<Value>> = blocks.into_iter().map(BlockBuilder::into_value).collect();
        fields.set("content", Value::List(blocks.ok_or_else(malformed)?));
        Ok(fields)
    }
}

impl MessageFold {
    /// Takes an event; `None` if it is malformed.
    fn take(&mut self, event: &Document<'_>) -> Option<()> {
        let index = event.value("index").and_then(parse_integer).unwrap_or(0);
        match contents(event.value("type")?)? {
            "message_start" => {
                self.has_begun = true;
                self.add_message(event.value("message")?)?;
                self.add_others(event, "message")
            }
            "content_block_start" => {
                let mut fields = Fields::default();
                fields.merge(event.value("content_block")?, &BLOCK)?;
                self.blocks.push(BlockBuilder { index, fields, input: String::new() });
                Some(())
            }
            "content_block_delta" => {
                let block = self.blocks.iter_mut().rev().find(|block| block.index == index)?;
                block.add(event.value("delta")?)
            }
            "message_delta" => {
                self.add_message(event.value("delta")?)?;
                self.add_others(event, "delta")
            }
            "message_stop" => {
                self.has_ended = true;
                self.add_others(event, "")
            }
            // `ping`, `content_block_stop`, and unknown events. Errors end the stream elsewhere.
            _ => Some(()),
        }
    }

    /// Adds members of the message. Its content comes in events of its own.
    fn add_message(&mut self, json: &str) -> Option<()> {
        let message = Document::read(json.as_bytes()).ok()?;
        message.members().try_for_each(|(key, json)| match key {
            "content" => {
                self.fields.set_missing("content", "[]");
                Some(())
            }
            _ => self.fields.add(key, json, MESSAGE.of(key)),
        })
    }

    /// Adds what an event has beside its own members: the usage, and unknown members, which a whole message
    /// has as well.
    fn add_others(&mut self, event: &Document<'_>, own: &str) -> Option<()> {
        let others = event.members().filter(|(key, _)| *key != "type" && *key != own);
        others.map(|(key, json)| self.fields.add(key, json, MESSAGE.of(key))).collect()
    }
}

impl BlockBuilder {
    /// Adds a delta; `None` if it is malformed. A string in it is the next piece of the block's string, also
    /// in unknown deltas.
    fn add(&mut self, delta: &str) -> Option<()> {
        let delta = Document::read(delta.as_bytes()).ok()?;
        delta.members().try_for_each(|(key, json)| match key {
            "type" => Some(()),
            "partial_json" => {
                self.input.push_str(contents(json)?);
                Some(())
            }
            "citation" => self.fields.add("citations", &format!("[{json}]"), Rule::Items),
            _ => self.fields.add(key, json, Rule::Text),
        })
    }

    fn size(&self) -> Size {
        self.fields.size().plus(Size { bytes: self.input.len(), nodes: 0 })
    }

    /// The block; `None` if the pieces of its input are not a text.
    fn into_value(self) -> Option<Value> {
        let Self { mut fields, input, .. } = self;
        if !input.is_empty() {
            let json: String = serde_json::from_str(&format!("\"{input}\"")).ok()?;
            fields.set("input", Value::copy(arguments_object(&json).get()));
        }
        Some(Value::Object(fields))
    }
}

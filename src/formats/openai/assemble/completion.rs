//! A completion, and its choices, from chunks.

use super::message::MessageBuilder;
use crate::error::Result;
use crate::formats::assemble::{EventFold, Fields, Rule, Rules, Size, Value, each_item, malformed};
use crate::wire::json::{Document, parse_integer};

/// The members of a chunk besides its choices.
const COMPLETION: Rules = Rules {
    known: &[
        ("id", Rule::First),
        ("object", Rule::First),
        ("created", Rule::First),
        ("model", Rule::First),
        (NESTED_USAGE, Rule::Object(&NESTED)),
        // Padding that hides the length of a chunk.
        ("obfuscation", Rule::Absent),
    ],
    other: Rule::Last,
};

/// Where some hosts report the usage of a stream. The usage of their whole responses is beside it.
const NESTED_USAGE: &str = "x_groq";

const NESTED: Rules = Rules { known: &[], other: Rule::Last };

/// The members of a choice besides its index and message. `text` is that of a legacy completion.
const CHOICE: Rules =
    Rules { known: &[("text", Rule::Text), ("logprobs", Rule::Object(&LOGPROBS))], other: Rule::Last };

/// Each list has an item for each token.
const LOGPROBS: Rules = Rules { known: &[], other: Rule::Items };

/// The kinds of objects, as JSON.
const CHUNK: &str = "\"chat.completion.chunk\"";
const CHAT: &str = "\"chat.completion\"";

/// A completion so far.
#[derive(Default)]
pub(crate) struct CompletionFold {
    fields: Fields,
    choices: Vec<ChoiceBuilder>,
    has_ended: bool,
}

#[derive(Default)]
struct ChoiceBuilder {
    number: u64,
    fields: Fields,
    /// `None` in a legacy completion.
    message: Option<MessageBuilder>,
}

impl EventFold for CompletionFold {
    fn event(&mut self, data: &[u8]) -> Result<()> {
        if self.has_ended {
            return Ok(());
        }
        if data.trim_ascii() == b"[DONE]" {
            self.has_ended = true;
            return Ok(());
        }
        self.chunk(data).ok_or_else(malformed)
    }

    fn size(&self) -> Size {
        let choices = self.choices.iter().map(ChoiceBuilder::size);
        choices.fold(self.fields.size(), Size::plus)
    }

    fn into_response(self) -> Result<Fields> {
        let Self { mut fields, mut choices, .. } = self;
        let is_chat = !choices.iter().any(ChoiceBuilder::is_legacy);
        if is_chat && fields.json("object").is_none_or(|object| object == CHUNK) {
            fields.set("object", Value::copy(CHAT));
        }
        let late = fields.object_mut(NESTED_USAGE).and_then(|nested| nested.take("usage"));
        if let Some(usage) = late.filter(|_| fields.json("usage").is_none_or(|usage| usage == "null")) {
            fields.set("usage", usage);
        }
        choices.sort_by_key(|choice| choice.number);
        fields.set("choices", Value::List(choices.into_iter().map(ChoiceBuilder::into_value).collect()));
        Ok(fields)
    }
}

impl CompletionFold {
    /// Takes a chunk; `None` if it is malformed.
    fn chunk(&mut self, data: &[u8]) -> Option<()> {
        let chunk = Document::read(data).ok()?;
        for (key, json) in chunk.members() {
            match key {
                "choices" if json == "null" => {}
                "choices" => {
                    // Its place is that of the first chunk's.
                    self.fields.set_missing("choices", "[]");
                    each_item(json, |choice| self.choice(choice))?;
                }
                _ => self.fields.add(key, json, COMPLETION.of(key))?,
            }
        }
        Some(())
    }

    fn choice(&mut self, json: &str) -> Option<()> {
        let document = Document::read(json.as_bytes()).ok()?;
        let index = document.value("index").unwrap_or("0").trim_matches('"');
        let number = parse_integer(index).unwrap_or(0);
        let at = self.choices.iter().position(|choice| choice.number == number).unwrap_or_else(|| {
            self.choices.push(ChoiceBuilder::new(number));
            self.choices.len() - 1
        });
        self.choices.get_mut(at)?.add(&document)
    }
}

impl ChoiceBuilder {
    fn new(number: u64) -> Self {
        let mut fields = Fields::default();
        fields.set("index", Value::Json(number.to_string()));
        Self { number, fields, message: None }
    }

    fn add(&mut self, choice: &Document<'_>) -> Option<()> {
        let is_object = |json: &&str| json.starts_with('{');
        // Some hosts send the message so far beside each delta.
        if let Some(delta) = choice.value("delta").or(choice.value("message")).filter(is_object) {
            self.fields.set_missing("message", "null");
            self.message.get_or_insert_default().add(delta)?;
        }
        for (key, json) in choice.members() {
            if !matches!(key, "index" | "delta" | "message") {
                self.fields.add(key, json, CHOICE.of(key))?;
            }
        }
        Some(())
    }

    fn is_legacy(&self) -> bool {
        self.message.is_none() && self.fields.get("text").is_some()
    }

    fn size(&self) -> Size {
        let message = self.message.as_ref().map_or_else(Size::default, MessageBuilder::size);
        self.fields.size().plus(message)
    }

    fn into_value(mut self) -> Value {
        if !self.is_legacy() {
            self.fields.set("message", self.message.unwrap_or_default().into_value());
        }
        self.fields.set_missing("finish_reason", "null");
        Value::Object(self.fields)
    }
}

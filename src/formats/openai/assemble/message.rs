//! A message from the deltas of a choice.

use super::super::response::calls::{CallIdentity, find_call};
use super::super::wire::unquote;
use crate::formats::assemble::{Fields, PartRules, Rule, Rules, Size, Value, each_item};
use crate::wire::json::{Document, parse_integer};

/// The members of a message besides its content and its calls.
/// Source: the OpenAI API reference, "Chat". `reasoning_content` is DeepSeek's; `reasoning`,
/// `reasoning_details` and `images` are those of `OpenRouter`.
const MESSAGE: Rules = Rules {
    known: &[
        ("role", Rule::First),
        ("refusal", Rule::Text),
        ("reasoning_content", Rule::Text),
        ("reasoning", Rule::Text),
        ("reasoning_details", Rule::Parts(&REASONING_DETAILS)),
        ("audio", Rule::Object(&AUDIO)),
        ("annotations", Rule::Items),
        ("images", Rule::Items),
        ("function_call", Rule::Object(&FUNCTION)),
    ],
    other: Rule::Last,
};

/// Source: <https://openrouter.ai/docs/guides/best-practices/reasoning-tokens>.
const REASONING_DETAILS: PartRules = PartRules {
    growing: &["\"reasoning.text\"", "\"reasoning.summary\""],
    same: &["index", "id"],
    members: Rules { known: &[("text", Rule::Text), ("summary", Rule::Text)], other: Rule::Last },
};

const AUDIO: Rules =
    Rules { known: &[("id", Rule::First), ("data", Rule::Base64), ("transcript", Rule::Text)], other: Rule::Last };

/// A part of content that is a list (Mistral).
const CONTENT: PartRules = PartRules {
    growing: &["\"text\"", "\"thinking\""],
    same: &[],
    members: Rules { known: &[("text", Rule::Text), ("thinking", Rule::Parts(&THINKING))], other: Rule::Last },
};

const THINKING: PartRules = PartRules {
    growing: &["\"text\""],
    same: &[],
    members: Rules { known: &[("text", Rule::Text)], other: Rule::Last },
};

const CALL: Rules = Rules {
    known: &[
        ("id", Rule::First),
        ("type", Rule::First),
        ("function", Rule::Object(&FUNCTION)),
        ("custom", Rule::Object(&FUNCTION)),
        // The place of a call in the list is its index.
        ("index", Rule::Absent),
    ],
    other: Rule::Last,
};

/// A function, or a custom tool, which has `input`.
const FUNCTION: Rules =
    Rules { known: &[("name", Rule::First), ("arguments", Rule::Text), ("input", Rule::Text)], other: Rule::Last };

/// A message so far.
#[derive(Default)]
pub(super) struct MessageBuilder {
    fields: Fields,
    calls: Vec<CallBuilder>,
}

struct CallBuilder {
    identity: CallIdentity,
    fields: Fields,
}

impl AsRef<CallIdentity> for CallBuilder {
    fn as_ref(&self) -> &CallIdentity {
        &self.identity
    }
}

impl MessageBuilder {
    /// Adds a delta; `None` if it is malformed.
    pub(super) fn add(&mut self, delta: &str) -> Option<()> {
        let delta = Document::read(delta.as_bytes()).ok()?;
        delta.members().try_for_each(|(key, json)| match key {
            "content" => self.content(json),
            "tool_calls" if json.starts_with('[') => each_item(json, |call| self.call(call)),
            "tool_calls" => Some(()),
            _ => self.fields.add(key, json, MESSAGE.of(key)),
        })
    }

    /// Adds to the content, which is a text, or a list of parts if any delta has one.
    fn content(&mut self, json: &str) -> Option<()> {
        const KEY: &str = "content";
        let text = self.fields.get(KEY).and_then(|value| if let Value::Text(text) = value { Some(text) } else { None });
        if json.starts_with('[') {
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                let begun = text_part(&format!("\"{text}\""));
                self.fields.set(KEY, Value::List(Vec::new()));
                self.fields.add(KEY, &begun, Rule::Parts(&CONTENT))?;
            }
            return self.fields.add(KEY, json, Rule::Parts(&CONTENT));
        }
        let has_parts = matches!(self.fields.get(KEY), Some(Value::List(items)) if !items.is_empty());
        if has_parts && json.starts_with('"') {
            return if json == "\"\"" {
                Some(())
            } else {
                self.fields.add(KEY, &text_part(json), Rule::Parts(&CONTENT))
            };
        }
        self.fields.add(KEY, json, Rule::Text)
    }

    /// Adds a call, or a piece of one.
    fn call(&mut self, json: &str) -> Option<()> {
        let call = Document::read(json.as_bytes()).ok()?;
        let text = |json: Option<&str>| json.and_then(unquote).unwrap_or_default().into_owned();
        let (index, id) = (call.value("index").and_then(parse_integer), text(call.value("id")));
        let function = call.value("function").filter(|json| *json != "null").or(call.value("custom")).unwrap_or("{}");
        let has_name = !text(Document::read(function.as_bytes()).ok()?.value("name")).is_empty();
        let at = find_call(&self.calls, index, &id, has_name).unwrap_or_else(|| {
            let identity = CallIdentity { index, id, unnamed: true };
            self.calls.push(CallBuilder { identity, fields: Fields::default() });
            self.calls.len() - 1
        });
        let builder = self.calls.get_mut(at)?;
        builder.identity.unnamed &= !has_name;
        builder.fields.merge(json, &CALL)
    }

    pub(super) fn size(&self) -> Size {
        self.calls.iter().map(|call| call.fields.size()).fold(self.fields.size(), Size::plus)
    }

    /// The message.
    pub(super) fn into_value(mut self) -> Value {
        self.fields.set_missing("role", "\"assistant\"");
        self.fields.set_missing("content", "null");
        if !self.calls.is_empty() {
            let calls = self.calls.into_iter().map(|call| Value::Object(call.fields));
            self.fields.set("tool_calls", Value::List(calls.collect()));
        }
        Value::Object(self.fields)
    }
}

/// A list with a part of text. `text` is a JSON string.
fn text_part(text: &str) -> String {
    format!("[{{\"type\":\"text\",\"text\":{text}}}]")
}

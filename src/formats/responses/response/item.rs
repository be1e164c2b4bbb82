//! The items of a response, as JSON.

use super::super::request::{CallKind, NamedTool, write_sealed};
use super::input::TextInput;
use crate::canonical::Raw;
use crate::wire::json::{Document, quote};

/// An item that is being written.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) id: String,
    pub(crate) kind: ItemKind,
    /// The text, the summary or the arguments so far: the contents of a JSON string, still escaped.
    pub(crate) body: String,
    /// How much of the body has been written.
    pub(crate) written: usize,
}

/// The kinds of items.
#[derive(Debug)]
pub(crate) enum ItemKind {
    /// A message, with the probabilities of its tokens: items of a list, as JSON.
    Message { logprobs: String },
    /// Reasoning, and the sealed state of calls, by their ids.
    Reasoning { sealed: Vec<(String, String)> },
    /// A call.
    Call { call: u32, call_id: String, tool: NamedTool, json: JsonProgress },
}

impl ItemKind {
    /// The prefix of its id.
    pub(crate) fn prefix(&self) -> &'static str {
        match self {
            Self::Message { .. } => "msg",
            Self::Reasoning { .. } => "rs",
            Self::Call { tool, .. } => match tool.kind {
                CallKind::Function => "fc",
                CallKind::Custom => "ctc",
                CallKind::ToolSearch => "tsc",
                CallKind::LocalShell => "lsh",
                CallKind::Shell => "sh",
                CallKind::ApplyPatch => "apc",
            },
        }
    }
}

impl Item {
    /// Whether it is complete once another one follows.
    pub(crate) fn is_complete(&self) -> bool {
        match &self.kind {
            ItemKind::Message { .. } | ItemKind::Reasoning { .. } => true,
            ItemKind::Call { json, .. } => json.is_complete(),
        }
    }

    /// Whether the call is written only once it is complete: its contents are an object, and clients cannot use a
    /// part of one.
    pub(crate) fn comes_whole(&self) -> bool {
        let is_whole = |kind| !matches!(kind, CallKind::Function | CallKind::Custom);
        matches!(&self.kind, ItemKind::Call { tool, .. } if is_whole(tool.kind))
    }

    /// Whether it can be written piece by piece.
    pub(crate) fn can_stream(&self) -> bool {
        match &self.kind {
            ItemKind::Message { .. } | ItemKind::Reasoning { .. } => true,
            ItemKind::Call { tool, json, .. } => tool.kind == CallKind::Function && json.is_object(),
        }
    }

    /// Its text.
    fn text(&self) -> String {
        serde_json::from_str(&format!("\"{}\"", self.body)).unwrap_or_else(|_| self.body.clone())
    }

    /// The arguments of a call as an object.
    pub(crate) fn arguments(&self) -> Raw<'static> {
        let text = self.text();
        let object = Raw::from_string(text.trim().to_owned()).filter(|json| json.get().starts_with('{'));
        object.unwrap_or_else(|| match text.trim() {
            "" | "null" | "\"\"" => Raw::of(&serde_json::Map::new()),
            _ => Raw::of(&serde_json::json!({ "_invalid_json": text })),
        })
    }

    /// The input of a custom tool, as a JSON string: its only text, or else all that the model wrote.
    pub(crate) fn input(&self) -> Raw<'static> {
        if let ItemKind::Call { json, .. } = &self.kind
            && let Some(input) = Raw::from_string(format!("\"{}\"", json.input.all())).filter(|_| self.written > 0)
        {
            return input;
        }
        let text = self.text();
        let object: Option<serde_json::Map<String, serde_json::Value>> = serde_json::from_str(&text).ok();
        let only = |object: &serde_json::Map<String, serde_json::Value>| {
            let value = object.get("input").or_else(|| object.values().next().filter(|_| object.len() == 1));
            value.and_then(|value| value.as_str()).map(str::to_owned)
        };
        Raw::quoted(&object.as_ref().and_then(only).unwrap_or(text))
    }

    /// The item with its contents so far.
    pub(crate) fn write(&self, status: &str) -> String {
        let id = &self.id;
        match &self.kind {
            ItemKind::Message { .. } if status == "in_progress" => {
                format!(
                    "{{\"id\":\"{id}\",\"type\":\"message\",\"status\":\"{status}\",\"content\":[],\"role\":\"assistant\"}}"
                )
            }
            ItemKind::Message { .. } => {
                let part = self.part();
                format!(
                    "{{\"id\":\"{id}\",\"type\":\"message\",\"status\":\"{status}\",\"content\":[{part}],\"role\":\"assistant\"}}"
                )
            }
            ItemKind::Reasoning { sealed } => {
                let summary = if status == "in_progress" || self.body.is_empty() { String::new() } else { self.part() };
                let sealed = match sealed.as_slice() {
                    [] => String::new(),
                    _ => {
                        let states = sealed.iter().map(|(id, sealed)| (id.as_str(), sealed.as_str()));
                        format!(",\"encrypted_content\":{}", quote(&write_sealed(states)))
                    }
                };
                format!("{{\"id\":\"{id}\",\"type\":\"reasoning\",\"summary\":[{summary}]{sealed}}}")
            }
            ItemKind::Call { call_id, tool, .. } => self.write_call(status, call_id, tool),
        }
    }

    fn write_call(&self, status: &str, call_id: &str, tool: &NamedTool) -> String {
        let is_begun = status == "in_progress";
        let (id, call_id, name) = (&self.id, quote(call_id), quote(&tool.name));
        let head = format!("{{\"id\":\"{id}\",\"call_id\":{call_id},\"status\":\"{status}\"");
        let namespace =
            tool.namespace.as_ref().map(|name| format!(",\"namespace\":{}", quote(name))).unwrap_or_default();
        match tool.kind {
            CallKind::Function => {
                let arguments = if is_begun { "\"\"".to_owned() } else { self.quoted_arguments(status) };
                format!("{head},\"type\":\"function_call\",\"name\":{name}{namespace},\"arguments\":{arguments}}}")
            }
            CallKind::Custom => {
                let input = if is_begun { Raw::quoted("") } else { self.input() };
                format!("{head},\"type\":\"custom_tool_call\",\"name\":{name}{namespace},\"input\":{}}}", input.get())
            }
            CallKind::ToolSearch => {
                let arguments = self.arguments();
                format!(
                    "{head},\"type\":\"tool_search_call\",\"execution\":\"client\",\"arguments\":{}}}",
                    arguments.get()
                )
            }
            CallKind::LocalShell => {
                let action = completed(&self.arguments(), &[("type", "\"exec\""), ("env", "{}"), ("command", "[]")]);
                format!("{head},\"type\":\"local_shell_call\",\"action\":{action}}}")
            }
            CallKind::Shell => {
                let rest = [("commands", "[]"), ("timeout_ms", "null"), ("max_output_length", "null")];
                let action = completed(&self.arguments(), &rest);
                format!("{head},\"type\":\"shell_call\",\"action\":{action},\"environment\":null}}")
            }
            CallKind::ApplyPatch => {
                format!("{head},\"type\":\"apply_patch_call\",\"operation\":{}}}", self.arguments().get())
            }
        }
    }

    /// The arguments as a JSON string: as the model wrote them if they are an object, or a part of one.
    pub(crate) fn quoted_arguments(&self, status: &str) -> String {
        let ItemKind::Call { json, .. } = &self.kind else { return "\"\"".to_owned() };
        if json.is_object() || status == "incomplete" {
            return format!("\"{}\"", self.body);
        }
        quote(self.arguments().get())
    }

    /// The only part of a message, or of a summary.
    pub(crate) fn part(&self) -> String {
        match &self.kind {
            ItemKind::Message { logprobs } => format!(
                "{{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[{logprobs}],\"text\":\"{}\"}}",
                self.body
            ),
            _ => format!("{{\"type\":\"summary_text\",\"text\":\"{}\"}}", self.body),
        }
    }
}

/// An object with the members that the API always has, where the model left them out.
fn completed(arguments: &Raw<'_>, members: &[(&str, &str)]) -> String {
    let mut object = Document::read(arguments.get().as_bytes()).unwrap_or_else(|_| Document::empty());
    for (name, json) in members {
        if object.value(name).is_none() {
            object.set(name, *json);
        }
    }
    String::from_utf8_lossy(&object.render()).into_owned()
}

/// Tracks how far a piece of JSON is complete.
#[derive(Debug, Default)]
pub(crate) struct JsonProgress {
    first: Option<char>,
    depth: u32,
    in_string: bool,
    escaped: bool,
    closed: bool,
    /// The input of a custom tool.
    pub(crate) input: TextInput,
}

impl JsonProgress {
    pub(crate) fn push(&mut self, text: &str) {
        for c in text.chars() {
            self.input.push(c);
            if !self.in_string && c.is_ascii_whitespace() {
                continue;
            }
            self.first.get_or_insert(c);
            self.advance(c);
        }
    }

    fn advance(&mut self, c: char) {
        if self.in_string {
            self.in_string = self.escaped || c != '"';
            self.escaped = !self.escaped && c == '\\';
            return;
        }
        match c {
            '"' => self.in_string = true,
            '{' | '[' => self.depth = self.depth.saturating_add(1),
            '}' | ']' => {
                self.depth = self.depth.saturating_sub(1);
                self.closed = self.depth == 0;
            }
            _ => {}
        }
    }

    pub(crate) fn is_object(&self) -> bool {
        self.first == Some('{')
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.closed && self.is_object()
    }
}

//! Reads the items of `input` as turns. Items of the model that follow each other are one turn, and so are
//! results of tools: providers demand both.

use std::borrow::Cow;
use std::fmt::Display;

use serde_json::value::RawValue;

use super::super::wire::fields::{Fields, each, wrong};
use super::content::{is_parts, read_content};
use super::sealed::read_sealed;
use super::tools::{TOOL_SEARCH, read_tools, sent_name};
use crate::canonical::{Part, Raw, Role, Tool, ToolCall, Turn, UniqueNames, text_of};
use crate::error::{Error, Result};
use crate::wire::typed;

/// Fields of items that only their own API reads, or that say again what is known.
const OWN: &[&str] = &["id", "status", "phase", "name", "execution", "environment", "max_output_length", "created_by"];

/// Reads items.
#[derive(Default)]
pub(super) struct ItemReader<'a> {
    pub(super) turns: Vec<Turn<'a>>,
    /// Tools that a search found, or that the client added.
    pub(super) tools: Vec<Tool<'a>>,
    /// Sealed reasoning state, with the ids of its calls.
    pub(super) sealed: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> ItemReader<'a> {
    /// Reads `input`: a text of the user, or items.
    ///
    /// # Errors
    /// 400 naming the place that violates the format, or what has to be sent instead of a reference.
    pub(super) fn read(&mut self, raw: &'a str, unmapped: &mut UniqueNames<'a>) -> Result<()> {
        let text = raw.starts_with('"').then(|| typed::from_str::<Raw<'_>>(raw).ok()).flatten();
        if let Some(text) = text {
            self.push(Role::User, vec![Part::Text { text, cache: None }]);
            return Ok(());
        }
        each(raw, &"input", |index, mut fields: Fields<'a>| {
            self.item(&mut fields, &format_args!("input[{index}]"), unmapped)
        })
    }

    fn item(&mut self, fields: &mut Fields<'a>, at: &dyn Display, unmapped: &mut UniqueNames<'a>) -> Result<()> {
        let kind = match fields.word("type") {
            Some(kind) => kind,
            None if fields.has("role") => Cow::Borrowed("message"),
            None if fields.has("id") => Cow::Borrowed("item_reference"),
            None => return Err(wrong(&format_args!("{at}.type"), "a string")),
        };
        match kind.as_ref() {
            "message" => self.message(fields, at, unmapped),
            "reasoning" => {
                self.reasoning(fields);
                return Ok(());
            }
            "item_reference" => Err(reference(at)),
            "function_call" => self.call(fields, at, |fields| {
                let name = fields.text("name", at)?;
                let arguments = fields.take("arguments").map_or_else(|| object("{}"), arguments);
                Ok((name, arguments))
            }),
            "custom_tool_call" => self.call(fields, at, |fields| {
                let (name, input) = (fields.text("name", at)?, fields.json_text("input", at)?);
                Ok((name, object(&format!("{{\"input\":{}}}", input.get()))))
            }),
            "tool_search_call" => self.fixed_call(fields, at, TOOL_SEARCH, "arguments"),
            "local_shell_call" => self.fixed_call(fields, at, "local_shell", "action"),
            "shell_call" => self.fixed_call(fields, at, "shell", "action"),
            "apply_patch_call" => self.fixed_call(fields, at, "apply_patch", "operation"),
            "tool_search_output" => self.found_tools(fields, at, unmapped),
            "additional_tools" => {
                fields.take("role");
                self.found_tools(fields, at, unmapped)
            }
            "function_call_output"
            | "custom_tool_call_output"
            | "local_shell_call_output"
            | "shell_call_output"
            | "apply_patch_call_output" => self.result(fields, at, unmapped),
            other => {
                unmapped.note(format!("input[].{other}"));
                return Ok(());
            }
        }?;
        fields.rest().filter(|name| !OWN.contains(name)).for_each(|name| unmapped.note(format!("input[].{name}")));
        Ok(())
    }

    fn message(&mut self, fields: &mut Fields<'a>, at: &dyn Display, unmapped: &mut UniqueNames<'a>) -> Result<()> {
        let role = match fields.text("role", at)?.as_ref() {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" | "developer" => Role::System,
            _ => {
                let expected = "`user`, `assistant`, `system` or `developer`";
                return Err(wrong(&format_args!("{at}.role"), expected));
            }
        };
        let content = fields
            .take("content")
            .ok_or_else(|| wrong(&format_args!("{at}.content"), "a string or an array of parts"))?;
        let parts = read_content(content, &format_args!("{at}.content"), unmapped)?;
        if role == Role::Assistant {
            self.say(parts);
        } else if !parts.is_empty() {
            self.push(role, parts);
        }
        Ok(())
    }

    /// Reads reasoning: its raw text, or else its summary; and the state that the gateway sealed.
    fn reasoning(&mut self, fields: &mut Fields<'a>) {
        if let Some(content) = fields.word("encrypted_content") {
            self.sealed.extend(read_sealed(&content));
        }
        let lists = [fields.take("content"), fields.take("summary")];
        let text = lists.into_iter().flatten().find_map(joined_text);
        if let Some(text) = text {
            self.say(vec![Part::Thinking { text, signature: None }]);
        }
    }

    fn call(
        &mut self,
        fields: &mut Fields<'a>,
        at: &dyn Display,
        read: impl FnOnce(&mut Fields<'a>) -> Result<(Cow<'a, str>, Raw<'a>)>,
    ) -> Result<()> {
        let id = fields.text("call_id", at)?;
        let (name, arguments) = read(fields)?;
        let namespace = fields.word("namespace");
        let name = sent_name(namespace.as_deref(), name);
        self.say(vec![Part::Call(ToolCall { id, name, arguments, reasoning_state: None, cache: None })]);
        Ok(())
    }

    /// Reads a call of a tool whose name the API defines.
    fn fixed_call(&mut self, fields: &mut Fields<'a>, at: &dyn Display, name: &'static str, field: &str) -> Result<()> {
        let id = fields.word("call_id").or_else(|| fields.word("id"));
        let id = id.ok_or_else(|| wrong(&format_args!("{at}.call_id"), "a string"))?;
        let arguments = fields.take(field).map_or_else(|| object("{}"), arguments);
        let name = Cow::Borrowed(name);
        self.say(vec![Part::Call(ToolCall { id, name, arguments, reasoning_state: None, cache: None })]);
        Ok(())
    }

    fn result(&mut self, fields: &mut Fields<'a>, at: &dyn Display, unmapped: &mut UniqueNames<'a>) -> Result<()> {
        let call = fields.word("call_id").or_else(|| fields.word("id"));
        let call = call.ok_or_else(|| wrong(&format_args!("{at}.call_id"), "a string"))?;
        let output = fields.take("output");
        let parts = match output {
            Some(raw) if raw.get().starts_with('"') || is_parts(raw) => {
                read_content(raw, &format_args!("{at}.output"), unmapped)?
            }
            Some(raw) => vec![Part::Text { text: Raw::quoted(raw.get()), cache: None }],
            None => Vec::new(),
        };
        let failed = fields.word("status").is_some_and(|status| status == "failed");
        self.answer(Part::Result { call, parts, failed, cache: None });
        Ok(())
    }

    /// Reads what a search for tools found, or what the client added: from here on, the model has them.
    fn found_tools(&mut self, fields: &mut Fields<'a>, at: &dyn Display, unmapped: &mut UniqueNames<'a>) -> Result<()> {
        let mut names = Vec::new();
        if let Some(tools) = fields.take("tools") {
            let found = &mut self.tools;
            read_tools(tools.get(), &format_args!("{at}.tools"), unmapped, &mut |declared| {
                names.push(declared.tool.name.text().unwrap_or_default().into_owned());
                found.push(declared.tool);
            })?;
        }
        let Some(call) = fields.word("call_id") else { return Ok(()) };
        let text = Raw::quoted(&format!("Tools found: {}", names.join(", ")));
        self.answer(Part::Result { call, parts: vec![Part::Text { text, cache: None }], failed: false, cache: None });
        Ok(())
    }

    /// Adds to the model's turn.
    fn say(&mut self, parts: Vec<Part<'a>>) {
        match self.turns.last_mut() {
            Some(turn) if turn.role == Role::Assistant => turn.parts.extend(parts),
            _ if parts.is_empty() => {}
            _ => self.push(Role::Assistant, parts),
        }
    }

    /// Adds the result of a call to those before it.
    fn answer(&mut self, result: Part<'a>) {
        let holds_results = |turn: &Turn<'_>| matches!(turn.parts.last(), Some(Part::Result { .. }));
        match self.turns.last_mut() {
            Some(turn) if turn.role == Role::User && holds_results(turn) => turn.parts.push(result),
            _ => self.push(Role::User, vec![result]),
        }
    }

    fn push(&mut self, role: Role, parts: Vec<Part<'a>>) {
        self.turns.push(Turn { role, parts });
    }
}

/// The refusal of a reference to an item.
pub(super) fn reference(at: &dyn Display) -> Error {
    let message = format!(
        "`{at}` refers to an item of an earlier response, which this gateway does not keep. \
         Send the item itself, and `store: false`, so that the client keeps whole items."
    );
    Error::caller(400, "unsupported_parameter", message).at(at.to_string())
}

fn object<'a>(json: &str) -> Raw<'a> {
    Raw::from_string(json.to_owned()).unwrap_or_else(|| Raw::of(&serde_json::Map::new()))
}

/// The arguments of a call as an object: JSON in a string, or an object itself. Other JSON is kept in an object
/// under a name that says so.
fn arguments(raw: &RawValue) -> Raw<'_> {
    if raw.get().starts_with('{') {
        return Raw::from(raw);
    }
    let text = text_of(raw).unwrap_or_else(|| raw.get().into());
    match text.trim() {
        "" | "null" => object("{}"),
        json => match typed::from_str::<Raw<'_>>(json).ok().filter(|json| json.get().starts_with('{')) {
            Some(arguments) => arguments.owned(),
            None => Raw::of(&serde_json::json!({ "_invalid_json": text })),
        },
    }
}

/// The texts of a list of parts, with an empty line between them; `None` if there are none.
fn joined_text(raw: &RawValue) -> Option<Raw<'_>> {
    let mut texts: Vec<Raw<'_>> = Vec::new();
    each(raw.get(), &"", |_, mut fields: Fields<'_>| {
        texts.extend(fields.raw("text").filter(|text| text.is_text() && !text.is_blank()));
        Ok(())
    })
    .ok()?;
    match texts.len() {
        0 => None,
        1 => texts.pop(),
        _ => {
            let texts: Vec<Cow<'_, str>> = texts.iter().filter_map(Raw::text).collect();
            Some(Raw::quoted(&texts.join("\n\n")))
        }
    }
}

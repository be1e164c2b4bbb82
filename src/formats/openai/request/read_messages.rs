//! Reads the messages of a client's request as turns.
//! Source: the OpenAI API reference, "Create chat completion", `messages`.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::super::wire::{details_text, each, members, object, string, text, wrong};
use super::content::{read_arguments, read_content};
use crate::canonical::{Part, Raw, Role, ToolCall, Turn, UniqueNames};
use crate::error::Result;
use crate::wire::json::is_empty_value;

object! {
    ChatMessageFields {
        role: "role",
        content: "content",
        name: "name",
        refusal: "refusal",
        reasoning_content: "reasoning_content",
        reasoning: "reasoning",
        reasoning_details: "reasoning_details",
        calls: "tool_calls",
        function_call: "function_call",
        call: "tool_call_id",
        cache: "cache_control",
        // Parts of earlier responses that clients send back; they mean nothing to another provider.
        annotations: "annotations",
        index: "index",
    }
}

object! {
    ToolCallFields { id: "id", kind: "type", function: "function", custom: "custom", index: "index", cache: "cache_control" }
}

object! {
    CalledFunctionFields { name: "name", arguments: "arguments", input: "input" }
}

/// Reads `messages`.
///
/// # Errors
/// 400 naming the place that violates the format.
pub(crate) fn read<'a>(json: &'a str, unmapped: &mut UniqueNames<'a>) -> Result<Vec<Turn<'a>>> {
    let mut reader = MessageReader { unmapped, function_call_id: Cow::Borrowed("") };
    let mut turns = Vec::new();
    each(json, "messages", |at, message: ChatMessageFields<'a>| {
        turns.push(reader.turn(at, &message)?);
        Ok(())
    })?;
    Ok(turns)
}

struct MessageReader<'s, 'a> {
    unmapped: &'s mut UniqueNames<'a>,
    /// The id given to the last call in the older form, for its result.
    function_call_id: Cow<'a, str>,
}

impl<'a> MessageReader<'_, 'a> {
    fn turn(&mut self, at: usize, message: &ChatMessageFields<'a>) -> Result<Turn<'a>> {
        for other in &message.others {
            self.unmapped.note(format!("messages[].{other}"));
        }
        let role = message.role.and_then(text).unwrap_or_default();
        if message.name.is_some() && !matches!(role.as_ref(), "tool" | "function") {
            self.unmapped.note("messages[].name");
        }
        let (role, mut parts) = match role.as_ref() {
            "system" | "developer" => (Role::System, self.content(at, message)?),
            "user" => (Role::User, self.content(at, message)?),
            "assistant" => (Role::Assistant, self.assistant(at, message)?),
            "tool" | "function" => (Role::User, vec![self.result(at, message, role.as_ref())?]),
            _ => {
                let expected = "`system`, `developer`, `user`, `assistant` or `tool`";
                return Err(wrong(format_args!("messages[{at}].role"), expected));
            }
        };
        if let Some(mark) = message.cache {
            attach_cache_mark(&mut parts, mark);
        }
        Ok(Turn { role, parts })
    }

    fn content(&mut self, at: usize, message: &ChatMessageFields<'a>) -> Result<Vec<Part<'a>>> {
        let mut parts = Vec::with_capacity(1);
        message.content.map_or(Ok(()), |raw| read_content(raw, at, &mut parts, self.unmapped))?;
        Ok(parts)
    }

    fn assistant(&mut self, at: usize, message: &ChatMessageFields<'a>) -> Result<Vec<Part<'a>>> {
        let mut parts = Vec::with_capacity(2);
        parts.extend(self.reasoning(message).map(|text| Part::Thinking { text, signature: None }));
        let content = message.content.filter(|raw| raw.get() != "\"\"");
        content.map_or(Ok(()), |raw| read_content(raw, at, &mut parts, self.unmapped))?;
        let refusal = message.refusal.and_then(string).filter(|text| !text.is_blank());
        parts.extend(refusal.map(|text| Part::Text { text, cache: None }));
        if let Some(calls) = message.calls {
            each(calls.get(), format_args!("messages[{at}].tool_calls"), |index, call: ToolCallFields<'a>| {
                parts.push(Part::Call(self.call(at, index, &call)?));
                Ok(())
            })?;
        }
        if let Some(raw) = message.function_call {
            parts.push(Part::Call(self.function_call(at, raw)?));
        }
        Ok(parts)
    }

    /// Reads the reasoning of an earlier turn. Its details are read where it has no other text, and are named
    /// otherwise.
    fn reasoning(&mut self, message: &ChatMessageFields<'a>) -> Option<Raw<'a>> {
        let text = |raw: Option<&'a RawValue>| raw.and_then(string).filter(|text| !text.is_blank());
        let own = text(message.reasoning_content).or_else(|| text(message.reasoning));
        let details = message.reasoning_details.filter(|raw| !is_empty_value(raw.get()));
        let read = own.is_none().then(|| details.and_then(details_text)).flatten();
        if details.is_some() && read.is_none() {
            self.unmapped.note("messages[].reasoning_details");
        }
        own.or(read)
    }

    fn call(&mut self, at: usize, index: usize, call: &ToolCallFields<'a>) -> Result<ToolCall<'a>> {
        let refuse = |place: &str, what| wrong(format_args!("messages[{at}].tool_calls[{index}].{place}"), what);
        let id = call.id.and_then(text).ok_or_else(|| refuse("id", "a string"))?;
        if call.function.is_none() && call.custom.is_some() {
            self.unmapped.note("messages[].tool_calls[].custom");
        }
        for other in &call.others {
            self.unmapped.note(format!("messages[].tool_calls[].{other}"));
        }
        let function: CalledFunctionFields<'a> =
            members(call.function.or(call.custom)).ok_or_else(|| refuse("function", "an object"))?;
        let name = function.name.and_then(text).ok_or_else(|| refuse("function.name", "a string"))?;
        let arguments = self.arguments(&function, "messages[].tool_calls[].function.arguments");
        Ok(ToolCall { id, name, arguments, reasoning_state: None, cache: call.cache.map(Raw::from) })
    }

    fn arguments(&mut self, function: &CalledFunctionFields<'a>, name: &'static str) -> Raw<'a> {
        read_arguments(function.arguments.or(function.input)).unwrap_or_else(|substitute| {
            self.unmapped.note(name);
            substitute
        })
    }

    /// Reads a call in the older form, which allowed one call and has no id.
    fn function_call(&mut self, at: usize, raw: &'a RawValue) -> Result<ToolCall<'a>> {
        let refuse = || wrong(format_args!("messages[{at}].function_call"), "an object with a `name`");
        let function: CalledFunctionFields<'a> = members(Some(raw)).ok_or_else(refuse)?;
        let name = function.name.and_then(text).ok_or_else(refuse)?;
        self.function_call_id = format!("call_{at}").into();
        let arguments = self.arguments(&function, "messages[].function_call.arguments");
        Ok(ToolCall { id: self.function_call_id.clone(), name, arguments, reasoning_state: None, cache: None })
    }

    fn result(&mut self, at: usize, message: &ChatMessageFields<'a>, role: &str) -> Result<Part<'a>> {
        let call = match message.call.and_then(text) {
            Some(call) => call,
            None if role == "function" => self.function_call_id.clone(),
            None => return Err(wrong(format_args!("messages[{at}].tool_call_id"), "a string")),
        };
        let parts = self.content(at, message)?;
        Ok(Part::Result { call, parts, failed: false, cache: None })
    }
}

/// Attaches a message's cache mark to its last part.
fn attach_cache_mark<'a>(parts: &mut [Part<'a>], mark: &'a RawValue) {
    let cache = parts.iter_mut().rev().find_map(|part| match part {
        Part::Text { cache, .. } | Part::Result { cache, .. } => Some(cache),
        Part::Media(media) => Some(&mut media.cache),
        Part::Call(call) => Some(&mut call.cache),
        Part::Thinking { .. } | Part::Redacted(_) => None,
    });
    if let Some(cache) = cache {
        cache.get_or_insert(Raw::from(mark));
    }
}

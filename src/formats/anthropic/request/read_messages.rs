//! Reads the system prompt and the messages of a client's request, block by block.

use std::borrow::Cow;
use std::fmt::Display;

use serde_json::value::RawValue;

use super::super::wire::api::PLACEHOLDER_PREFIX;
use super::super::wire::json::escaped_text;
use super::fields::{Fields, each, required, wrong};
use crate::canonical::{Media, MediaKind, MediaSource, Part, Raw, Role, ToolCall, Turn, UniqueNames, text_of};
use crate::error::Result;
use crate::formats::media_type::media_type;
use crate::formats::ties::foreign_file;
use crate::wire::{base64, typed};

/// Reads the values of `system` and `messages`.
///
/// # Errors
/// 400 naming the place that violates the format.
pub(crate) fn read<'d>(
    system: Option<&'d str>,
    messages: Option<&'d str>,
    unmapped: &mut UniqueNames<'_>,
) -> Result<Vec<Turn<'d>>> {
    let mut turns = Vec::new();
    if let Some(content_value) = system.and_then(|raw| typed::from_str(raw).ok()) {
        let parts = content(content_value, &"system", unmapped)?;
        if !parts.is_empty() {
            turns.push(Turn { role: Role::System, parts });
        }
    }
    let messages = messages.ok_or_else(|| required(&"messages"))?;
    each(messages, &"messages", |index, mut fields: Fields<'d>| {
        let at = format_args!("messages.{index}");
        let role = match fields.text("role", &at)?.as_ref() {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" => Role::System,
            _ => return Err(wrong(&format_args!("{at}.role"), "Input should be 'user' or 'assistant'")),
        };
        let content_value = fields.need("content", &at)?;
        turns.push(Turn { role, parts: content(content_value, &format_args!("{at}.content"), unmapped)? });
        fields.rest().for_each(|name| unmapped.note(format!("messages[].{name}")));
        Ok(())
    })?;
    Ok(turns)
}

/// Reads a text or a list of blocks.
fn content<'d>(content_value: &'d RawValue, at: &dyn Display, unmapped: &mut UniqueNames<'_>) -> Result<Vec<Part<'d>>> {
    let text = Raw::from(content_value);
    if text.is_text() {
        return Ok(if text.is_blank() { Vec::new() } else { vec![Part::Text { text, cache: None }] });
    }
    let mut parts = Vec::new();
    each(content_value.get(), at, |index, mut fields: Fields<'d>| {
        let at = format_args!("{at}.{index}");
        let kind = fields.text("type", &at)?;
        let Some(part) = block(&kind, &mut fields, &at, unmapped)? else { return Ok(()) };
        parts.push(part);
        fields.rest().for_each(|name| unmapped.note(format!("messages[].content[].{name}")));
        Ok(())
    })?;
    Ok(parts)
}

fn block<'d>(
    kind: &str,
    fields: &mut Fields<'d>,
    at: &dyn Display,
    unmapped: &mut UniqueNames<'_>,
) -> Result<Option<Part<'d>>> {
    let cache = fields.raw("cache_control");
    Ok(match kind {
        "text" => Some(Part::Text { text: fields.json_text("text", at)?, cache }),
        "image" => media(MediaKind::Image, fields, at, cache, unmapped)?,
        "document" => media(MediaKind::Document, fields, at, cache, unmapped)?,
        "tool_use" => Some(Part::Call(call(fields, at, cache)?)),
        "tool_result" => {
            let call = fields.text("tool_use_id", at)?;
            let content_value = fields.take("content");
            let parts = content_value
                .map(|content_value| content(content_value, &format_args!("{at}.content"), unmapped))
                .transpose()?;
            let failed = fields.boolean("is_error", at)?.unwrap_or(false);
            Some(Part::Result { call, parts: parts.unwrap_or_default(), failed, cache })
        }
        "thinking" => {
            let text = fields.json_text("thinking", at)?;
            let signature = fields.raw("signature").filter(Raw::is_text);
            // A placeholder signature of this gateway: the thinking came from another provider, which may
            // want it back.
            let is_own = |signature: &Raw<'_>| !escaped_text(signature).starts_with(PLACEHOLDER_PREFIX);
            Some(Part::Thinking { text, signature: signature.filter(is_own) })
        }
        "redacted_thinking" => Some(Part::Redacted(fields.json_text("data", at)?)),
        // Tools that run on Anthropic's servers, and unknown blocks.
        other => {
            unmapped.note(format!("messages[].content[].{other}"));
            None
        }
    })
}

fn call<'d>(fields: &mut Fields<'d>, at: &dyn Display, cache: Option<Raw<'d>>) -> Result<ToolCall<'d>> {
    let (id, name) = (fields.text("id", at)?, fields.text("name", at)?);
    // Says who made the call: the model or a server tool.
    fields.take("caller");
    let arguments = Raw::from(fields.need("input", at)?);
    if !arguments.get().starts_with('{') {
        return Err(wrong(&format_args!("{at}.input"), "Input should be a valid dictionary"));
    }
    Ok(ToolCall { id, name, arguments, reasoning_state: None, cache })
}

fn media<'d>(
    kind: MediaKind,
    fields: &mut Fields<'d>,
    at: &dyn Display,
    cache: Option<Raw<'d>>,
    unmapped: &mut UniqueNames<'_>,
) -> Result<Option<Part<'d>>> {
    let at = format_args!("{at}.source");
    let name = fields.raw("title");
    let mut source = Fields::read(fields.need("source", &at)?.get(), &at)?;
    let source = match source.text("type", &at)?.as_ref() {
        "base64" => {
            let (label, base64) = (source.text("media_type", &at)?, source.text("data", &at)?);
            MediaSource::Data { mime: media_type(label, &base64), base64 }
        }
        "url" => MediaSource::Url(source.text("url", &at)?),
        "text" => {
            let data = base64::encode(source.text("data", &at)?.as_bytes());
            let label = source.take("media_type").and_then(text_of).unwrap_or_default();
            MediaSource::Data { mime: media_type(label, &data), base64: Cow::Owned(data) }
        }
        "file" => return Err(foreign_file(&format_args!("{at}.file_id"))),
        other => {
            unmapped.note(format!("messages[].content[].source.{other}"));
            return Ok(None);
        }
    };
    Ok(Some(Part::Media(Media { kind, source, name, cache })))
}

//! What a client lets the model call, and the form it wants the answer in.
//! Source: the OpenAI API reference, "Create chat completion", `tools`, `tool_choice`, `response_format`.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::value::RawValue;

use super::super::wire::{each, members, object, string, text, unquote, wrong};
use crate::canonical::{ModelRequest, Raw, ResponseFormat, Tool, ToolChoice, UniqueNames};
use crate::error::Result;

object! {
    ToolIn { kind: "type", function: "function", cache: "cache_control" }
}

object! {
    Function {
        name: "name",
        description: "description",
        parameters: "parameters",
        strict: "strict",
        cache: "cache_control",
    }
}

object! {
    Choice { kind: "type", function: "function", allowed: "allowed_tools", name: "name" }
}

object! {
    Allowed { mode: "mode", tools: "tools" }
}

object! {
    Format { kind: "type", schema: "json_schema" }
}

object! {
    Schema { name: "name", schema: "schema", strict: "strict" }
}

/// Reads `tools`.
///
/// # Errors
/// 400 naming the place that is not as the format wants it.
pub(crate) fn tools<'a>(json: &'a str, strange: &mut UniqueNames<'a>) -> Result<Vec<Tool<'a>>> {
    let mut tools = Vec::new();
    each(json, "tools", |at, tool: ToolIn<'a>| {
        let kind = tool.kind.and_then(text).unwrap_or_default();
        if !matches!(kind.as_ref(), "" | "function") {
            strange.note(format!("tools[].{kind}"));
            return Ok(());
        }
        for other in &tool.others {
            strange.note(format!("tools[].{other}"));
        }
        let function: Function<'a> =
            members(tool.function).ok_or_else(|| wrong(format_args!("tools[{at}].function"), "an object"))?;
        let tool = function.tool(tool.cache, strange);
        tools.push(tool.ok_or_else(|| wrong(format_args!("tools[{at}].function.name"), "a string"))?);
        Ok(())
    })?;
    Ok(tools)
}

/// Reads `functions`, as tools were before they had kinds.
///
/// # Errors
/// As for [`tools`].
pub(crate) fn functions<'a>(json: &'a str, strange: &mut UniqueNames<'a>) -> Result<Vec<Tool<'a>>> {
    let mut tools = Vec::new();
    each(json, "functions", |at, function: Function<'a>| {
        let tool = function.tool(None, strange);
        tools.push(tool.ok_or_else(|| wrong(format_args!("functions[{at}].name"), "a string"))?);
        Ok(())
    })?;
    Ok(tools)
}

impl<'a> Function<'a> {
    fn tool(self, cache: Option<&'a RawValue>, strange: &mut UniqueNames<'a>) -> Option<Tool<'a>> {
        for other in &self.others {
            strange.note(format!("tools[].function.{other}"));
        }
        Some(Tool {
            name: self.name.and_then(string)?,
            description: self.description.and_then(string),
            parameters: self.parameters.map(Raw::from),
            strict: self.strict.and_then(flag),
            cache: cache.or(self.cache).map(Raw::from),
        })
    }
}

fn flag(raw: &RawValue) -> Option<bool> {
    raw.get().parse().ok()
}

/// Reads `tool_choice`. Where it allows only some tools, the others are taken out of the request.
///
/// # Errors
/// 400 if it is none of the forms that the format has for it.
pub(crate) fn choice<'a>(json: &'a str, request: &mut ModelRequest<'a>) -> Result<()> {
    let refuse = || wrong("tool_choice", "`auto`, `none`, `required` or an object that names a function");
    if let Some(word) = unquote(json) {
        request.tool_choice = Some(mode(&word).ok_or_else(refuse)?);
        return Ok(());
    }
    let choice: Choice<'a> = serde_json::from_str(json).map_err(|_| refuse())?;
    if let Some(allowed) = choice.allowed {
        let allowed: Allowed<'a> = members(Some(allowed)).ok_or_else(refuse)?;
        let word = allowed.mode.and_then(text).unwrap_or(Cow::Borrowed("auto"));
        request.tool_choice = Some(mode(&word).ok_or_else(refuse)?);
        let mut names = BTreeSet::new();
        let place = "tool_choice.allowed_tools.tools";
        each(allowed.tools.map_or("[]", RawValue::get), place, |_, tool: ToolIn<'a>| {
            names.extend(members::<Function<'a>>(tool.function).and_then(|function| Some(function.name?.get())));
            Ok(())
        })?;
        request.tools.retain(|tool| names.contains(tool.name.get()));
        return Ok(());
    }
    let kind = choice.kind.and_then(text).unwrap_or_default();
    if !matches!(kind.as_ref(), "" | "function") {
        request.unmapped_fields.note("tool_choice");
        return Ok(());
    }
    // Named as a tool, or as a function was before there were tools.
    let name = name(choice.function).or_else(|| choice.name.and_then(string));
    request.tool_choice = Some(ToolChoice::Tool(name.ok_or_else(refuse)?));
    Ok(())
}

fn name(function: Option<&RawValue>) -> Option<Raw<'_>> {
    members::<Function<'_>>(function)?.name.and_then(string)
}

fn mode(word: &str) -> Option<ToolChoice<'static>> {
    match word {
        "auto" => Some(ToolChoice::Auto),
        "none" => Some(ToolChoice::None),
        // Mistral's word.
        "required" | "any" => Some(ToolChoice::Required),
        _ => None,
    }
}

/// Reads `response_format`.
///
/// # Errors
/// 400 if it is none that the format has.
pub(crate) fn shape<'a>(json: &'a str, strange: &mut UniqueNames<'a>) -> Result<Option<ResponseFormat<'a>>> {
    let refuse = || wrong("response_format", "an object of type `text`, `json_object` or `json_schema`");
    let format: Format<'a> = serde_json::from_str(json).map_err(|_| refuse())?;
    match format.kind.and_then(text).unwrap_or_default().as_ref() {
        "text" => Ok(None),
        "json_object" => Ok(Some(ResponseFormat::Json)),
        "json_schema" => {
            let schema: Schema<'a> = members(format.schema)
                .ok_or_else(|| wrong("response_format.json_schema", "an object with a `schema`"))?;
            for other in &schema.others {
                strange.note(format!("response_format.json_schema.{other}"));
            }
            let (name, strict) = (schema.name.and_then(string), schema.strict.and_then(flag));
            Ok(Some(schema.schema.map_or(ResponseFormat::Json, |raw| ResponseFormat::Schema {
                name,
                schema: Raw::from(raw),
                strict,
            })))
        }
        _ => Err(refuse()),
    }
}

//! Reads the tools that the model may call and the response format.
//! Source: the OpenAI API reference, "Create chat completion", `tools`, `tool_choice`, `response_format`.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::value::RawValue;

use super::super::wire::{each, members, object, string, text, unquote, wrong};
use crate::canonical::{ModelRequest, Raw, ResponseFormat, Tool, ToolChoice, UniqueNames};
use crate::error::Result;

object! {
    ToolFields { kind: "type", function: "function", cache: "cache_control" }
}

object! {
    FunctionFields {
        name: "name",
        description: "description",
        parameters: "parameters",
        strict: "strict",
        cache: "cache_control",
    }
}

object! {
    ToolChoiceFields { kind: "type", function: "function", allowed: "allowed_tools", name: "name" }
}

object! {
    AllowedToolsFields { mode: "mode", tools: "tools" }
}

object! {
    ResponseFormatFields { kind: "type", schema: "json_schema" }
}

object! {
    JsonSchemaFields { name: "name", schema: "schema", strict: "strict" }
}

/// Reads `tools`.
///
/// # Errors
/// 400 naming the place that violates the format.
pub(crate) fn read_tools<'a>(json: &'a str, unmapped: &mut UniqueNames<'a>) -> Result<Vec<Tool<'a>>> {
    let mut tools = Vec::new();
    each(json, "tools", |at, tool: ToolFields<'a>| {
        let kind = tool.kind.and_then(text).unwrap_or_default();
        if !matches!(kind.as_ref(), "" | "function") {
            unmapped.note(format!("tools[].{kind}"));
            return Ok(());
        }
        for other in &tool.others {
            unmapped.note(format!("tools[].{other}"));
        }
        let function: FunctionFields<'a> =
            members(tool.function).ok_or_else(|| wrong(format_args!("tools[{at}].function"), "an object"))?;
        let tool = function.tool(tool.cache, unmapped);
        tools.push(tool.ok_or_else(|| wrong(format_args!("tools[{at}].function.name"), "a string"))?);
        Ok(())
    })?;
    Ok(tools)
}

/// Reads `functions`, the older form of `tools`.
///
/// # Errors
/// As for tools.
pub(crate) fn read_functions<'a>(json: &'a str, unmapped: &mut UniqueNames<'a>) -> Result<Vec<Tool<'a>>> {
    let mut tools = Vec::new();
    each(json, "functions", |at, function: FunctionFields<'a>| {
        let tool = function.tool(None, unmapped);
        tools.push(tool.ok_or_else(|| wrong(format_args!("functions[{at}].name"), "a string"))?);
        Ok(())
    })?;
    Ok(tools)
}

impl<'a> FunctionFields<'a> {
    fn tool(self, cache: Option<&'a RawValue>, unmapped: &mut UniqueNames<'a>) -> Option<Tool<'a>> {
        for other in &self.others {
            unmapped.note(format!("tools[].function.{other}"));
        }
        Some(Tool {
            name: self.name.and_then(string)?,
            description: self.description.and_then(string),
            parameters: self.parameters.map(Raw::from),
            strict: self.strict.and_then(boolean),
            cache: cache.or(self.cache).map(Raw::from),
        })
    }
}

fn boolean(raw: &RawValue) -> Option<bool> {
    raw.get().parse().ok()
}

/// Reads `tool_choice`. Where it allows only some tools, the others are removed from the request.
///
/// # Errors
/// 400 if it has none of the format's forms.
pub(crate) fn read_tool_choice<'a>(json: &'a str, request: &mut ModelRequest<'a>) -> Result<()> {
    let refuse = || wrong("tool_choice", "`auto`, `none`, `required` or an object that names a function");
    if let Some(mode_name) = unquote(json) {
        request.tool_choice = Some(mode(&mode_name).ok_or_else(refuse)?);
        return Ok(());
    }
    let choice: ToolChoiceFields<'a> = serde_json::from_str(json).map_err(|_| refuse())?;
    if let Some(allowed) = choice.allowed {
        let allowed: AllowedToolsFields<'a> = members(Some(allowed)).ok_or_else(refuse)?;
        let mode_name = allowed.mode.and_then(text).unwrap_or(Cow::Borrowed("auto"));
        request.tool_choice = Some(mode(&mode_name).ok_or_else(refuse)?);
        let mut names = BTreeSet::new();
        let place = "tool_choice.allowed_tools.tools";
        each(allowed.tools.map_or("[]", RawValue::get), place, |_, tool: ToolFields<'a>| {
            names.extend(members::<FunctionFields<'a>>(tool.function).and_then(|function| Some(function.name?.get())));
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
    // The name of a tool, or of a function in the older form.
    let name = name(choice.function).or_else(|| choice.name.and_then(string));
    request.tool_choice = Some(ToolChoice::Tool(name.ok_or_else(refuse)?));
    Ok(())
}

fn name(function: Option<&RawValue>) -> Option<Raw<'_>> {
    members::<FunctionFields<'_>>(function)?.name.and_then(string)
}

fn mode(mode_name: &str) -> Option<ToolChoice<'static>> {
    match mode_name {
        "auto" => Some(ToolChoice::Auto),
        "none" => Some(ToolChoice::None),
        // `any` is Mistral's word.
        "required" | "any" => Some(ToolChoice::Required),
        _ => None,
    }
}

/// Reads `response_format`; `None` is plain text.
///
/// # Errors
/// 400 if it has none of the format's forms.
pub(crate) fn read_response_format<'a>(
    json: &'a str,
    unmapped: &mut UniqueNames<'a>,
) -> Result<Option<ResponseFormat<'a>>> {
    let refuse = || wrong("response_format", "an object of type `text`, `json_object` or `json_schema`");
    let format: ResponseFormatFields<'a> = serde_json::from_str(json).map_err(|_| refuse())?;
    match format.kind.and_then(text).unwrap_or_default().as_ref() {
        "text" => Ok(None),
        "json_object" => Ok(Some(ResponseFormat::Json)),
        "json_schema" => {
            let schema: JsonSchemaFields<'a> = members(format.schema)
                .ok_or_else(|| wrong("response_format.json_schema", "an object with a `schema`"))?;
            for other in &schema.others {
                unmapped.note(format!("response_format.json_schema.{other}"));
            }
            let (name, strict) = (schema.name.and_then(string), schema.strict.and_then(boolean));
            Ok(Some(schema.schema.map_or(ResponseFormat::Json, |raw| ResponseFormat::Schema {
                name,
                schema: Raw::from(raw),
                strict,
            })))
        }
        _ => Err(refuse()),
    }
}

//! Reads a client's request to `/v1/messages`.
//! Source: <https://docs.anthropic.com/en/api/messages>.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::super::thinking;
use super::fields::{Fields, each, required, wrong};
use super::read_messages;
use crate::canonical::{ModelRequest, Raw, ResponseFormat, Sampling, Thinking, Tool, ToolChoice, UniqueNames, text_of};
use crate::error::{Error, Result};
use crate::wire::json::{Document, parse_integer};

/// Fields that are read here or by the gateway. A field given twice is refused, because two readers could
/// take different values.
const READ: &[&str] = &[
    "model",
    "models",
    "messages",
    "max_tokens",
    "system",
    "stream",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "output_format",
    "stop_sequences",
    "metadata",
    "temperature",
    "top_p",
    "top_k",
];

/// Reads a message request.
///
/// # Errors
/// 400 naming the field that violates the format.
pub(crate) fn read<'d>(document: &'d Document<'d>) -> Result<ModelRequest<'d>> {
    refuse_repeated_fields(document)?;
    let max_tokens = max_tokens(document)?;
    read_prompt(document).map(|request| ModelRequest { max_tokens: Some(max_tokens), ..request })
}

fn refuse_repeated_fields(document: &Document<'_>) -> Result<()> {
    if let Some(key) = document.repeated(READ) {
        let message = format!("{key}: stands in the body more than once");
        return Err(Error::caller(400, "duplicate_key", message).at(key));
    }
    Ok(())
}

/// Reads a request to count a prompt's tokens: `max_tokens` is not required.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_prompt<'d>(document: &'d Document<'d>) -> Result<ModelRequest<'d>> {
    refuse_repeated_fields(document)?;
    let (mut unmapped, mut request) = (UniqueNames::default(), ModelRequest::default());
    request.turns = read_messages::read(value(document, "system"), value(document, "messages"), &mut unmapped)?;
    request.stream = boolean(document, "stream")?;
    request.tools = tools(document, &mut unmapped)?;
    tool_choice(document, &mut request)?;
    request.thinking = thinking(document, &mut unmapped)?;
    request.shows_thinking = matches!(request.thinking, Some(Thinking::Free | Thinking::Budget(1..)));
    output_config(document, &mut request, &mut unmapped)?;
    request.stop = stop_sequences(document)?;
    request.sampling = sampling(document)?;
    request.user = user(document, &mut unmapped)?;
    for (name, value) in document.members().filter(|(name, _)| !READ.contains(name)) {
        // `auto` is the default.
        let usual = name == "service_tier" && value == "\"auto\"";
        if !usual && !matches!(value, "null" | "[]" | "{}" | "\"\"") {
            unmapped.note(name.to_owned());
        }
    }
    request.unmapped_fields = unmapped;
    Ok(request)
}

fn value<'d>(document: &'d Document<'d>, name: &str) -> Option<&'d str> {
    document.value(name).filter(|value| *value != "null")
}

fn max_tokens(document: &Document<'_>) -> Result<u64> {
    let raw = value(document, "max_tokens").ok_or_else(|| required(&"max_tokens"))?;
    parse_integer(raw).ok_or_else(|| wrong(&"max_tokens", "Input should be a valid integer"))
}

fn boolean(document: &Document<'_>, name: &str) -> Result<bool> {
    match value(document, name) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(wrong(&name, "Input should be a valid boolean")),
    }
}

fn tools<'d>(document: &'d Document<'d>, unmapped: &mut UniqueNames<'d>) -> Result<Vec<Tool<'d>>> {
    let Some(raw) = value(document, "tools") else { return Ok(Vec::new()) };
    let mut tools = Vec::new();
    each(raw, &"tools", |index, mut fields: Fields<'d>| {
        let at = format_args!("tools.{index}");
        let kind = fields.take("type").and_then(text_of).unwrap_or(Cow::Borrowed("custom"));
        if kind != "custom" {
            // A tool that runs on Anthropic's servers.
            unmapped.note(format!("tools[].{kind}"));
            return Ok(());
        }
        tools.push(Tool {
            name: fields.json_text("name", &at)?,
            description: fields.raw("description"),
            parameters: fields.raw("input_schema"),
            strict: fields.boolean("strict", &at)?,
            cache: fields.raw("cache_control"),
        });
        fields.rest().for_each(|name| unmapped.note(format!("tools[].{name}")));
        Ok(())
    })?;
    Ok(tools)
}

fn tool_choice<'d>(document: &'d Document<'d>, request: &mut ModelRequest<'d>) -> Result<()> {
    let Some(raw) = value(document, "tool_choice") else { return Ok(()) };
    let mut fields = Fields::read(raw, &"tool_choice")?;
    let kind = fields.text("type", &"tool_choice")?;
    request.tool_choice = Some(match kind.as_ref() {
        "auto" => ToolChoice::Auto,
        "none" => ToolChoice::None,
        "any" => ToolChoice::Required,
        "tool" => ToolChoice::Tool(fields.json_text("name", &"tool_choice")?),
        _ => return Err(wrong(&"tool_choice.type", "Input should be 'auto', 'any', 'tool' or 'none'")),
    });
    let disable_parallel = fields.boolean("disable_parallel_tool_use", &"tool_choice")?;
    request.parallel_calls = disable_parallel.map(|disable_parallel| !disable_parallel);
    Ok(())
}

fn thinking(document: &Document<'_>, unmapped: &mut UniqueNames<'_>) -> Result<Option<Thinking>> {
    let Some(raw) = value(document, "thinking") else { return Ok(None) };
    let mut fields = Fields::read(raw, &"thinking")?;
    let kind = fields.text("type", &"thinking")?;
    let thinking = match kind.as_ref() {
        "disabled" => Thinking::Off,
        "adaptive" => Thinking::Free,
        "enabled" => {
            let budget = fields.need("budget_tokens", &"thinking.enabled")?;
            let wrong = || wrong(&"thinking.enabled.budget_tokens", "Input should be a valid integer");
            Thinking::Budget(parse_integer(budget.get()).ok_or_else(wrong)?)
        }
        _ => return Err(wrong(&"thinking.type", "Input should be 'enabled', 'disabled' or 'adaptive'")),
    };
    // Thinking is always returned as a summary.
    if fields.raw("display").is_some_and(|display| display.text().as_deref() != Some("summarized")) {
        unmapped.note("thinking.display");
    }
    Ok(Some(thinking))
}

/// Reads the output format, by its present name or its beta name, and the effort. A thinking budget takes
/// precedence over an effort.
fn output_config<'d>(
    document: &'d Document<'d>,
    request: &mut ModelRequest<'d>,
    unmapped: &mut UniqueNames<'d>,
) -> Result<()> {
    let mut format = value(document, "output_format");
    if let Some(raw) = value(document, "output_config") {
        let mut fields = Fields::read(raw, &"output_config")?;
        format = fields.take("format").map(RawValue::get).or(format);
        if let Some(word) = fields.take("effort") {
            let effort = text_of(word).and_then(|word| thinking::effort_from_word(&word));
            let effort = effort.ok_or_else(|| {
                wrong(&"output_config.effort", "Input should be 'low', 'medium', 'high', 'xhigh' or 'max'")
            })?;
            match request.thinking {
                None | Some(Thinking::Free) => request.thinking = Some(Thinking::Effort(effort)),
                Some(_) => unmapped.note("output_config.effort"),
            }
        }
        fields.rest().for_each(|name| unmapped.note(format!("output_config.{name}")));
    }
    let Some(format) = format else { return Ok(()) };
    let at = &"output_config.format";
    let mut fields = Fields::read(format, at)?;
    if fields.text("type", at)? != "json_schema" {
        return Err(wrong(&"output_config.format.type", "Input should be 'json_schema'"));
    }
    let schema = fields.need("schema", at)?.into();
    let name = fields.raw("name");
    request.response_format = Some(ResponseFormat::Schema { name, schema, strict: None });
    Ok(())
}

fn stop_sequences<'d>(document: &'d Document<'d>) -> Result<Vec<Raw<'d>>> {
    let Some(raw) = value(document, "stop_sequences") else { return Ok(Vec::new()) };
    let mut texts = Vec::new();
    each(raw, &"stop_sequences", |_, text: Raw<'d>| {
        let is_text = text.is_text();
        texts.push(text);
        is_text.then_some(()).ok_or_else(|| wrong(&"stop_sequences", "Input should be a list of strings"))
    })?;
    Ok(texts)
}

fn sampling<'d>(document: &'d Document<'d>) -> Result<Sampling<'d>> {
    let number = |name: &str| {
        let Some(raw) = value(document, name) else { return Ok(None) };
        let raw = raw.starts_with(|c: char| c == '-' || c.is_ascii_digit()).then(|| Raw::parse(raw)).flatten();
        raw.map(Some).ok_or_else(|| wrong(&name, "Input should be a valid number"))
    };
    let (temperature, top_p, top_k) = (number("temperature")?, number("top_p")?, number("top_k")?);
    Ok(Sampling { temperature, top_p, top_k, ..Sampling::default() })
}

fn user<'d>(document: &'d Document<'d>, unmapped: &mut UniqueNames<'d>) -> Result<Option<Raw<'d>>> {
    let Some(raw) = value(document, "metadata") else { return Ok(None) };
    let mut fields = Fields::read(raw, &"metadata")?;
    let user = fields.raw("user_id");
    if user.as_ref().is_some_and(|user| !user.is_text()) {
        return Err(wrong(&"metadata.user_id", "Input should be a valid string"));
    }
    fields.rest().for_each(|name| unmapped.note(format!("metadata.{name}")));
    Ok(user)
}

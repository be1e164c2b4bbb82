//! Reads a client's request. Fields without a place in the canonical form are listed by name.
//! Source: the OpenAI API reference, "Create a model response".

use super::super::wire::fields::{Fields, wrong};
use super::items::ItemReader;
use super::tools::{self, read_tools};
use crate::canonical::{Effort, ModelRequest, Part, Raw, Role, Thinking, Turn, UniqueNames};
use crate::error::{Error, Result};
use crate::formats::body::missing;
use crate::formats::effort;
use crate::wire::json::{Document, is_empty_value, parse_integer};
use crate::wire::typed;

/// Fields that are read by the gateway, or have no meaning for a provider of another format: they name the
/// request, or say how its response is kept and written.
const OWN: &[&str] = &[
    "model",
    "models",
    "input",
    "instructions",
    "tools",
    "store",
    "include",
    "stream_options",
    "metadata",
    "client_metadata",
    "prompt_cache_key",
    "prompt_cache_retention",
];

/// The value of `include` that asks for the probabilities of tokens.
const LOGPROBS: &str = "\"message.output_text.logprobs\"";

/// The value of `include` with which a client asks for the state of reasoning, to send it again.
const STATE: &str = "\"reasoning.encrypted_content\"";

/// All levels of effort.
const EFFORTS: &[Effort] =
    &[Effort::Minimal, Effort::Low, Effort::Medium, Effort::High, Effort::Higher, Effort::Highest];

/// Reads a request.
///
/// # Errors
/// 400 naming the field that violates the format, or that needs what the gateway does not keep.
pub(crate) fn read<'d>(document: &'d Document<'d>) -> Result<ModelRequest<'d>> {
    refuse_state(document)?;
    let (mut request, mut unmapped) = (ModelRequest::default(), UniqueNames::default());
    read_prompt(document, &mut request, &mut unmapped)?;
    for (key, json) in document.members().filter(|(_, json)| *json != "null") {
        if !read_field(key, json, &mut request, &mut unmapped)? && !OWN.contains(&key) && !is_default(key, json) {
            unmapped.note(key);
        }
    }
    // Read after the tools, of which it may select some.
    value(document, "tool_choice").map_or(Ok(()), |json| tools::read_tool_choice(json, &mut request))?;
    let wants_logprobs = value(document, "include").is_some_and(|include| include.contains(LOGPROBS));
    let alternatives = value(document, "top_logprobs").and_then(parse_integer);
    request.logprobs = (wants_logprobs || alternatives.is_some_and(|most| most > 0)).then(|| alternatives.unwrap_or(0));
    request.unmapped_fields = unmapped;
    Ok(request)
}

/// Whether the client carries the state of reasoning itself.
pub(crate) fn carries_state(document: &Document<'_>) -> bool {
    value(document, "include").is_some_and(|include| include.contains(STATE))
}

fn value<'d>(document: &'d Document<'d>, name: &str) -> Option<&'d str> {
    document.value(name).filter(|value| *value != "null")
}

/// Refuses what needs responses to be stored, or done in the background.
pub(super) fn refuse_state(document: &Document<'_>) -> Result<()> {
    let advice = "Send `store: false` and all items of the conversation in `input`.";
    for field in ["previous_response_id", "conversation", "prompt"] {
        if value(document, field).is_some() {
            let message = format!("`{field}` names something that this gateway does not keep. {advice}");
            let code =
                if field == "previous_response_id" { "previous_response_not_found" } else { "unsupported_parameter" };
            return Err(Error::caller(400, code, message).at(field));
        }
    }
    if value(document, "background") == Some("true") {
        let message = "`background` is not supported. Leave it out, and stream the response if it takes long.";
        return Err(Error::caller(400, "unsupported_parameter", message).at("background"));
    }
    Ok(())
}

/// Reads the instructions, the items and the tools.
fn read_prompt<'d>(
    document: &'d Document<'d>,
    request: &mut ModelRequest<'d>,
    unmapped: &mut UniqueNames<'d>,
) -> Result<()> {
    let mut reader = ItemReader::default();
    if let Some(raw) = value(document, "instructions") {
        let text = typed::from_str::<Raw<'_>>(raw)
            .ok()
            .filter(Raw::is_text)
            .ok_or_else(|| wrong(&"instructions", "a string"))?;
        if !text.is_blank() {
            reader.turns.push(Turn { role: Role::System, parts: vec![Part::Text { text, cache: None }] });
        }
    }
    reader.read(value(document, "input").ok_or_else(|| missing("input"))?, unmapped)?;
    if let Some(raw) = value(document, "tools") {
        read_tools(raw, &"tools", unmapped, &mut |declared| request.tools.push(declared.tool))?;
    }
    for found in reader.tools {
        if request.tools.iter().all(|tool| tool.name != found.name) {
            request.tools.push(found);
        }
    }
    (request.turns, request.sealed_states) = (reader.turns, reader.sealed);
    Ok(())
}

/// Reads any other field; `false` if the canonical form has no place for it.
fn read_field<'d>(
    key: &'d str,
    json: &'d str,
    request: &mut ModelRequest<'d>,
    unmapped: &mut UniqueNames<'d>,
) -> Result<bool> {
    match key {
        "stream" => request.stream = boolean(key, json)?,
        "parallel_tool_calls" => request.parallel_calls = Some(boolean(key, json)?),
        "max_output_tokens" => request.max_tokens = Some(whole_number(key, json)?),
        "temperature" => request.sampling.temperature = Some(number(key, json)?),
        "top_p" => request.sampling.top_p = Some(number(key, json)?),
        "text" => request.response_format = tools::read_text(json, unmapped)?,
        "reasoning" => reasoning(json, request, unmapped)?,
        "user" if request.user.is_none() => request.user = Some(string(key, json)?),
        "safety_identifier" => request.user = Some(string(key, json)?),
        "tool_choice" | "top_logprobs" | "user" => {}
        _ => return Ok(false),
    }
    Ok(true)
}

/// Reads the effort of reasoning. New words are named, and not refused.
fn reasoning(json: &str, request: &mut ModelRequest<'_>, unmapped: &mut UniqueNames<'_>) -> Result<()> {
    let mut fields = Fields::read(json, &"reasoning")?;
    // Of providers that show thoughts, they are always passed on as a summary.
    for name in ["summary", "generate_summary"] {
        request.shows_thinking |= fields.word(name).is_some_and(|word| word != "none");
    }
    fields.take("context");
    request.thinking = match fields.word("effort").as_deref() {
        None => None,
        Some("none") => Some(Thinking::Off),
        Some(word) => match EFFORTS.iter().find(|level| effort::word(**level) == word) {
            Some(level) => Some(Thinking::Effort(*level)),
            None => {
                unmapped.note("reasoning.effort");
                None
            }
        },
    };
    fields.rest().for_each(|name| unmapped.note(format!("reasoning.{name}")));
    Ok(())
}

/// Whether the value is the default.
fn is_default(key: &str, json: &str) -> bool {
    let defaults: &[&str] = match key {
        "service_tier" => &["\"auto\"", "\"default\""],
        "truncation" => &["\"disabled\""],
        "background" => &["false"],
        _ => &[],
    };
    is_empty_value(json) || defaults.contains(&json)
}

fn boolean(key: &str, json: &str) -> Result<bool> {
    json.parse().map_err(|_| wrong(&key, "true or false"))
}

fn whole_number(key: &str, json: &str) -> Result<u64> {
    parse_integer(json).ok_or_else(|| wrong(&key, "a whole number"))
}

fn number<'d>(key: &str, json: &'d str) -> Result<Raw<'d>> {
    let is_number = json.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    Raw::parse(json).filter(|_| is_number).ok_or_else(|| wrong(&key, "a number"))
}

fn string<'d>(key: &str, json: &'d str) -> Result<Raw<'d>> {
    typed::from_str::<Raw<'_>>(json).ok().filter(Raw::is_text).ok_or_else(|| wrong(&key, "a string"))
}

//! Writes a request for a provider. Nothing is stored there: reasoning comes back sealed, and goes with the calls
//! that it led to.
//! Source: the OpenAI API reference, "Create a model response".

use super::super::wire::api::ENDPOINT;
use super::write_items::ItemWriter;
use crate::canonical::{ModelRequest, Raw, ResponseFormat, Thinking, Tool, ToolChoice};
use crate::catalogue::field::{Field, Value};
use crate::error::Result;
use crate::formats::effort;
use crate::formats::unsupported::UnsupportedFields;
use crate::formats::written_request::{Adjustment, WriteTarget, WrittenRequest};
use crate::wire::json::quote;

/// The smallest limit that the API takes, in tokens.
const LEAST_LIMIT: u64 = 16;

/// The schema of a tool without arguments.
const NO_ARGUMENTS: &str = r#"{"type":"object","properties":{}}"#;

/// Writes a request.
///
/// # Errors
/// None. Unsupported fields are named in [`WrittenRequest::dropped`].
#[expect(clippy::unnecessary_wraps, reason = "the interface of all formats")]
pub(crate) fn write(request: &ModelRequest<'_>, target: WriteTarget<'_>) -> Result<WrittenRequest> {
    let mut unsupported = UnsupportedFields::default();
    request.unmapped_fields.iter().for_each(|name| unsupported.add(name.clone().into_owned()));
    let mut adjusted = Vec::new();
    let mut body = Members::default();
    body.add("model", &quote(target.model));
    body.add("input", &ItemWriter::write(&request.turns, &mut unsupported));
    if request.stream {
        body.add("stream", "true");
    }
    body.add("store", "false");
    include(request, target, &mut body);
    tools(request, &mut body);
    text_format(request, &mut body);
    if let Some(limit) = request.max_tokens {
        let sent = limit.max(LEAST_LIMIT);
        body.add("max_output_tokens", &sent.to_string());
        if sent != limit {
            adjusted.push(Adjustment::new("max_tokens", limit.to_string(), sent.to_string()));
        }
    }
    reasoning(request, target, &mut body, &mut adjusted, &mut unsupported);
    let settings =
        [("temperature", &request.sampling.temperature), ("top_p", &request.sampling.top_p), ("user", &request.user)];
    for (name, value) in settings {
        value.iter().for_each(|raw| body.add(name, raw.get()));
    }
    note_unsupported(request, &mut unsupported);
    Ok(WrittenRequest {
        path: ENDPOINT.to_owned(),
        headers: Vec::new(),
        body: body.finish().into_bytes(),
        dropped: unsupported.into_names(),
        adjusted,
    })
}

/// Members of an object that is being written.
#[derive(Default)]
struct Members(String);

impl Members {
    fn add(&mut self, name: &str, json: &str) {
        let comma = if self.0.is_empty() { "" } else { "," };
        [comma, "\"", name, "\":", json].iter().for_each(|piece| self.0.push_str(piece));
    }

    fn finish(self) -> String {
        ["{", &self.0, "}"].concat()
    }
}

/// Asks for what responses have only if they are asked. Models that do not reason refuse to seal reasoning.
fn include(request: &ModelRequest<'_>, target: WriteTarget<'_>, body: &mut Members) {
    let mut included = Vec::new();
    if target.facts.get(Field::Thinks) != Some(Value::Flag(false)) {
        included.push("\"reasoning.encrypted_content\"");
    }
    if let Some(alternatives) = request.logprobs {
        included.push("\"message.output_text.logprobs\"");
        body.add("top_logprobs", &alternatives.to_string());
    }
    if !included.is_empty() {
        body.add("include", &format!("[{}]", included.join(",")));
    }
}

/// Writes the tools. Without a word on it, the API takes a schema as strict, and refuses or changes others.
fn tools(request: &ModelRequest<'_>, body: &mut Members) {
    if request.tools.is_empty() {
        return;
    }
    let tools: Vec<String> = request.tools.iter().map(tool).collect();
    body.add("tools", &format!("[{}]", tools.join(",")));
    match &request.tool_choice {
        None => {}
        Some(ToolChoice::Auto) => body.add("tool_choice", "\"auto\""),
        Some(ToolChoice::None) => body.add("tool_choice", "\"none\""),
        Some(ToolChoice::Required) => body.add("tool_choice", "\"required\""),
        Some(ToolChoice::Tool(name)) => {
            body.add("tool_choice", &format!("{{\"type\":\"function\",\"name\":{}}}", name.get()));
        }
    }
    if let Some(parallel) = request.parallel_calls {
        body.add("parallel_tool_calls", if parallel { "true" } else { "false" });
    }
}

fn tool(tool: &Tool<'_>) -> String {
    let mut members = Members::default();
    members.add("type", "\"function\"");
    members.add("name", tool.name.get());
    tool.description.iter().for_each(|text| members.add("description", text.get()));
    let schema = tool.parameters.as_ref().filter(|schema| !schema.is_blank());
    members.add("parameters", schema.map_or(NO_ARGUMENTS, Raw::get));
    members.add("strict", if tool.strict == Some(true) { "true" } else { "false" });
    members.finish()
}

fn text_format(request: &ModelRequest<'_>, body: &mut Members) {
    match &request.response_format {
        None => {}
        Some(ResponseFormat::Json) => body.add("text", r#"{"format":{"type":"json_object"}}"#),
        Some(ResponseFormat::Schema { name, schema, strict }) => {
            let mut format = Members::default();
            format.add("type", "\"json_schema\"");
            format.add("name", name.as_ref().map_or("\"answer\"", Raw::get));
            format.add("schema", schema.get());
            format.add("strict", if *strict == Some(true) { "true" } else { "false" });
            body.add("text", &format!("{{\"format\":{}}}", format.finish()));
        }
    }
}

/// Writes the effort, and asks for a summary if the client wants to see thoughts: so do clients that ask for reasoning
/// otherwise than by a word of effort. A model without reasoning refuses the member.
fn reasoning(
    request: &ModelRequest<'_>,
    target: WriteTarget<'_>,
    body: &mut Members,
    adjusted: &mut Vec<Adjustment>,
    unsupported: &mut UnsupportedFields,
) {
    let effort = effort::fit(request, target.facts);
    unsupported.add_if(effort.dropped, effort::FIELD);
    adjusted.extend(effort.adjusted);
    let mut members = Members::default();
    effort.word.into_iter().for_each(|word| members.add("effort", &quote(word)));
    let is_shown = match request.thinking {
        Some(Thinking::Free | Thinking::Budget(1..)) => true,
        Some(Thinking::Effort(_)) => request.shows_thinking,
        Some(Thinking::Off | Thinking::Budget(0)) => false,
        None => request.shows_thinking && target.facts.flag(Field::Thinks),
    };
    if is_shown && target.facts.get(Field::Thinks) != Some(Value::Flag(false)) {
        members.add("summary", "\"auto\"");
    }
    if !members.0.is_empty() {
        body.add("reasoning", &members.finish());
    }
}

/// Notes the fields that the API does not have.
fn note_unsupported(request: &ModelRequest<'_>, unsupported: &mut UnsupportedFields) {
    let is_set = |raw: &Option<Raw<'_>>| raw.as_ref().is_some_and(|raw| raw.get().parse::<f64>() != Ok(0.0));
    unsupported.add_if(!request.stop.is_empty(), "stop");
    unsupported.add_if(request.choice_count() > 1, "n");
    unsupported.add_if(request.sampling.seed.is_some(), "seed");
    unsupported.add_if(request.sampling.top_k.is_some(), "top_k");
    unsupported.add_if(is_set(&request.sampling.presence_penalty), "presence_penalty");
    unsupported.add_if(is_set(&request.sampling.frequency_penalty), "frequency_penalty");
    unsupported.add_if(request.tools.iter().any(|tool| tool.cache.is_some()), "cache_control");
}

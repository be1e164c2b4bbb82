//! The request as Anthropic wants it, and what of the client's it cannot say.
//! Source: <https://docs.anthropic.com/en/api/messages>.

use super::super::thinking::{Plan, is, is_above, version};
use super::super::wire::api::{ENDPOINT, VERSION};
use super::super::wire::json::is_empty_text;
use super::super::wire::request::{Body, Choice, Format, Metadata, OutputConfig, Thinking, Tool};
use super::write_messages::{conversation, forgot};
use crate::canonical::{ModelRequest, Raw, ResponseFormat, ToolChoice};
use crate::error::{Error, Result};
use crate::formats::unsupported::Dropped;
use crate::formats::{WriteTarget, WrittenRequest};

/// Writes a request.
///
/// # Errors
/// 400 if nobody says anything: the API demands a turn.
pub(crate) fn write(request: &ModelRequest<'_>, aim: WriteTarget<'_>) -> Result<WrittenRequest> {
    let mut dropped = Dropped::default();
    request.unmapped_fields.iter().for_each(|name| dropped.add(name.clone().into_owned()));
    let (system, messages) = conversation(request, &mut dropped);
    if messages.is_empty() {
        let message = "This model's provider demands at least one message of a user that is not empty.";
        return Err(Error::caller(400, "unsupported_value", message).at("messages"));
    }
    let mut plan = Plan::new(request.thinking, request.max_tokens, aim);
    if matches!(plan.thinking, Some(Thinking::Enabled { .. })) && forgot(&messages) {
        plan = Plan::thoughtless(request.max_tokens, aim);
    }
    plan.dropped.into_iter().for_each(|name| dropped.add(name));
    let drawn = sampling(request, aim, &plan, &mut dropped);
    let body = Body {
        model: aim.model,
        max_tokens: plan.max_tokens,
        stream: request.stream,
        system,
        messages,
        tools: tools(request),
        tool_choice: tool_choice(request, &plan, &mut dropped),
        thinking: plan.thinking,
        output_config: output_config(request, &plan, &mut dropped),
        stop_sequences: stop(request, &mut dropped),
        temperature: drawn.temperature,
        top_p: drawn.top_p,
        top_k: drawn.top_k,
        metadata: request.user.as_ref().map(|user_id| Metadata { user_id }),
    };
    let body = serde_json::to_vec(&body).map_err(|error| Error::caller(400, "invalid_body", error.to_string()))?;
    unsaid(request, &mut dropped);
    let headers = vec![("anthropic-version", VERSION.to_owned())];
    Ok(WrittenRequest { path: ENDPOINT.to_owned(), headers, body, dropped: dropped.into_names() })
}

/// What ends the answer. White space alone is refused.
fn stop<'a>(request: &'a ModelRequest<'a>, dropped: &mut Dropped) -> Vec<&'a Raw<'a>> {
    dropped.add_if(request.stop.iter().any(is_empty_text), "stop");
    request.stop.iter().filter(|text| !is_empty_text(text)).collect()
}

/// Names what has no place in this format.
fn unsaid(request: &ModelRequest<'_>, dropped: &mut Dropped) {
    let is_set = |raw: &Option<Raw<'_>>| raw.as_ref().is_some_and(|raw| !is(raw, 0.0));
    dropped.add_if(request.answers() > 1, "n");
    dropped.add_if(request.logprobs.is_some(), "logprobs");
    dropped.add_if(request.sampling.seed.is_some(), "seed");
    dropped.add_if(is_set(&request.sampling.presence_penalty), "presence_penalty");
    dropped.add_if(is_set(&request.sampling.frequency_penalty), "frequency_penalty");
}

#[derive(Default)]
struct Drawn<'a> {
    temperature: Option<&'a Raw<'a>>,
    top_p: Option<&'a Raw<'a>>,
    top_k: Option<&'a Raw<'a>>,
}

/// How tokens are drawn, as far as the model lets itself be told. The default of temperature and `top_p` is 1: saying so is no loss.
fn sampling<'a>(request: &'a ModelRequest<'a>, aim: WriteTarget<'_>, plan: &Plan, dropped: &mut Dropped) -> Drawn<'a> {
    let asked = &request.sampling;
    let told = |raw: &&Raw<'_>| !is(raw, 1.0);
    let mut drawn =
        Drawn { temperature: asked.temperature.as_ref(), top_p: asked.top_p.as_ref(), top_k: asked.top_k.as_ref() };
    let version = version(aim.model);
    if plan.thinking.is_some() || version.is_some_and(|version| version >= (4, 7)) {
        dropped.add_if(drawn.temperature.is_some_and(|raw| told(&raw)), "temperature");
        dropped.add_if(drawn.top_p.is_some_and(|raw| told(&raw)), "top_p");
        dropped.add_if(drawn.top_k.is_some(), "top_k");
        return Drawn::default();
    }
    // Elsewhere it goes up to 2; here, the most is also the default.
    if drawn.temperature.is_some_and(|raw| is_above(raw, 1.0)) {
        dropped.add("temperature");
        drawn.temperature = None;
    }
    // From 4.1 on, models refuse both at once.
    if drawn.temperature.is_some() && drawn.top_p.is_some() && version.is_some_and(|version| version >= (4, 1)) {
        dropped.add_if(drawn.top_p.is_some_and(|raw| told(&raw)), "top_p");
        drawn.top_p = None;
    }
    drawn
}

fn tools<'a>(request: &'a ModelRequest<'a>) -> Vec<Tool<'a>> {
    let schema = |given: Option<&Raw<'a>>| {
        given
            .filter(|schema| !schema.is_blank())
            .cloned()
            .unwrap_or_else(|| Raw::of(&serde_json::json!({ "type": "object", "properties": {} })))
    };
    let tool = |tool: &'a crate::canonical::Tool<'a>| Tool {
        name: &tool.name,
        description: tool.description.as_ref(),
        input_schema: schema(tool.parameters.as_ref()),
        strict: tool.strict.unwrap_or(false),
        cache_control: tool.cache.as_ref(),
    };
    request.tools.iter().map(tool).collect()
}

/// Whether tools are to be called. Who thinks cannot be forced.
fn tool_choice<'a>(request: &'a ModelRequest<'a>, plan: &Plan, dropped: &mut Dropped) -> Option<Choice<'a>> {
    let choice = request.tool_choice.as_ref();
    let forced = matches!(choice, Some(ToolChoice::Required | ToolChoice::Tool(_)));
    if request.tools.is_empty() {
        dropped.add_if(forced, "tool_choice");
        return None;
    }
    let alone = request.parallel_calls == Some(false);
    let said = |kind, name| Some(Choice { kind, name, disable_parallel_tool_use: alone });
    if forced && plan.thinking.is_some() {
        dropped.add("tool_choice");
        return said("auto", None);
    }
    match choice {
        None if !alone => None,
        None | Some(ToolChoice::Auto) => said("auto", None),
        Some(ToolChoice::None) => Some(Choice { kind: "none", name: None, disable_parallel_tool_use: false }),
        Some(ToolChoice::Required) => said("any", None),
        Some(ToolChoice::Tool(name)) => said("tool", Some(name)),
    }
}

fn output_config<'a>(request: &'a ModelRequest<'a>, plan: &Plan, dropped: &mut Dropped) -> Option<OutputConfig<'a>> {
    let format = match &request.response_format {
        Some(ResponseFormat::Schema { schema, .. }) => Some(Format { kind: "json_schema", schema }),
        Some(ResponseFormat::Json) => {
            // Only a schema can be demanded here, and an instruction would be our invention.
            dropped.add("response_format");
            None
        }
        None => None,
    };
    (plan.effort.is_some() || format.is_some()).then_some(OutputConfig { effort: plan.effort, format })
}

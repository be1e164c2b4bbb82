//! Writes a Messages API request, and names the fields of the client's request that the API does not support.
//! Source: <https://docs.anthropic.com/en/api/messages>.

use super::super::thinking::{ThinkingPlan, equals, exceeds};
use super::super::wire::api::{ENDPOINT, VERSION};
use super::super::wire::json::is_empty_text;
use super::super::wire::request::{
    OutputConfig, OutputFormat, RequestBody, RequestMetadata, ThinkingParam, ToolChoiceParam, ToolDefinition,
};
use super::schema::input_schema;
use super::write_messages::{Conversation, lacks_thinking, write_conversation};
use crate::canonical::{ModelRequest, Raw, ResponseFormat, ToolChoice};
use crate::error::{Error, Result};
use crate::formats::unsupported::UnsupportedFields;
use crate::formats::written_request::{Adjustment, WriteTarget, WrittenRequest};

/// Writes a message request.
///
/// # Errors
/// 400 if no message is left to send: the API requires one.
pub(crate) fn write(request: &ModelRequest<'_>, target: WriteTarget<'_>) -> Result<WrittenRequest> {
    let mut unsupported = UnsupportedFields::default();
    request.unmapped_fields.iter().for_each(|name| unsupported.add(name.clone().into_owned()));
    let Conversation { system, messages, is_system_alone } = write_conversation(request, &mut unsupported);
    if messages.is_empty() {
        let message = "This model's provider demands at least one message of a user that is not empty.";
        return Err(Error::caller(400, "unsupported_value", message).at("messages"));
    }
    let mut plan = ThinkingPlan::new(request.thinking, request.max_tokens, target);
    if matches!(plan.thinking, Some(ThinkingParam::Enabled { .. })) && lacks_thinking(&messages) {
        plan = ThinkingPlan::without_thinking(request.max_tokens, target);
    }
    plan.unsupported.into_iter().for_each(|name| unsupported.add(name));
    let params = sampling(request, &plan, &mut unsupported);
    let body = RequestBody {
        model: target.model,
        max_tokens: plan.max_tokens,
        stream: request.stream,
        system,
        messages,
        tools: tools(request, &mut unsupported),
        tool_choice: tool_choice(request, &plan, &mut unsupported),
        thinking: plan.thinking,
        output_config: output_config(request, &plan, &mut unsupported),
        stop_sequences: stop(request, &mut unsupported),
        temperature: params.temperature,
        top_p: params.top_p,
        top_k: params.top_k,
        metadata: request.user.as_ref().map(|user_id| RequestMetadata { user_id }),
    };
    let body = serde_json::to_vec(&body).map_err(|error| Error::caller(400, "invalid_body", error.to_string()))?;
    note_unsupported(request, &mut unsupported);
    let headers = vec![("anthropic-version", VERSION.to_owned())];
    Ok(WrittenRequest {
        path: ENDPOINT.to_owned(),
        headers,
        body,
        dropped: unsupported.into_names(),
        adjusted: is_system_alone.then(Adjustment::instructions_alone).into_iter().collect(),
    })
}

/// The texts that end the response. The API refuses texts of white space only.
fn stop<'a>(request: &'a ModelRequest<'a>, unsupported: &mut UnsupportedFields) -> Vec<&'a Raw<'a>> {
    unsupported.add_if(request.stop.iter().any(is_empty_text), "stop");
    request.stop.iter().filter(|text| !is_empty_text(text)).collect()
}

/// Notes the fields that the API does not support.
fn note_unsupported(request: &ModelRequest<'_>, unsupported: &mut UnsupportedFields) {
    let is_set = |raw: &Option<Raw<'_>>| raw.as_ref().is_some_and(|raw| !equals(raw, 0.0));
    unsupported.add_if(request.choice_count() > 1, "n");
    unsupported.add_if(request.logprobs.is_some(), "logprobs");
    unsupported.add_if(request.sampling.seed.is_some(), "seed");
    unsupported.add_if(is_set(&request.sampling.presence_penalty), "presence_penalty");
    unsupported.add_if(is_set(&request.sampling.frequency_penalty), "frequency_penalty");
}

#[derive(Default)]
struct SamplingParams<'a> {
    temperature: Option<&'a Raw<'a>>,
    top_p: Option<&'a Raw<'a>>,
    top_k: Option<&'a Raw<'a>>,
}

/// The sampling parameters that a request which reasons accepts. 1 is the default of `temperature` and
/// `top_p`, so dropping it loses nothing.
fn sampling<'a>(
    request: &'a ModelRequest<'a>,
    plan: &ThinkingPlan,
    unsupported: &mut UnsupportedFields,
) -> SamplingParams<'a> {
    let asked = &request.sampling;
    let is_set = |raw: &&Raw<'_>| !equals(raw, 1.0);
    let mut params = SamplingParams {
        temperature: asked.temperature.as_ref(),
        top_p: asked.top_p.as_ref(),
        top_k: asked.top_k.as_ref(),
    };
    if plan.thinking.is_some() {
        unsupported.add_if(params.temperature.is_some_and(|raw| is_set(&raw)), "temperature");
        unsupported.add_if(params.top_p.is_some_and(|raw| is_set(&raw)), "top_p");
        unsupported.add_if(params.top_k.is_some(), "top_k");
        return SamplingParams::default();
    }
    // Other formats allow up to 2; here 1 is both the maximum and the default.
    if params.temperature.is_some_and(|raw| exceeds(raw, 1.0)) {
        unsupported.add("temperature");
        params.temperature = None;
    }
    params
}

fn tools<'a>(request: &'a ModelRequest<'a>, unsupported: &mut UnsupportedFields) -> Vec<ToolDefinition<'a>> {
    let mut definition = |tool: &'a crate::canonical::Tool<'a>| ToolDefinition {
        name: &tool.name,
        description: tool.description.as_ref(),
        input_schema: input_schema(tool.parameters.as_ref(), unsupported),
        strict: tool.strict.unwrap_or(false),
        cache_control: tool.cache.as_ref(),
    };
    request.tools.iter().map(&mut definition).collect()
}

/// Forced tool calls and thinking exclude each other; thinking wins.
fn tool_choice<'a>(
    request: &'a ModelRequest<'a>,
    plan: &ThinkingPlan,
    unsupported: &mut UnsupportedFields,
) -> Option<ToolChoiceParam<'a>> {
    let choice = request.tool_choice.as_ref();
    let forced = matches!(choice, Some(ToolChoice::Required | ToolChoice::Tool(_)));
    if request.tools.is_empty() {
        unsupported.add_if(forced, "tool_choice");
        return None;
    }
    let disable_parallel = request.parallel_calls == Some(false);
    let param = |kind, name| Some(ToolChoiceParam { kind, name, disable_parallel_tool_use: disable_parallel });
    if forced && plan.thinking.is_some() {
        unsupported.add("tool_choice");
        return param("auto", None);
    }
    match choice {
        None if !disable_parallel => None,
        None | Some(ToolChoice::Auto) => param("auto", None),
        Some(ToolChoice::None) => Some(ToolChoiceParam { kind: "none", name: None, disable_parallel_tool_use: false }),
        Some(ToolChoice::Required) => param("any", None),
        Some(ToolChoice::Tool(name)) => param("tool", Some(name)),
    }
}

fn output_config<'a>(
    request: &'a ModelRequest<'a>,
    plan: &ThinkingPlan,
    unsupported: &mut UnsupportedFields,
) -> Option<OutputConfig<'a>> {
    let format = match &request.response_format {
        Some(ResponseFormat::Schema { schema, .. }) => Some(OutputFormat { kind: "json_schema", schema }),
        Some(ResponseFormat::Json) => {
            // The API knows only schemas. An instruction in the prompt instead would change what the client
            // sent.
            unsupported.add("response_format");
            None
        }
        None => None,
    };
    (plan.effort.is_some() || format.is_some()).then_some(OutputConfig { effort: plan.effort, format })
}

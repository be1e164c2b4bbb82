//! Writes a `generateContent` request.

use super::super::thinking;
use super::super::wire::request::{
    FunctionCalling, FunctionDeclaration, GenerationConfig, RequestBody, ToolConfig, ToolSet,
};
use super::contents::{Conversation, write_contents};
use super::path::path;
use crate::canonical::{ModelRequest, ResponseFormat, Tool, ToolChoice};
use crate::error::{Error, Result};
use crate::formats::unsupported::UnsupportedFields;
use crate::formats::written_request::{Adjustment, WriteTarget, WrittenRequest};

/// Writes a request.
///
/// # Errors
/// 400 if there is no content to send, or a tool result belongs to no call.
pub(crate) fn write(request: &ModelRequest<'_>, target: WriteTarget<'_>) -> Result<WrittenRequest> {
    let mut unsupported = UnsupportedFields::default();
    request.unmapped_fields.iter().for_each(|name| unsupported.add(name.clone().into_owned()));
    unsupported.add_if(request.user.is_some(), "user");
    unsupported.add_if(request.parallel_calls == Some(false), "parallel_tool_calls");
    let Conversation { system, contents, is_opened, is_system_alone } =
        write_contents(&request.turns, thinking::takes_levels(target.facts), &mut unsupported)?;
    if contents.is_empty() {
        let message = "`messages` must hold at least one message of a user or an assistant that is not empty.";
        return Err(Error::caller(400, "invalid_request", message).at("messages"));
    }
    let opened = is_opened.then(|| Adjustment::new("messages", String::new(), "a user's turn first".to_owned()));
    let turned = is_system_alone.then(Adjustment::instructions_alone);
    let (thinking_config, adjusted) = match request.thinking {
        Some(thinking) => thinking::config(thinking, target.facts, &mut unsupported),
        None => (None, None),
    };
    let body = RequestBody {
        system_instruction: system,
        contents,
        tools: tools(&request.tools, &mut unsupported),
        tool_config: tool_config(request),
        generation_config: GenerationConfig { thinking_config, ..generation_config(request) },
    };
    let body = serde_json::to_vec(&body)
        .map_err(|error| Error::caller(400, "invalid_request", format!("The request cannot be written: {error}.")))?;
    Ok(WrittenRequest {
        path: path(target.model, request.stream),
        headers: Vec::new(),
        body,
        dropped: unsupported.into_names(),
        adjusted: opened.into_iter().chain(turned).chain(adjusted).collect(),
    })
}

fn tools<'a>(tools: &'a [Tool<'a>], unsupported: &mut UnsupportedFields) -> Vec<ToolSet<'a>> {
    if tools.is_empty() {
        return Vec::new();
    }
    unsupported.add_if(tools.iter().any(|tool| tool.strict == Some(true)), "tools[].function.strict");
    unsupported.add_if(tools.iter().any(|tool| tool.cache.is_some()), "cache_control");
    let declare = |tool: &'a Tool<'a>| FunctionDeclaration {
        name: &tool.name,
        description: tool.description.as_ref(),
        parameters_json_schema: tool.parameters.as_ref(),
    };
    vec![ToolSet { function_declarations: tools.iter().map(declare).collect() }]
}

fn tool_config<'a>(request: &'a ModelRequest<'a>) -> Option<ToolConfig<'a>> {
    // Gemini refuses a tool choice without tools.
    let choice = request.tool_choice.as_ref().filter(|_| !request.tools.is_empty())?;
    let (mode, allowed_names) = match choice {
        ToolChoice::Auto => ("AUTO", None),
        ToolChoice::None => ("NONE", None),
        ToolChoice::Required => ("ANY", None),
        ToolChoice::Tool(name) => ("ANY", Some([name])),
    };
    Some(ToolConfig { function_calling_config: FunctionCalling { mode, allowed_function_names: allowed_names } })
}

fn generation_config<'a>(request: &'a ModelRequest<'a>) -> GenerationConfig<'a> {
    let sampling = &request.sampling;
    let (response_mime_type, response_json_schema) = match &request.response_format {
        None => (None, None),
        Some(ResponseFormat::Json) => (Some("application/json"), None),
        Some(ResponseFormat::Schema { schema, .. }) => (Some("application/json"), Some(schema)),
    };
    GenerationConfig {
        temperature: sampling.temperature.as_ref(),
        top_p: sampling.top_p.as_ref(),
        top_k: sampling.top_k.as_ref(),
        seed: sampling.seed.as_ref(),
        presence_penalty: sampling.presence_penalty.as_ref(),
        frequency_penalty: sampling.frequency_penalty.as_ref(),
        candidate_count: request.choices.filter(|count| *count > 1),
        max_output_tokens: request.max_tokens,
        stop_sequences: &request.stop,
        response_logprobs: request.logprobs.map(|_| true),
        logprobs: request.logprobs.filter(|count| *count > 0),
        response_mime_type,
        response_json_schema,
        thinking_config: None,
    }
}

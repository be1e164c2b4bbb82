//! A request as Gemini wants it. It does not know how turns become contents (`turns`), nor how models think (`thinking`).

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::super::{WriteTarget, WrittenRequest};
use super::thinking::{self, ThinkingConfig};
use super::turns::{Content, contents};
use crate::canonical::{ModelRequest, Raw, ResponseFormat, Tool, ToolChoice, UniqueNames};
use crate::error::{Error, Result};

/// What may stand in a path as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The collections that a model may be named in; where no one is named, it is the first.
const COLLECTIONS: &[&str] = &["models/", "tunedModels/"];

/// What will not be told, by name, each once.
#[derive(Default, PartialEq)]
pub(super) struct Dropped(UniqueNames<'static>);

impl Dropped {
    /// Notes a name, if there is something to note.
    pub(super) fn note(&mut self, really: bool, name: &str) {
        if really {
            self.0.note(name.to_owned());
        }
    }

    /// The names, in the order in which they were noted.
    pub(super) fn into_names(self) -> Vec<Cow<'static, str>> {
        self.0.into_vec()
    }
}

/// The body of a request (<https://ai.google.dev/api/generate-content#request-body>).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    system_instruction: Option<Content<'a>>,
    contents: Vec<Content<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tools<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_config: Option<ToolConfig<'a>>,
    #[serde(skip_serializing_if = "Generation::is_empty")]
    generation_config: Generation<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Tools<'a> {
    function_declarations: Vec<Declaration<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Declaration<'a> {
    name: &'a Raw<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a Raw<'a>>,
    /// JSON Schema as it is; the older `parameters` knows but a part of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters_json_schema: Option<&'a Raw<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToolConfig<'a> {
    function_calling_config: Calling<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Calling<'a> {
    mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_function_names: Option<[&'a Raw<'a>; 1]>,
}

/// <https://ai.google.dev/api/generate-content#generationconfig>
#[derive(Serialize, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
struct Generation<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<&'a Raw<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<&'a Raw<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<&'a Raw<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<&'a Raw<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<&'a Raw<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<&'a Raw<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    candidate_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop_sequences: &'a [Raw<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    response_logprobs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_mime_type: Option<&'static str>,
    /// JSON Schema as it is; the older `responseSchema` knows but a part of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    response_json_schema: Option<&'a Raw<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_config: Option<ThinkingConfig>,
}

impl Generation<'_> {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Writes a request.
///
/// # Errors
/// 400 if nobody says anything, or a result belongs to no call.
pub(super) fn write(request: &ModelRequest<'_>, aim: WriteTarget<'_>) -> Result<WrittenRequest> {
    let mut dropped = Dropped::default();
    request.unmapped_fields.iter().for_each(|name| dropped.note(true, name));
    dropped.note(request.user.is_some(), "user");
    dropped.note(request.parallel_calls == Some(false), "parallel_tool_calls");
    let (system, contents) = contents(&request.turns, aim.model, &mut dropped)?;
    if contents.is_empty() {
        let message = "`messages` must hold at least one message of a user or an assistant that is not empty.";
        return Err(Error::caller(400, "invalid_request", message).at("messages"));
    }
    let body = Body {
        system_instruction: system,
        contents,
        tools: tools(&request.tools, &mut dropped),
        tool_config: tool_config(request),
        generation_config: generation(request, aim, &mut dropped),
    };
    let body = serde_json::to_vec(&body)
        .map_err(|error| Error::caller(400, "invalid_request", format!("The request cannot be written: {error}.")))?;
    Ok(WrittenRequest {
        path: path(aim.model, request.stream),
        headers: Vec::new(),
        body,
        dropped: dropped.into_names(),
    })
}

fn path(model: &str, stream: bool) -> String {
    let method = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
    format!("/{}:{method}", resource(model))
}

/// A model's full name, as it stands in a path: `models/gemini-2.5-flash`.
pub(super) fn resource(model: &str) -> String {
    let (collection, name) = parts(model);
    format!("{collection}{}", utf8_percent_encode(name, PLAIN))
}

/// A model's full name, as it stands in a body.
pub(super) fn full_name(model: &str) -> String {
    let (collection, name) = parts(model);
    format!("{collection}{name}")
}

fn parts(model: &str) -> (&str, &str) {
    let named = COLLECTIONS.iter().find_map(|collection| Some((*collection, model.strip_prefix(collection)?)));
    named.unwrap_or(("models/", model))
}

fn tools<'a>(tools: &'a [Tool<'a>], dropped: &mut Dropped) -> Vec<Tools<'a>> {
    if tools.is_empty() {
        return Vec::new();
    }
    dropped.note(tools.iter().any(|tool| tool.strict == Some(true)), "tools[].function.strict");
    dropped.note(tools.iter().any(|tool| tool.cache.is_some()), "cache_control");
    let declare = |tool: &'a Tool<'a>| Declaration {
        name: &tool.name,
        description: tool.description.as_ref(),
        parameters_json_schema: tool.parameters.as_ref(),
    };
    vec![Tools { function_declarations: tools.iter().map(declare).collect() }]
}

fn tool_config<'a>(request: &'a ModelRequest<'a>) -> Option<ToolConfig<'a>> {
    // Without tools there is nothing to choose, and Gemini refuses to.
    let choice = request.tool_choice.as_ref().filter(|_| !request.tools.is_empty())?;
    let (mode, allowed) = match choice {
        ToolChoice::Auto => ("AUTO", None),
        ToolChoice::None => ("NONE", None),
        ToolChoice::Required => ("ANY", None),
        ToolChoice::Tool(name) => ("ANY", Some([name])),
    };
    Some(ToolConfig { function_calling_config: Calling { mode, allowed_function_names: allowed } })
}

fn generation<'a>(request: &'a ModelRequest<'a>, aim: WriteTarget<'_>, dropped: &mut Dropped) -> Generation<'a> {
    let sampling = &request.sampling;
    let (response_mime_type, response_json_schema) = match &request.response_format {
        None => (None, None),
        Some(ResponseFormat::Json) => (Some("application/json"), None),
        Some(ResponseFormat::Schema { schema, .. }) => (Some("application/json"), Some(schema)),
    };
    Generation {
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
        thinking_config: request.thinking.and_then(|thinking| thinking::config(thinking, aim.model, dropped)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_named_in_its_collection_and_fits_a_path() {
        assert_eq!(path("gemini-2.5-flash", false), "/models/gemini-2.5-flash:generateContent");
        assert_eq!(path("gemini-3-pro", true), "/models/gemini-3-pro:streamGenerateContent?alt=sse");
        assert_eq!(path("models/gemini-3-pro", false), "/models/gemini-3-pro:generateContent");
        assert_eq!(path("tunedModels/mine-1", false), "/tunedModels/mine-1:generateContent");
        assert_eq!(resource("odd/a?b#c:d e"), "models/odd%2Fa%3Fb%23c%3Ad%20e");
        assert_eq!(resource("models/../x"), "models/..%2Fx");
    }
}

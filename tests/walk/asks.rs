//! Requests of clients, as the gateway holds them, and what it writes for a model.

use std::borrow::Cow;

use llm_bridge::canonical::{ModelRequest, Part, Raw, Role, Thinking, Tool, ToolCall, Turn};
use llm_bridge::catalogue::Facts;
use llm_bridge::formats::bounds::LimitNames;
use llm_bridge::formats::{ToolNames, WriteTarget, fit, provider_format};
use serde_json::Value;

/// A call's id that has more than letters and digits, and is longer than any host allows.
pub const LONG_ID: &str = "toolu.01-a_long:id.which-no_host:takes.as-it_is:at.all-or_so";
pub const THOUGHT: &str = "The user wants weather.";
pub const LIMIT: u64 = 9_000;

fn raw(json: &str) -> Option<Raw<'static>> {
    Raw::from_string(json.to_owned())
}

/// A chat with settings that not every model takes.
pub fn chat() -> ModelRequest<'static> {
    let mut request = ModelRequest {
        turns: vec![turn(Role::User, vec![text("Hi")])],
        max_tokens: Some(LIMIT),
        stop: vec![Raw::quoted("END")],
        user: Some(Raw::quoted("user-1")),
        ..ModelRequest::default()
    };
    let sampling = &mut request.sampling;
    (sampling.temperature, sampling.top_p, sampling.top_k) = (raw("0.3"), raw("0.9"), raw("40"));
    (sampling.presence_penalty, sampling.frequency_penalty) = (raw("0.5"), raw("0.25"));
    request
}

pub fn thinking(thinking: Option<Thinking>, with_tools: bool) -> ModelRequest<'static> {
    let tools = if with_tools { vec![tool("f")] } else { Vec::new() };
    ModelRequest { thinking, tools, ..chat() }
}

/// A conversation in which the model has called this tool.
pub fn called(tool_name: &str, id: &str) -> ModelRequest<'static> {
    let thought = Part::Thinking { text: Raw::quoted(THOUGHT), signature: None };
    let call = Part::Call(ToolCall {
        id: Cow::Owned(id.to_owned()),
        name: Cow::Owned(tool_name.to_owned()),
        arguments: raw("{}").unwrap(),
        reasoning_state: None,
        cache: None,
    });
    let result =
        Part::Result { call: Cow::Owned(id.to_owned()), parts: vec![text("sunny")], failed: false, cache: None };
    let turns = vec![
        turn(Role::User, vec![text("Hi")]),
        turn(Role::Assistant, vec![thought, call]),
        turn(Role::User, vec![result]),
    ];
    ModelRequest { turns, tools: vec![tool(tool_name)], ..ModelRequest::default() }
}

fn tool(name: &str) -> Tool<'static> {
    Tool { name: Raw::quoted(name), description: None, parameters: raw("{}"), strict: None, cache: None }
}

fn text(text: &str) -> Part<'static> {
    Part::Text { text: Raw::quoted(text), cache: None }
}

fn turn(role: Role, parts: Vec<Part<'static>>) -> Turn<'static> {
    Turn { role, parts }
}

/// The body that the gateway writes for a model.
pub fn written(format: &str, model: &str, mut request: ModelRequest<'static>, facts: &Facts) -> Value {
    let format = provider_format(format).unwrap();
    let listed = facts.names(llm_bridge::catalogue::field::Field::LimitFields);
    let names = LimitNames::of(&[], listed);
    let limit_field = (names != LimitNames::Unknown).then(|| names.preferred(model));
    ToolNames::fit(&mut request, facts, false);
    let target = WriteTarget { model, max_output: None, limit_field, facts };
    let written = fit::write(format, &mut request, target, b"secret").unwrap();
    serde_json::from_slice(&written.body).unwrap()
}

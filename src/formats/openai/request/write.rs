//! Writes a chat completion request with the fields that all providers of this format understand.
//! Source: the OpenAI API reference, "Create chat completion", and observed differences between providers.

use std::borrow::Cow;

use super::super::wire::ENDPOINT;
use super::super::wire::write_json;
use super::write_messages::MessagesWriter;
use crate::canonical::{ModelRequest, Raw, ResponseFormat, Tool, ToolChoice, UniqueNames};
use crate::catalogue::Facts;
use crate::catalogue::field::{Field, Fit, Value};
use crate::error::Result;
use crate::formats::bounds::LimitNames;
use crate::formats::effort;
use crate::formats::written_request::{WriteTarget, WrittenRequest};
use crate::wire::json::quote;

/// Writes a request.
///
/// # Errors
/// None. Unsupported fields are named in [`WrittenRequest::dropped`].
#[expect(clippy::unnecessary_wraps, reason = "the interface of all formats")]
pub(crate) fn write(request: &ModelRequest<'_>, target: WriteTarget<'_>) -> Result<WrittenRequest> {
    let mut body = ObjectWriter::default();
    body.field("model", &quote(target.model));
    let mut messages = MessagesWriter::with_reasoning(reasoning_field(target.facts));
    request.turns.iter().for_each(|turn| messages.turn(turn));
    let unsupported_content = std::mem::take(&mut messages.unsupported);
    request.prefill.into_iter().for_each(|member| messages.mark_last(member));
    body.field("messages", &messages.finish());
    if request.stream {
        body.field("stream", "true");
        if target.facts.fit(Field::StreamOptions) != Fit::Drop {
            body.field("stream_options", "{\"include_usage\":true}");
        }
    }
    tools(request, &mut body);
    response_format(request.response_format.as_ref(), &mut body);
    limits(request, target, &mut body);
    let effort = effort::fit(request, target.facts);
    if let Some(word) = effort.word {
        body.field(effort::FIELD, &quote(word));
    }
    body.raw("user", request.user.as_ref());
    sampling(request, &mut body);
    let mut unsupported: UniqueNames<'static> =
        request.unmapped_fields.iter().map(|name| name.clone().into_owned()).collect();
    let top_k = request.sampling.top_k.as_ref().map(|_| Cow::Borrowed("top_k"));
    let unsupported_parts = unsupported_content.into_iter().map(Cow::Borrowed);
    let cache_marks = request.tools.iter().any(|tool| tool.cache.is_some()).then_some(Cow::Borrowed("cache_control"));
    let effort_lost = effort.dropped.then_some(Cow::Borrowed(effort::FIELD));
    let lost = top_k.into_iter().chain(unsupported_parts).chain(cache_marks).chain(effort_lost);
    lost.for_each(|name| unsupported.note(name));
    Ok(WrittenRequest {
        path: ENDPOINT.to_owned(),
        headers: Vec::new(),
        body: body.finish(),
        dropped: unsupported.into_vec(),
        adjusted: effort.adjusted.into_iter().collect(),
    })
}

/// A JSON object that is being written.
#[derive(Default)]
struct ObjectWriter(Vec<u8>);

impl ObjectWriter {
    fn field(&mut self, name: &str, json: &str) {
        self.0.extend_from_slice(if self.0.is_empty() { b"{\"" } else { b",\"" });
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
        self.0.extend_from_slice(json.as_bytes());
    }

    fn raw(&mut self, name: &str, raw: Option<&Raw<'_>>) {
        raw.into_iter().for_each(|raw| self.field(name, raw.get()));
    }

    fn number(&mut self, name: &str, number: Option<u64>) {
        number.into_iter().for_each(|number| self.field(name, &number.to_string()));
    }

    fn boolean(&mut self, name: &str, flag: Option<bool>) {
        flag.into_iter().for_each(|flag| self.field(name, if flag { "true" } else { "false" }));
    }

    fn finish(mut self) -> Vec<u8> {
        self.0.extend_from_slice(if self.0.is_empty() { b"{}" } else { b"}" });
        self.0
    }

    fn text(self) -> String {
        String::from_utf8(self.finish()).unwrap_or_default()
    }
}

fn tools(request: &ModelRequest<'_>, body: &mut ObjectWriter) {
    if request.tools.is_empty() {
        // Most providers refuse a tool choice without tools.
        return;
    }
    let tools: Vec<String> = request.tools.iter().map(tool).collect();
    body.field("tools", &format!("[{}]", tools.join(",")));
    match &request.tool_choice {
        None => {}
        Some(ToolChoice::Auto) => body.field("tool_choice", "\"auto\""),
        Some(ToolChoice::None) => body.field("tool_choice", "\"none\""),
        Some(ToolChoice::Required) => body.field("tool_choice", "\"required\""),
        Some(ToolChoice::Tool(name)) => {
            let choice = format!("{{\"type\":\"function\",\"function\":{{\"name\":{}}}}}", name.get());
            body.field("tool_choice", &choice);
        }
    }
    body.boolean("parallel_tool_calls", request.parallel_calls);
}

fn tool(tool: &Tool<'_>) -> String {
    let mut function = ObjectWriter::default();
    function.raw("name", Some(&tool.name));
    function.raw("description", tool.description.as_ref());
    function.raw("parameters", tool.parameters.as_ref());
    function.boolean("strict", tool.strict);
    format!("{{\"type\":\"function\",\"function\":{}}}", function.text())
}

fn response_format(format: Option<&ResponseFormat<'_>>, body: &mut ObjectWriter) {
    match format {
        None => {}
        Some(ResponseFormat::Json) => body.field("response_format", "{\"type\":\"json_object\"}"),
        Some(ResponseFormat::Schema { name, schema, strict }) => {
            let mut inner = ObjectWriter::default();
            inner.field("name", name.as_ref().map_or("\"answer\"", Raw::get));
            inner.raw("schema", Some(schema));
            inner.boolean("strict", *strict);
            body.field("response_format", &format!("{{\"type\":\"json_schema\",\"json_schema\":{}}}", inner.text()));
        }
    }
}

fn limits(request: &ModelRequest<'_>, target: WriteTarget<'_>, body: &mut ObjectWriter) {
    body.number(target.limit_field.unwrap_or_else(|| LimitNames::Unknown.preferred(target.model)), request.max_tokens);
    if !request.stop.is_empty() {
        let mut stops = Vec::new();
        write_json(&request.stop, &mut stops);
        body.field("stop", &String::from_utf8(stops).unwrap_or_default());
    }
    body.number("n", request.choices);
    if let Some(alternatives) = request.logprobs {
        body.field("logprobs", "true");
        body.number("top_logprobs", Some(alternatives).filter(|number| *number > 0));
    }
}

fn sampling(request: &ModelRequest<'_>, body: &mut ObjectWriter) {
    let sampling = &request.sampling;
    body.raw("temperature", sampling.temperature.as_ref());
    body.raw("top_p", sampling.top_p.as_ref());
    body.raw("seed", sampling.seed.as_ref());
    body.raw("presence_penalty", sampling.presence_penalty.as_ref());
    body.raw("frequency_penalty", sampling.frequency_penalty.as_ref());
}

/// The field of a message in which the host takes reasoning of earlier turns, if it does.
fn reasoning_field(facts: &Facts) -> Option<&'static str> {
    match facts.get(Field::ReasoningContent)? {
        Value::Fit(Fit::Keep) => Some("reasoning_content"),
        Value::Fit(Fit::Rename(name)) => Some(name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::canonical::{Media, MediaKind, MediaSource, Part, Role, Thinking, ToolCall, Turn};

    fn written(request: &ModelRequest<'_>, model: &str) -> (Value, Vec<String>) {
        let written =
            write(request, WriteTarget { model, max_output: None, limit_field: None, facts: &Facts::UNKNOWN }).unwrap();
        assert_eq!(written.path, "/chat/completions");
        let dropped = written.dropped.into_iter().map(Cow::into_owned).collect();
        (serde_json::from_slice(&written.body).unwrap(), dropped)
    }

    fn text(text: &str) -> Part<'static> {
        Part::Text { text: Raw::quoted(text), cache: None }
    }

    fn conversation(turns: Vec<Turn<'static>>) -> (Value, Vec<String>) {
        let (body, dropped) = written(&ModelRequest { turns, ..ModelRequest::default() }, "m");
        (body["messages"].clone(), dropped)
    }

    fn turn(role: Role, parts: Vec<Part<'static>>) -> Turn<'static> {
        Turn { role, parts }
    }

    #[test]
    fn results_come_first_and_their_media_after_them() {
        let image = |cache| {
            let source = MediaSource::Data { mime: "image/png".into(), base64: "AA==".into() };
            Part::Media(Media { kind: MediaKind::Image, source, name: None, cache })
        };
        let result = |call: &'static str, parts| Part::Result { call: call.into(), parts, failed: true, cache: None };
        let mark = Raw::parse(r#"{"type":"ephemeral"}"#);
        let parts =
            vec![text("so"), result("a", vec![text("x"), text("y"), image(None)]), result("b", vec![]), image(mark)];
        let url = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}});
        let expected = json!([{"role": "tool", "tool_call_id": "a", "content": "x\n\ny"}, {"role": "tool", "tool_call_id": "b", "content": ""},
            {"role": "user", "content": [url, {"type": "text", "text": "so"}, url]}]);
        let dropped = ["messages[].content[].is_error", "cache_control"].map(str::to_owned).to_vec();
        assert_eq!(conversation(vec![turn(Role::User, parts)]), (expected, dropped));
    }

    #[test]
    fn thinking_is_left_out_and_arguments_are_quoted() {
        let thought = || Part::Thinking { text: Raw::quoted("hm"), signature: None };
        let arguments = Raw::parse("{\"a\": \"\\u00e9\"}").unwrap();
        let call =
            Part::Call(ToolCall { id: "c".into(), name: "f".into(), arguments, reasoning_state: None, cache: None });
        let thoughts_and_call = vec![thought(), Part::Redacted(Raw::quoted("?")), call];
        let (messages, dropped) = conversation(vec![
            turn(Role::System, vec![text("s")]),
            turn(Role::Assistant, vec![thought()]),
            turn(Role::Assistant, thoughts_and_call),
        ]);
        let function = json!({"name": "f", "arguments": "{\"a\": \"\\u00e9\"}"});
        let expected = json!([{"role": "system", "content": "s"},
            {"role": "assistant", "content": null, "tool_calls": [{"id": "c", "type": "function", "function": function}]}]);
        assert_eq!((messages, dropped), (expected, vec![]));
    }

    #[test]
    fn limits_and_efforts_are_written_as_the_model_expects() {
        let request = ModelRequest {
            max_tokens: Some(5),
            stream: true,
            thinking: Some(Thinking::Budget(10_000)),
            ..ModelRequest::default()
        };
        let (body, _) = written(&request, "gpt-4o");
        assert_eq!((&body["max_tokens"], &body["stream_options"]), (&json!(5), &json!({"include_usage": true})));
        assert_eq!(body["reasoning_effort"], "medium");
        let (body, _) = written(&request, "openai/o3-mini");
        assert_eq!((&body["max_completion_tokens"], &body["max_tokens"]), (&json!(5), &Value::Null));
    }

    #[test]
    fn unsupported_fields_are_named() {
        let mut request =
            ModelRequest { unmapped_fields: ["container"].into_iter().collect(), ..ModelRequest::default() };
        request.sampling.top_k = Raw::parse("5");
        let media =
            |kind| Part::Media(Media { kind, source: MediaSource::Url("https://a/b".into()), name: None, cache: None });
        request.turns = vec![turn(Role::User, vec![text("x"), media(MediaKind::Audio), media(MediaKind::Document)])];
        let (body, dropped) = written(&request, "m");
        assert_eq!(body["messages"], json!([{"role": "user", "content": "x"}]));
        assert_eq!(dropped, ["container", "top_k", "messages[].content[].input_audio", "messages[].content[].file"]);
    }
}

//! Requests, compared with golden documents.

use std::path::Path;

use llm_bridge::canonical::{
    Effort, Media, MediaKind, MediaSource, ModelRequest, Part, Raw, ResponseFormat, Role, Sampling, Thinking, Tool,
    ToolCall, ToolChoice, Turn,
};
use llm_bridge::catalogue;
use llm_bridge::formats::fit;
use llm_bridge::formats::gemini::PROVIDER;
use llm_bridge::formats::{WriteTarget, WrittenRequest};
use serde_json::{Value, json};

const FLASH: &str = "gemini-2.5-flash";
const THIRD: &str = "gemini-3-flash-preview";

fn raw(json: &'static str) -> Raw<'static> {
    Raw::parse(json).unwrap()
}

fn text(text: &str) -> Part<'static> {
    Part::Text { text: Raw::quoted(text), cache: None }
}

fn turn(role: Role, parts: Vec<Part<'static>>) -> Turn<'static> {
    Turn { role, parts }
}

fn ask(turns: Vec<Turn<'static>>) -> ModelRequest<'static> {
    ModelRequest { turns, ..ModelRequest::default() }
}

fn hello() -> ModelRequest<'static> {
    ask(vec![turn(Role::User, vec![text("Hello")])])
}

fn call(id: &'static str, name: &'static str, arguments: &'static str, memory: Option<&'static str>) -> Part<'static> {
    let memory = memory.map(Raw::quoted);
    Part::Call(ToolCall {
        id: id.into(),
        name: name.into(),
        arguments: raw(arguments),
        reasoning_state: memory,
        cache: None,
    })
}

fn result(call: &'static str, parts: Vec<Part<'static>>) -> Part<'static> {
    Part::Result { call: call.into(), parts, failed: false, cache: None }
}

fn data(kind: MediaKind, mime: &'static str) -> Media<'static> {
    let source = MediaSource::Data { mime: mime.into(), base64: "AAEC".into() };
    Media { kind, source, name: None, cache: None }
}

fn link(kind: MediaKind, url: &'static str) -> Part<'static> {
    Part::Media(Media { kind, source: MediaSource::Url(url.into()), name: None, cache: None })
}

fn tool(name: &'static str, parameters: Option<&'static str>) -> Tool<'static> {
    let description = Some(Raw::quoted("What it is for"));
    Tool { name: Raw::quoted(name), description, parameters: parameters.map(raw), strict: None, cache: None }
}

fn write(request: &ModelRequest<'_>, model: &str) -> WrittenRequest {
    fit::write(
        &PROVIDER,
        &mut request.clone(),
        WriteTarget { model, max_output: None, limit_field: None, facts: &catalogue::family(model) },
        b"secret",
    )
    .unwrap()
}

fn body(request: &ModelRequest<'_>, model: &str) -> Value {
    serde_json::from_slice(&write(request, model).body).unwrap()
}

/// Compares with `tests/fixtures/gemini/NAME.json`. `BLESS=1` rewrites the file; read the diff before keeping
/// it.
fn golden(name: &str, request: &ModelRequest<'_>, model: &str) {
    let WrittenRequest { path, headers, body, dropped, .. } = write(request, model);
    assert!(headers.is_empty());
    let body: Value = serde_json::from_slice(&body).unwrap();
    let written = json!({ "path": path, "dropped": dropped, "body": body });
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/gemini/{name}.json"));
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&file, serde_json::to_string_pretty(&written).unwrap() + "\n").unwrap();
    }
    let expected: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(written, expected, "{name}");
}

#[test]
fn instructions_stand_apart_wherever_they_were_and_two_sides_alternate() {
    let turns = vec![
        turn(Role::System, vec![text("Be brief")]),
        turn(Role::User, vec![text("One"), text("")]),
        turn(Role::User, vec![text("Two é\"")]),
        turn(Role::Assistant, vec![text("Three")]),
        turn(Role::System, vec![text("Be kind")]),
        turn(Role::Assistant, vec![text("Four")]),
        turn(Role::User, vec![]),
        turn(Role::User, vec![text("Five")]),
    ];
    golden("turns", &ModelRequest { stream: true, ..ask(turns) }, FLASH);
}

#[test]
fn a_user_turn_that_is_put_first_is_named() {
    let turns = vec![
        turn(Role::Assistant, vec![call("c", "f", "{}", None)]),
        turn(Role::User, vec![result("c", vec![text("r")])]),
    ];
    let adjusted = |turns| write(&ask(turns), FLASH).adjusted.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(adjusted(turns.clone()), ["messages: a user's turn first"]);
    let begun = [vec![turn(Role::User, vec![text("x")])], turns].concat();
    assert_eq!(adjusted(begun), [""; 0]);
}

#[test]
fn an_empty_conversation_is_refused() {
    let write = |turns| {
        fit::write(
            &PROVIDER,
            &mut ask(turns),
            WriteTarget { model: FLASH, max_output: None, limit_field: None, facts: &catalogue::family(FLASH) },
            b"secret",
        )
    };
    for turns in [vec![], vec![turn(Role::System, vec![text("")])], vec![turn(Role::User, vec![text("")])]] {
        let error = write(turns).unwrap_err();
        assert_eq!((error.status(), error.param()), (400, Some("messages")));
    }
    let alone = write(vec![turn(Role::System, vec![text("Be brief")])]).unwrap();
    let body: Value = serde_json::from_slice(&alone.body).unwrap();
    assert_eq!(body["contents"], serde_json::json!([{ "role": "user", "parts": [{ "text": "Be brief" }] }]));
    assert_eq!((body.get("systemInstruction"), alone.adjusted.len()), (None, 1));
}

#[test]
fn media_are_data_or_files() {
    let named = Media {
        name: Some(Raw::quoted("a.pdf")),
        cache: Some(raw("{}")),
        ..data(MediaKind::Document, "application/pdf")
    };
    let parts = vec![
        text("Look"),
        Part::Media(data(MediaKind::Image, "image/png")),
        Part::Media(data(MediaKind::Audio, "audio/wav")),
        Part::Media(named),
        link(MediaKind::Image, "https://example.com/cat.JPG?size=1"),
        link(MediaKind::Document, "https://generativelanguage.googleapis.com/v1beta/files/abc"),
    ];
    let system = turn(Role::System, vec![Part::Media(data(MediaKind::Image, "image/png"))]);
    golden("media", &ask(vec![system, turn(Role::User, parts)]), FLASH);
}

/// Two parallel calls after a text, and their results in two turns, as OpenAI's clients write them.
fn parallel(memory: Option<&'static str>) -> ModelRequest<'static> {
    let calls = vec![
        text("Let me see"),
        call("c1", "weather", r#"{"city": "Oslo", "n": 1.50}"#, memory),
        call("c2", "time", "{}", None),
    ];
    let turns = vec![
        turn(Role::User, vec![text("Well?")]),
        turn(Role::Assistant, calls),
        turn(Role::User, vec![result("c2", vec![text("noon")])]),
        turn(Role::User, vec![text("Now"), result("c1", vec![text(r#"{"degrees":1.0}"#)])]),
    ];
    ModelRequest { tools: vec![tool("weather", Some(r#"{"type":"object"}"#)), tool("time", None)], ..ask(turns) }
}

#[test]
fn results_of_parallel_calls_stand_together_under_the_names_of_their_calls() {
    golden("parallel", &parallel(None), FLASH);
}

#[test]
fn empty_arguments_are_an_empty_object() {
    for empty in ["{}", "null", "\"\""] {
        let turns = vec![turn(Role::User, vec![text("x")]), turn(Role::Assistant, vec![call("c", "f", empty, None)])];
        assert_eq!(body(&ask(turns), FLASH)["contents"][1]["parts"][0]["functionCall"]["args"], json!({}));
    }
}

#[test]
fn schemas_are_sent_untouched() {
    let schema = r##"{"$schema": "https://json-schema.org/draft/2020-12/schema", "type":["object","null"],"additionalProperties":false,
        "properties":{"a":{"$ref":"#/$defs/x"},"b":{"const":1e0},"c":{"anyOf":[{"type":"string"}],"title":"t"}},"propertyNames":{"pattern":"^\u0061"},"$defs":{"x":{}}}"##;
    let shape = ResponseFormat::Schema { name: Some(Raw::quoted("n")), schema: raw(schema), strict: Some(true) };
    let request = ModelRequest { tools: vec![tool("f", Some(schema))], response_format: Some(shape), ..hello() };
    let written = String::from_utf8(write(&request, FLASH).body).unwrap();
    assert!(written.contains(&format!(r#""parametersJsonSchema":{schema}"#)), "{written}");
    assert!(written.contains(&format!(r#""responseJsonSchema":{schema}"#)), "{written}");
    golden("shape", &ModelRequest { response_format: Some(ResponseFormat::Json), ..hello() }, FLASH);
}

#[test]
fn a_signature_goes_back_with_its_call_and_a_missing_one_is_excused() {
    golden("signed", &parallel(Some("c2lnbmF0dXJl")), THIRD);
    golden("unsigned", &parallel(None), THIRD);
}

#[test]
fn what_another_provider_thought_is_not_sent() {
    let thought = Part::Thinking { text: Raw::quoted("hm"), signature: Some(Raw::quoted("theirs")) };
    let parts = vec![thought, Part::Redacted(Raw::quoted("theirs")), text("Yes")];
    let request = ask(vec![turn(Role::User, vec![text("x")]), turn(Role::Assistant, parts)]);
    let written = write(&request, THIRD);
    assert_eq!(written.dropped, [""; 0]);
    assert!(!String::from_utf8(written.body).unwrap().contains("theirs"));
}

#[test]
fn cache_hints_that_cannot_be_sent_are_named() {
    let cache = Some(raw(r#"{"type":"ephemeral","ttl":"1h"}"#));
    let parts = vec![Part::Text { text: Raw::quoted("x"), cache: cache.clone() }];
    let everywhere = ModelRequest {
        tools: vec![Tool { cache: cache.clone(), ..tool("f", None) }],
        ..ask(vec![turn(Role::System, parts.clone()), turn(Role::User, parts)])
    };
    assert_eq!(write(&everywhere, FLASH).dropped, ["cache_control"]);
    let turns = vec![
        turn(Role::User, vec![text("x")]),
        turn(Role::Assistant, vec![call("c", "f", "{}", None)]),
        turn(Role::User, vec![Part::Result { call: "c".into(), parts: vec![], failed: false, cache }]),
    ];
    assert_eq!(write(&ask(turns), FLASH).dropped, ["cache_control"]);
}

#[test]
fn a_result_without_a_call_is_refused_by_its_id() {
    let later = turn(Role::Assistant, vec![call("c9", "f", "{}", None)]);
    let request = ask(vec![turn(Role::User, vec![result("c9", vec![text("x")])]), later]);
    let error = fit::write(
        &PROVIDER,
        &mut request.clone(),
        WriteTarget { model: FLASH, max_output: None, limit_field: None, facts: &catalogue::family(FLASH) },
        b"secret",
    )
    .unwrap_err();
    assert_eq!(error.status(), 400);
    assert!(error.message().contains("c9"), "{error}");
}

#[test]
fn what_a_tool_shows_stands_within_its_result_or_beside_it() {
    let shown = || {
        let failed = Part::Result { call: "c2".into(), parts: vec![text("no")], failed: true, cache: None };
        let seen = vec![text("seen"), Part::Media(data(MediaKind::Image, "image/png"))];
        let heard = vec![Part::Media(data(MediaKind::Audio, "audio/wav")), text("a"), text("b")];
        ask(vec![
            turn(Role::User, vec![text("Look")]),
            turn(
                Role::Assistant,
                vec![call("c1", "eye", "{}", None), call("c2", "f", "{}", None), call("c3", "ear", "{}", None)],
            ),
            turn(Role::User, vec![result("c1", seen), failed, result("c3", heard), text("So?")]),
        ])
    };
    golden("results-beside", &shown(), FLASH);
    golden("results-within", &shown(), THIRD);
}

#[test]
fn a_choice_of_tools_is_a_mode() {
    let named = ToolChoice::Tool(Raw::quoted("f"));
    for (choice, expected) in [
        (ToolChoice::Auto, json!({"mode":"AUTO"})),
        (ToolChoice::None, json!({"mode":"NONE"})),
        (ToolChoice::Required, json!({"mode":"ANY"})),
        (named, json!({"mode":"ANY","allowedFunctionNames":["f"]})),
    ] {
        let request = ModelRequest { tools: vec![tool("f", None)], tool_choice: Some(choice.clone()), ..hello() };
        assert_eq!(body(&request, FLASH)["toolConfig"]["functionCallingConfig"], expected);
        let toolless = ModelRequest { tool_choice: Some(choice), ..hello() };
        assert_eq!(body(&toolless, FLASH).get("toolConfig"), None);
    }
}

#[test]
fn all_that_can_be_asked_is_asked_and_the_rest_is_named() {
    let sampling = Sampling {
        temperature: Some(raw("0.70")),
        top_p: Some(raw("0.9")),
        top_k: Some(raw("40")),
        seed: Some(raw("-7")),
        presence_penalty: Some(raw("0.1")),
        frequency_penalty: Some(raw("0.2")),
    };
    let request = ModelRequest {
        max_tokens: Some(100),
        stop: vec![Raw::quoted("END"), Raw::quoted("\n")],
        choices: Some(2),
        logprobs: Some(3),
        sampling,
        thinking: Some(Thinking::Effort(Effort::Low)),
        tools: vec![Tool { strict: Some(true), ..tool("f", None) }],
        tool_choice: Some(ToolChoice::Auto),
        parallel_calls: Some(false),
        user: Some(Raw::quoted("me")),
        unmapped_fields: ["logit_bias", "messages[].name"].into_iter().collect(),
        ..hello()
    };
    golden("everything", &request, FLASH);
    golden("thinking-level", &ModelRequest { thinking: request.thinking, ..hello() }, THIRD);
    golden("thinking-budget", &ModelRequest { thinking: Some(Thinking::Budget(2048)), ..hello() }, FLASH);
}

//! Requests of the Responses API, as providers get them.

use llm_bridge::canonical::{MediaKind, MediaSource, ModelRequest, Part, Raw, Role, Thinking, ToolChoice};
use llm_bridge::catalogue;
use llm_bridge::error::Error;
use llm_bridge::formats::{self, RESPONSES, WriteTarget, fit};
use llm_bridge::wire::json::Document;
use serde_json::{Value, json};

fn with<T>(members: &Value, look: impl Fn(&ModelRequest<'_>) -> T) -> T {
    let mut body = json!({ "model": "m", "input": "Hello" });
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    let body = body.to_string();
    let document = Document::read(body.as_bytes()).unwrap();
    look(&RESPONSES.read(&document).unwrap_or_else(|error| panic!("{error}")))
}

fn refused(members: &Value) -> Error {
    let mut body = json!({ "model": "m", "input": "Hello" });
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    let body = body.to_string();
    let error = RESPONSES.read(&Document::read(body.as_bytes()).unwrap()).unwrap_err();
    assert_eq!(error.status(), 400, "{error}");
    error
}

/// The body that a provider gets.
fn sent(provider: &str, model: &str, members: &Value) -> Value {
    with(members, |request| {
        let target = WriteTarget { model, max_output: None, limit_field: None, facts: &catalogue::family(model) };
        let written =
            fit::write(formats::provider_format(provider).unwrap(), &mut request.clone(), target, b"s").unwrap();
        serde_json::from_slice(&written.body).unwrap()
    })
}

fn unmapped(members: &Value) -> Vec<String> {
    with(members, |request| request.unmapped_fields.iter().map(ToString::to_string).collect())
}

/// A conversation as Codex sends it: without ids, with items of all kinds.
fn conversation() -> Value {
    json!({ "instructions": "Be brief.", "input": [
        { "type": "message", "role": "developer", "content": [{ "type": "input_text", "text": "D" }] },
        { "role": "user", "content": "Q" },
        { "type": "reasoning", "summary": [{ "type": "summary_text", "text": "hm" }], "encrypted_content": null },
        { "type": "message", "role": "assistant", "content": [{ "type": "output_text", "text": "I look." }] },
        { "type": "function_call", "call_id": "c1", "name": "f", "arguments": "{\"a\":1}" },
        { "type": "custom_tool_call", "call_id": "c2", "name": "patch", "input": "*** \"x\"" },
        { "type": "function_call", "call_id": "c3", "name": "read", "namespace": "mcp__files", "arguments": "" },
        { "type": "function_call_output", "call_id": "c1", "output": "one" },
        { "type": "custom_tool_call_output", "call_id": "c2", "output": [
            { "type": "input_text", "text": "two" }, { "type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "original" }] },
        { "type": "function_call_output", "call_id": "c3", "output": [{ "stdout": "x" }] },
        { "type": "message", "role": "developer", "content": "Later." },
        { "type": "message", "role": "user", "content": [{ "type": "input_text", "text": "Go on." }] },
    ] })
}

#[test]
fn items_of_one_side_are_one_turn() {
    with(&conversation(), |request| {
        let roles: Vec<Role> = request.turns.iter().map(|turn| turn.role).collect();
        use Role::{Assistant, System, User};
        assert_eq!(roles, [System, System, User, Assistant, User, System, User]);
        let calls: Vec<(&str, &str, &str)> = request.turns[3]
            .parts
            .iter()
            .filter_map(|part| match part {
                Part::Call(call) => Some((&*call.id, &*call.name, call.arguments.get())),
                _ => None,
            })
            .collect();
        assert_eq!(
            calls,
            [("c1", "f", r#"{"a":1}"#), ("c2", "patch", r#"{"input":"*** \"x\""}"#), ("c3", "mcp__files__read", "{}")]
        );
        assert!(matches!(&request.turns[3].parts[..2], [Part::Thinking { signature: None, .. }, Part::Text { .. }]));
        let Part::Result { parts, .. } = &request.turns[4].parts[1] else { panic!() };
        let Part::Media(media) = &parts[1] else { panic!("the image of a result is lost") };
        assert_eq!(media.source, MediaSource::Data { mime: "image/png".into(), base64: "AA==".into() });
        let Part::Result { parts, .. } = &request.turns[4].parts[2] else { panic!() };
        assert!(matches!(&parts[..], [Part::Text { text, .. }] if text.text().unwrap() == r#"[{"stdout":"x"}]"#));
    });
}

#[test]
fn every_provider_gets_calls_with_their_results() {
    let chat = sent("openai", "gpt-4o", &conversation());
    let roles: Vec<&str> =
        chat["messages"].as_array().unwrap().iter().map(|one| one["role"].as_str().unwrap()).collect();
    let assistants = chat["messages"].as_array().unwrap().iter().filter(|one| one["role"] == "assistant").count();
    assert_eq!((assistants, roles.iter().filter(|role| **role == "tool").count()), (1, 3), "{roles:?}");
    let said = chat["messages"].as_array().unwrap().iter().find(|one| one["role"] == "assistant").unwrap();
    assert_eq!((said["tool_calls"].as_array().unwrap().len(), &said["content"]), (3, &json!("I look.")));
    let claude = sent("anthropic", "claude-haiku-4-5", &conversation());
    let messages = claude["messages"].as_array().unwrap();
    let results = messages.iter().position(|one| one["content"][0]["type"] == "tool_result").unwrap();
    let kinds: Vec<&Value> =
        messages[results]["content"].as_array().unwrap().iter().map(|part| &part["type"]).collect();
    assert_eq!(kinds[..3], ["tool_result", "tool_result", "tool_result"], "before any text");
    assert_eq!(messages[results - 1]["role"], "assistant");
    let gemini = sent("gemini", "gemini-2.5-flash", &conversation());
    assert!(gemini.to_string().contains("functionResponse"));
}

#[test]
fn a_custom_tool_becomes_a_function_with_one_text() {
    let tools = json!({ "tools": [
        { "type": "custom", "name": "apply_patch", "description": "Edits.", "format": { "type": "grammar", "syntax": "lark", "definition": "start: x" } },
        { "type": "namespace", "name": "mcp__files", "tools": [{ "type": "function", "name": "read", "strict": false, "parameters": { "type": "object" } }] },
        { "type": "web_search" }, { "type": "image_generation", "output_format": "png" },
        { "type": "tool_search", "execution": "client", "description": "Finds.", "parameters": { "type": "object" } },
    ] });
    let claude = sent("anthropic", "claude-haiku-4-5", &tools);
    let names: Vec<&str> =
        claude["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["apply_patch", "mcp__files__read", "tool_search"]);
    assert_eq!(claude["tools"][0]["input_schema"]["required"], json!(["input"]));
    assert!(claude["tools"][0]["description"].as_str().unwrap().contains("start: x"));
    assert!(claude["tools"].as_array().unwrap().iter().all(|tool| tool.get("type").is_none()), "{claude}");
    assert_eq!(unmapped(&tools), ["tools[].web_search", "tools[].image_generation"]);
}

#[test]
fn tools_that_a_search_found_are_sent() {
    let found = json!({ "input": [
        { "type": "message", "role": "user", "content": "Q" },
        { "type": "tool_search_call", "call_id": "s", "execution": "client", "arguments": { "query": "files" } },
        { "type": "tool_search_output", "call_id": "s", "execution": "client", "status": "completed", "tools": [
            { "type": "namespace", "name": "mcp__files", "tools": [{ "type": "function", "name": "read", "parameters": { "type": "object" } }] }] },
    ], "tools": [{ "type": "tool_search", "execution": "client", "parameters": { "type": "object" } }] });
    let chat = sent("openai", "gpt-4o", &found);
    let names: Vec<&str> =
        chat["tools"].as_array().unwrap().iter().map(|tool| tool["function"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["tool_search", "mcp__files__read"]);
    assert_eq!(chat["messages"].as_array().unwrap().last().unwrap()["tool_call_id"], "s");
}

#[test]
fn a_name_in_a_namespace_is_one_that_hosts_take() {
    let name = |namespace: &str, name: &str| {
        let tools = json!({ "tools": [{ "type": "namespace", "name": namespace, "tools": [{ "type": "function", "name": name }] }] });
        with(&tools, |request| request.tools[0].name.text().unwrap().into_owned())
    };
    assert_eq!(name("mcp__a__", "b"), "mcp__a__b");
    let (long, odd) = (name(&"n".repeat(80), "b"), name("a.b", "c d"));
    assert!(long.len() <= 64 && long != name(&"n".repeat(80), "c"), "{long}");
    assert!(odd.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{odd}");
}

#[test]
fn fields_are_read_or_named() {
    let members = json!({
        "max_output_tokens": 50, "temperature": 0.5, "top_p": 0.9, "parallel_tool_calls": false, "user": "u",
        "reasoning": { "effort": "xhigh", "summary": "auto" }, "tool_choice": "required", "tools": [{ "type": "function", "name": "f" }],
        "text": { "format": { "type": "json_schema", "name": "s", "schema": { "a": 1 }, "strict": true }, "verbosity": "medium" },
        "include": ["reasoning.encrypted_content"], "store": false, "metadata": { "a": "b" }, "client_metadata": { "x": "y" },
        "prompt_cache_key": "k", "service_tier": "auto", "truncation": "disabled", "stream_options": { "include_obfuscation": false },
    });
    with(&members, |request| {
        assert_eq!((request.max_tokens, request.parallel_calls), (Some(50), Some(false)));
        assert_eq!(request.tool_choice, Some(ToolChoice::Required));
        assert!(matches!(request.thinking, Some(Thinking::Effort(_))) && request.response_format.is_some());
        assert_eq!(request.user.as_ref().and_then(Raw::text).as_deref(), Some("u"));
        assert!(request.unmapped_fields.is_empty(), "{:?}", request.unmapped_fields);
    });
    let named = json!({ "truncation": "auto", "service_tier": "flex", "max_tool_calls": 3, "text": { "verbosity": "low" }, "reasoning": { "effort": "utmost" },
        "input": [{ "type": "web_search_call", "id": "ws" }, { "role": "user", "content": "Q" }] });
    let mut names = unmapped(&named);
    names.sort();
    assert_eq!(
        names,
        [
            "input[].web_search_call",
            "max_tool_calls",
            "reasoning.effort",
            "service_tier",
            "text.verbosity",
            "truncation"
        ]
    );
}

#[test]
fn fields_of_items_and_parts_are_named_unless_they_say_what_is_known() {
    let given = json!({ "input": [
        { "type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "phase": "commentary", "content": [
            { "type": "output_text", "text": "a", "annotations": [], "logprobs": [{ "token": "a" }] },
            { "type": "output_text", "text": "b", "annotations": [{ "type": "url_citation" }] },
        ] },
        { "type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{}", "status": "completed" },
        { "type": "custom_tool_call_output", "call_id": "c1", "name": "f", "output": [{ "type": "input_text", "text": "c", "new": 1 }] },
        { "type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x", "new": 1 },
        { "role": "user", "content": "Q", "newer": 1 },
    ] });
    let expected = ["input[].content[].annotations", "input[].content[].new", "input[].newer"];
    assert_eq!(unmapped(&given), expected);
}

#[test]
fn a_choice_of_tools_is_kept() {
    let tools =
        json!([{ "type": "function", "name": "f" }, { "type": "function", "name": "g" }, { "type": "web_search" }]);
    let chosen = |choice: Value| {
        with(&json!({ "tools": tools, "tool_choice": choice }), |request| {
            (request.tool_choice.clone().map(|choice| format!("{choice:?}")), request.tools.len())
        })
    };
    assert_eq!(chosen(json!({ "type": "function", "name": "g" })).0.unwrap(), "Tool(\"g\")");
    let allowed =
        json!({ "type": "allowed_tools", "mode": "required", "tools": [{ "type": "function", "name": "g" }] });
    assert_eq!(chosen(allowed), (Some("Required".to_owned()), 1));
    let error = refused(&json!({ "tools": tools, "tool_choice": { "type": "web_search" } }));
    assert!(error.message().contains("web_search"), "{error}");
}

#[test]
fn media_are_data_or_urls_and_stored_files_are_refused_with_their_place() {
    let content = json!({ "input": [{ "role": "user", "content": [
        { "type": "input_image", "image_url": "https://a/b.png" },
        { "type": "input_file", "filename": "x.pdf", "file_data": "data:application/pdf;base64,JVBERi0=" },
        { "type": "input_file", "file_url": "https://a/b.pdf" },
        { "type": "input_audio", "input_audio": { "data": "AA==", "format": "wav" } },
    ] }] });
    with(&content, |request| {
        let kinds: Vec<MediaKind> = request.turns[0]
            .parts
            .iter()
            .filter_map(|part| match part {
                Part::Media(media) => Some(media.kind),
                _ => None,
            })
            .collect();
        assert_eq!(kinds, [MediaKind::Image, MediaKind::Document, MediaKind::Document, MediaKind::Audio]);
    });
    let stored = json!({ "input": [{ "role": "user", "content": [{ "type": "input_file", "file_id": "file-1" }] }] });
    assert_eq!(refused(&stored).param(), Some("input[0].content[0].file_id"));
}

#[test]
fn what_is_stored_is_refused_in_words_that_help() {
    for members in [
        json!({ "previous_response_id": "resp_1" }),
        json!({ "conversation": "conv_1" }),
        json!({ "background": true }),
        json!({ "input": [{ "type": "item_reference", "id": "msg_1" }] }),
        json!({ "input": [{ "id": "rs_1" }] }),
    ] {
        let error = refused(&members);
        assert!(error.message().contains("store: false") || members["background"] == true, "{error}");
    }
    assert_eq!(refused(&json!({ "previous_response_id": "resp_1" })).code(), Some("previous_response_not_found"));
}

#[test]
fn a_malformed_request_names_the_place() {
    for (members, place) in [
        (json!({ "input": [7] }), "input[0]"),
        (json!({ "input": [{}] }), "input[0].type"),
        (json!({ "input": [{ "role": "bot", "content": "x" }] }), "input[0].role"),
        (json!({ "input": [{ "role": "user", "content": [{ "text": "x" }] }] }), "input[0].content[0].type"),
        (json!({ "input": [{ "type": "function_call", "name": "f" }] }), "input[0].call_id"),
        (json!({ "input": [{ "type": "function_call_output", "output": "x" }] }), "input[0].call_id"),
        (json!({ "tools": {} }), "tools"),
        (json!({ "tools": [{ "type": "function" }] }), "tools[0].name"),
        (json!({ "max_output_tokens": "many" }), "max_output_tokens"),
        (json!({ "temperature": "hot" }), "temperature"),
        (json!({ "instructions": 7 }), "instructions"),
        (json!({ "tool_choice": "maybe" }), "tool_choice"),
        (json!({ "text": { "format": { "type": "xml" } } }), "text.format.type"),
    ] {
        assert_eq!(refused(&members).param(), Some(place), "{members}");
    }
}

#[test]
fn state_that_others_sealed_is_left_out() {
    for foreign in ["gAAAAABo", "lb1.", "lb1.%%.x", "lb1.AA=="] {
        let input = json!({ "input": [{ "role": "user", "content": "Q" }, { "type": "reasoning", "summary": [], "encrypted_content": foreign }] });
        with(&input, |request| assert!(request.sealed_states.is_empty(), "{foreign}: {:?}", request.sealed_states));
    }
}

#[test]
fn an_unreadable_call_of_an_earlier_turn_is_kept_and_not_refused() {
    let input = json!({ "input": [{ "type": "function_call", "call_id": "c", "name": "f", "arguments": "{oops" }] });
    with(&input, |request| {
        let Part::Call(call) = &request.turns[0].parts[0] else { panic!() };
        assert_eq!(call.arguments.get(), r#"{"_invalid_json":"{oops"}"#);
    });
}

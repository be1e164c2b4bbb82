//! Gemini as its providers speak it: requests against golden documents, answers at every cut, recordings where they are at hand
//! (`RECORDINGS_DIR`), and bytes that mean harm.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may insist")]

#[path = "support/recordings.rs"]
mod recorded;

use std::path::Path;

use llm_bridge::adapters::gemini::UPSTREAM;
use llm_bridge::adapters::{Aim, Embedded, Form, Written};
use llm_bridge::chat::{
    Call, Effort, Event, Finish, Media, MediaKind, Part, Raw, Request, Role, Sampling, Shape, Source, Thinking, Tool,
    ToolChoice, Turn, Usage,
};
use llm_bridge::error::Error;
use proptest::prelude::*;
use recorded::{Recording, recordings};
use serde_json::{Value, json};

const FLASH: &str = "gemini-2.5-flash";
const THIRD: &str = "gemini-3-flash-preview";

// Requests.

fn raw(json: &'static str) -> Raw<'static> {
    Raw::parse(json).unwrap()
}

fn text(text: &str) -> Part<'static> {
    Part::Text { text: Raw::quoted(text), cache: None }
}

fn turn(role: Role, parts: Vec<Part<'static>>) -> Turn<'static> {
    Turn { role, parts }
}

fn ask(turns: Vec<Turn<'static>>) -> Request<'static> {
    Request { turns, ..Request::default() }
}

fn hello() -> Request<'static> {
    ask(vec![turn(Role::User, vec![text("Hello")])])
}

fn call(id: &'static str, name: &'static str, arguments: &'static str, memory: Option<&'static str>) -> Part<'static> {
    let memory = memory.map(Raw::quoted);
    Part::Call(Call { id: id.into(), name: name.into(), arguments: raw(arguments), memory, cache: None })
}

fn result(call: &'static str, parts: Vec<Part<'static>>) -> Part<'static> {
    Part::Result { call: call.into(), parts, failed: false, cache: None }
}

fn data(kind: MediaKind, mime: &'static str) -> Media<'static> {
    let source = Source::Data { mime: mime.into(), base64: "AAEC".into() };
    Media { kind, source, name: None, cache: None }
}

fn link(kind: MediaKind, url: &'static str) -> Part<'static> {
    Part::Media(Media { kind, source: Source::Url(url.into()), name: None, cache: None })
}

fn tool(name: &'static str, parameters: Option<&'static str>) -> Tool<'static> {
    let description = Some(Raw::quoted("What it is for"));
    Tool { name: Raw::quoted(name), description, parameters: parameters.map(raw), strict: None, cache: None }
}

fn write(request: &Request<'_>, model: &str) -> Written {
    (UPSTREAM.write)(request, Aim { model, max_output: None }).unwrap()
}

fn body(request: &Request<'_>, model: &str) -> Value {
    serde_json::from_slice(&write(request, model).body).unwrap()
}

/// Compares with `tests/fixtures/gemini/NAME.json`; `BLESS=1` writes it anew, to be read before it is kept.
fn golden(name: &str, request: &Request<'_>, model: &str) {
    let Written { path, headers, body, dropped } = write(request, model);
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
    golden("turns", &Request { stream: true, ..ask(turns) }, FLASH);
}

#[test]
fn a_conversation_in_which_nobody_speaks_is_refused() {
    for turns in [vec![], vec![turn(Role::System, vec![text("Be brief")])], vec![turn(Role::User, vec![text("")])]] {
        let error = (UPSTREAM.write)(&ask(turns), Aim { model: FLASH, max_output: None }).unwrap_err();
        assert_eq!((error.status(), error.param()), (400, Some("messages")));
    }
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

/// Two parallel calls with a text before them, and their results in two turns, as OpenAI's clients write them.
fn parallel(memory: Option<&'static str>) -> Request<'static> {
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
    Request { tools: vec![tool("weather", Some(r#"{"type":"object"}"#)), tool("time", None)], ..ask(turns) }
}

#[test]
fn pain_10_results_of_parallel_calls_stand_together_under_the_names_of_their_calls() {
    golden("parallel", &parallel(None), FLASH);
}

#[test]
fn pain_11_empty_arguments_are_an_empty_object() {
    for empty in ["{}", "null", "\"\""] {
        let turns = vec![turn(Role::User, vec![text("x")]), turn(Role::Assistant, vec![call("c", "f", empty, None)])];
        assert_eq!(body(&ask(turns), FLASH)["contents"][1]["parts"][0]["functionCall"]["args"], json!({}));
    }
}

#[test]
fn pain_12_schemas_are_sent_untouched() {
    let schema = r##"{"$schema": "https://json-schema.org/draft/2020-12/schema", "type":["object","null"],"additionalProperties":false,
        "properties":{"a":{"$ref":"#/$defs/x"},"b":{"const":1e0},"c":{"anyOf":[{"type":"string"}],"title":"t"}},"propertyNames":{"pattern":"^\u0061"},"$defs":{"x":{}}}"##;
    let shape = Shape::Schema { name: Some(Raw::quoted("n")), schema: raw(schema), strict: Some(true) };
    let request = Request { tools: vec![tool("f", Some(schema))], shape: Some(shape), ..hello() };
    let written = String::from_utf8(write(&request, FLASH).body).unwrap();
    assert!(written.contains(&format!(r#""parametersJsonSchema":{schema}"#)), "{written}");
    assert!(written.contains(&format!(r#""responseJsonSchema":{schema}"#)), "{written}");
    golden("shape", &Request { shape: Some(Shape::Json), ..hello() }, FLASH);
}

#[test]
fn pain_14_a_signature_goes_back_with_its_call_and_a_missing_one_is_excused() {
    golden("signed", &parallel(Some("c2lnbmF0dXJl")), THIRD);
    golden("unsigned", &parallel(None), THIRD);
}

#[test]
fn pain_15_what_another_provider_thought_is_not_sent() {
    let thought = Part::Thinking { text: Raw::quoted("hm"), signature: Some(Raw::quoted("theirs")) };
    let parts = vec![thought, Part::Redacted(Raw::quoted("theirs")), text("Yes")];
    let request = ask(vec![turn(Role::User, vec![text("x")]), turn(Role::Assistant, parts)]);
    let written = write(&request, THIRD);
    assert_eq!(written.dropped, [""; 0]);
    assert!(!String::from_utf8(written.body).unwrap().contains("theirs"));
}

#[test]
fn pain_24_cache_hints_that_cannot_be_sent_are_named() {
    let cache = Some(raw(r#"{"type":"ephemeral","ttl":"1h"}"#));
    let parts = vec![Part::Text { text: Raw::quoted("x"), cache: cache.clone() }];
    let everywhere = Request {
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
    let error = (UPSTREAM.write)(&request, Aim { model: FLASH, max_output: None }).unwrap_err();
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
        let request = Request { tools: vec![tool("f", None)], tool_choice: Some(choice.clone()), ..hello() };
        assert_eq!(body(&request, FLASH)["toolConfig"]["functionCallingConfig"], expected);
        let toolless = Request { tool_choice: Some(choice), ..hello() };
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
    let request = Request {
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
        strange: vec!["logit_bias".into(), "messages[].name".into()],
        ..hello()
    };
    golden("everything", &request, FLASH);
    golden("thinking-level", &Request { thinking: request.thinking, ..hello() }, THIRD);
    golden("thinking-budget", &Request { thinking: Some(Thinking::Budget(2048)), ..hello() }, FLASH);
}

// Answers.

/// Events as text, with neighbours of text joined: so that they can be compared.
fn told(event: &Event<'_>) -> String {
    match event {
        Event::Failed(error) => format!("Failed {} {:?} {}", error.status(), error.code(), error.message()),
        other => format!("{other:?}"),
    }
}

fn whole(body: &[u8]) -> Result<Vec<String>, Error> {
    let mut events = Vec::new();
    (UPSTREAM.whole)(body, &mut |event| events.push(told(&event)))?;
    Ok(events)
}

fn stream<'b>(pieces: impl IntoIterator<Item = &'b [u8]>) -> (Vec<String>, u32) {
    let (mut decode, mut events) = ((UPSTREAM.stream)(), Vec::new());
    for piece in pieces {
        decode.push(piece, &mut |event| events.push(told(&event)));
    }
    decode.finish(&mut |event| events.push(told(&event)));
    (events, decode.malformed())
}

/// Reads a stream in one piece, at every cut in two, and byte by byte: it is all the same.
fn cut(bytes: &[u8]) -> Vec<String> {
    let (events, malformed) = stream([bytes]);
    for at in 0..bytes.len() {
        let (head, tail) = bytes.split_at(at);
        assert_eq!(stream([head, tail]), (events.clone(), malformed), "cut at {at}");
    }
    assert_eq!(stream(bytes.chunks(1)), (events.clone(), malformed));
    events
}

fn sse(chunks: &[Value]) -> Vec<u8> {
    chunks.iter().map(|chunk| format!("data: {chunk}\r\n\r\n")).collect::<String>().into_bytes()
}

fn chunk(index: u32, parts: &Value, finish: Option<&str>) -> Value {
    json!({"candidates":[{"content":{"parts":parts,"role":"model"},"index":index,"finishReason":finish}],"responseId":"r1","modelVersion":"m"})
}

const START: &str = r#"Start { id: Some("r1"), model: Some("m") }"#;

#[test]
fn pain_10_calls_keep_their_numbers_over_chunks_and_beside_text() {
    let f = |name: &str| json!({"functionCall":{"name":name,"args":{"a":name}}});
    let bytes = sse(&[
        chunk(0, &json!([{"text":"Let me "}, f("one"), {"text":"see"}]), None),
        chunk(1, &json!([f("other")]), Some("STOP")),
        chunk(0, &json!([f("two"), f("three")]), Some("STOP")),
    ]);
    let events = cut(&bytes);
    let expected = [
        START,
        r#"Text { choice: 0, text: "Let me " }"#,
        r#"Call { choice: 0, call: 0, id: "call_r1_0", name: "one" }"#,
        r#"Arguments { choice: 0, call: 0, json: "{\"a\":\"one\"}" }"#,
        r#"Text { choice: 0, text: "see" }"#,
        r#"Call { choice: 1, call: 0, id: "call_r1_1", name: "other" }"#,
        r#"Arguments { choice: 1, call: 0, json: "{\"a\":\"other\"}" }"#,
        r#"Call { choice: 0, call: 1, id: "call_r1_2", name: "two" }"#,
        r#"Arguments { choice: 0, call: 1, json: "{\"a\":\"two\"}" }"#,
        r#"Call { choice: 0, call: 2, id: "call_r1_3", name: "three" }"#,
        r#"Arguments { choice: 0, call: 2, json: "{\"a\":\"three\"}" }"#,
        "Finish { choice: 0, reason: Calls }",
        "Finish { choice: 1, reason: Calls }",
        "End",
    ];
    assert_eq!(events, expected);
}

#[test]
fn pain_11_a_call_without_arguments_has_an_empty_object() {
    for call in [json!({"name":"f"}), json!({"name":"f","args":{}}), json!({"name":"f","args":null})] {
        let events = whole(chunk(0, &json!([{"functionCall":call}]), Some("STOP")).to_string().as_bytes()).unwrap();
        assert_eq!(events[2], r#"Arguments { choice: 0, call: 0, json: "{}" }"#);
    }
    let text = chunk(0, &json!([{"functionCall":{"name":"f","args":"oops"}}]), Some("STOP")).to_string();
    assert_eq!(whole(text.as_bytes()).unwrap_err().status(), 502);
}

#[test]
fn pain_14_a_signature_is_handed_on_with_the_id_of_its_call() {
    let parts = json!([
        {"functionCall":{"name":"f","args":{},"id":"abc"},"thoughtSignature":"c2ln"},
        {"functionCall":{"name":"g","args":{}}}
    ]);
    let events = cut(&sse(&[chunk(0, &parts, Some("STOP"))]));
    let memories: Vec<_> = events.iter().filter(|event| event.starts_with("Memory")).collect();
    assert_eq!(memories, [r#"Memory { id: "abc", memory: "c2ln" }"#]);
}

#[test]
fn pain_8_usage_is_taken_from_any_chunk_and_the_last_one_counts() {
    let with = |mut chunk: Value, said: u64| {
        chunk["usageMetadata"] =
            json!({"promptTokenCount":9,"candidatesTokenCount":said,"thoughtsTokenCount":2,"totalTokenCount":11+said});
        chunk
    };
    let only = json!({"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":7,"cachedContentTokenCount":4}});
    let bytes =
        sse(&[with(chunk(0, &json!([{"text":"a"}]), None), 1), with(chunk(0, &json!([]), Some("STOP")), 5), only]);
    let last = cut(&bytes).into_iter().rfind(|event| event.starts_with("Usage")).unwrap();
    let expected = Usage { fresh: 5, cache_read: 4, output: 7, ..Usage::default() };
    assert_eq!(last, format!("{:?}", Event::Usage(expected)));
}

#[test]
fn usage_that_comes_in_parts_is_put_together_and_never_summed() {
    let last = |told: &[Value]| {
        let chunks: Vec<Value> = told.iter().map(|usage| json!({ "usageMetadata": usage })).collect();
        cut(&sse(&chunks)).into_iter().rfind(|event| event.starts_with("Usage")).unwrap()
    };
    let usage = |usage: Usage| format!("{:?}", Event::Usage(usage));
    let prompt =
        json!({"promptTokenCount":100,"cachedContentTokenCount":64,"toolUsePromptTokenCount":10,"totalTokenCount":110});
    let answer = json!({"candidatesTokenCount":20,"thoughtsTokenCount":5});
    let both = Usage { fresh: 46, cache_read: 64, output: 25, reasoning: 5, ..Usage::default() };
    assert_eq!(last(&[prompt.clone(), answer.clone(), json!({"trafficType":"ON_DEMAND"})]), usage(both));
    assert_eq!(last(&[prompt.clone(), json!({"candidatesTokenCount":1}), answer.clone(), answer]), usage(both));
    // Thoughts that only the total tells; an old total says nothing of a new answer.
    let total = json!({"candidatesTokenCount":20,"totalTokenCount":135});
    assert_eq!(last(&[prompt.clone(), total]), usage(both));
    assert_eq!(last(&[prompt, json!({"totalTokenCount":135})]), usage(Usage { output: 25, reasoning: 25, ..both }));
    // What is told anew counts, and what is left out of it is nothing.
    let (more, less) = (json!({"promptTokenCount":15,"cachedContentTokenCount":3}), json!({"promptTokenCount":13}));
    assert_eq!(last(&[more, less]), usage(Usage { fresh: 13, ..Usage::default() }));
}

#[test]
fn what_cannot_be_read_took_its_tokens_all_the_same() {
    let mut broken = chunk(0, &json!([{"functionCall":{"args":{}}}]), None);
    broken["usageMetadata"] = json!({"promptTokenCount":9,"candidatesTokenCount":7});
    let events = cut(&sse(&[broken]));
    let usage = events.iter().position(|event| event.starts_with("Usage")).unwrap();
    let failed = events.iter().position(|event| event.starts_with("Failed 502")).unwrap();
    assert!(usage < failed, "{events:?}");
}

#[test]
fn an_end_is_told_only_after_the_end() {
    // Text after the finish reason, contents without parts, and thoughts.
    let bytes = sse(&[
        chunk(0, &json!([{"text":"hm","thought":true}]), None),
        json!({"candidates":[{"content":{"role":"model"},"finishReason":"STOP"}]}),
        chunk(0, &json!([{"text":"late"}, {"text":"","thoughtSignature":"x"}]), None),
    ]);
    let expected = [
        START,
        r#"Thinking { choice: 0, text: "hm" }"#,
        r#"Text { choice: 0, text: "late" }"#,
        "Finish { choice: 0, reason: Stop }",
        "End",
    ];
    assert_eq!(cut(&bytes), expected);
}

#[test]
fn pain_1_a_stream_cut_short_has_no_end() {
    let bytes = sse(&[chunk(0, &json!([{"text":"a"}]), None), chunk(1, &json!([{"text":"b"}]), Some("STOP"))]);
    let events = cut(&bytes);
    assert!(events.contains(&"Finish { choice: 1, reason: Stop }".to_owned()));
    assert!(!events.iter().any(|event| event == "End" || event.starts_with("Finish { choice: 0")), "{events:?}");
    assert_eq!(stream([]), (vec![], 0));
    assert!(whole(chunk(0, &json!([{"text":"a"}]), None).to_string().as_bytes()).is_err());
}

#[test]
fn reasons_to_finish_are_never_invented() {
    let reason = |word: &str| {
        let text = chunk(0, &json!([{"text":"a"}]), Some(word)).to_string();
        whole(text.as_bytes()).map(|events| events[events.len() - 2].clone())
    };
    let finished = |reason: Finish| format!("{:?}", Event::Finish { choice: 0, reason });
    assert_eq!(reason("STOP").unwrap(), finished(Finish::Stop));
    assert_eq!(reason("MAX_TOKENS").unwrap(), finished(Finish::Length));
    for word in ["SAFETY", "RECITATION", "PROHIBITED_CONTENT", "BLOCKLIST", "SPII", "LANGUAGE", "IMAGE_SAFETY"] {
        assert_eq!(reason(word).unwrap(), finished(Finish::Filtered), "{word}");
    }
    for word in ["MALFORMED_FUNCTION_CALL", "OTHER", "FINISH_REASON_UNSPECIFIED", "SOMETHING_NEW"] {
        let error = reason(word).unwrap_err();
        assert_eq!((error.status(), error.code()), (502, Some(word)));
        let mut last = chunk(0, &json!([]), Some(word));
        last["candidates"][0]["finishMessage"] = json!("Malformed: x");
        let events = cut(&sse(&[chunk(0, &json!([{"text":"a"}]), None), last, chunk(0, &json!([]), Some("STOP"))]));
        assert_eq!(events.last().unwrap(), &format!("Failed 502 Some({word:?}) Malformed: x"));
    }
}

#[test]
fn a_blocked_prompt_is_an_error_and_never_an_empty_success() {
    let blocked = json!({"promptFeedback":{"blockReason":"SAFETY","blockReasonMessage":"Too rude."},"responseId":"r","usageMetadata":{"promptTokenCount":4}});
    let error = whole(blocked.to_string().as_bytes()).unwrap_err();
    assert_eq!((error.status(), error.code()), (400, Some("content_filter")));
    assert!(error.message().contains("SAFETY") && error.message().contains("Too rude."), "{error}");
    let mut events = Vec::new();
    (UPSTREAM.whole)(blocked.to_string().as_bytes(), &mut |event| events.push(told(&event))).unwrap_err();
    assert!(matches!(&events[..], [usage] if usage.starts_with("Usage")), "{events:?}");
    let events = cut(&sse(&[blocked]));
    assert!(events[1].starts_with("Usage") && events[2].starts_with("Failed 400"), "{events:?}");
    assert_eq!(events.len(), 3);
}

#[test]
fn an_error_in_an_answer_is_an_error_however_it_is_wrapped() {
    let error = json!({"error":{"code":503,"message":"Overloaded","status":"UNAVAILABLE"}});
    let told = r#"Failed 502 Some("UNAVAILABLE") Overloaded"#;
    let begin = sse(&[chunk(0, &json!([{"text":"a"}]), None)]);
    let pretty = serde_json::to_string_pretty(&error).unwrap();
    for tail in
        [format!("data: {error}\r\n\r\n"), format!("data: [{error}]\n\n"), pretty.clone(), format!("[{pretty}]\r\n")]
    {
        let events = cut(&[begin.as_slice(), tail.as_bytes()].concat());
        assert_eq!(events.last().map(String::as_str), Some(told), "{tail}");
    }
    for body in [error.to_string(), format!("[{error}]")] {
        assert_eq!(whole(body.as_bytes()).unwrap_err().message(), "Overloaded");
    }
    for body in ["", "<html>", "7", "{}", "[]", "null", r#"{"candidates":[]}"#] {
        assert_eq!(whole(body.as_bytes()).unwrap_err().status(), 502, "{body}");
    }
}

#[test]
fn an_event_that_cannot_be_read_is_counted_and_the_stream_goes_on() {
    let bytes =
        [b": hi\n\ndata: {oops\n\n\n".as_slice(), &sse(&[chunk(0, &json!([{"text":"a"}]), Some("STOP"))])].concat();
    assert_eq!(cut(&bytes).last().unwrap(), "End");
    assert_eq!(stream([bytes.as_slice()]).1, 1);
}

#[test]
fn what_has_no_place_in_an_answer_is_shown_as_markdown() {
    let parts = json!([
        {"executableCode":{"language":"PYTHON","code":"print(1)\n"}},
        {"codeExecutionResult":{"outcome":"OUTCOME_OK","output":"1\n"}},
        {"inlineData":{"mimeType":"image/png","data":"AAEC"}}
    ]);
    let events = whole(chunk(0, &parts, Some("STOP")).to_string().as_bytes()).unwrap();
    assert_eq!(events[1], r#"Text { choice: 0, text: "\n```python\nprint(1)\n```\n" }"#);
    assert_eq!(events[2], r#"Text { choice: 0, text: "\n```\n1\n```\n" }"#);
    assert_eq!(events[3], r#"Text { choice: 0, text: "\n![image](data:image/png;base64,AAEC)\n" }"#);
}

#[test]
fn log_probabilities_are_told_as_openai_writes_them() {
    let mut last = chunk(0, &json!([{"text":"Hi"}]), Some("STOP"));
    last["candidates"][0]["logprobsResult"] = json!({
        "chosenCandidates":[{"token":"Hi","logProbability":-0.5,"tokenId":1}],
        "topCandidates":[{"candidates":[{"token":"Hi","logProbability":-0.5},{"token":"Yo","logProbability":-2.5}]}]
    });
    let events = cut(&sse(&[last]));
    let expected = concat!(
        r#"Logprobs { choice: 0, logprobs: {"content":[{"token":"Hi","logprob":-0.5,"bytes":[72,105],"top_logprobs":["#,
        r#"{"token":"Hi","logprob":-0.5,"bytes":[72,105]},{"token":"Yo","logprob":-2.5,"bytes":[89,111]}]}]} }"#
    );
    assert_eq!(events[2], expected);
}

#[test]
fn an_answer_without_an_id_gives_its_calls_ids_that_are_always_the_same() {
    let answer = |id: Value, args: &str| {
        let mut answer = chunk(0, &json!([{"functionCall":{"name":"f","args":{"a":args}}}]), Some("STOP"));
        answer["responseId"] = id;
        whole(answer.to_string().as_bytes()).unwrap()[1].clone()
    };
    let long = json!("x".repeat(100));
    for id in [Value::Null, json!("odd id"), long] {
        let one = answer(id.clone(), "1");
        assert_eq!(one, answer(id.clone(), "1"));
        assert_ne!(one, answer(id, "2"));
        assert!(one.contains(r#"id: "call_"#) && one.len() < 80, "{one}");
    }
}

// Recordings.

/// The prompt and the total that a body states at last, found without our code.
fn stated(body: &[u8]) -> Option<(u64, u64)> {
    let text = String::from_utf8_lossy(body);
    let documents = text.lines().filter_map(|line| line.strip_prefix("data:")).chain([text.as_ref()]);
    let usage = |value: Value| {
        let usage = &value["usageMetadata"];
        let tools = usage["toolUsePromptTokenCount"].as_u64().unwrap_or(0);
        Some((usage["promptTokenCount"].as_u64()? + tools, usage["totalTokenCount"].as_u64()?))
    };
    documents.filter_map(|text| usage(serde_json::from_str(text.trim()).ok()?)).next_back()
}

#[test]
fn recordings_are_read_to_their_end_with_the_usage_that_they_state() {
    for Recording { name, about, body } in recordings("gemini") {
        let status = u16::try_from(about["status"].as_u64().unwrap()).unwrap();
        if status != 200 {
            let error = (UPSTREAM.refusal)(status, &body);
            assert!(error.status() == status && error.message().len() > 30, "{name}: {error}");
            continue;
        }
        let mut usage = None;
        let mut note = |event: Event<'_>| {
            if let Event::Usage(told) = event {
                usage = Some((told.prompt(), told.total()));
            }
        };
        let is_stream = about["stream"] == true;
        let events = if is_stream {
            let mut decode = (UPSTREAM.stream)();
            decode.push(&body, &mut note);
            let (events, malformed) = stream([body.as_slice()]);
            assert_eq!(malformed, 0, "{name}");
            for size in [1, 7, 1000] {
                assert_eq!(stream(body.chunks(size)), (events.clone(), 0), "{name} in pieces of {size}");
            }
            events
        } else {
            let told = (UPSTREAM.whole)(&body, &mut note);
            whole(&body).unwrap_or_else(|error| {
                assert_eq!((error.code(), told.is_err()), (Some("content_filter"), true), "{name}: {error}");
                vec!["End".to_owned()]
            })
        };
        assert_eq!(events.last().map(String::as_str), Some("End"), "{name}");
        assert_eq!(usage, stated(&body), "{name}");
    }
}

#[test]
fn recorded_embeddings_are_read_with_the_usage_that_they_state() {
    for Recording { name, about, body } in recordings("gemini-embed") {
        if about["status"] != 200 {
            assert_eq!((UPSTREAM.refusal)(404, &body).code(), Some("NOT_FOUND"), "{name}");
            continue;
        }
        let count = about["request"]["requests"].as_array().map_or(1, Vec::len);
        let written = |base64| {
            let told = Embedded { form: Form { base64, count }, model: "m", estimate: 0 };
            (UPSTREAM.embed.as_ref().unwrap().whole)(&body, &told).unwrap()
        };
        let told: Value = serde_json::from_slice(&body).unwrap();
        let (floats, usage) = written(false);
        assert_eq!(usage.map(|usage| usage.prompt()), told["usageMetadata"]["promptTokenCount"].as_u64(), "{name}");
        let floats: Value = serde_json::from_slice(&floats).unwrap();
        assert_eq!(floats["data"][0]["embedding"], told["embeddings"][0]["values"], "{name}");
        assert!(!written(true).0.is_empty(), "{name}");
    }
}

// Harm.

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = whole(&bytes);
        let _ = stream([bytes.as_slice()]);
        let _ = (UPSTREAM.refusal)(400, &bytes);
    }

    #[test]
    fn an_answer_with_any_value_anywhere_does_not_make_it_panic(
        at in 0_usize..12, value in "(null|true|-1|1e400|\"\"|\"x\"|\\[\\]|\\[7\\]|\\[null\\]|\\{\\}|99999999999999999999)", cut in 0_usize..400
    ) {
        let names = ["candidates", "index", "content", "parts", "text", "functionCall", "name", "args", "finishReason", "usageMetadata", "promptTokenCount", "logprobsResult"];
        let answer = r#"{"candidates":[{"index":0,"content":{"parts":[{"text":"a","functionCall":{"name":"f","args":{}}}]},"finishReason":"STOP","logprobsResult":{}}],"usageMetadata":{"promptTokenCount":1}}"#;
        let odd = answer.replacen(&format!("\"{}\":", names[at]), &format!("\"{}\":{value},\"was\":", names[at]), 1);
        let _ = whole(odd.as_bytes());
        let bytes = format!("data: {odd}\r\n\r\n{odd}\n\n").into_bytes();
        let (head, tail) = bytes.split_at(cut.min(bytes.len()));
        prop_assert_eq!(stream([head, tail]), stream([bytes.as_slice()]));
    }
}

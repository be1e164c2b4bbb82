//! Anthropic's Messages API from outside: golden documents, recorded traffic, round trips, and hostile bytes.

mod harm;
mod recorded;

use std::path::Path;

use llm_bridge::canonical::{
    Effort, FinishReason, Media, MediaKind, MediaSource, ModelRequest, Part, Raw, ResponseEvent, ResponseFormat, Role,
    Thinking, Tool, ToolCall, ToolChoice, Turn, Usage,
};
use llm_bridge::catalogue;
use llm_bridge::error::Result;
use llm_bridge::formats::anthropic::{CLIENT, PROVIDER};
use llm_bridge::formats::fit;
use llm_bridge::formats::{ResponseHead, WriteTarget, WrittenRequest};
use llm_bridge::wire::json::Document;
use serde_json::{Value, json};

fn raw(value: &Value) -> Raw<'static> {
    Raw::of(value)
}

fn text(text: &str) -> Part<'static> {
    Part::Text { text: Raw::quoted(text), cache: None }
}

/// Writes a request for a model that is asked for reasoning by a budget.
fn write_for_haiku(request: &ModelRequest<'_>) -> WrittenRequest {
    let (model, facts) = ("claude-haiku-4-5", catalogue::family("claude-haiku-4-5"));
    let target = WriteTarget { model, max_output: None, limit_field: None, facts: &facts };
    fit::write(&PROVIDER, &mut request.clone(), target, b"secret").unwrap()
}

fn turn(role: Role, parts: Vec<Part<'static>>) -> Turn<'static> {
    Turn { role, parts }
}

fn call(id: &'static str, memory: Option<&Value>) -> Part<'static> {
    let (arguments, memory) = (raw(&json!({ "a": 1 })), memory.map(raw));
    Part::Call(ToolCall { id: id.into(), name: "f".into(), arguments, reasoning_state: memory, cache: None })
}

fn result(id: &'static str) -> Part<'static> {
    Part::Result { call: id.into(), parts: vec![text("done")], failed: false, cache: None }
}

fn write(request: &ModelRequest<'_>, model: &str) -> (Value, Vec<String>) {
    let WrittenRequest { body, dropped, path, headers, .. } = fit::write(
        &PROVIDER,
        &mut request.clone(),
        WriteTarget { model, max_output: None, limit_field: None, facts: &catalogue::family(model) },
        b"secret",
    )
    .unwrap();
    assert_eq!((path.as_str(), headers), ("/messages", vec![("anthropic-version", "2023-06-01".to_owned())]));
    (serde_json::from_slice(&body).unwrap(), dropped.into_iter().map(String::from).collect())
}

fn refused(body: &Value) -> (u16, Option<String>, String) {
    let body = body.to_string();
    let document = Document::read(body.as_bytes()).unwrap();
    let error = CLIENT.read(&document).unwrap_err();
    (error.status(), error.param().map(str::to_owned), error.message().to_owned())
}

/// The content of a response, with adjacent pieces joined, because a stream may be cut anywhere.
fn told(events: Vec<ResponseEvent<'_>>) -> Vec<String> {
    let mut told: Vec<(String, String)> = Vec::new();
    for event in events {
        let (head, piece) = match &event {
            ResponseEvent::Text { text, .. } => ("text".to_owned(), text.text().unwrap().into_owned()),
            ResponseEvent::Thinking { text, .. } => ("thinking".to_owned(), text.text().unwrap().into_owned()),
            ResponseEvent::Arguments { call, json, .. } => {
                (format!("arguments {call}"), json.text().unwrap().into_owned())
            }
            other => (format!("{other:?}"), String::new()),
        };
        match told.last_mut() {
            Some((last, pieces)) if *last == head => pieces.push_str(&piece),
            _ => told.push((head, piece)),
        }
    }
    told.into_iter().map(|(head, piece)| format!("{head} {piece}")).collect()
}

fn owned(event: ResponseEvent<'_>) -> ResponseEvent<'static> {
    match event {
        ResponseEvent::Start { id, model } => ResponseEvent::Start {
            id: id.map(|id| id.into_owned().into()),
            model: model.map(|model| model.into_owned().into()),
        },
        ResponseEvent::Text { choice, text } => ResponseEvent::Text { choice, text: text.owned() },
        ResponseEvent::Thinking { choice, text } => ResponseEvent::Thinking { choice, text: text.owned() },
        ResponseEvent::Call { choice, call, id, name } => {
            ResponseEvent::Call { choice, call, id: id.into_owned().into(), name: name.into_owned().into() }
        }
        ResponseEvent::Arguments { choice, call, json } => {
            ResponseEvent::Arguments { choice, call, json: json.owned() }
        }
        ResponseEvent::ReasoningState { id, memory } => {
            ResponseEvent::ReasoningState { id: id.into_owned().into(), memory: memory.owned() }
        }
        ResponseEvent::Logprobs { choice, logprobs } => ResponseEvent::Logprobs { choice, logprobs: logprobs.owned() },
        ResponseEvent::Tier(tier) => ResponseEvent::Tier(tier.into_owned().into()),
        ResponseEvent::Finish { choice, reason } => ResponseEvent::Finish { choice, reason },
        ResponseEvent::Usage(usage) => ResponseEvent::Usage(usage),
        ResponseEvent::Failed(error) => ResponseEvent::Failed(error),
        ResponseEvent::End => ResponseEvent::End,
    }
}

fn whole(body: &[u8]) -> Result<Vec<ResponseEvent<'static>>> {
    let mut events = Vec::new();
    (PROVIDER.whole)(body, &mut |event| events.push(owned(event)))?;
    Ok(events)
}

fn streamed<'b>(pieces: impl IntoIterator<Item = &'b [u8]>) -> (Vec<ResponseEvent<'static>>, u32) {
    let mut events = Vec::new();
    let mut stream = (PROVIDER.stream)();
    pieces.into_iter().for_each(|piece| stream.push(piece, &mut |event| events.push(owned(event))));
    stream.finish(&mut |event| events.push(owned(event)));
    (events, stream.malformed())
}

fn head() -> ResponseHead {
    ResponseHead { random: 7, created: 0, model: "m".to_owned(), include_usage: true, ..ResponseHead::default() }
}

fn encoded(events: &[ResponseEvent<'_>]) -> Vec<u8> {
    let (mut encoder, mut out) = ((CLIENT.stream)(head()), Vec::new());
    events.iter().for_each(|event| encoder.event(event, &mut out));
    encoder.finish(None, &mut out);
    out
}

#[test]
fn requests_match_their_golden_documents() {
    for name in ["everything", "strange"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/anthropic/{name}.json"));
        let pair: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let client = pair["client"].to_string();
        let document = Document::read(client.as_bytes()).unwrap();
        let request = CLIENT.read(&document).unwrap();
        let (provider, dropped) = write(&request, pair["model"].as_str().unwrap());
        assert_eq!(provider, pair["provider"], "{name}: {provider:#}");
        assert_eq!(json!(dropped), pair["dropped"], "{name}");
    }
}

#[test]
fn what_was_thought_goes_back_before_its_call_byte_for_byte() {
    let thoughts =
        r#"[{"type":"thinking","thinking":"a\u00e9","signature":"x\/y=="},{"type":"redacted_thinking", "data":"z"}]"#;
    let memory = Raw::parse(thoughts).unwrap();
    let called = Part::Call(ToolCall {
        id: "t1".into(),
        name: "f".into(),
        arguments: Raw::parse("{}").unwrap(),
        reasoning_state: Some(memory),
        cache: None,
    });
    let turns = vec![
        turn(Role::User, vec![text("go")]),
        Turn { role: Role::Assistant, parts: vec![text("Wait."), called] },
        turn(Role::User, vec![result("t1")]),
    ];
    let request = ModelRequest { turns, thinking: Some(Thinking::Budget(2000)), ..ModelRequest::default() };
    let written = write_for_haiku(&request);
    let body = String::from_utf8(written.body).unwrap();
    let kept = thoughts.trim_matches(['[', ']']).split("},{").collect::<Vec<_>>().join("},{");
    assert!(body.contains(&format!(r#"[{kept},{{"type":"text","text":"Wait."}},{{"type":"tool_use""#)), "{body}");
    assert!(body.contains(r#""budget_tokens":2000"#) && written.dropped.is_empty());
}

#[test]
fn a_turn_that_lost_its_thinking_continues_without_it_and_says_so() {
    let turns = |memory: Option<&Value>| {
        vec![
            turn(Role::User, vec![text("go")]),
            turn(Role::Assistant, vec![call("t1", memory)]),
            turn(Role::User, vec![result("t1")]),
        ]
    };
    let thinking = Some(Thinking::Effort(Effort::Low));
    let lost = ModelRequest { turns: turns(None), thinking, ..ModelRequest::default() };
    let (body, dropped) = write(&lost, "claude-haiku-4-5");
    assert_eq!((&body["thinking"], dropped), (&Value::Null, vec!["reasoning_effort".to_owned()]));
    let foreign = ModelRequest { turns: turns(Some(&json!({ "thoughtSignature": "x" }))), ..lost.clone() };
    assert_eq!(write(&foreign, "claude-haiku-4-5").0["thinking"], Value::Null);
    assert_eq!(write(&lost, "claude-opus-4-6").0["thinking"]["type"], "adaptive");
    let mut over = lost;
    over.turns.push(turn(Role::Assistant, vec![text("ok")]));
    over.turns.push(turn(Role::User, vec![text("next")]));
    assert_eq!(write(&over, "claude-haiku-4-5").0["thinking"]["budget_tokens"], 2048);
}

#[test]
fn turns_of_one_side_become_one_with_results_first_and_instructions_apart() {
    let turns = vec![
        turn(Role::User, vec![text("go")]),
        turn(Role::System, vec![text("late")]),
        turn(Role::Assistant, vec![call("t1", None), call("t2", None)]),
        turn(Role::User, vec![result("t1"), text("and")]),
        turn(Role::User, vec![result("t2")]),
    ];
    let (body, _) = write(&ModelRequest { turns, ..ModelRequest::default() }, "m");
    assert_eq!((&body["system"], &body["max_tokens"]), (&json!("late"), &json!(4096)));
    assert_eq!(body["messages"].as_array().unwrap().len(), 3);
    let kinds: Vec<_> = body["messages"][2]["content"].as_array().unwrap().iter().map(|block| &block["type"]).collect();
    assert_eq!(kinds, ["tool_result", "tool_result", "text"]);
}

#[test]
fn what_the_api_cannot_say_is_named_and_defaults_are_not() {
    let number = |number: f64| Some(raw(&json!(number)));
    let audio = MediaSource::Data { mime: "audio/wav".into(), base64: "AAAA".into() };
    let audio = Part::Media(Media { kind: MediaKind::Audio, source: audio, name: None, cache: None });
    let mut request = ModelRequest {
        turns: vec![turn(Role::User, vec![text("go"), audio])],
        choices: Some(2),
        logprobs: Some(0),
        response_format: Some(ResponseFormat::Json),
        unmapped_fields: ["logit_bias"].into_iter().collect(),
        stop: vec![Raw::quoted("\n\n"), Raw::quoted("END")],
        ..ModelRequest::default()
    };
    request.sampling.seed = number(1.0);
    request.sampling.temperature = number(1.5);
    request.sampling.presence_penalty = number(0.0);
    request.sampling.frequency_penalty = number(0.5);
    let (body, mut dropped) = write(&request, "claude-haiku-4-5");
    dropped.sort();
    let expected = ["frequency_penalty", "logit_bias", "logprobs", "messages[].content[].input_audio", "n"];
    assert_eq!(dropped[..5], expected);
    assert_eq!(dropped[5..], ["response_format", "seed", "stop", "temperature"]);
    assert_eq!(body["stop_sequences"], json!(["END"]));
    assert_eq!(body.get("temperature"), None);
}

#[test]
fn a_conversation_without_a_turn_is_refused_before_it_is_sent() {
    let write = |turns: Vec<Turn<'_>>| {
        fit::write(
            &PROVIDER,
            &mut ModelRequest { turns, ..ModelRequest::default() },
            WriteTarget { model: "m", max_output: None, limit_field: None, facts: &catalogue::family("m") },
            b"secret",
        )
    };
    for empty in [vec![], vec![turn(Role::System, vec![text("")])], vec![turn(Role::User, vec![text("")])]] {
        let error = write(empty).unwrap_err();
        assert_eq!((error.status(), error.param()), (400, Some("messages")));
    }
    let alone = write(vec![turn(Role::System, vec![text("x")])]).unwrap();
    let body: Value = serde_json::from_slice(&alone.body).unwrap();
    assert_eq!(body["messages"], json!([{ "role": "user", "content": "x" }]));
    assert_eq!((body.get("system"), alone.adjusted.len()), (None, 1));
}

#[test]
fn a_request_that_is_not_as_the_api_wants_it_is_refused_by_its_field() {
    let messages = json!([{ "role": "user", "content": "hi" }]);
    let expect = |body: Value, at: &str, words: &str| {
        assert_eq!(refused(&body), (400, Some(at.to_owned()), format!("{at}: {words}")));
    };
    expect(json!({ "messages": messages }), "max_tokens", "Field required");
    expect(json!({ "max_tokens": 1 }), "messages", "Field required");
    expect(json!({ "max_tokens": "1", "messages": messages }), "max_tokens", "Input should be a valid integer");
    let with = |content: Value| json!({ "max_tokens": 1, "messages": [{ "role": "user", "content": content }] });
    expect(with(json!([{ "type": "text" }])), "messages.0.content.0.text", "Field required");
    expect(with(json!([7])), "messages.0.content.0", "Input should be an object");
    let tool = json!([{ "type": "tool_use", "id": "t", "name": "f", "input": "{}" }]);
    expect(with(tool), "messages.0.content.0.input", "Input should be a valid dictionary");
    let thinking = json!({ "max_tokens": 1, "messages": messages, "thinking": { "type": "enabled" } });
    expect(thinking, "thinking.enabled.budget_tokens", "Field required");
}

/// A request that uses all that the format can carry.
fn full_request() -> ModelRequest<'static> {
    let cache = Some(raw(&json!({ "type": "ephemeral", "ttl": "1h" })));
    let image = MediaSource::Data { mime: "image/png".into(), base64: "AAAA".into() };
    let media = Media { kind: MediaKind::Image, source: image, name: None, cache: cache.clone() };
    let tool = Tool {
        name: Raw::quoted("f"),
        description: Some(Raw::quoted("d")),
        parameters: Some(raw(&json!({ "type": "object" }))),
        strict: Some(true),
        cache: cache.clone(),
    };
    ModelRequest {
        stream: true,
        turns: vec![
            turn(Role::System, vec![Part::Text { text: Raw::quoted("s"), cache: cache.clone() }]),
            turn(Role::User, vec![text("a\n\"é"), Part::Media(media)]),
            turn(
                Role::Assistant,
                vec![
                    Part::Thinking { text: Raw::quoted("hm"), signature: Some(Raw::quoted("sig")) },
                    Part::Redacted(Raw::quoted("data")),
                    text("b"),
                    call("t1", None),
                ],
            ),
            turn(Role::User, vec![result("t1"), text("c")]),
        ],
        tools: vec![tool],
        tool_choice: Some(ToolChoice::Auto),
        parallel_calls: Some(false),
        response_format: Some(ResponseFormat::Schema {
            name: None,
            schema: raw(&json!({ "type": "object" })),
            strict: None,
        }),
        max_tokens: Some(9000),
        stop: vec![Raw::quoted("END")],
        thinking: Some(Thinking::Budget(2000)),
        shows_thinking: true,
        user: Some(Raw::quoted("u")),
        ..ModelRequest::default()
    }
}

#[test]
fn the_common_subset_comes_back_as_it_was() {
    let request = full_request();
    let written = write_for_haiku(&request);
    assert!(written.dropped.is_empty(), "{:?}", written.dropped);
    let document = Document::read(&written.body).unwrap();
    assert_eq!(CLIENT.read(&document).unwrap(), request);
}

fn answer() -> Vec<ResponseEvent<'static>> {
    let usage = Usage {
        uncached_input: 5,
        cache_read: 6,
        cache_write: 7,
        cache_write_1h: 3,
        output: 8,
        reasoning: 2,
        ..Usage::default()
    };
    vec![
        ResponseEvent::Start { id: Some("msg_1".into()), model: Some("claude-x".into()) },
        ResponseEvent::Usage(usage),
        ResponseEvent::Thinking { choice: 0, text: Raw::quoted("hm é") },
        ResponseEvent::Text { choice: 0, text: Raw::quoted("a\n😀") },
        ResponseEvent::Call { choice: 0, call: 0, id: "t0".into(), name: "f".into() },
        ResponseEvent::Arguments { choice: 0, call: 0, json: Raw::quoted("{\"a\":") },
        ResponseEvent::Arguments { choice: 0, call: 0, json: Raw::quoted("\"}\"}") },
        ResponseEvent::Call { choice: 0, call: 1, id: "t1".into(), name: "g".into() },
        ResponseEvent::Usage(usage),
        ResponseEvent::Finish { choice: 0, reason: FinishReason::Calls },
        ResponseEvent::End,
    ]
}

/// The response without the gateway's own placeholder signatures.
fn without_memory(events: Vec<ResponseEvent<'static>>) -> Vec<String> {
    told(events.into_iter().filter(|event| !matches!(event, ResponseEvent::ReasoningState { .. })).collect())
}

#[test]
fn what_is_streamed_to_a_client_can_be_read_back() {
    let stream = encoded(&answer());
    let (events, malformed) = streamed([stream.as_slice()]);
    assert_eq!((without_memory(events), malformed), (told(answer()), 0));
}

#[test]
fn a_whole_answer_can_be_read_back() {
    let mut read = without_memory(whole(&(CLIENT.whole)(&head(), &answer())).unwrap());
    let mut expected = told(answer());
    expected.dedup();
    expected.remove(1);
    read.sort();
    expected.sort();
    assert_eq!(read, expected);
}

#[test]
fn a_stream_means_the_same_however_it_is_cut() {
    let stream = encoded(&answer());
    let (uncut, _) = streamed([stream.as_slice()]);
    let expected = told(uncut);
    for cut in 0..stream.len() {
        let (head, rest) = stream.split_at(cut);
        assert_eq!(told(streamed([head, rest]).0), expected, "cut at {cut}");
    }
    assert_eq!(told(streamed(stream.chunks(1)).0), expected);
}

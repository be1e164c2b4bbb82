//! Anthropic's Messages API from outside: golden documents, recorded traffic, round trips, and what no bytes may do.

mod harm;
mod recorded;

use std::path::Path;

use llm_bridge::adapters::anthropic::{CLIENT, UPSTREAM};
use llm_bridge::adapters::{Aim, Head, Written};
use llm_bridge::chat::{
    Call, Effort, Event, Finish, Media, MediaKind, Part, Raw, Request, Role, Shape, Source, Thinking, Tool, ToolChoice,
    Turn, Usage,
};
use llm_bridge::error::Result;
use llm_bridge::wire::json::Document;
use serde_json::{Value, json};

fn raw(value: &Value) -> Raw<'static> {
    Raw::of(value)
}

fn text(text: &str) -> Part<'static> {
    Part::Text { text: Raw::quoted(text), cache: None }
}

fn turn(role: Role, parts: Vec<Part<'static>>) -> Turn<'static> {
    Turn { role, parts }
}

fn call(id: &'static str, memory: Option<&Value>) -> Part<'static> {
    let (arguments, memory) = (raw(&json!({ "a": 1 })), memory.map(raw));
    Part::Call(Call { id: id.into(), name: "f".into(), arguments, memory, cache: None })
}

fn result(id: &'static str) -> Part<'static> {
    Part::Result { call: id.into(), parts: vec![text("done")], failed: false, cache: None }
}

fn write(request: &Request<'_>, model: &str) -> (Value, Vec<String>) {
    let Written { body, dropped, path, headers } =
        (UPSTREAM.write)(request, Aim { model, max_output: None, limit_field: None }).unwrap();
    assert_eq!((path.as_str(), headers), ("/messages", vec![("anthropic-version", "2023-06-01".to_owned())]));
    (serde_json::from_slice(&body).unwrap(), dropped.into_iter().map(String::from).collect())
}

fn refused(body: &Value) -> (u16, Option<String>, String) {
    let body = body.to_string();
    let document = Document::read(body.as_bytes()).unwrap();
    let error = (CLIENT.read)(&document).unwrap_err();
    (error.status(), error.param().map(str::to_owned), error.message().to_owned())
}

/// What was said, with pieces that follow each other joined: a stream may be cut anywhere.
fn told(events: Vec<Event<'_>>) -> Vec<String> {
    let mut told: Vec<(String, String)> = Vec::new();
    for event in events {
        let (head, piece) = match &event {
            Event::Text { text, .. } => ("text".to_owned(), text.text().unwrap().into_owned()),
            Event::Thinking { text, .. } => ("thinking".to_owned(), text.text().unwrap().into_owned()),
            Event::Arguments { call, json, .. } => (format!("arguments {call}"), json.text().unwrap().into_owned()),
            other => (format!("{other:?}"), String::new()),
        };
        match told.last_mut() {
            Some((last, pieces)) if *last == head => pieces.push_str(&piece),
            _ => told.push((head, piece)),
        }
    }
    told.into_iter().map(|(head, piece)| format!("{head} {piece}")).collect()
}

fn owned(event: Event<'_>) -> Event<'static> {
    match event {
        Event::Start { id, model } => Event::Start {
            id: id.map(|id| id.into_owned().into()),
            model: model.map(|model| model.into_owned().into()),
        },
        Event::Text { choice, text } => Event::Text { choice, text: text.owned() },
        Event::Thinking { choice, text } => Event::Thinking { choice, text: text.owned() },
        Event::Call { choice, call, id, name } => {
            Event::Call { choice, call, id: id.into_owned().into(), name: name.into_owned().into() }
        }
        Event::Arguments { choice, call, json } => Event::Arguments { choice, call, json: json.owned() },
        Event::Memory { id, memory } => Event::Memory { id: id.into_owned().into(), memory: memory.owned() },
        Event::Logprobs { choice, logprobs } => Event::Logprobs { choice, logprobs: logprobs.owned() },
        Event::Tier(tier) => Event::Tier(tier.into_owned().into()),
        Event::Finish { choice, reason } => Event::Finish { choice, reason },
        Event::Usage(usage) => Event::Usage(usage),
        Event::Failed(error) => Event::Failed(error),
        Event::End => Event::End,
    }
}

fn whole(body: &[u8]) -> Result<Vec<Event<'static>>> {
    let mut events = Vec::new();
    (UPSTREAM.whole)(body, &mut |event| events.push(owned(event)))?;
    Ok(events)
}

fn streamed<'b>(pieces: impl IntoIterator<Item = &'b [u8]>) -> (Vec<Event<'static>>, u32) {
    let mut events = Vec::new();
    let mut stream = (UPSTREAM.stream)();
    pieces.into_iter().for_each(|piece| stream.push(piece, &mut |event| events.push(owned(event))));
    stream.finish(&mut |event| events.push(owned(event)));
    (events, stream.malformed())
}

fn head() -> Head {
    Head { dice: 7, created: 0, model: "m".to_owned(), include_usage: true, include_cost: false }
}

fn encoded(events: &[Event<'_>]) -> Vec<u8> {
    let (mut encoder, mut out) = ((CLIENT.stream)(head()), Vec::new());
    events.iter().for_each(|event| encoder.event(event, &mut out));
    encoder.finish(None, &mut out);
    out
}

#[test]
fn golden_documents_say_what_a_provider_is_told_and_what_not() {
    for name in ["everything", "strange"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/anthropic/{name}.json"));
        let pair: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let client = pair["client"].to_string();
        let document = Document::read(client.as_bytes()).unwrap();
        let request = (CLIENT.read)(&document).unwrap();
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
    let called = Part::Call(Call {
        id: "t1".into(),
        name: "f".into(),
        arguments: Raw::parse("{}").unwrap(),
        memory: Some(memory),
        cache: None,
    });
    let turns = vec![
        turn(Role::User, vec![text("go")]),
        Turn { role: Role::Assistant, parts: vec![text("Wait."), called] },
        turn(Role::User, vec![result("t1")]),
    ];
    let request = Request { turns, thinking: Some(Thinking::Budget(2000)), ..Request::default() };
    let written =
        (UPSTREAM.write)(&request, Aim { model: "claude-haiku-4-5", max_output: None, limit_field: None }).unwrap();
    let body = String::from_utf8(written.body).unwrap();
    let kept = thoughts.trim_matches(['[', ']']).split("},{").collect::<Vec<_>>().join("},{");
    assert!(body.contains(&format!(r#"[{kept},{{"type":"text","text":"Wait."}},{{"type":"tool_use""#)), "{body}");
    assert!(body.contains(r#""budget_tokens":2000"#) && written.dropped.is_empty());
}

#[test]
fn who_lost_the_thoughts_of_a_turn_goes_on_without_thinking_and_is_told() {
    let turns = |memory: Option<&Value>| {
        vec![
            turn(Role::User, vec![text("go")]),
            turn(Role::Assistant, vec![call("t1", memory)]),
            turn(Role::User, vec![result("t1")]),
        ]
    };
    let thinking = Some(Thinking::Effort(Effort::Low));
    let lost = Request { turns: turns(None), thinking, ..Request::default() };
    let (body, dropped) = write(&lost, "claude-haiku-4-5");
    assert_eq!((&body["thinking"], dropped), (&Value::Null, vec!["reasoning_effort".to_owned()]));
    let foreign = Request { turns: turns(Some(&json!({ "thoughtSignature": "x" }))), ..lost.clone() };
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
    let (body, _) = write(&Request { turns, ..Request::default() }, "m");
    assert_eq!((&body["system"], &body["max_tokens"]), (&json!("late"), &json!(4096)));
    assert_eq!(body["messages"].as_array().unwrap().len(), 3);
    let kinds: Vec<_> = body["messages"][2]["content"].as_array().unwrap().iter().map(|block| &block["type"]).collect();
    assert_eq!(kinds, ["tool_result", "tool_result", "text"]);
}

#[test]
fn what_the_api_cannot_say_is_named_and_defaults_are_not() {
    let number = |number: f64| Some(raw(&json!(number)));
    let audio = Source::Data { mime: "audio/wav".into(), base64: "AAAA".into() };
    let audio = Part::Media(Media { kind: MediaKind::Audio, source: audio, name: None, cache: None });
    let mut request = Request {
        turns: vec![turn(Role::User, vec![text("go"), audio])],
        choices: Some(2),
        logprobs: Some(0),
        shape: Some(Shape::Json),
        strange: ["logit_bias"].into_iter().collect(),
        stop: vec![Raw::quoted("\n\n"), Raw::quoted("END")],
        ..Request::default()
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
    let request = Request { turns: vec![turn(Role::System, vec![text("x")])], ..Request::default() };
    let error = (UPSTREAM.write)(&request, Aim { model: "m", max_output: None, limit_field: None }).unwrap_err();
    assert_eq!((error.status(), error.param()), (400, Some("messages")));
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

#[test]
fn the_common_subset_comes_back_as_it_was() {
    let cache = Some(raw(&json!({ "type": "ephemeral", "ttl": "1h" })));
    let image = Source::Data { mime: "image/png".into(), base64: "AAAA".into() };
    let media = Media { kind: MediaKind::Image, source: image, name: None, cache: cache.clone() };
    let tool = Tool {
        name: Raw::quoted("f"),
        description: Some(Raw::quoted("d")),
        parameters: Some(raw(&json!({ "type": "object" }))),
        strict: Some(true),
        cache: cache.clone(),
    };
    let request = Request {
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
        shape: Some(Shape::Schema { name: None, schema: raw(&json!({ "type": "object" })), strict: None }),
        max_tokens: Some(9000),
        stop: vec![Raw::quoted("END")],
        thinking: Some(Thinking::Budget(2000)),
        user: Some(Raw::quoted("u")),
        ..Request::default()
    };
    let written =
        (UPSTREAM.write)(&request, Aim { model: "claude-haiku-4-5", max_output: None, limit_field: None }).unwrap();
    assert!(written.dropped.is_empty(), "{:?}", written.dropped);
    let document = Document::read(&written.body).unwrap();
    assert_eq!((CLIENT.read)(&document).unwrap(), request);
}

fn answer() -> Vec<Event<'static>> {
    let usage = Usage { fresh: 5, cache_read: 6, cache_write: 7, cache_write_1h: 3, output: 8, reasoning: 2 };
    vec![
        Event::Start { id: Some("msg_1".into()), model: Some("claude-x".into()) },
        Event::Usage(usage),
        Event::Thinking { choice: 0, text: Raw::quoted("hm é") },
        Event::Text { choice: 0, text: Raw::quoted("a\n😀") },
        Event::Call { choice: 0, call: 0, id: "t0".into(), name: "f".into() },
        Event::Arguments { choice: 0, call: 0, json: Raw::quoted("{\"a\":") },
        Event::Arguments { choice: 0, call: 0, json: Raw::quoted("\"}\"}") },
        Event::Call { choice: 0, call: 1, id: "t1".into(), name: "g".into() },
        Event::Usage(usage),
        Event::Finish { choice: 0, reason: Finish::Calls },
        Event::End,
    ]
}

/// Without what thoughts leave behind: our own mark is not part of the answer.
fn without_memory(events: Vec<Event<'static>>) -> Vec<String> {
    told(events.into_iter().filter(|event| !matches!(event, Event::Memory { .. })).collect())
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

//! Translation through the hub: what goes in comes out again, whole or streamed, however it is cut, whatever a provider's habits.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may insist")]

#[path = "support/recordings.rs"]
mod recorded;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use llm_bridge::adapters::Listen as _;
use llm_bridge::adapters::openai::overhear::{Attention, Overhear};
use llm_bridge::adapters::openai::{CLIENT, UPSTREAM, outbound};
use llm_bridge::adapters::{Aim, Head};
use llm_bridge::chat::{
    Call, Effort, Event, Finish, Media, MediaKind, Part, Raw, Request, Role, Sampling, Shape, Source, Thinking, Tool,
    ToolChoice, Turn, Usage,
};
use llm_bridge::error::Error;
use llm_bridge::wire::json::Document;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use recorded::{Recording, recordings};
use serde_json::Value;

/// A step as a line that can be compared.
fn line(event: &Event<'_>) -> String {
    format!("{event:?}")
}

/// The steps of a stream in pieces, and the events that could not be read.
fn decoded(pieces: &[&[u8]]) -> (Vec<String>, u32) {
    let mut told = Vec::new();
    let mut each = |event: Event<'_>| told.push(line(&event));
    let mut decode = (UPSTREAM.stream)();
    pieces.iter().for_each(|piece| decode.push(piece, &mut each));
    decode.finish(&mut each);
    (told, decode.malformed())
}

/// What a whole answer says: pieces of one text are one text.
#[derive(Debug, Default, PartialEq)]
struct Told {
    texts: BTreeMap<u32, String>,
    thoughts: BTreeMap<u32, String>,
    calls: BTreeMap<(u32, u32), (String, String, String)>,
    finish: BTreeMap<u32, String>,
    usage: Option<Usage>,
    ended: bool,
    failed: bool,
}

impl Told {
    fn take(&mut self, event: &Event<'_>) {
        match event {
            Event::Text { choice, text } => {
                self.texts.entry(*choice).or_default().push_str(&text.text().unwrap_or_default())
            }
            Event::Thinking { choice, text } => {
                self.thoughts.entry(*choice).or_default().push_str(&text.text().unwrap_or_default());
            }
            Event::Call { choice, call, id, name } => {
                self.calls.insert((*choice, *call), (id.to_string(), name.to_string(), String::new()));
            }
            Event::Arguments { choice, call, json } => {
                self.calls.get_mut(&(*choice, *call)).unwrap().2.push_str(&json.text().unwrap_or_default());
            }
            Event::Finish { choice, reason } => drop(self.finish.insert(*choice, format!("{reason:?}"))),
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::End => self.ended = true,
            Event::Failed(_) => self.failed = true,
            _ => {}
        }
    }

    fn streamed(bytes: &[u8]) -> Self {
        let mut told = Self::default();
        let mut decode = (UPSTREAM.stream)();
        decode.push(bytes, &mut |event| told.take(&event));
        decode.finish(&mut |event| told.take(&event));
        told
    }

    fn whole(bytes: &[u8]) -> Result<Self, Error> {
        let mut told = Self::default();
        (UPSTREAM.whole)(bytes, &mut |event| told.take(&event))?;
        Ok(told)
    }

    fn of(events: &[Event<'_>]) -> Self {
        let mut told = Self::default();
        events.iter().for_each(|event| told.take(event));
        // No arguments at all are an empty object of them.
        told.calls.values_mut().filter(|call| call.2.is_empty()).for_each(|call| call.2.push_str("{}"));
        told
    }
}

fn head() -> Head {
    Head { dice: 7, created: 1, model: "m".into(), include_usage: true, include_cost: false }
}

fn encoded(events: &[Event<'_>], failure: Option<&Error>) -> Vec<u8> {
    let (mut encode, mut out) = ((CLIENT.stream)(head()), Vec::new());
    events.iter().for_each(|event| encode.event(event, &mut out));
    encode.finish(failure, &mut out);
    out
}

// Requests.

fn word() -> impl Strategy<Value = String> {
    "[a-z\"\\\\é漢😀\n]{1,6}"
}

fn quoted() -> impl Strategy<Value = Raw<'static>> {
    word().prop_map(|text| Raw::quoted(&text))
}

fn text() -> impl Strategy<Value = Part<'static>> {
    quoted().prop_map(|text| Part::Text { text, cache: None })
}

fn media() -> impl Strategy<Value = Part<'static>> {
    let data = |mime: &'static str| {
        ("[A-Za-z0-9]{4}").prop_map(move |base64| Source::Data { mime: mime.into(), base64: base64.into() })
    };
    let of = |kind, source, name| Part::Media(Media { kind, source, name, cache: None });
    prop_oneof![
        data("image/png").prop_map(move |source| of(MediaKind::Image, source, None)),
        Just(of(MediaKind::Image, Source::Url("https://a/b".into()), None)),
        data("audio/wav").prop_map(move |source| of(MediaKind::Audio, source, None)),
        (data("application/pdf"), quoted()).prop_map(move |(source, name)| of(MediaKind::Document, source, Some(name))),
    ]
}

fn object() -> impl Strategy<Value = Raw<'static>> {
    prop_oneof![
        Just("{}"),
        Just("{\"a\": [1, 2.50, \"\\u00e9\"]}"),
        Just("{\"type\":\"object\",\"$ref\":\"#/x\",\"const\":null}")
    ]
    .prop_map(|json| Raw::parse(json).unwrap())
}

fn call() -> impl Strategy<Value = Part<'static>> {
    (word(), word(), object()).prop_map(|(id, name, arguments)| {
        Part::Call(Call { id: id.into(), name: name.into(), arguments, memory: None, cache: None })
    })
}

fn turn() -> impl Strategy<Value = Turn<'static>> {
    let of = |role| move |parts| Turn { role, parts };
    let result = (word(), text()).prop_map(|(call, text)| Part::Result {
        call: call.into(),
        parts: vec![text],
        failed: false,
        cache: None,
    });
    prop_oneof![
        vec(text(), 1).prop_map(of(Role::System)),
        vec(text(), 1).prop_map(of(Role::User)),
        (media(), vec(prop_oneof![text(), media()], 0..4)).prop_map(|(first, mut parts)| {
            parts.push(first);
            Turn { role: Role::User, parts }
        }),
        result.prop_map(|result| Turn { role: Role::User, parts: vec![result] }),
        (vec(text(), 1), vec(call(), 0..3)).prop_map(|(mut parts, calls)| {
            parts.extend(calls);
            Turn { role: Role::Assistant, parts }
        }),
        vec(call(), 1..3).prop_map(of(Role::Assistant)),
    ]
}

fn tool() -> impl Strategy<Value = Tool<'static>> {
    (quoted(), option::of(quoted()), option::of(object()), option::of(any::<bool>()))
        .prop_map(|(name, description, parameters, strict)| Tool { name, description, parameters, strict, cache: None })
}

fn tools() -> impl Strategy<Value = (Vec<Tool<'static>>, Option<ToolChoice<'static>>, Option<bool>)> {
    let choice = prop_oneof![
        Just(ToolChoice::Auto),
        Just(ToolChoice::None),
        Just(ToolChoice::Required),
        quoted().prop_map(ToolChoice::Tool)
    ];
    let some = (vec(tool(), 1..3), option::of(choice), option::of(any::<bool>()));
    prop_oneof![Just((Vec::new(), None, None)), some]
}

fn shape() -> impl Strategy<Value = Shape<'static>> {
    let schema = (quoted(), object(), option::of(any::<bool>())).prop_map(|(name, schema, strict)| Shape::Schema {
        name: Some(name),
        schema,
        strict,
    });
    prop_oneof![Just(Shape::Json), schema]
}

fn number() -> impl Strategy<Value = Option<Raw<'static>>> {
    option::of(prop_oneof![Just("0.70"), Just("-1"), Just("1e-2")].prop_map(|json| Raw::parse(json).unwrap()))
}

fn sampling() -> impl Strategy<Value = Sampling<'static>> {
    (number(), number(), number(), number(), number()).prop_map(
        |(temperature, top_p, seed, presence_penalty, frequency_penalty)| Sampling {
            temperature,
            top_p,
            top_k: None,
            seed,
            presence_penalty,
            frequency_penalty,
        },
    )
}

fn thinking() -> impl Strategy<Value = Thinking> {
    let words = [Effort::Minimal, Effort::Low, Effort::Medium, Effort::High, Effort::Higher];
    prop_oneof![Just(Thinking::Off), proptest::sample::select(words.to_vec()).prop_map(Thinking::Effort)]
}

fn request() -> impl Strategy<Value = Request<'static>> {
    let limits = (option::of(0u64..9), vec(quoted(), 0..3), option::of(2u64..4), option::of(0u64..5));
    let rest = (option::of(shape()), sampling(), option::of(thinking()), option::of(quoted()));
    (any::<bool>(), vec(turn(), 0..6), tools(), limits, rest).prop_map(
        |(stream, turns, (tools, tool_choice, parallel_calls), (max_tokens, stop, choices, logprobs), rest)| {
            let (shape, sampling, thinking, user) = rest;
            Request {
                stream,
                turns,
                tools,
                tool_choice,
                parallel_calls,
                shape,
                max_tokens,
                stop,
                choices,
                logprobs,
                sampling,
                thinking,
                user,
                strange: Vec::new(),
            }
        },
    )
}

// Answers.

/// Pieces of an answer, with its end.
fn answer() -> impl Strategy<Value = Vec<Event<'static>>> {
    let piece = prop_oneof![
        quoted().prop_map(|text| Event::Text { choice: 0, text }),
        quoted().prop_map(|text| Event::Thinking { choice: 0, text }),
        quoted().prop_map(|text| Event::Text { choice: 1, text }),
    ];
    let calls = vec((word(), word(), vec(quoted(), 0..3)), 0..3);
    let usage = (0u64..9, 0u64..9, 0u64..9, 0u64..9, 0u64..5);
    (vec(piece, 0..6), calls, usage).prop_map(|(pieces, calls, (fresh, cache_read, cache_write, output, reasoning))| {
        let mut events = vec![Event::Start { id: Some("a".into()), model: Some("m".into()) }];
        events.extend(pieces);
        let reason = if calls.is_empty() { Finish::Length } else { Finish::Calls };
        for (call, (id, name, pieces)) in (0u32..).zip(calls) {
            let id = Cow::Owned(format!("{id}{call}"));
            events.push(Event::Call { choice: 0, call, id, name: name.into() });
            events.extend(pieces.into_iter().map(|json| Event::Arguments { choice: 0, call, json }));
        }
        events.extend(
            (0..2).map(|choice| Event::Finish { choice, reason: if choice == 0 { reason } else { Finish::Filtered } }),
        );
        let (output, reasoning) = (output + reasoning, reasoning);
        events.push(Event::Usage(Usage { fresh, cache_read, cache_write, output, reasoning, ..Usage::default() }));
        events.push(Event::End);
        events
    })
}

proptest! {
    #[test]
    fn a_request_survives_the_way_there_and_back(request in request()) {
        let written = (UPSTREAM.write)(&request, Aim { model: "m", max_output: None }).unwrap();
        prop_assert!(written.dropped.is_empty(), "{:?}", written.dropped);
        let document = Document::read(&written.body).unwrap();
        prop_assert_eq!((CLIENT.read)(&document).unwrap(), request);
    }

    #[test]
    fn an_answer_survives_the_way_there_and_back(events in answer()) {
        let expected = Told::of(&events);
        let stream = encoded(&events, None);
        prop_assert_eq!(&Told::streamed(&stream), &expected);
        prop_assert_eq!(&Told::whole(&(CLIENT.whole)(&head(), &events)).unwrap(), &expected);
    }

    #[test]
    fn a_stream_is_the_same_wherever_it_is_cut(events in answer()) {
        let stream = encoded(&events, None);
        let expected = decoded(&[&stream]);
        prop_assert_eq!(expected.1, 0);
        prop_assert_eq!(&decoded(&stream.chunks(1).collect::<Vec<_>>()), &expected);
        for cut in (0..stream.len()).step_by(17) {
            let (before, after) = stream.split_at(cut);
            prop_assert_eq!(&decoded(&[before, after]), &expected);
        }
    }

    #[test]
    fn no_bytes_panic(bytes in vec(any::<u8>(), 0..300)) {
        decoded(&[&bytes]);
        let _ = Told::whole(&bytes);
    }

    #[test]
    fn no_odd_answer_panics(pieces in vec(odd(), 0..6)) {
        let body = pieces.join(",");
        let stream = format!("data: {{{body}}}\n\ndata: {{\"choices\":[{{{body}}}]}}\n\ndata: {{\"choices\":[{{\"delta\":{{{body}}}}}]}}\n\n");
        decoded(&[stream.as_bytes()]);
        let _ = Told::whole(format!("{{\"choices\":[{{\"message\":{{{body}}}}}]}}").as_bytes());
        if let Ok(document) = Document::read(format!("{{{body},\"messages\":[{{\"role\":\"user\",{body}}}]}}").as_bytes()) {
            let _ = (CLIENT.read)(&document);
        }
    }
}

/// A field of the format with a value that may not belong there.
fn odd() -> impl Strategy<Value = String> {
    let names = [
        "content",
        "tool_calls",
        "function_call",
        "index",
        "id",
        "role",
        "error",
        "usage",
        "delta",
        "finish_reason",
        "logprobs",
        "reasoning",
        "tools",
        "tool_choice",
        "response_format",
        "stop",
        "model",
        "type",
        "refusal",
    ];
    let values = [
        "7",
        "-1.5e9",
        "\"\"",
        "\"x\"",
        "null",
        "[]",
        "{}",
        "[{}]",
        "[7]",
        "[[]]",
        "true",
        "99999999999999999999",
        "{\"type\":\"function\"}",
        "[{\"type\":\"image_url\"}]",
        "[{\"function\":{\"name\":\"f\"}}]",
        "\"\\ud800\"",
    ];
    (proptest::sample::select(names.to_vec()), proptest::sample::select(values.to_vec()))
        .prop_map(|(name, value)| format!("\"{name}\":{value}"))
}

#[test]
fn every_byte_is_a_place_to_cut() {
    let call = Event::Call { choice: 0, call: 0, id: "c".into(), name: "f".into() };
    let events = [
        Event::Start { id: Some("a".into()), model: None },
        Event::Thinking { choice: 0, text: Raw::quoted("é漢") },
        Event::Text { choice: 0, text: Raw::quoted("😀\r\n") },
        call,
        Event::Arguments { choice: 0, call: 0, json: Raw::quoted("{\"a\":\"é\"}") },
        Event::Finish { choice: 0, reason: Finish::Calls },
        Event::Usage(Usage { fresh: 3, output: 2, ..Usage::default() }),
        Event::End,
    ];
    let stream = encoded(&events, None);
    let expected = decoded(&[&stream]);
    for cut in 0..stream.len() {
        let (before, after) = stream.split_at(cut);
        assert_eq!(decoded(&[before, after]), expected, "cut at {cut}");
    }
}

#[test]
fn a_failure_is_read_as_one() {
    let failure = Error::upstream(502, "stream_truncated", "cut");
    let told = Told::streamed(&encoded(&[Event::Text { choice: 0, text: Raw::quoted("a") }], Some(&failure)));
    assert!(told.failed && !told.ended);
}

#[test]
fn golden_requests_are_written_as_they_should_be() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/hub");
    let mut seen = 0;
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.starts_with("openai-") {
            continue;
        }
        seen += 1;
        let golden: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let client = golden["client"].to_string();
        let document = Document::read(client.as_bytes()).unwrap();
        let request = (CLIENT.read)(&document).unwrap_or_else(|error| panic!("{name}: {error}"));
        let written = (UPSTREAM.write)(&request, Aim { model: "m", max_output: None }).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&written.body).unwrap(), golden["upstream"], "{name}");
        let mut dropped: Vec<&str> = written.dropped.iter().map(AsRef::as_ref).collect();
        let mut expected: Vec<&str> =
            golden["dropped"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        dropped.sort_unstable();
        expected.sort_unstable();
        assert_eq!(dropped, expected, "{name}");
    }
    assert!(seen >= 4);
}

// Recordings.

#[test]
fn recorded_answers_are_read_as_they_were_meant() {
    for Recording { name, about, body } in recordings("openai-chat").into_iter().filter(|it| it.about["status"] == 200)
    {
        let streamed = about["ct"].as_str().is_some_and(|kind| kind.starts_with("text/event-stream"));
        if !streamed {
            let told = Told::whole(&body).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(told.usage, outbound::reply(&body).unwrap().usage, "{name}");
            assert!(told.ended && !told.finish.is_empty(), "{name}");
            continue;
        }
        let mut heard = Overhear::new(Attention { text: true, ..Attention::default() });
        heard.push(&body);
        heard.finish(&Error::upstream(502, "stream_truncated", "cut"));
        let told = Told::streamed(&body);
        assert_eq!((told.usage, told.failed), (heard.usage(), heard.error().is_some()), "{name}");
        assert_eq!(told.texts.get(&0).map_or("", String::as_str), heard.text().unwrap(), "{name}");
        let whole = decoded(&[&body]);
        assert_eq!(whole.1, 0, "{name}");
        for size in [1, 7, 1000] {
            assert_eq!(decoded(&body.chunks(size).collect::<Vec<_>>()), whole, "{name} in pieces of {size}");
        }
        assert_eq!(told.failed || told.ended || !told.finish.is_empty(), heard.is_whole() || told.failed, "{name}");
    }
}

#[test]
fn recorded_answers_can_be_told_again() {
    for Recording { name, about, body } in recordings("openai-chat").into_iter().filter(|it| it.about["status"] == 200)
    {
        let streamed = about["ct"].as_str().is_some_and(|kind| kind.starts_with("text/event-stream"));
        let (mut encode, mut out) = ((CLIENT.stream)(head()), Vec::new());
        let mut each = |event: Event<'_>| encode.event(&event, &mut out);
        if streamed {
            let mut decode = (UPSTREAM.stream)();
            decode.push(&body, &mut each);
            decode.finish(&mut each);
        } else {
            (UPSTREAM.whole)(&body, &mut each).unwrap();
        }
        encode.finish(None, &mut out);
        let (again, mut first) =
            (Told::streamed(&out), if streamed { Told::streamed(&body) } else { Told::whole(&body).unwrap() });
        first.calls.values_mut().filter(|call| call.2.is_empty()).for_each(|call| call.2.push_str("{}"));
        first.ended = !first.failed;
        assert_eq!(again, first, "{name}");
    }
}

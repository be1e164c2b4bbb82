//! Arbitrary requests and responses, and fields of wrong types.

use std::borrow::Cow;

use llm_bridge::canonical::{
    Effort, FinishReason, Media, MediaKind, MediaSource, ModelRequest, Part, Raw, ResponseEvent, ResponseFormat, Role,
    Sampling, Thinking, Tool, ToolCall, ToolChoice, Turn, Usage,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

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
        ("[A-Za-z0-9]{4}").prop_map(move |base64| MediaSource::Data { mime: mime.into(), base64: base64.into() })
    };
    let of = |kind, source, name| Part::Media(Media { kind, source, name, cache: None });
    prop_oneof![
        data("image/png").prop_map(move |source| of(MediaKind::Image, source, None)),
        Just(of(MediaKind::Image, MediaSource::Url("https://a/b".into()), None)),
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
        Part::Call(ToolCall { id: id.into(), name: name.into(), arguments, reasoning_state: None, cache: None })
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

fn shape() -> impl Strategy<Value = ResponseFormat<'static>> {
    let schema = (quoted(), object(), option::of(any::<bool>()))
        .prop_map(|(name, schema, strict)| ResponseFormat::Schema { name: Some(name), schema, strict });
    prop_oneof![Just(ResponseFormat::Json), schema]
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

pub(super) fn request() -> impl Strategy<Value = ModelRequest<'static>> {
    let limits = (option::of(0u64..9), vec(quoted(), 0..3), option::of(2u64..4), option::of(0u64..5));
    let rest = (option::of(shape()), sampling(), option::of(thinking()), option::of(quoted()));
    (any::<bool>(), vec(turn(), 0..6), tools(), limits, rest).prop_map(
        |(stream, turns, (tools, tool_choice, parallel_calls), (max_tokens, stop, choices, logprobs), rest)| {
            let (shape, sampling, thinking, user) = rest;
            ModelRequest {
                stream,
                turns,
                tools,
                tool_choice,
                parallel_calls,
                response_format: shape,
                max_tokens,
                stop,
                choices,
                logprobs,
                sampling,
                thinking,
                shows_thinking: false,
                prefill: None,
                user,
                sealed_states: Vec::new(),
                unmapped_fields: Default::default(),
            }
        },
    )
}

// Responses.

/// Pieces of a response, with its end.
pub(super) fn answer() -> impl Strategy<Value = Vec<ResponseEvent<'static>>> {
    let piece = prop_oneof![
        quoted().prop_map(|text| ResponseEvent::Text { choice: 0, text }),
        quoted().prop_map(|text| ResponseEvent::Thinking { choice: 0, text }),
        quoted().prop_map(|text| ResponseEvent::Text { choice: 1, text }),
    ];
    let calls = vec((word(), word(), vec(quoted(), 0..3)), 0..3);
    let usage = (0u64..9, 0u64..9, 0u64..9, 0u64..9, 0u64..5);
    (vec(piece, 0..6), calls, usage).prop_map(|(pieces, calls, (fresh, cache_read, cache_write, output, reasoning))| {
        let mut events = vec![ResponseEvent::Start { id: Some("a".into()), model: Some("m".into()) }];
        events.extend(pieces);
        let reason = if calls.is_empty() { FinishReason::Length } else { FinishReason::Calls };
        for (call, (id, name, pieces)) in (0u32..).zip(calls) {
            let id = Cow::Owned(format!("{id}{call}"));
            events.push(ResponseEvent::Call { choice: 0, call, id, name: name.into() });
            events.extend(pieces.into_iter().map(|json| ResponseEvent::Arguments { choice: 0, call, json }));
        }
        events.extend((0..2).map(|choice| ResponseEvent::Finish {
            choice,
            reason: if choice == 0 { reason } else { FinishReason::Filtered },
        }));
        let (output, reasoning) = (output + reasoning, reasoning);
        events.push(ResponseEvent::Usage(Usage {
            uncached_input: fresh,
            cache_read,
            cache_write,
            output,
            reasoning,
            ..Usage::default()
        }));
        events.push(ResponseEvent::End);
        events
    })
}

/// A field of the format with a value that may be of the wrong type.
pub(super) fn odd() -> impl Strategy<Value = String> {
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

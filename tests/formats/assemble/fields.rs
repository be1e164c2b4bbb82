//! Arbitrary members and texts in assembled streams.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{assembled, sse};
use crate::assemble::assemble;

/// Streams with a place for a member at one level, and where that is in the response.
const LEVELS: &[(&str, &[&str], &str)] = &[
    ("openai", &[r#"{@"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}"#, "[DONE]"], ""),
    (
        "openai",
        &[
            r#"{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}"#,
            r#"{@"choices":[]}"#,
            "[DONE]",
        ],
        "",
    ),
    (
        "openai",
        &[r#"{"choices":[{@"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}"#, "[DONE]"],
        "/choices/0",
    ),
    ("openai", &[r#"{"choices":[{"index":0,"text":"a",@"finish_reason":"stop"}]}"#, "[DONE]"], "/choices/0"),
    (
        "openai",
        &[r#"{"choices":[{"index":3,"delta":{@"content":"a"},"finish_reason":"stop"}]}"#, "[DONE]"],
        "/choices/0/message",
    ),
    (
        "openai",
        &[
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,@"id":"c","function":{"name":"f"}}]},"finish_reason":"stop"}]}"#,
            "[DONE]",
        ],
        "/choices/0/message/tool_calls/0",
    ),
    (
        "openai",
        &[
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c","function":{@"name":"f"}}]},"finish_reason":"stop"}]}"#,
            "[DONE]",
        ],
        "/choices/0/message/tool_calls/0/function",
    ),
    (
        "openai",
        &[r#"{"choices":[{"index":0,"delta":{"audio":{@"id":"a"}},"finish_reason":"stop"}]}"#, "[DONE]"],
        "/choices/0/message/audio",
    ),
    (
        "openai",
        &[
            r#"{"choices":[{"index":0,"delta":{"content":[{@"type":"text","text":"a"}]},"finish_reason":"stop"}]}"#,
            "[DONE]",
        ],
        "/choices/0/message/content/0",
    ),
    (
        "openai",
        &[
            r#"{"choices":[{"index":0,"delta":{"reasoning_details":[{@"type":"reasoning.text","text":"a"}]},"finish_reason":"stop"}]}"#,
            "[DONE]",
        ],
        "/choices/0/message/reasoning_details/0",
    ),
    (
        "openai",
        &[r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{@"prompt_tokens":1}}"#, "[DONE]"],
        "/usage",
    ),
    ("anthropic", &[r#"{"type":"message_start","message":{@"id":"m"}}"#, DELTA, STOP], ""),
    ("anthropic", &[r#"{"type":"message_start",@"message":{"id":"m"}}"#, DELTA, STOP], ""),
    ("anthropic", &[START, r#"{"type":"message_delta",@"delta":{"stop_reason":"end_turn"}}"#, STOP], ""),
    ("anthropic", &[START, r#"{"type":"message_delta","delta":{@"stop_reason":"end_turn"}}"#, STOP], ""),
    (
        "anthropic",
        &[START, r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{@"output_tokens":1}}"#, STOP],
        "/usage",
    ),
    (
        "anthropic",
        &[START, r#"{"type":"content_block_start","index":0,"content_block":{@"type":"text","text":""}}"#, DELTA, STOP],
        "/content/0",
    ),
    (
        "anthropic",
        &[
            START,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{@"type":"text_delta","text":"a"}}"#,
            DELTA,
            STOP,
        ],
        "/content/0",
    ),
    ("anthropic", &[START, DELTA, r#"{@"type":"message_stop"}"#], ""),
    ("gemini", &[r#"{@"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}]}"#], ""),
    ("gemini", &[r#"{"candidates":[{@"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}]}"#], "/candidates/0"),
    (
        "gemini",
        &[r#"{"candidates":[{"content":{@"parts":[{"text":"a"}]},"finishReason":"STOP"}]}"#],
        "/candidates/0/content",
    ),
    (
        "gemini",
        &[r#"{"candidates":[{"content":{"parts":[{@"text":"a"}]},"finishReason":"STOP"}]}"#],
        "/candidates/0/content/parts/0",
    ),
    (
        "gemini",
        &[
            r#"{"usageMetadata":{@"promptTokenCount":1}}"#,
            r#"{"candidates":[{"content":{"parts":[]},"finishReason":"STOP"}]}"#,
        ],
        "/usageMetadata",
    ),
    (
        "gemini",
        &[
            r#"{"promptFeedback":{@"safetyRatings":[]}}"#,
            r#"{"candidates":[{"content":{"parts":[]},"finishReason":"STOP"}]}"#,
        ],
        "/promptFeedback",
    ),
    ("toy", &[r#"{@"says":"a"}"#, r#"{"stop":"end"}"#, r#"{"trailer":{"read":1,"wrote":1}}"#], ""),
];

const START: &str = r#"{"type":"message_start","message":{"id":"m"}}"#;
const DELTA: &str = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"}}"#;
const STOP: &str = r#"{"type":"message_stop"}"#;

/// Any JSON that says something.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z\"\\\\é😀\n]{1,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 1..3).prop_map(Value::from),
            vec(("[a-z]{1,3}", inner), 1..3).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Any JSON, also such that says nothing.
fn odd_json() -> impl Strategy<Value = Value> {
    prop_oneof![any_json(), Just(Value::Null), Just(json!("")), Just(json!([])), Just(json!({})), Just(json!([{}]))]
}

/// An object of members that the format's builder knows, with values of any type.
fn odd_object(names: &'static [&'static str]) -> impl Strategy<Value = Value> {
    vec((prop::sample::select(names), odd_json()), 0..5)
        .prop_map(|members| Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()))
}

/// The members that builders know.
const NAMES: &[&str] = &[
    "id",
    "index",
    "type",
    "text",
    "content",
    "delta",
    "message",
    "usage",
    "choices",
    "logprobs",
    "tool_calls",
    "function",
    "name",
    "arguments",
    "audio",
    "data",
    "reasoning_details",
    "thinking",
    "x_groq",
    "content_block",
    "partial_json",
    "citation",
    "input",
    "candidates",
    "parts",
    "thought",
    "usageMetadata",
    "says",
    "model",
];

proptest! {
    #[test]
    fn no_bytes_panic(bytes in vec(any::<u8>(), 0..300)) {
        for format in ["openai", "anthropic", "gemini", "toy"] {
            let _ = assemble(format, [bytes.as_slice(), b"\n\n"]);
        }
    }

    #[test]
    fn values_of_odd_types_give_json_or_an_error(pieces in vec(odd_object(NAMES), 1..6)) {
        let lines = |wrap: &dyn Fn(&Value) -> Vec<Value>, end: &[Value]| -> Vec<u8> {
            let events = pieces.iter().flat_map(wrap).chain(end.iter().cloned());
            let lines: Vec<String> = events.map(|event| event.as_str().map_or_else(|| event.to_string(), str::to_owned)).collect();
            sse(&lines.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let chat = lines(
            &|odd| vec![
                json!({ "choices": [odd] }), json!({ "choices": [{ "delta": odd }] }), json!({ "choices": [{ "logprobs": odd, "text": odd }] }),
                json!({ "choices": [{ "delta": { "tool_calls": [odd], "content": [odd], "reasoning_details": [odd], "audio": odd } }] }),
            ],
            &[json!({ "choices": [{ "delta": { "content": "a" }, "finish_reason": "stop" }] }), json!("[DONE]")],
        );
        let message = lines(
            &|odd| vec![
                json!({ "type": "message_start", "message": odd }), json!({ "type": "content_block_start", "content_block": odd }),
                json!({ "type": "content_block_delta", "delta": odd }), json!({ "type": "message_delta", "delta": odd, "usage": odd }),
            ],
            &[json!({ "type": "message_delta", "delta": { "stop_reason": "end_turn" } }), json!({ "type": "message_stop" })],
        );
        let gemini = lines(
            &|odd| vec![json!({ "candidates": [{ "content": odd, "citationMetadata": odd }] }), json!({ "candidates": [{ "content": { "parts": [odd] } }], "usageMetadata": odd })],
            &[json!({ "candidates": [{ "finishReason": "STOP" }] })],
        );
        for (format, stream) in [("openai", chat), ("anthropic", message), ("gemini", gemini)] {
            if let Ok(document) = assemble(format, [stream.as_slice()]) {
                let read = serde_json::from_slice::<Value>(&document);
                prop_assert!(read.is_ok_and(|value| value.is_object()), "{format}: {}", String::from_utf8_lossy(&document));
            }
        }
    }

    #[test]
    fn unknown_members_survive_at_every_level(name in "x_[a-zé\"]{1,5}", value in any_json(), cut in 1_usize..40) {
        for (format, data, pointer) in LEVELS {
            let member = format!("{}:{value},", json!(name));
            let lines: Vec<String> = data.iter().map(|data| data.replace('@', &member)).collect();
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let stream = if *format == "toy" { lines.join("\n").into_bytes() } else { sse(&lines) };
            let document = assemble(format, stream.chunks(cut)).unwrap_or_else(|error| panic!("{lines:?}: {error}"));
            let document: Value = serde_json::from_slice(&document).unwrap();
            prop_assert_eq!(document.pointer(pointer).and_then(|level| level.get(&name)), Some(&value), "{:?} {}", lines, document);
        }
    }

    #[test]
    fn texts_are_joined_wherever_they_are_cut(pieces in vec("[a-z\"\\\\é漢😀\n]{0,5}", 1..6)) {
        let text = pieces.concat();
        let whole = |format: &str, open: &[Value], piece: fn(&str) -> Value, close: &[Value]| {
            let events = open.iter().cloned().chain(pieces.iter().map(|text| piece(text))).chain(close.iter().cloned());
            let lines: Vec<String> = events.map(|event| event.as_str().map_or_else(|| event.to_string(), str::to_owned)).collect();
            assembled(format, &lines.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let chat = whole("openai", &[], |text| json!({ "choices": [{ "index": 0, "delta": { "content": text, "reasoning": text, "refusal": text } }] }),
            &[json!({ "choices": [{ "index": 0, "finish_reason": "stop" }] }), json!("[DONE]")]);
        for field in ["content", "reasoning", "refusal"] {
            prop_assert_eq!(&chat["choices"][0]["message"][field], &json!(text));
        }
        let message = whole("anthropic",
            &[json!({ "type": "message_start", "message": {} }), json!({ "type": "content_block_start", "content_block": { "type": "text", "text": "" } })],
            |text| json!({ "type": "content_block_delta", "delta": { "type": "text_delta", "text": text } }),
            &[json!({ "type": "message_delta", "delta": { "stop_reason": "end_turn" } }), json!({ "type": "message_stop" })]);
        prop_assert_eq!(&message["content"], &json!([{ "type": "text", "text": text }]));
        let gemini = whole("gemini", &[], |text| json!({ "candidates": [{ "content": { "parts": [{ "text": text }] } }] }),
            &[json!({ "candidates": [{ "finishReason": "STOP" }] })]);
        prop_assert_eq!(&gemini["candidates"][0]["content"]["parts"], &json!([{ "text": text }]));
    }
}

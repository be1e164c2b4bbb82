//! Known faults of other translators. Each has a test that it is absent here; `tests/faults.md` lists them.

mod answers;
mod calls;
mod errors;
mod framing;
mod spellings;
mod thoughts;
mod usage;

use std::path::{Path, PathBuf};

use llm_bridge::canonical::ResponseEvent;
use llm_bridge::catalogue;
use llm_bridge::error::Error;
use llm_bridge::formats::fit;
use llm_bridge::formats::{self, CHAT, ClientFormat, MESSAGES, ProviderFormat, ResponseHead, WriteTarget};
use llm_bridge::wire::json::Document;
use serde_json::{Value, json};

use crate::claims::{events, translated};

const CLIENTS: [&ClientFormat; 2] = [CHAT, MESSAGES];

fn upstream(name: &str) -> &'static ProviderFormat {
    formats::provider_format(name).unwrap()
}

/// The request that a provider gets, and the fields that were dropped.
fn asked(client: &ClientFormat, provider: &str, model: &str, document: &Value) -> (String, Vec<String>) {
    let body = document.to_string();
    let document = Document::read(body.as_bytes()).unwrap();
    let request = client.read(&document).unwrap_or_else(|error| panic!("{error}"));
    let written = fit::write(
        upstream(provider),
        &mut request.clone(),
        WriteTarget { model, max_output: None, limit_field: None, facts: &catalogue::family(model) },
        b"secret",
    )
    .unwrap();
    (String::from_utf8(written.body).unwrap(), written.dropped.into_iter().map(String::from).collect())
}

fn body(client: &ClientFormat, provider: &str, document: &Value) -> Value {
    serde_json::from_str(&asked(client, provider, "claude-haiku-4-5", document).0).unwrap()
}

fn refused(client: &ClientFormat, document: &Value) -> Error {
    let body = document.to_string();
    client.read(&Document::read(body.as_bytes()).unwrap()).unwrap_err()
}

/// The stream that a client gets.
fn streamed(provider: &str, client: &ClientFormat, stream: &str) -> Vec<Value> {
    events(client.name, &translated(upstream(provider), client, "m", [stream.as_bytes()]))
}

/// The whole response that a client gets.
fn whole(provider: &str, client: &ClientFormat, answer: &Value) -> Value {
    let answer = answer.to_string();
    let (mut events, head) = (Vec::new(), ResponseHead { include_usage: true, ..ResponseHead::default() });
    (upstream(provider).whole)(answer.as_bytes(), &mut |event| events.push(event.owned())).unwrap();
    serde_json::from_slice(&(client.whole)(&head, &events)).unwrap()
}

fn sse(chunks: &[Value]) -> String {
    chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect()
}

fn chunk(delta: &Value) -> Value {
    json!({ "id": "c", "model": "m", "choices": [{ "index": 0, "delta": delta, "finish_reason": null }] })
}

fn ended(reason: &str) -> Value {
    json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": reason }] })
}

fn block(index: u64, start: &Value, deltas: &[Value]) -> Vec<Value> {
    let mut told = vec![json!({ "type": "content_block_start", "index": index, "content_block": start })];
    told.extend(deltas.iter().map(|delta| json!({ "type": "content_block_delta", "index": index, "delta": delta })));
    told.push(json!({ "type": "content_block_stop", "index": index }));
    told
}

/// An Anthropic stream around these blocks.
fn message(blocks: &[Vec<Value>], reason: &str, usage: &Value) -> String {
    let start = json!({ "id": "msg_1", "model": "m", "usage": { "input_tokens": 30, "cache_read_input_tokens": 60, "cache_creation_input_tokens": 10, "output_tokens": 1 } });
    let mut told = vec![json!({ "type": "message_start", "message": start })];
    told.extend(blocks.concat());
    told.push(json!({ "type": "message_delta", "delta": { "stop_reason": reason }, "usage": usage }));
    told.push(json!({ "type": "message_stop" }));
    sse(&told)
}

fn gemini(parts: &Value, more: &Value) -> Value {
    let mut told = json!({ "responseId": "r", "candidates": [{ "index": 0, "content": { "parts": parts }, "finishReason": "STOP" }] });
    told.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    told
}

/// The pieces of a chat's tool calls, in order.
fn pieces(events: &[Value]) -> Vec<Value> {
    let deltas = events.iter().filter_map(|event| event["choices"][0]["delta"]["tool_calls"].as_array());
    deltas.flatten().cloned().collect()
}

fn finish_reason(events: &[Value]) -> &str {
    events.iter().filter_map(|event| event["choices"][0]["finish_reason"].as_str()).next_back().unwrap()
}

/// The last usage in a chat's stream.
fn usage(events: &[Value]) -> &Value {
    &events.iter().rfind(|event| event["usage"].is_object()).unwrap()["usage"]
}

/// A stream of each provider, with two texts and its end.
fn streams() -> [(&'static str, String); 3] {
    let text = |text: &str| json!({ "type": "text_delta", "text": text });
    let words = block(0, &json!({ "type": "text", "text": "" }), &[text("one "), text("two")]);
    let candidate =
        |text: &str| json!({ "responseId": "r", "candidates": [{ "content": { "parts": [{ "text": text }] } }] });
    let chats = [chunk(&json!({ "content": "one " })), chunk(&json!({ "content": "two" })), ended("stop")];
    [
        ("openai", sse(&chats) + "data: [DONE]\n\n"),
        ("anthropic", message(&[words], "end_turn", &json!({ "output_tokens": 2 }))),
        ("gemini", sse(&[candidate("one "), gemini(&json!([{ "text": "two" }]), &json!({}))])),
    ]
}

/// Compares two streams of one provider, for both clients.
fn same(provider: &str, stream: &str, other: &str, what: &str) {
    for client in CLIENTS {
        let expected = streamed(provider, client, stream);
        assert!(expected.iter().any(|event| event.to_string().contains("two")));
        assert_eq!(streamed(provider, client, other), expected, "{provider} to {}: {what}", client.name);
    }
}

#[test]
fn no_odd_answer_panics_on_its_way_to_a_client() {
    let odd = [
        "null",
        "7",
        "\"\"",
        "[]",
        "{}",
        "[null]",
        "[{}]",
        "true",
        "-1",
        "1e400",
        "99999999999999999999",
        "\"\\ud800\"",
    ];
    for (provider, stream) in streams() {
        let fields = [
            "choices",
            "delta",
            "content",
            "index",
            "type",
            "message",
            "usage",
            "content_block",
            "candidates",
            "parts",
            "text",
            "model",
            "id",
            "stop_reason",
        ];
        for field in fields {
            for value in odd {
                let spoilt = stream.replace(&format!("\"{field}\":"), &format!("\"{field}\":{value},\"was\":"));
                for client in CLIENTS {
                    translated(upstream(provider), client, "m", [spoilt.as_bytes()]);
                    let lines = spoilt.lines().filter_map(|line| line.strip_prefix("data: "));
                    lines.for_each(|line| {
                        drop((upstream(provider).whole)(line.as_bytes(), &mut |_: ResponseEvent<'_>| {}))
                    });
                }
            }
        }
    }
}

fn sources(folder: &Path, kind: &str, found: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, kind, found);
        } else if path.extension().is_some_and(|extension| extension == kind) {
            found.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_fault_on_the_list_has_a_test_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut rust, mut scripts) = (String::new(), String::new());
    sources(&root.join("src"), "rs", &mut rust);
    sources(&root.join("tests"), "rs", &mut rust);
    sources(&root.join("tests"), "mjs", &mut scripts);
    let list = std::fs::read_to_string(root.join("tests/faults.md")).unwrap();
    let mut rows = 0;
    for row in list.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| fault")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let tests: Vec<&str> = cells.last().unwrap().split("`").skip(1).step_by(2).collect();
        assert!(cells.len() == 3 && !tests.is_empty(), "{row}");
        for test in tests {
            let exists = rust.contains(&format!("fn {test}("))
                || scripts.contains(&format!("it(\"{test}\""))
                || scripts.contains(&format!("it(`{test}"));
            assert!(exists, "no such test: {test}");
        }
        rows += 1;
    }
    assert!(rows > 50, "{rows} rows");
}

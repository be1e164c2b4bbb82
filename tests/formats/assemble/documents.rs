//! Assembled documents, member by member: what grows, what is replaced, and what is left out.

use serde_json::{Value, json};

use super::assembled;

/// The message of a chat whose only choice has these deltas.
fn message(deltas: &[Value]) -> Value {
    let chunk = |delta: &Value| json!({ "choices": [{ "index": 0, "delta": delta }] }).to_string();
    let end = json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": "stop" }] }).to_string();
    let lines: Vec<String> = deltas.iter().map(chunk).chain([end, "[DONE]".to_owned()]).collect();
    let mut document = assembled("openai", &lines.iter().map(String::as_str).collect::<Vec<_>>());
    document["choices"][0]["message"].take()
}

#[test]
fn a_chat_is_put_together_choice_by_choice() {
    let document = assembled(
        "openai",
        &[
            r#"{"id":"","model":"","object":"","choices":[],"prompt_filter_results":[{"prompt_index":0}]}"#,
            r#"{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","system_fingerprint":"f","obfuscation":"xxx","service_tier":null,"choices":[{"index":1,"delta":{"role":"assistant","content":"b","refusal":null},"logprobs":{"content":[{"token":"b","logprob":-0.10}],"refusal":null},"finish_reason":null}],"usage":null}"#,
            r#"{"id":"d","object":"chat.completion.chunk","created":2,"model":"n","service_tier":"flex","choices":[{"index":0,"delta":{"role":"assistant","content":"a"},"logprobs":null,"finish_reason":null,"content_filter_results":{"hate":{"filtered":false}}},{"index":1,"delta":{"role":"assistant","content":"c"},"logprobs":{"content":[{"token":"c","logprob":-2}]},"finish_reason":"length"}]}"#,
            r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop","content_filter_results":{}}],"usage":{"prompt_tokens":1}}"#,
            r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#,
            "[DONE]",
            r#"{"choices":[{"index":2,"delta":{"content":"late"}}]}"#,
        ],
    );
    let logprobs =
        json!({ "content": [{ "token": "b", "logprob": -0.10 }, { "token": "c", "logprob": -2 }], "refusal": null });
    let expected = json!({
        "id": "c", "object": "chat.completion", "created": 1, "model": "m", "system_fingerprint": "f", "service_tier": "flex",
        "prompt_filter_results": [{ "prompt_index": 0 }],
        "choices": [
            { "index": 0, "message": { "role": "assistant", "content": "a" }, "logprobs": null, "finish_reason": "stop",
              "content_filter_results": { "hate": { "filtered": false } } },
            { "index": 1, "message": { "role": "assistant", "content": "bc", "refusal": null }, "logprobs": logprobs, "finish_reason": "length" },
        ],
        "usage": { "prompt_tokens": 3, "completion_tokens": 4 },
    });
    assert_eq!(document, expected);
}

#[test]
fn a_legacy_completion_stays_one() {
    let document = assembled(
        "openai",
        &[
            r#"{"object":"text_completion","choices":[{"index":0,"text":"a","logprobs":{"tokens":["a"],"text_offset":[0]},"finish_reason":null}]}"#,
            r#"{"object":"text_completion","choices":[{"index":0,"text":"b","logprobs":{"tokens":["b"],"text_offset":[1]},"finish_reason":"stop"}]}"#,
            "[DONE]",
        ],
    );
    let choice = json!({ "index": 0, "text": "ab", "logprobs": { "tokens": ["a", "b"], "text_offset": [0, 1] }, "finish_reason": "stop" });
    assert_eq!(document, json!({ "object": "text_completion", "choices": [choice] }));
}

#[test]
fn calls_are_told_apart_as_in_a_stream() {
    let calls = |deltas: &[Value]| {
        let deltas: Vec<Value> = deltas.iter().map(|calls| json!({ "content": null, "tool_calls": calls })).collect();
        message(&deltas)["tool_calls"].take()
    };
    let call = |id: &str, arguments: &str| json!({ "id": id, "type": "function", "function": { "name": "f", "arguments": arguments } });
    let by_number = [
        json!([{ "index": 0, "id": "a", "type": "function", "function": { "name": "f", "arguments": "" } }]),
        json!([{ "index": 1, "id": "b", "type": "function", "function": { "name": "f", "arguments": "{" } }, { "index": 0, "function": { "arguments": "{\"x\"" } }]),
        json!([{ "index": 1, "id": "", "function": { "name": null, "arguments": "}" } }, { "index": 0, "function": { "arguments": ":1}" } }]),
    ];
    assert_eq!(calls(&by_number), json!([call("a", "{\"x\":1}"), call("b", "{}")]));
    let zeros = [
        json!([{ "index": 0, "id": "a", "type": "function", "function": { "name": "f", "arguments": "{}" } }]),
        json!([{ "index": 0, "id": "b", "type": "function", "function": { "name": "f", "arguments": "{}" } }]),
    ];
    assert_eq!(calls(&zeros), json!([call("a", "{}"), call("b", "{}")]));
    let numberless = [json!([call("a", "{")]), json!([{ "function": { "arguments": "}" } }])];
    assert_eq!(calls(&numberless), json!([call("a", "{}")]));
    let custom = json!([{ "index": 0, "id": "a", "type": "custom", "custom": { "name": "f", "input": "x" } }]);
    let more = json!([{ "index": 0, "custom": { "input": "y" } }]);
    assert_eq!(
        calls(&[custom, more]),
        json!([{ "id": "a", "type": "custom", "custom": { "name": "f", "input": "xy" } }])
    );
    let old = message(&[
        json!({ "function_call": { "name": "f", "arguments": "{" } }),
        json!({ "function_call": { "arguments": "}" } }),
    ]);
    assert_eq!(old["function_call"], json!({ "name": "f", "arguments": "{}" }));
}

#[test]
fn content_in_parts_and_reasoning_grow_part_by_part() {
    let thinking =
        |text: &str| json!({ "content": [{ "type": "thinking", "thinking": [{ "type": "text", "text": text }] }] });
    let mistral = message(&[
        json!({ "role": "assistant", "content": "" }),
        thinking("a"),
        thinking("b"),
        json!({ "content": [{ "type": "text", "text": "c" }] }),
        json!({ "content": "d" }),
        json!({ "content": "" }),
    ]);
    assert_eq!(
        mistral["content"],
        json!([{ "type": "thinking", "thinking": [{ "type": "text", "text": "ab" }] }, { "type": "text", "text": "cd" }])
    );
    let text_first = message(&[
        json!({ "content": "a" }),
        json!({ "content": [{ "type": "text", "text": "b" }, { "type": "reference", "ids": [1] }] }),
    ]);
    assert_eq!(text_first["content"], json!([{ "type": "text", "text": "ab" }, { "type": "reference", "ids": [1] }]));
    let detail = |index: u8, text: &str| json!({ "reasoning_details": [{ "type": "reasoning.text", "text": text, "format": "x", "index": index }] });
    let signed =
        json!({ "reasoning_details": [{ "type": "reasoning.text", "signature": "s", "format": "x", "index": 0 }] });
    let encrypted = json!({ "reasoning_details": [{ "type": "reasoning.encrypted", "data": "e", "index": 1 }] });
    let routed = message(&[detail(0, "a"), detail(0, "b"), signed, detail(1, "c"), encrypted.clone(), encrypted]);
    assert_eq!(
        routed["reasoning_details"],
        json!([
            { "type": "reasoning.text", "text": "ab", "format": "x", "index": 0, "signature": "s" },
            { "type": "reasoning.text", "text": "c", "format": "x", "index": 1 },
            { "type": "reasoning.encrypted", "data": "e", "index": 1 },
            { "type": "reasoning.encrypted", "data": "e", "index": 1 },
        ])
    );
}

#[test]
fn speech_annotations_and_images_are_joined() {
    let spoken = message(&[
        json!({ "audio": { "id": "a", "transcript": "he" }, "annotations": [{ "type": "url_citation", "url": "x" }] }),
        json!({ "audio": { "data": "Zg==" }, "annotations": [{ "type": "url_citation", "url": "y" }], "images": [1] }),
        json!({ "audio": { "data": "b29i", "transcript": "llo", "expires_at": 7 }, "images": [2] }),
    ]);
    assert_eq!(spoken["audio"], json!({ "id": "a", "transcript": "hello", "data": "Zm9vYg==", "expires_at": 7 }));
    assert_eq!(spoken["annotations"].as_array().map(Vec::len), Some(2));
    assert_eq!(spoken["images"], json!([1, 2]));
}

#[test]
fn what_single_hosts_do_otherwise_is_put_right() {
    let groq = assembled(
        "openai",
        &[
            r#"{"x_groq":{"id":"r"},"choices":[{"index":0,"delta":{"content":"a"}}]}"#,
            r#"{"x_groq":{"id":"r","seed":7,"usage":{"prompt_tokens":3}},"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
            "[DONE]",
        ],
    );
    assert_eq!((&groq["usage"], &groq["x_groq"]), (&json!({ "prompt_tokens": 3 }), &json!({ "id": "r", "seed": 7 })));
    let so_far = assembled(
        "openai",
        &[
            r#"{"choices":[{"index":0,"delta":{"content":"a"},"message":{"content":"a"}}],"citations":["x"]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"b"},"message":{"content":"ab"},"finish_reason":"stop"}],"citations":["x","y"]}"#,
            "[DONE]",
        ],
    );
    assert_eq!((&so_far["choices"][0]["message"]["content"], &so_far["citations"]), (&json!("ab"), &json!(["x", "y"])));
    let at_once =
        assembled("openai", &[r#"{"choices":[{"message":{"content":"a"},"finish_reason":"stop"}]}"#, "[DONE]"]);
    assert_eq!(at_once["choices"][0]["message"], json!({ "content": "a", "role": "assistant" }));
}

/// The message that a stream of blocks of all kinds gives.
fn whole_message() -> Value {
    json!({
        "id": "m", "type": "message", "role": "assistant", "model": "c",
        "content": [
            { "type": "thinking", "thinking": "so it", "signature": "sig==" },
            { "type": "text", "text": "yes", "citations": [{ "type": "char_location", "cited_text": "x" }, { "type": "char_location", "cited_text": "y" }] },
            { "type": "tool_use", "id": "t", "name": "f", "input": { "a": "é", "b": 1.50 } },
            { "type": "server_tool_use", "id": "s", "name": "g", "input": {} },
            { "type": "compaction", "content": "short" },
            { "type": "tool_use", "id": "u", "name": "f", "input": { "_invalid_json": "{\"cut" } },
        ],
        "stop_reason": "max_tokens", "stop_sequence": null, "container": { "id": "k" }, "context_management": { "applied_edits": [] },
        "usage": { "input_tokens": 4, "cache_creation": { "ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 2 }, "output_tokens": 9, "service_tier": "standard" },
    })
}

#[test]
fn a_message_is_put_together_block_by_block() {
    let delta =
        |index: u8, delta: Value| json!({ "type": "content_block_delta", "index": index, "delta": delta }).to_string();
    let block = |index: u8, block: Value| {
        json!({ "type": "content_block_start", "index": index, "content_block": block }).to_string()
    };
    let lines = [
        json!({ "type": "message_start", "message": { "id": "m", "type": "message", "role": "assistant", "model": "c", "content": [], "stop_reason": null, "stop_sequence": null,
            "usage": { "input_tokens": 3, "cache_creation": { "ephemeral_5m_input_tokens": 1 }, "output_tokens": 1, "service_tier": "standard" } } }).to_string(),
        block(0, json!({ "type": "thinking", "thinking": "", "signature": "" })),
        r#"{"type":"ping"}"#.to_owned(),
        delta(0, json!({ "type": "thinking_delta", "thinking": "so" })),
        delta(0, json!({ "type": "thinking_delta", "thinking": " it" })),
        delta(0, json!({ "type": "signature_delta", "signature": "sig==" })),
        block(1, json!({ "type": "text", "text": "", "citations": [] })),
        delta(1, json!({ "type": "citations_delta", "citation": { "type": "char_location", "cited_text": "x" } })),
        delta(1, json!({ "type": "text_delta", "text": "yes" })),
        delta(1, json!({ "type": "citations_delta", "citation": { "type": "char_location", "cited_text": "y" } })),
        block(2, json!({ "type": "tool_use", "id": "t", "name": "f", "input": {} })),
        block(3, json!({ "type": "server_tool_use", "id": "s", "name": "g", "input": {} })),
        delta(2, json!({ "type": "input_json_delta", "partial_json": "" })),
        delta(2, json!({ "type": "input_json_delta", "partial_json": "{\"a\": \"\\u00e9" })),
        delta(3, json!({ "type": "input_json_delta", "partial_json": "" })),
        delta(2, json!({ "type": "input_json_delta", "partial_json": "\", \"b\":1.50}" })),
        r#"{"type":"content_block_stop","index":2}"#.to_owned(),
        block(4, json!({ "type": "compaction", "content": null })),
        delta(4, json!({ "type": "compaction_delta", "content": "short" })),
        block(5, json!({ "type": "tool_use", "id": "u", "name": "f", "input": {} })),
        delta(5, json!({ "type": "input_json_delta", "partial_json": "{\"cut" })),
        json!({ "type": "message_delta", "delta": { "stop_reason": "max_tokens", "stop_sequence": null, "container": { "id": "k" } }, "context_management": { "applied_edits": [] },
            "usage": { "input_tokens": 4, "cache_creation": { "ephemeral_1h_input_tokens": 2 }, "output_tokens": 9, "service_tier": null } }).to_string(),
        r#"{"type":"message_stop"}"#.to_owned(),
    ];
    let document = assembled("anthropic", &lines.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(document, whole_message());
}

#[test]
fn texts_of_a_kind_are_one_part_and_signed_parts_stay_apart() {
    let chunk = |candidate: Value| json!({ "candidates": [candidate] }).to_string();
    let parts = |parts: Value| chunk(json!({ "content": { "parts": parts, "role": "model" } }));
    let lines = [
        r#"{"promptFeedback":{"safetyRatings":[]},"usageMetadata":{"promptTokenCount":3,"cachedContentTokenCount":2,"totalTokenCount":3,"trafficType":"ON_DEMAND"},"modelVersion":"m","responseId":"r"}"#.to_owned(),
        parts(json!([{ "text": "so", "thought": true }, { "text": " it", "thought": true }])),
        parts(json!([{ "text": "a" }])),
        chunk(json!({ "content": { "parts": [{ "text": "b" }], "role": "model" }, "citationMetadata": { "citationSources": [{ "uri": "x" }] }, "logprobsResult": { "chosenCandidates": [1] } })),
        parts(json!([{ "text": "c", "thoughtSignature": "s" }])),
        parts(json!([{ "text": "d" }])),
        parts(json!([{ "functionCall": { "name": "f", "args": { "n": 1.50 } }, "thoughtSignature": "t" }, { "functionCall": { "name": "g" } }])),
        chunk(json!({ "content": { "parts": [{ "text": "" }], "role": "model" }, "finishReason": "STOP", "citationMetadata": { "citationSources": [{ "uri": "y" }] },
            "logprobsResult": { "chosenCandidates": [2] }, "groundingMetadata": { "webSearchQueries": ["q"] }, "index": 0 })),
        r#"{"usageMetadata":{"candidatesTokenCount":5,"totalTokenCount":8},"candidates":[{"groundingMetadata":{},"content":{"parts":[]}}]}"#.to_owned(),
    ];
    let document = assembled("gemini", &lines.iter().map(String::as_str).collect::<Vec<_>>());
    let candidate = json!({
        "content": { "role": "model", "parts": [
            { "text": "so it", "thought": true }, { "text": "ab" }, { "text": "c", "thoughtSignature": "s" }, { "text": "d" },
            { "functionCall": { "name": "f", "args": { "n": 1.50 } }, "thoughtSignature": "t" }, { "functionCall": { "name": "g" } },
        ] },
        "citationMetadata": { "citationSources": [{ "uri": "x" }, { "uri": "y" }] }, "logprobsResult": { "chosenCandidates": [1, 2] },
        "finishReason": "STOP", "groundingMetadata": { "webSearchQueries": ["q"] }, "index": 0,
    });
    let expected = json!({
        "promptFeedback": { "safetyRatings": [] }, "modelVersion": "m", "responseId": "r", "candidates": [candidate],
        "usageMetadata": { "promptTokenCount": 3, "cachedContentTokenCount": 2, "candidatesTokenCount": 5, "totalTokenCount": 8, "trafficType": "ON_DEMAND" },
    });
    assert_eq!(document, expected);
}

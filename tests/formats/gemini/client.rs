//! Gemini's API as clients speak it, through the gateway, to providers of every format.

use serde_json::{Value, json};

use crate::claims::translated;
use crate::support::{Got, Script, World, ask, bridge};
use llm_bridge::formats::{CONTENTS, provider_format};
use llm_bridge::gateway::platform::CallError;

const CONFIG: &str = "
aliases: { gemini-2.5-flash-lite: openai/vendor/m }
providers:
  openai: { adapter: openai, base_url: https://openai.example/v1, models: { vendor/m: { max_tokens: 50 } } }
  anthropic: { adapter: anthropic, base_url: https://anthropic.example, models: { vendor/m: { max_tokens: 50 } } }
  gemini: { adapter: gemini, base_url: https://gemini.example/v1beta, models: { vendor/m: { max_tokens: 50 } } }
  toy: { adapter: toy, base_url: https://toy.example/v1, models: { vendor/m: { max_tokens: 50 } } }
";

const SECRETS: &[(&str, &str)] = &[
    ("ACCESS_API_KEYS", "k"),
    ("OPENAI_API_KEY", "key-of-openai"),
    ("ANTHROPIC_API_KEY", "key-of-anthropic"),
    ("GEMINI_API_KEY", "key-of-gemini"),
    ("TOY_API_KEY", "key-of-toy"),
];

const KEY: (&str, &str) = ("x-goog-api-key", "k");

fn call(line: &str, body: &Value, script: Script) -> (Got, World) {
    let world = World::saying(script);
    let got = ask(&bridge(CONFIG, SECRETS), &world, line, &[KEY], &body.to_string());
    (got, world)
}

fn hello() -> Value {
    json!({
        "systemInstruction": { "parts": [{ "text": "Be brief." }] },
        "contents": [{ "role": "user", "parts": [{ "text": "Hi" }] }],
        "generation_config": { "max_output_tokens": 99, "temperature": 0.5 },
    })
}

fn sent(world: &World) -> Value {
    serde_json::from_slice(&world.call().body).unwrap()
}

/// The chunks of a stream.
fn chunks(body: &str) -> Vec<Value> {
    body.lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

const CHAT: &str = r#"{"model":"m-1","choices":[{"index":0,"message":{"role":"assistant","content":"Hello","tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":9,"completion_tokens":5,"total_tokens":14,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":2}}}"#;

#[test]
fn a_whole_response_of_another_provider_is_written_in_the_clients_format() {
    for path in ["/v1beta", "/v1", "/v1alpha", ""] {
        let (got, world) =
            call(&format!("POST {path}/models/openai/vendor/m:generateContent"), &hello(), Script::json(200, CHAT));
        assert_eq!(got.status, 200, "{path}: {}", got.body);
        let told = got.json();
        assert_eq!(
            told["candidates"],
            json!([{
                "content": { "role": "model", "parts": [{ "text": "Hello" }, { "functionCall": { "id": "c1", "name": "f", "args": { "a": 1 } } }] },
                "finishReason": "STOP", "index": 0,
            }])
        );
        assert_eq!(
            told["usageMetadata"],
            json!({
                "promptTokenCount": 9, "candidatesTokenCount": 3, "totalTokenCount": 14, "cachedContentTokenCount": 4, "thoughtsTokenCount": 2,
            })
        );
        assert_eq!(told["modelVersion"], "m-1");
        let body = sent(&world);
        assert_eq!(
            (&body["model"], &body["max_tokens"], &body["temperature"]),
            (&json!("vendor/m"), &json!(50), &json!(0.5))
        );
        assert_eq!(body["messages"][0]["content"], "Be brief.");
        assert_eq!(world.receipts.borrow()[0].tokens.unwrap().output, 5);
    }
}

#[test]
fn a_models_name_may_be_encoded_and_may_be_an_alias() {
    for name in ["openai%2Fvendor%2Fm", "gemini-2.5-flash-lite", "vendor/m"] {
        let (got, world) =
            call(&format!("POST /v1beta/models/{name}:generateContent"), &hello(), Script::json(200, CHAT));
        assert_eq!((got.status, &sent(&world)["model"]), (200, &json!("vendor/m")), "{name}: {}", got.body);
    }
}

const STREAM: &str = concat!(
    "data: {\"model\":\"m-1\",\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hel\"}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"lo\"}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"c1\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":\"}}]}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":1,\"id\":\"c2\",\"function\":{\"name\":\"g\",\"arguments\":\"\"}}]}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"1}\"}}]}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n",
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n",
);

#[test]
fn each_call_of_a_stream_comes_once_and_whole_and_the_last_chunk_has_reason_and_usage() {
    let line = "POST /v1beta/models/openai/vendor/m:streamGenerateContent?alt=sse";
    let mut asked = hello();
    asked["generation_config"]["thinking_config"] = json!({ "include_thoughts": true });
    let (got, world) = call(line, &asked, Script::stream(vec![Ok(STREAM)]));
    assert_eq!(got.status, 200, "{}", got.body);
    let (without, _) = call(line, &hello(), Script::stream(vec![Ok(STREAM)]));
    assert!(!without.body.contains("\"thought\"") && without.body.contains("Hel"), "{}", without.body);
    assert!(got.header("content-type").unwrap().starts_with("text/event-stream"));
    let chunks = chunks(&got.body);
    let parts: Vec<&Value> = chunks
        .iter()
        .flat_map(|chunk| chunk["candidates"][0]["content"]["parts"].as_array().into_iter().flatten())
        .collect();
    assert_eq!(
        parts,
        [
            &json!({ "text": "hm", "thought": true }),
            &json!({ "text": "Hel" }),
            &json!({ "text": "lo" }),
            &json!({ "functionCall": { "id": "c1", "name": "f", "args": { "a": 1 } } }),
            &json!({ "functionCall": { "id": "c2", "name": "g", "args": {} } }),
        ]
    );
    let (last, others) = chunks.split_last().unwrap();
    assert_eq!(last["candidates"][0]["finishReason"], "STOP");
    assert_eq!(last["usageMetadata"]["totalTokenCount"], 5);
    assert!(others.iter().all(|chunk| chunk["candidates"][0].get("finishReason").is_none()), "{}", got.body);
    assert_eq!(sent(&world)["stream"], true);
}

#[test]
fn a_truncated_response_never_looks_finished() {
    for cut in [2, 4, 6] {
        let pieces: Vec<&str> = STREAM.split_inclusive("\n\n").take(cut).collect();
        let text: &'static str = pieces.concat().leak();
        let (got, world) = call(
            "POST /v1beta/models/openai/vendor/m:streamGenerateContent?alt=sse",
            &hello(),
            Script::stream(vec![Ok(text)]),
        );
        let chunks = chunks(&got.body);
        assert!(!got.body.contains("finishReason") && !got.body.contains("functionCall"), "{}", got.body);
        let error = &chunks.last().unwrap()["error"];
        assert!((400..600).contains(&error["code"].as_u64().unwrap()) && error["message"].is_string(), "{error}");
        assert_ne!(world.receipts.borrow()[0].outcome, "complete");
    }
}

#[test]
fn arguments_that_are_no_object_are_never_called() {
    let stream = |arguments: &str, reason: &str| {
        let call = json!({ "choices": [{ "index": 0, "delta": { "tool_calls": [{ "index": 0, "id": "c", "function": { "name": "f", "arguments": arguments } }] } }] });
        let end = json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": reason }] });
        let stream = format!("data: {call}\n\ndata: {end}\n\ndata: [DONE]\n\n");
        let upstream = provider_format("openai").unwrap();
        chunks(&translated(upstream, CONTENTS, "m", [stream.as_bytes()]))
    };
    for (arguments, reason, expected) in [
        ("{\"a\":", "length", "MAX_TOKENS"),
        ("{\"a\":", "tool_calls", "MALFORMED_FUNCTION_CALL"),
        ("[1]", "tool_calls", "MALFORMED_FUNCTION_CALL"),
    ] {
        let chunks = stream(arguments, reason);
        assert_eq!(chunks.last().unwrap()["candidates"][0]["finishReason"], expected, "{arguments}");
        assert!(!json!(chunks).to_string().contains("functionCall\""), "{arguments}");
    }
}

#[test]
fn a_provider_of_the_format_gets_the_body_as_it_was_written() {
    let body = r#"{"contents":[{"parts":[{"text":"","thoughtSignature":"c2ln"}],"role":"user"}], "safety_settings": [],"generation_config":{"max_output_tokens": 9,"topK":1},"new":1}"#;
    for (method, path) in
        [("generateContent", "generateContent"), ("streamGenerateContent?alt=sse", "streamGenerateContent?alt=sse")]
    {
        let answer = r#"{"candidates":[{"content":{"parts":[{"text":"ok","thoughtSignature":"c2ln"}],"role":"model"},"finishReason":"STOP"}],"odd":1}"#;
        let script = if method.contains("alt") {
            Script::stream(vec![Ok(&*format!("data: {answer}\r\n\r\n").leak())])
        } else {
            Script::json(200, answer)
        };
        let world = World::saying(script);
        let line = format!("POST /v1beta/models/gemini/vendor/m:{method}");
        let got = ask(&bridge(CONFIG, SECRETS), &world, &line, &[KEY], body);
        assert_eq!(got.status, 200, "{}", got.body);
        assert!(got.body.contains(answer), "{}", got.body);
        let call = world.call();
        assert_eq!(call.url, format!("https://gemini.example/v1beta/models/vendor%2Fm:{path}"));
        assert_eq!(String::from_utf8(call.body.to_vec()).unwrap(), body);
        assert!(call.headers.iter().any(|(name, value)| name == "x-goog-api-key" && value == "key-of-gemini"));
    }
    let above = json!({ "contents": [], "generationConfig": { "candidateCount": 1, "maxOutputTokens": "900" }, "model": "models/x" });
    let (_, world) = call("POST /v1beta/models/gemini/vendor/m:generateContent", &above, Script::json(200, "{}"));
    assert_eq!(
        sent(&world),
        json!({ "contents": [], "generationConfig": { "candidateCount": 1, "maxOutputTokens": 50 }, "model": "models/vendor/m" })
    );
}

#[test]
fn a_native_stream_that_breaks_off_ends_with_an_error() {
    let pieces = vec![Ok("data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Hel\"}]}}]}\r\n\r\n")];
    let (got, _) =
        call("POST /v1beta/models/gemini/vendor/m:streamGenerateContent?alt=sse", &hello(), Script::stream(pieces));
    assert!(chunks(&got.body).last().unwrap()["error"]["code"].is_number(), "{}", got.body);
}

/// Google's SDKs take a comment for an event that is not JSON, or read nothing behind it.
#[test]
fn the_client_of_a_silent_provider_gets_blank_lines() {
    let sent = "data: {\"usageMetadata\":{\"promptTokenCount\":5}}\r\n\r\n";
    let last =
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"lo\"}]},\"finishReason\":\"STOP\"}]}\r\n\r\n";
    let script = Script::stream(vec![Ok(sent), Err(CallError::TimedOut), Ok(last)]);
    let (got, _) = call("POST /v1beta/models/gemini/vendor/m:streamGenerateContent?alt=sse", &hello(), script);
    assert_eq!(got.body, [sent, "\n\n", last].concat());
}

#[test]
fn the_key_may_stand_in_the_query_which_goes_no_further() {
    let answer = r#"{"candidates":[{"content":{"parts":[{"text":"ok"}]},"finishReason":"STOP"}]}"#;
    for (headers, query, status) in [
        (&[][..], "?key=k", 200),
        (&[][..], "?alt=json&key=%6b", 200),
        (&[("x-goog-api-key", "")][..], "?key=k", 200),
        (&[("x-goog-api-key", ""), ("authorization", "Bearer k")][..], "", 200),
        (&[][..], "?key=wrong", 401),
        (&[][..], "?keys=k", 401),
        (&[("x-goog-api-key", "")][..], "", 401),
    ] {
        let world = World::saying(Script::json(200, answer));
        let line = format!("POST /v1beta/models/gemini/vendor/m:generateContent{query}");
        let got = ask(&bridge(CONFIG, SECRETS), &world, &line, headers, &hello().to_string());
        assert_eq!(got.status, status, "{query}: {}", got.body);
        assert!(!format!("{:?}", world.calls.borrow()).contains("key=k"), "{query}");
        if status == 401 {
            assert_eq!(got.json()["error"]["status"], "UNAUTHENTICATED", "{}", got.body);
        }
    }
}

#[test]
fn errors_have_googles_shape_on_every_path_of_the_format() {
    for (line, body, status, name) in [
        ("POST /v1beta/models/openai/none:generateContent", hello(), 404, "NOT_FOUND"),
        ("POST /v1beta/interactions", json!({}), 404, "NOT_FOUND"),
        ("GET /v1beta/models/x:generateContent", json!({}), 405, "FAILED_PRECONDITION"),
        ("POST /v1beta/models/openai/vendor/m:generateContent", json!({ "contents": "x" }), 400, "INVALID_ARGUMENT"),
        (
            "POST /v1beta/models/openai/vendor/m:generateContent",
            json!({ "contents": [{ "role": "x" }] }),
            400,
            "INVALID_ARGUMENT",
        ),
    ] {
        let (got, _) = call(line, &body, Script::json(200, CHAT));
        let error = &got.json()["error"];
        assert_eq!(
            (got.status, &error["code"], &error["status"]),
            (status, &json!(status), &json!(name)),
            "{line}: {}",
            got.body
        );
    }
    let script = Script {
        headers: vec![("retry-after", "7")],
        ..Script::json(429, r#"{"error":{"message":"Slow down.","type":"requests"}}"#)
    };
    let (got, _) = call("POST /v1beta/models/openai/vendor/m:generateContent", &hello(), script);
    let details = got.json()["error"]["details"].clone();
    assert!(details.as_array().unwrap().iter().any(|detail| detail["retryDelay"] == "7s"), "{}", got.body);
}

#[test]
fn a_tool_loop_without_ids_reaches_each_provider() {
    let body = json!({
        "contents": [
            { "role": "user", "parts": [{ "text": "Add." }] },
            { "role": "model", "parts": [{ "function_call": { "name": "add", "args": { "a": 1 } }, "thought_signature": "c2tpcA==" }] },
            { "role": "user", "parts": [{ "function_response": { "name": "add", "response": { "output": "2" } } }] },
        ],
        "tools": [{ "function_declarations": [{ "name": "add", "parameters": { "type": "OBJECT", "properties": { "a": { "type": "NUMBER" } } } }] }],
        "toolConfig": { "functionCallingConfig": { "mode": "ANY", "allowedFunctionNames": ["add"] } },
    });
    let (_, world) = call("POST /v1beta/models/openai/vendor/m:generateContent", &body, Script::json(200, CHAT));
    let chat = sent(&world);
    assert_eq!(chat["messages"][1]["tool_calls"][0]["id"], chat["messages"][2]["tool_call_id"]);
    assert_eq!(chat["messages"][2]["content"], "2");
    assert_eq!(chat["tools"][0]["function"]["parameters"]["type"], "object");
    assert_eq!(chat["tool_choice"]["function"]["name"], "add");
    assert!(!chat.to_string().contains("c2tpcA"), "{chat}");
    let (_, world) = call("POST /v1beta/models/anthropic/vendor/m:generateContent", &body, Script::json(200, CHAT));
    let messages = sent(&world);
    assert_eq!(messages["messages"][1]["content"][0]["id"], messages["messages"][2]["content"][0]["tool_use_id"]);
}

#[test]
fn prompts_are_counted_alone_or_as_whole_requests() {
    let inner = json!({ "generateContentRequest": { "model": "models/x", "contents": hello()["contents"], "systemInstruction": hello()["systemInstruction"] } });
    for body in [json!({ "contents": hello()["contents"] }), inner] {
        let (got, world) = call(
            "POST /v1beta/models/anthropic/vendor/m:countTokens",
            &body,
            Script::json(200, r#"{"input_tokens":7}"#),
        );
        assert_eq!((got.status, got.json()), (200, json!({ "totalTokens": 7 })), "{}", got.body);
        assert!(world.call().url.ends_with("/messages/count_tokens"));
        let (got, world) =
            call("POST /v1beta/models/gemini/vendor/m:countTokens", &body, Script::json(200, r#"{"totalTokens":7}"#));
        assert_eq!(got.json(), json!({ "totalTokens": 7 }), "{}", got.body);
        assert_eq!(world.call().url, "https://gemini.example/v1beta/models/vendor%2Fm:countTokens");
        if body.get("contents").is_none() {
            assert_eq!(sent(&world)["generateContentRequest"]["model"], "models/vendor/m");
        }
    }
}

#[test]
fn the_list_of_models_has_the_shape_of_the_client() {
    let list = |line: &str, headers: &[(&str, &str)]| {
        ask(&bridge(CONFIG, SECRETS), &World::default(), line, headers, "").json()
    };
    for (line, headers) in [
        ("GET /v1beta/models", &[("authorization", "Bearer k")][..]),
        ("GET /v1/models", &[KEY][..]),
        ("GET /v1/models?key=k", &[][..]),
    ] {
        let models = list(line, headers);
        let names: Vec<&str> =
            models["models"].as_array().unwrap().iter().map(|model| model["name"].as_str().unwrap()).collect();
        assert!(
            names.contains(&"models/openai/vendor/m") && names.contains(&"models/gemini-2.5-flash-lite"),
            "{line}: {names:?}"
        );
    }
    assert_eq!(list("GET /v1beta/models/openai/vendor/m", &[KEY])["name"], "models/openai/vendor/m");
    assert!(list("GET /v1/models", &[KEY, ("anthropic-version", "2023-06-01")])["has_more"].is_boolean());
    assert_eq!(list("GET /v1/models", &[("authorization", "Bearer k")])["object"], "list");
}

#[test]
fn a_stream_without_sse_is_one_array() {
    let line = |model: &str| format!("POST /v1beta/models/{model}:streamGenerateContent?alt=json");
    // What has come leaves at once, as an item.
    let (got, world) = call(&line("openai/vendor/m"), &hello(), Script::stream(vec![Ok(STREAM)]));
    let chunks = got.json().as_array().unwrap().clone();
    assert_eq!(chunks.last().unwrap()["candidates"][0]["finishReason"], "STOP", "{}", got.body);
    assert_eq!(chunks[0]["candidates"][0]["content"]["parts"][0]["text"], "Hel", "{}", got.body);
    assert!(got.header("content-type").unwrap().starts_with("application/json"));
    assert_eq!(world.receipts.borrow()[0].tokens.unwrap().output, 2);
    // A provider that ignores that a stream was asked for, and one of the format.
    let (got, _) = call(&line("openai/vendor/m"), &hello(), Script::json(200, CHAT));
    assert_eq!(got.json()[0]["candidates"][0]["content"]["parts"][0]["text"], "Hello", "{}", got.body);
    let item = r#"{"candidates":[{"content":{"parts":[{"text":"ok"}]},"finishReason":"STOP"}],"odd":1.50,"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2,"totalTokenCount":5}}"#;
    let events = Script::stream(vec![Ok(&*format!("data: {item}\r\n\r\n").leak())]);
    let (got, world) = call(&line("gemini/vendor/m"), &hello(), events);
    assert_eq!((got.status, got.body), (200, format!("[{item}\n]")));
    assert_eq!(world.call().url, "https://gemini.example/v1beta/models/vendor%2Fm:streamGenerateContent?alt=sse");
    assert_eq!(world.receipts.borrow()[0].tokens.unwrap().output, 2);
    let (got, _) = call(&line("openai/none"), &hello(), Script::json(200, CHAT));
    assert_eq!((got.status, got.json()[0]["error"]["status"].as_str()), (404, Some("NOT_FOUND")), "{}", got.body);
}

#[test]
fn an_array_that_breaks_off_ends_with_an_error_wherever_it_is_cut() {
    let native = "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"ok\"}]}}]}\r\n\r\ndata: {\"candidates\":[{\"content\":{},\"finishReason\":\"STOP\"}]}\r\n\r\n";
    for (model, stream, complete) in
        [("openai/vendor/m", STREAM, "tool_calls\"}]}"), ("gemini/vendor/m", native, "STOP\"}]}")]
    {
        let complete = stream.find(complete).unwrap() + complete.len();
        for at in (0..complete).step_by(3) {
            let line = format!("POST /v1beta/models/{model}:streamGenerateContent");
            let (got, _) = call(&line, &hello(), Script::stream(vec![Ok(&stream[..at])]));
            let chunks = got.json().as_array().unwrap().clone();
            let error = &chunks.last().unwrap()["error"];
            assert!(error["code"].as_u64().unwrap() >= 400, "{model}, cut at {at}: {}", got.body);
            assert!(!got.body.contains("finishReason"), "{model}, cut at {at}: {}", got.body);
        }
    }
}

#[test]
fn embeddings_of_the_format_name_the_providers_model() {
    let batch = json!({ "requests": [{ "model": "models/gemini/vendor/m", "content": { "parts": [{ "text": "a" }] }, "taskType": "X" }] });
    let answer = r#"{"embeddings":[{"values":[0.5]}],"usageMetadata":{"promptTokenCount":5}}"#;
    let (got, world) =
        call("POST /v1beta/models/gemini/vendor/m:batchEmbedContents", &batch, Script::json(200, answer));
    assert_eq!((got.status, got.body.as_str()), (200, answer));
    assert_eq!(world.call().url, "https://gemini.example/v1beta/models/vendor%2Fm:batchEmbedContents");
    assert_eq!(
        sent(&world)["requests"][0],
        json!({ "model": "models/vendor/m", "content": { "parts": [{ "text": "a" }] }, "taskType": "X" })
    );
    assert_eq!(world.receipts.borrow()[0].tokens.unwrap().uncached_input, 5);
    let one = json!({ "content": { "parts": [{ "text": "a" }] } });
    let answer = r#"{"embedding":{"values":[0.5]}}"#;
    let (got, world) = call("POST /v1beta/models/gemini/vendor/m:embedContent", &one, Script::json(200, answer));
    assert_eq!((got.status, got.body.as_str(), sent(&world)), (200, answer, one.clone()));
    let (got, _) = call("POST /v1beta/models/anthropic/vendor/m:embedContent", &one, Script::json(200, answer));
    assert_eq!((got.status, got.json()["error"]["status"].as_str()), (400, Some("INVALID_ARGUMENT")), "{}", got.body);
}

//! Reasoning state of other providers that clients of the format carry in signatures, through the whole gateway:
//! sealed on the way out, opened on the way back, for nobody else.

use serde_json::{Value, json};

use crate::support::{Script, World, ask, bridge};

const CALLED: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-haiku-4-5","stop_reason":"tool_use","usage":{"input_tokens":1,"output_tokens":1},
    "content":[{"type":"thinking","thinking":"hm","signature":"c2lnbmVk"},{"type":"tool_use","id":"toolu_1","name":"f","input":{"a":1}}]}"#;

const STREAM: &str = concat!(
    "data: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"m\",\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}\n\n",
    "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}}\n\n",
    "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"hm\"}}\n\n",
    "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"c2lnbmVk\"}}\n\n",
    "data: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
    "data: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"tool_use\",\"id\":\"toolu_1\",\"name\":\"f\",\"input\":{}}}\n\n",
    "data: {\"type\":\"content_block_stop\",\"index\":1}\n\n",
    "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"},\"usage\":{\"output_tokens\":2}}\n\n",
    "data: {\"type\":\"message_stop\"}\n\n",
);

const CONFIG: &str = "
providers:
  anthropic:
    { adapter: anthropic, base_url: https://anthropic.example/v1, models: { claude-haiku-4-5: { max_output: 8192 }, claude-sonnet-4-5: { max_output: 8192 } } }
  gemini: { adapter: gemini, base_url: https://gemini.example/v1beta, models: { gemini-3-pro: {} } }
";
const SECRETS: &[(&str, &str)] =
    &[("ACCESS_API_KEYS", "k,other"), ("ANTHROPIC_API_KEY", "key-of-anthropic"), ("GEMINI_API_KEY", "key-of-gemini")];

fn send(world: &World, key: &str, line: &str, contents: &Value) -> (String, Value) {
    let body = json!({ "contents": contents, "tools": [{ "functionDeclarations": [{ "name": "f" }] }],
        "generationConfig": { "maxOutputTokens": 4000, "thinkingConfig": { "thinkingBudget": 1024, "includeThoughts": true } } });
    let got = ask(&bridge(CONFIG, SECRETS), world, line, &[("x-goog-api-key", key)], &body.to_string());
    assert_eq!(got.status, 200, "{}", got.body);
    (got.body, serde_json::from_slice(&world.calls.borrow().last().unwrap().body).unwrap())
}

fn line(model: &str) -> String {
    format!("POST /v1beta/models/{model}:generateContent")
}

fn question() -> Value {
    json!({ "role": "user", "parts": [{ "text": "Q" }] })
}

/// Asks, and returns the parts of the response.
fn called(world: &World, script: Script, line: &str) -> Vec<Value> {
    world.scripts.borrow_mut().push_back(script);
    let (told, _) = send(world, "k", line, &json!([question()]));
    let chunks: Vec<Value> = match told.strip_prefix("data: ") {
        Some(_) => told.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect(),
        None => vec![serde_json::from_str(&told).unwrap()],
    };
    let parts = chunks.iter().flat_map(|chunk| chunk["candidates"][0]["content"]["parts"].as_array().cloned());
    parts.flatten().collect()
}

/// Continues with these parts and a result, and returns what the provider got.
fn continued(world: &World, key: &str, model: &str, parts: &[Value]) -> Value {
    let answer = if model.starts_with("gemini") {
        r#"{"candidates":[{"content":{"parts":[{"text":"ok"}]},"finishReason":"STOP"}]}"#
    } else {
        CALLED
    };
    world.scripts.borrow_mut().push_back(Script::json(200, answer));
    let result =
        json!({ "role": "user", "parts": [{ "functionResponse": { "name": "f", "response": { "output": "r" } } }] });
    send(world, key, &line(model), &json!([question(), { "role": "model", "parts": parts }, result])).1
}

const HAIKU: &str = "anthropic/claude-haiku-4-5";

#[test]
fn sealed_state_comes_back_to_its_model_and_nothing_is_stored() {
    let stream = format!("POST /v1beta/models/{HAIKU}:streamGenerateContent?alt=sse");
    for (script, line) in [(Script::json(200, CALLED), line(HAIKU)), (Script::stream(vec![Ok(STREAM)]), stream)] {
        let world = World::default();
        let mut parts = called(&world, script, &line);
        assert_eq!(parts[0], json!({ "text": "hm", "thought": true }));
        let signature = parts[1]["thoughtSignature"].as_str().unwrap().to_owned();
        assert!(!signature.contains("c2lnbmVk") && world.vault.borrow().is_empty(), "{signature}");
        let thinking = json!({ "type": "thinking", "thinking": "hm", "signature": "c2lnbmVk" });
        // Some clients change the id of a call, or leave it out, or write base64 for URLs.
        for id in [json!("toolu_1"), json!("f__toolu_1"), Value::Null] {
            parts[1]["functionCall"]["id"] = id;
            parts[1]["thoughtSignature"] = json!(signature.replace('+', "-").replace('/', "_"));
            let sent = continued(&world, "k", HAIKU, &parts);
            assert_eq!(sent["messages"][1]["content"][0], thinking, "{parts:?}");
            assert_eq!(sent["messages"][1]["content"][1]["id"], "toolu_1");
            assert_eq!(sent["messages"][2]["content"][0]["tool_use_id"], "toolu_1");
        }
        // Where another part carries it, its call gets it.
        let moved = [
            json!({ "text": "", "thoughtSignature": signature }),
            json!({ "functionCall": { "id": "toolu_1", "name": "f" } }),
        ];
        let sent = continued(&world, "k", HAIKU, &moved);
        assert_eq!(sent["messages"][1]["content"][0], thinking);
        assert_eq!(sent["messages"][1]["content"].as_array().unwrap().len(), 2, "{sent}");
    }
}

#[test]
fn sealed_state_opens_for_nobody_else_and_reaches_no_provider_of_the_format() {
    let world = World::default();
    let parts = called(&world, Script::json(200, CALLED), &line(HAIKU));
    for (key, model) in [("other", HAIKU), ("k", "anthropic/claude-sonnet-4-5")] {
        let sent = continued(&world, key, model, &parts).to_string();
        assert!(!sent.contains("c2lnbmVk") && sent.contains("toolu_1"), "{key} {model}: {sent}");
    }
    let signature = parts[1]["thoughtSignature"].as_str().unwrap().to_owned();
    let sent = continued(&world, "k", "gemini/gemini-3-pro", &parts).to_string();
    assert!(!sent.contains(&signature) && sent.contains("c2tpcF90aG91Z2h0"), "{sent}");
    let mut forged = parts;
    for at in (0..signature.len()).step_by(7) {
        let mut bytes = signature.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        forged[1]["thoughtSignature"] = json!(String::from_utf8(bytes).unwrap());
        // A new world, because what no client carries is stored.
        let sent = continued(&World::default(), "k", HAIKU, &forged).to_string();
        assert!(!sent.contains("c2lnbmVk"), "byte {at}: {sent}");
    }
}

#[test]
fn for_clients_that_drop_signatures_state_is_stored() {
    let world = World::default();
    let call = json!({ "functionCall": { "id": "toolu_0", "name": "f" } });
    continued(&world, "k", HAIKU, &[call]);
    assert_eq!(world.vault.borrow().len(), 1);
    let sent = continued(&world, "k", HAIKU, &[json!({ "functionCall": { "id": "toolu_1", "name": "f" } })]);
    assert_eq!(sent["messages"][1]["content"][0]["signature"], "c2lnbmVk", "{sent}");
}

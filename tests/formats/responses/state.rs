//! Reasoning state that the client carries, through the whole gateway: sealed on the way out, opened on the way
//! back, for nobody else.

use serde_json::{Value, json};

use crate::support::{Script, World, ask, bridge};

const LINE: &str = "POST /v1/responses";
const CALLED: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-haiku-4-5","stop_reason":"tool_use","usage":{"input_tokens":1,"output_tokens":1},
    "content":[{"type":"thinking","thinking":"hm","signature":"c2lnbmVk"},{"type":"tool_use","id":"toolu_1","name":"f","input":{"a":1}}]}"#;

fn config() -> String {
    let row = |address: &str| {
        json!({ "adapter": "anthropic", "base_url": address,
            "models": { "claude-haiku-4-5": { "max_output": 8192 }, "claude-sonnet-4-5": { "max_output": 8192 } } })
    };
    json!({ "providers": { "anthropic": row("https://anthropic.example/v1") } }).to_string()
}

const SECRETS: &[(&str, &str)] = &[("ACCESS_API_KEYS", "k,other"), ("ANTHROPIC_API_KEY", "key-of-anthropic")];

fn request(model: &str, input: &Value, include: &Value) -> String {
    json!({ "model": format!("anthropic/{model}"), "store": false, "include": include, "reasoning": { "effort": "high" },
        "max_output_tokens": 4000, "tools": [{ "type": "function", "name": "f", "parameters": { "type": "object" } }], "input": input })
    .to_string()
}

fn carried() -> Value {
    json!(["reasoning.encrypted_content"])
}

fn question() -> Value {
    json!([{ "role": "user", "content": "Q" }])
}

/// Asks, and returns the response's items.
fn called(world: &World, include: &Value) -> Vec<Value> {
    world.scripts.borrow_mut().push_back(Script::json(200, CALLED));
    let got = ask(
        &bridge(&config(), SECRETS),
        world,
        LINE,
        &[("authorization", "Bearer k")],
        &request("claude-haiku-4-5", &question(), include),
    );
    assert_eq!(got.status, 200, "{}", got.body);
    got.json()["output"].as_array().unwrap().clone()
}

/// Continues with these items and a result, and returns the last turn of the model that the provider got.
fn continued(world: &World, key: &str, model: &str, items: &[Value]) -> Value {
    world.scripts.borrow_mut().push_back(Script::json(200, CALLED));
    let mut input = question().as_array().unwrap().clone();
    input.extend(items.iter().cloned());
    input.push(json!({ "type": "function_call_output", "call_id": "toolu_1", "output": "r" }));
    let key = format!("Bearer {key}");
    let body = request(model, &json!(input), &carried());
    let got = ask(&bridge(&config(), SECRETS), world, LINE, &[("authorization", &key)], &body);
    assert_eq!(got.status, 200, "{}", got.body);
    let sent: Value = serde_json::from_slice(&world.calls.borrow().last().unwrap().body).unwrap();
    sent["messages"][1]["content"].clone()
}

#[test]
fn sealed_state_comes_back_to_its_model_and_nothing_is_stored() {
    let world = World::default();
    let items = called(&world, &carried());
    let kinds: Vec<&str> = items.iter().map(|item| item["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["reasoning", "function_call"]);
    assert!(!items[0].to_string().contains("c2lnbmVk"), "the signature is sealed: {}", items[0]);
    assert!(world.vault.borrow().is_empty(), "the client carries it");
    let said = continued(&world, "k", "claude-haiku-4-5", &items);
    assert_eq!(said[0], json!({ "type": "thinking", "thinking": "hm", "signature": "c2lnbmVk" }));
    assert_eq!(said[1]["type"], "tool_use");
}

#[test]
fn sealed_state_opens_for_nobody_else() {
    let world = World::default();
    let items = called(&world, &carried());
    for (key, model) in [("other", "claude-haiku-4-5"), ("k", "claude-sonnet-4-5")] {
        let said = continued(&world, key, model, &items);
        assert!(!said.to_string().contains("c2lnbmVk"), "{key} {model}: {said}");
        assert!(said.to_string().contains("toolu_1"), "the call is kept: {said}");
    }
    let mut forged = items.clone();
    let content = forged[0]["encrypted_content"].as_str().unwrap().to_owned();
    for at in (4..content.len()).step_by(7) {
        let mut bytes = content.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        forged[0]["encrypted_content"] = json!(String::from_utf8(bytes).unwrap());
        let said = continued(&world, "k", "claude-haiku-4-5", &forged);
        assert!(!said.to_string().contains("c2lnbmVk"), "byte {at}: {said}");
    }
}

#[test]
fn state_that_the_client_does_not_ask_for_is_stored() {
    let world = World::default();
    let items = called(&world, &json!([]));
    assert!(items[0].get("encrypted_content").is_none(), "{}", items[0]);
    assert_eq!(world.vault.borrow().len(), 1);
    let said = continued(&world, "k", "claude-haiku-4-5", &items);
    assert_eq!(said[0]["signature"], "c2lnbmVk");
}

#[test]
fn a_stream_carries_the_state_as_well() {
    let world = World::default();
    let stream = concat!(
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
    world.scripts.borrow_mut().push_back(Script::stream(vec![Ok(stream)]));
    let mut body: Value = serde_json::from_str(&request("claude-haiku-4-5", &question(), &carried())).unwrap();
    body["stream"] = json!(true);
    let got = ask(&bridge(&config(), SECRETS), &world, LINE, &[("authorization", "Bearer k")], &body.to_string());
    let told = crate::claims::events("responses", &got.body);
    super::grammar::check(&told);
    let items = super::last(&told)["output"].as_array().unwrap().clone();
    assert!(!got.body.contains("c2lnbmVk") && world.vault.borrow().is_empty());
    let said = continued(&world, "k", "claude-haiku-4-5", &items);
    assert_eq!(said[0]["signature"], "c2lnbmVk");
}

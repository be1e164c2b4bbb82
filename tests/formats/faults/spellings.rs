//! Requests and responses that their writers spell in several ways, and their readers take in one.

use llm_bridge::formats::{CHAT, MESSAGES};
use serde_json::{Value, json};

use super::{asked, body, chunk, ended, sse, streamed, whole};
use crate::support::{Script, World, ask, bridge};

/// The beginning of a JPEG, in base64.
const JPEG: &str = "/9j/4AAQSkZJRg==";

/// The media type that a provider gets for an image of a chat client.
fn image_of_chat(provider: &str, label: &str, base64: &str) -> String {
    let image = json!({ "type": "image_url", "image_url": { "url": format!("data:{label};base64,{base64}") } });
    let document = json!({ "messages": [{ "role": "user", "content": [{ "type": "text", "text": "?" }, image] }] });
    let sent = body(CHAT, provider, &document);
    let kind = match provider {
        "anthropic" => &sent["messages"][0]["content"][1]["source"]["media_type"],
        _ => &sent["contents"][0]["parts"][1]["inlineData"]["mimeType"],
    };
    kind.as_str().unwrap_or_default().to_owned()
}

#[test]
fn an_image_has_a_media_type_that_providers_take_however_it_is_labelled() {
    for provider in ["anthropic", "gemini"] {
        for label in ["image/jpg", "IMAGE/JPEG", "image/pjpeg", "image/jpeg;charset=utf-8", "image/jpg;name=a.jpg"] {
            assert_eq!(image_of_chat(provider, label, "AAAA"), "image/jpeg", "{provider}: {label}");
        }
        assert_eq!(image_of_chat(provider, "IMAGE/PNG", "AAAA"), "image/png", "{provider}");
        for label in ["image/png", "application/octet-stream", "", "image/*"] {
            assert_eq!(image_of_chat(provider, label, JPEG), "image/jpeg", "{provider}: by its first bytes");
        }
    }
    let source = |label: &str| json!({ "type": "base64", "media_type": label, "data": JPEG });
    for label in ["image/jpg", "Image/PJPEG", "image/png"] {
        let block = json!({ "type": "image", "source": source(label) });
        let document = json!({ "max_tokens": 9, "messages": [{ "role": "user", "content": [block] }] });
        let sent = body(MESSAGES, "openai", &document);
        let url = &sent["messages"][0]["content"][0]["image_url"]["url"];
        assert_eq!(url, &json!(format!("data:image/jpeg;base64,{JPEG}")), "{label}");
    }
}

#[test]
fn a_document_has_a_media_type_that_providers_take() {
    let file = |label: &str, data: &str| {
        let file = json!({ "filename": "a", "file_data": format!("data:{label};base64,{data}") });
        let parts = json!([{ "type": "text", "text": "?" }, { "type": "file", "file": file }]);
        let sent = body(CHAT, "anthropic", &json!({ "messages": [{ "role": "user", "content": parts }] }));
        sent["messages"][0]["content"][1].clone()
    };
    for label in ["application/pdf", "Application/PDF", "application/x-pdf", "application/octet-stream"] {
        let block = file(label, "JVBERi0xLjcK");
        assert_eq!(block["type"], "document", "{label}");
        assert_eq!(block["source"]["media_type"], "application/pdf", "{label}");
    }
    let image = file("Image/JPG", JPEG);
    assert_eq!(image["type"], "image");
    assert_eq!(image["source"]["media_type"], "image/jpeg");
}

/// The roles and the adjustments of a conversation that Gemini gets.
fn gemini_turns(messages: &Value) -> Vec<String> {
    let sent = body(CHAT, "gemini", &json!({ "messages": messages }));
    let contents = sent["contents"].as_array().cloned().unwrap_or_default();
    contents.iter().map(|content| content["role"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn gemini_gets_a_turn_of_the_user_before_a_first_call() {
    let call = json!({ "role": "assistant", "content": null,
        "tool_calls": [{ "id": "c", "type": "function", "function": { "name": "f", "arguments": "{}" } }] });
    let said = json!({ "role": "assistant", "content": "Hello" });
    let result = json!({ "role": "tool", "tool_call_id": "c", "content": "r" });
    let system = json!({ "role": "system", "content": "s" });
    let user = |text: &str| json!({ "role": "user", "content": text });
    for messages in [
        json!([call, result]),
        json!([system, call, result]),
        json!([user(""), call, result]),
        json!([said, call, result]),
    ] {
        assert_eq!(gemini_turns(&messages), ["user", "model", "user"], "{messages}");
    }
    assert_eq!(gemini_turns(&json!([user("x"), call, result])), ["user", "model", "user"]);
    assert_eq!(gemini_turns(&json!([said, user("x")])), ["model", "user"], "a text may come first");
    let sent = body(CHAT, "gemini", &json!({ "messages": [call, result] }));
    assert_eq!(sent["contents"][0], json!({ "role": "user", "parts": [{ "text": "…" }] }));
}

#[test]
fn a_chat_client_may_ask_for_reasoning_in_the_words_of_other_apis() {
    let sent = |model: &str, more: Value| {
        let mut document = json!({ "max_tokens": 8000, "messages": [{ "role": "user", "content": "x" }] });
        document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (body, dropped) = asked(CHAT, "anthropic", model, &document);
        assert!(dropped.is_empty(), "{more}: {dropped:?}");
        serde_json::from_str::<Value>(&body).unwrap()
    };
    let budget = json!({ "type": "enabled", "budget_tokens": 2048 });
    for more in [
        json!({ "thinking": budget, "enable_thinking": true }),
        json!({ "reasoning": { "max_tokens": 2048 } }),
        json!({ "enable_thinking": true, "thinking_budget": 2048 }),
    ] {
        assert_eq!(sent("claude-sonnet-4-5", more.clone())["thinking"], budget, "{more}");
    }
    for more in [json!({ "reasoning": { "effort": "high" } }), json!({ "reasoning_effort": "high" })] {
        assert_eq!(sent("claude-opus-4-7", more.clone())["output_config"]["effort"], "high", "{more}");
    }
    for more in [json!({ "thinking": { "type": "disabled" } }), json!({ "reasoning": { "enabled": false } })] {
        assert!(sent("claude-sonnet-4-5", more.clone())["thinking"].is_null(), "{more}");
    }
}

#[test]
fn reasoning_details_are_reasoning_where_they_stand_alone() {
    let text = |text: &str| json!({ "type": "reasoning.text", "text": text, "index": 0 });
    let summary = json!({ "type": "reasoning.summary", "summary": " add" });
    let sealed = json!({ "type": "reasoning.encrypted", "data": "x" });
    let thinking = |deltas: &[Value]| {
        let mut chunks: Vec<Value> = deltas.iter().map(chunk).collect();
        chunks.extend([chunk(&json!({ "content": "4" })), ended("stop")]);
        let events = streamed("openai", MESSAGES, &sse(&chunks));
        events.iter().filter_map(|event| event["delta"]["thinking"].as_str()).collect::<String>()
    };
    assert_eq!(thinking(&[json!({ "reasoning_details": [text("We"), summary, sealed] })]), "We add");
    assert_eq!(thinking(&[json!({ "reasoning": "", "reasoning_details": [text("We")] })]), "We");
    assert_eq!(thinking(&[json!({ "reasoning": "We", "reasoning_details": [text("We")] })]), "We", "once");
    assert_eq!(thinking(&[json!({ "reasoning_content": "We", "reasoning_details": [text("We")] })]), "We", "once");
    assert_eq!(thinking(&[json!({ "reasoning_details": [sealed] }), json!({ "reasoning_details": "x" })]), "");
    let message = json!({ "role": "assistant", "content": "4", "reasoning_details": [text("We"), text(" add")] });
    let answer = json!({ "choices": [{ "index": 0, "message": message, "finish_reason": "stop" }] });
    assert_eq!(whole("openai", MESSAGES, &answer)["content"][0]["thinking"], "We add");
}

#[test]
fn reasoning_details_of_an_earlier_turn_are_read_or_named() {
    let detail = json!({ "type": "reasoning.text", "text": "We add" });
    let dropped = |more: Value| {
        let mut turn = json!({ "role": "assistant", "content": "4" });
        turn.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let user = json!({ "role": "user", "content": "?" });
        asked(CHAT, "gemini", "gemini-2.5-flash", &json!({ "messages": [user, turn, user] })).1
    };
    assert_eq!(dropped(json!({ "reasoning_details": [detail] })), [""; 0]);
    assert_eq!(dropped(json!({ "reasoning_details": [] })), [""; 0]);
    let named = ["messages[].reasoning_details"];
    assert_eq!(dropped(json!({ "reasoning_details": [{ "type": "reasoning.encrypted", "data": "x" }] })), named);
    assert_eq!(dropped(json!({ "reasoning": "We add", "reasoning_details": [detail] })), named);
}

/// The body that a provider of a chat client gets; its settings are YAML.
fn passed(settings: &str, body: &str) -> String {
    let config = format!("providers: {{ p: {{ {settings}, api_key_env: none, models: '*' }} }}");
    let response = r#"{"choices":[{"index":0,"message":{"content":"ok"},"finish_reason":"stop"}]}"#;
    let world = World::saying(Script::json(200, response));
    let headers = [("authorization", "Bearer k")];
    let got = ask(&bridge(&config, &[("ACCESS_API_KEYS", "k")]), &world, "POST /v1/chat/completions", &headers, body);
    assert_eq!(got.status, 200, "{}", got.body);
    assert_eq!(got.header("x-llm-bridge-adjusted"), None, "nothing is lost");
    String::from_utf8(world.call().body.to_vec()).unwrap()
}

#[test]
fn the_role_developer_is_system_to_a_host_that_does_not_know_it() {
    let body = r#"{"model":"p/m", "messages":[ {"role":"developer","content":"a developer"},{"role": "user","content":"x"} ]}"#;
    let sent = body.replace("p/m", "m");
    let renamed = sent.replace(r#""developer""#, r#""system""#);
    for host in ["https://api.deepseek.com", "https://api.mistral.ai/v1", "https://api.z.ai/api/paas/v4"] {
        assert_eq!(passed(&format!("base_url: '{host}'"), body), renamed, "{host}");
    }
    for host in ["https://api.openai.com/v1", "https://someone.example/v1"] {
        assert_eq!(passed(&format!("base_url: '{host}'"), body), sent, "{host}");
    }
    let stated = "developer_role: { rename: system }";
    assert_eq!(passed(&format!("base_url: https://someone.example/v1, {stated}"), body), renamed, "by its row");
    let kept = "developer_role: keep";
    assert_eq!(passed(&format!("base_url: https://api.deepseek.com, {kept}"), body), sent, "by its row");
}

//! Which content is returned, and how much of it.

use llm_bridge::formats::{CHAT, MESSAGES, PROVIDER_FORMATS};
use serde_json::json;

use super::{CLIENTS, asked, body, chunk, ended, refused, sse, streamed, upstream, whole};

#[test]
fn each_choice_keeps_its_number() {
    let candidate = |index: u64, text: &str| json!({ "index": index, "content": { "parts": [{ "text": text }] }, "finishReason": "STOP" });
    let answer = json!({ "candidates": [candidate(1, "b"), candidate(0, "a")] });
    let told = whole("gemini", CHAT, &answer);
    let texts: Vec<_> = told["choices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|choice| (&choice["index"], &choice["message"]["content"]))
        .collect();
    assert_eq!(texts, [(&json!(0), &json!("a")), (&json!(1), &json!("b"))]);
    let told = streamed("gemini", CHAT, &sse(&[answer]));
    let text = |number: u64| -> String {
        let of = told.iter().map(|event| &event["choices"][0]).filter(|choice| choice["index"] == number);
        of.filter_map(|choice| choice["delta"]["content"].as_str()).collect()
    };
    assert_eq!((text(0), text(1)), ("a".to_owned(), "b".to_owned()));
}

#[test]
fn choices_that_are_null_are_none_and_spoil_nothing() {
    let null = json!({ "id": "c", "choices": null, "usage": null });
    let chats = [null.clone(), chunk(&json!({ "content": "x" })), null, ended("stop")];
    for client in CLIENTS {
        let told = streamed("openai", client, &sse(&chats));
        assert!(told.iter().all(|event| event.get("error").is_none()) && told.len() > 3, "{told:?}");
    }
    assert!((upstream("openai").whole)(br#"{"choices":null}"#, &mut |_| {}).is_err());
}

#[test]
fn all_blocks_of_text_arrive_and_not_only_the_first() {
    let text = |text: &str| json!({ "type": "text", "text": text });
    let blocks = json!([text("one "), text("two "), text("three")]);
    let answer = json!({ "content": blocks, "stop_reason": "end_turn", "usage": {} });
    assert_eq!(whole("anthropic", CHAT, &answer)["choices"][0]["message"]["content"], "one two three");
    let said = json!({ "max_tokens": 9, "system": blocks, "messages": [{ "role": "user", "content": blocks }, { "role": "assistant", "content": blocks }, { "role": "user", "content": blocks }] });
    let chat = json!({ "messages": [{ "role": "system", "content": blocks }, { "role": "user", "content": blocks }, { "role": "assistant", "content": blocks }, { "role": "user", "content": blocks }] });
    for (client, document) in [(MESSAGES, said), (CHAT, chat)] {
        for provider in PROVIDER_FORMATS {
            let (written, dropped) = asked(client, provider.kind.name, "m", &document);
            let (three, what) = (written.matches("three").count(), provider.kind.name);
            assert_eq!(
                (three, written.matches("one").count(), dropped.len()),
                (4, 4, 0),
                "{} to {what}: {written}",
                client.name
            );
        }
    }
}

#[test]
fn thinking_is_asked_for_and_shown_between_messages_and_chats() {
    let thinks = json!({ "max_tokens": 9000, "messages": [{ "role": "user", "content": "x" }], "thinking": { "type": "enabled", "budget_tokens": 8000 } });
    assert_eq!(body(MESSAGES, "openai", &thinks)["reasoning_effort"], "medium");
    let thought = |field: &str| json!({ "choices": [{ "index": 0, "message": { "content": "x", field: "hm" }, "finish_reason": "stop" }] });
    for field in ["reasoning_content", "reasoning"] {
        let told = whole("openai", MESSAGES, &thought(field));
        assert_eq!(
            (&told["content"][0]["type"], &told["content"][0]["thinking"]),
            (&json!("thinking"), &json!("hm")),
            "{field}"
        );
    }
}

#[test]
fn thinking_does_not_cost_the_schema_of_the_answer() {
    let schema = json!({ "type": "json_schema", "json_schema": { "name": "n", "schema": { "type": "object" } } });
    let document = json!({ "messages": [{ "role": "user", "content": "x" }], "reasoning_effort": "low", "response_format": schema });
    let told = body(CHAT, "anthropic", &document);
    assert_eq!(
        (&told["thinking"]["type"], &told["output_config"]["format"]["type"]),
        (&json!("enabled"), &json!("json_schema"))
    );
    let told = body(CHAT, "gemini", &document);
    assert!(
        told["generationConfig"]["thinkingConfig"].is_object()
            && told["generationConfig"]["responseJsonSchema"].is_object()
    );
}

#[test]
fn a_limit_of_tokens_that_is_none_is_refused_by_its_name() {
    for limit in [json!("100"), json!(1.5), json!(-1), json!([])] {
        let chat = refused(CHAT, &json!({ "messages": [], "max_tokens": limit }));
        let messages = refused(MESSAGES, &json!({ "messages": [], "max_tokens": limit }));
        assert_eq!(
            (chat.status(), chat.param(), messages.status(), messages.param()),
            (400, Some("max_tokens"), 400, Some("max_tokens")),
            "{limit}"
        );
    }
}

#[test]
fn thinking_leaves_room_below_the_limit_of_tokens() {
    for limit in [2_048, 3_000, 9_000, 64_000] {
        for effort in ["minimal", "low", "medium", "high", "xhigh"] {
            let told = body(
                CHAT,
                "anthropic",
                &json!({ "messages": [{ "role": "user", "content": "x" }], "max_tokens": limit, "reasoning_effort": effort }),
            );
            let budget = told["thinking"]["budget_tokens"].as_u64().unwrap();
            assert!(budget >= 1024 && budget < limit && told["max_tokens"] == limit, "{limit} {effort}: {told}");
        }
    }
}

//! Tool calls.

use llm_bridge::catalogue;
use llm_bridge::formats::fit;
use llm_bridge::formats::{CHAT, MESSAGES, WriteTarget};
use llm_bridge::wire::json::Document;
use serde_json::{Value, json};

use super::{asked, block, body, chunk, ended, finish_reason, gemini, message, pieces, sse, streamed, whole};
use crate::shipped_formats;

#[test]
fn calls_are_numbered_apart_from_texts_and_thoughts() {
    let call = |index: u64, id: &str| {
        let start = json!({ "type": "tool_use", "id": id, "name": "f", "input": {} });
        block(index, &start, &[json!({ "type": "input_json_delta", "partial_json": "{}" })])
    };
    let blocks = [
        block(0, &json!({ "type": "thinking", "thinking": "hm" }), &[]),
        block(1, &json!({ "type": "text", "text": "x" }), &[]),
        call(2, "a"),
        call(3, "b"),
    ];
    let told = streamed("anthropic", CHAT, &message(&blocks, "tool_use", &json!({})));
    let numbers: Vec<_> = pieces(&told)
        .iter()
        .map(|piece| (piece["index"].as_u64().unwrap(), piece["id"].as_str().map(str::to_owned)))
        .collect();
    assert_eq!(numbers, [(0, Some("a".into())), (0, None), (1, Some("b".into())), (1, None)]);
    let f = |name: &str| json!({ "functionCall": { "name": name, "args": {} } });
    let one = json!({ "responseId": "r", "candidates": [{ "content": { "parts": [{ "text": "x" }, f("a")] } }] });
    let told = streamed("gemini", CHAT, &sse(&[one, gemini(&json!([f("b")]), &json!({}))]));
    let numbers: Vec<_> = pieces(&told)
        .iter()
        .filter(|piece| piece["id"].is_string())
        .map(|piece| piece["index"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, [0, 1]);
}

#[test]
fn the_id_and_name_of_a_call_stand_in_its_first_piece_alone() {
    let delta = |text: &str| json!({ "type": "input_json_delta", "partial_json": text });
    let call = block(
        0,
        &json!({ "type": "tool_use", "id": "t", "name": "f", "input": {} }),
        &[delta(""), delta("{\"a\""), delta(":1}")],
    );
    let told = pieces(&streamed("anthropic", CHAT, &message(&[call], "tool_use", &json!({}))));
    assert_eq!(
        (&told[0]["id"], &told[0]["type"], &told[0]["function"]["name"]),
        (&json!("t"), &json!("function"), &json!("f"))
    );
    for piece in &told[1..] {
        assert!(piece.get("id").is_none() && piece["function"].get("name").is_none(), "{piece}");
    }
    let arguments: String = told.iter().map(|piece| piece["function"]["arguments"].as_str().unwrap()).collect();
    assert_eq!(arguments, "{\"a\":1}");
}

#[test]
fn the_empty_object_that_opens_a_call_is_no_part_of_its_arguments() {
    let delta = json!({ "type": "input_json_delta", "partial_json": "{\"a\":1}" });
    let call = block(0, &json!({ "type": "tool_use", "id": "t", "name": "f", "input": {} }), &[delta]);
    let told = pieces(&streamed("anthropic", CHAT, &message(&[call], "tool_use", &json!({}))));
    let arguments: String = told.iter().map(|piece| piece["function"]["arguments"].as_str().unwrap()).collect();
    assert_eq!(arguments, "{\"a\":1}");
}

#[test]
fn a_call_without_arguments_has_an_empty_object_in_every_format() {
    let bare = json!({ "id": "c", "type": "function", "function": { "name": "f", "arguments": "" } });
    let said = json!({ "role": "assistant", "content": null, "tool_calls": [bare] });
    let document = json!({ "messages": [{ "role": "user", "content": "x" }, said, { "role": "tool", "tool_call_id": "c", "content": "y" }] });
    assert_eq!(body(CHAT, "anthropic", &document)["messages"][1]["content"][0]["input"], json!({}));
    assert_eq!(body(CHAT, "gemini", &document)["contents"][1]["parts"][0]["functionCall"]["args"], json!({}));
    let answer = json!({ "choices": [{ "index": 0, "message": said, "finish_reason": "tool_calls" }] });
    assert_eq!(whole("openai", MESSAGES, &answer)["content"][0]["input"], json!({}));
    let answer = gemini(&json!([{ "functionCall": { "name": "f" } }]), &json!({}));
    assert_eq!(whole("gemini", CHAT, &answer)["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"], "{}");
}

#[test]
fn complete_arguments_reach_a_client_that_expects_deltas() {
    let answer = gemini(&json!([{ "functionCall": { "name": "f", "args": { "a": [1] } } }]), &json!({}));
    let told = streamed("gemini", MESSAGES, &sse(&[answer]));
    let json: String = told.iter().filter_map(|event| event["delta"]["partial_json"].as_str()).collect();
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), json!({ "a": [1] }));
    let start = told.iter().find(|event| event["type"] == "content_block_start").unwrap();
    assert_eq!(start["content_block"]["input"], json!({}));
}

#[test]
fn who_calls_a_tool_finishes_with_a_call_whatever_the_provider_says() {
    let answer = gemini(&json!([{ "functionCall": { "name": "f", "args": {} } }]), &json!({}));
    assert_eq!(finish_reason(&streamed("gemini", CHAT, &sse(&[answer]))), "tool_calls");
    let call = json!({ "tool_calls": [{ "index": 0, "id": "c", "function": { "name": "f", "arguments": "{}" } }] });
    let told = streamed("openai", MESSAGES, &sse(&[chunk(&call), ended("stop")]));
    assert!(told.iter().any(|event| event["delta"]["stop_reason"] == "tool_use"), "{told:?}");
}

#[test]
fn ids_of_calls_come_back_with_their_results() {
    let call = |id: &str| json!({ "id": id, "type": "function", "function": { "name": "f", "arguments": "{}" } });
    let result = |id: &str, text: &str| json!({ "role": "tool", "tool_call_id": id, "content": text });
    let said = json!({ "role": "assistant", "content": null, "tool_calls": [call("a"), call("b")] });
    let document =
        json!({ "messages": [{ "role": "user", "content": "x" }, said, result("b", "two"), result("a", "one")] });
    let told = body(CHAT, "anthropic", &document);
    let results: Vec<_> = told["messages"][2]["content"]
        .as_array()
        .unwrap()
        .iter()
        .map(|block| (&block["tool_use_id"], &block["content"]))
        .collect();
    assert_eq!(results, [(&json!("b"), &json!("two")), (&json!("a"), &json!("one"))]);
    let told = body(CHAT, "gemini", &document);
    let results: Vec<_> = told["contents"][2]["parts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| &part["functionResponse"])
        .map(|it| (&it["id"], &it["name"], &it["response"]["result"]))
        .collect();
    assert_eq!(results, [(&json!("b"), &json!("f"), &json!("two")), (&json!("a"), &json!("f"), &json!("one"))]);
}

#[test]
fn a_tool_of_another_kind_is_named_and_never_lost_in_silence() {
    let document = json!({ "messages": [{ "role": "user", "content": "x" }], "tools": [{ "type": "custom", "custom": { "name": "sh" } }, { "type": "web_search" }] });
    for provider in ["anthropic", "gemini"] {
        assert_eq!(asked(CHAT, provider, "m", &document).1, ["tools[].custom", "tools[].web_search"], "{provider}");
    }
    let document = json!({ "max_tokens": 9, "messages": [{ "role": "user", "content": "x" }], "tools": [{ "type": "bash_20250124", "name": "bash" }] });
    for provider in ["openai", "gemini"] {
        assert_eq!(asked(MESSAGES, provider, "m", &document).1, ["tools[].bash_20250124"], "{provider}");
    }
}

#[test]
fn a_schema_arrives_byte_for_byte() {
    let schema = r##"{ "$schema":"x","type" : ["object","null"], "additionalProperties":false,"properties":{"a":{"$ref":"#/$defs/a"},"b":{"const":1.50,"title":"\u00e9"},"c":{"anyOf":[{"type":"string"}],"description":"d"}},"propertyNames":{"pattern":"^\\w"},"$defs":{"a":{}} }"##;
    let chat = format!(
        r#"{{"messages":[{{"role":"user","content":"x"}}],"tools":[{{"type":"function","function":{{"name":"f","parameters":{schema}}}}}],"response_format":{{"type":"json_schema","json_schema":{{"name":"n","schema":{schema}}}}}}}"#
    );
    let messages = format!(
        r#"{{"max_tokens":9,"messages":[{{"role":"user","content":"x"}}],"tools":[{{"name":"f","input_schema":{schema}}}],"output_config":{{"format":{{"type":"json_schema","schema":{schema}}}}}}}"#
    );
    for (client, text) in [(CHAT, chat), (MESSAGES, messages)] {
        for provider in shipped_formats() {
            let document = Document::read(text.as_bytes()).unwrap();
            let request = client.read(&document).unwrap();
            let written = fit::write(
                provider,
                &mut request.clone(),
                WriteTarget { model: "m", max_output: None, limit_field: None, facts: &catalogue::family("m") },
                b"secret",
            )
            .unwrap();
            let written = String::from_utf8(written.body).unwrap();
            assert_eq!(written.matches(schema).count(), 2, "{} to {}: {written}", client.name, provider.kind.name);
        }
    }
}

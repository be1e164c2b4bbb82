//! Responses of every provider, as clients of the Responses API get them.

use std::collections::BTreeMap;
use std::path::Path;

use llm_bridge::canonical::{FinishReason, Raw, ResponseEvent, Usage};
use llm_bridge::error::Error;
use llm_bridge::formats::{self, RESPONSES, ResponseHead};
use serde_json::{Value, json};

use super::{decoded, head, last, told, whole};
use crate::claims::{events, framed, translated};
use crate::shipped_formats;

/// The documents of responses that the claims of translation have: by their names.
fn documents() -> BTreeMap<String, Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/translation/answered");
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !name.ends_with(".written.json") {
            let document: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            // What a provider wrote wrongly is passed on as it is.
            if document["malformed"].is_null() {
                all.insert(name, document);
            }
        }
    }
    assert!(all.len() > 20);
    all
}

fn call(number: u32, id: &'static str, name: &'static str) -> ResponseEvent<'static> {
    ResponseEvent::Call { choice: 0, call: number, id: id.into(), name: name.into() }
}

fn arguments(number: u32, piece: &str) -> ResponseEvent<'static> {
    ResponseEvent::Arguments { choice: 0, call: number, json: Raw::quoted(piece) }
}

fn text(text: &str) -> ResponseEvent<'static> {
    ResponseEvent::Text { choice: 0, text: Raw::quoted(text) }
}

fn thought(text: &str) -> ResponseEvent<'static> {
    ResponseEvent::Thinking { choice: 0, text: Raw::quoted(text) }
}

fn finish(reason: FinishReason) -> ResponseEvent<'static> {
    ResponseEvent::Finish { choice: 0, reason }
}

fn kinds(told: &[Value]) -> Vec<&str> {
    told.iter().map(|event| event["type"].as_str().unwrap().trim_start_matches("response.")).collect()
}

/// What a client reads out of a response's items.
fn meaning(output: &Value) -> (String, String, Vec<(String, String, Value)>) {
    let (mut said, mut thoughts, mut calls) = (String::new(), String::new(), Vec::new());
    for item in output.as_array().unwrap() {
        match item["type"].as_str().unwrap() {
            "message" => said.push_str(item["content"][0]["text"].as_str().unwrap()),
            "reasoning" => thoughts.push_str(item["summary"][0]["text"].as_str().unwrap_or_default()),
            _ => {
                let raw = item["arguments"].as_str().unwrap();
                let arguments = serde_json::from_str(raw).unwrap_or_else(|_| json!(raw));
                let word = |name: &str| item[name].as_str().unwrap().to_owned();
                calls.push((word("call_id"), word("name"), arguments));
            }
        }
    }
    (said, thoughts, calls)
}

/// What the provider's own reader finds.
fn meant(said: &[ResponseEvent<'_>]) -> (String, String, Vec<(String, String, Value)>) {
    let (mut texts, mut thoughts) = (String::new(), String::new());
    let mut calls: Vec<(u32, String, String, String)> = Vec::new();
    for event in said {
        match event {
            ResponseEvent::Text { choice: 0, text } => texts.push_str(&text.text().unwrap()),
            ResponseEvent::Thinking { choice: 0, text } => thoughts.push_str(&text.text().unwrap()),
            ResponseEvent::Call { choice: 0, call, id, name } => {
                calls.push((*call, id.to_string(), name.to_string(), String::new()));
            }
            ResponseEvent::Arguments { choice: 0, call, json } => {
                calls.iter_mut().find(|known| known.0 == *call).unwrap().3.push_str(&json.text().unwrap());
            }
            _ => {}
        }
    }
    let parsed = |text: &str| {
        if text.is_empty() { json!({}) } else { serde_json::from_str(text).unwrap_or_else(|_| json!(text)) }
    };
    (texts, thoughts, calls.into_iter().map(|(_, id, name, text)| (id, name, parsed(&text))).collect())
}

#[test]
fn every_document_of_every_provider_is_a_sound_stream_and_the_same_response_at_once() {
    let mut checked = 0;
    for (name, document) in documents() {
        for format in shipped_formats() {
            let provider = format.kind.name;
            let Some(chunks) = document[provider]["stream"].as_array() else { continue };
            let stream = framed(provider, chunks);
            let said = decoded(provider, &stream);
            let failed = said.iter().find_map(|event| match event {
                ResponseEvent::Failed(error) => Some(error.clone()),
                _ => None,
            });
            let finished = said.iter().any(|event| matches!(event, ResponseEvent::Finish { .. }));
            let broken = Error::upstream(502, "stream_truncated", "It broke off.");
            let failure = Some(&broken).filter(|_| !finished && failed.is_none());
            let told = told(head(&json!({})), &said, failure);
            let response = last(&told);
            if failed.is_none() && failure.is_none() {
                let mut at_once = whole(&head(&json!({})), &said);
                assert_eq!(meaning(&response["output"]), meant(&said), "{name}: {provider}");
                at_once["created_at"] = response["created_at"].clone();
                assert_eq!(&at_once, response, "{name}: {provider}");
            } else {
                assert_eq!(response["status"], "failed", "{name}: {provider}");
                assert_eq!(told[told.len() - 2]["type"], "error", "{name}: {provider}");
            }
            checked += 1;
        }
    }
    assert!(checked > 50, "{checked}");
}

#[test]
fn a_stream_cut_anywhere_carries_the_same_items() {
    let settled = |stream: &str| {
        let told = events(RESPONSES.name, stream);
        super::grammar::check(&told);
        let mut output = last(&told).clone();
        output["usage"].take();
        output
    };
    for (name, document) in documents() {
        // Between equals nothing is translated.
        for format in shipped_formats().filter(|format| format.kind.name != RESPONSES.name) {
            let Some(chunks) = document[format.kind.name]["stream"].as_array() else { continue };
            let stream = framed(format.kind.name, chunks);
            let bytes = stream.as_bytes();
            let uncut = translated(format, RESPONSES, "m", [bytes]);
            let expected = settled(&uncut);
            for cut in 0..bytes.len() {
                let (before, after) = bytes.split_at(cut);
                assert_eq!(translated(format, RESPONSES, "m", [before, after]), uncut, "{name}: cut at {cut}");
            }
            assert_eq!(settled(&translated(format, RESPONSES, "m", bytes.chunks(1))), expected, "{name}");
        }
    }
}

#[test]
fn a_message_has_the_whole_chain_of_events() {
    let told = told(head(&json!({})), &[text("Hel"), text("lo"), finish(FinishReason::Stop)], None);
    let chain = [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ];
    assert_eq!(kinds(&told), chain);
}

#[test]
fn reasoning_text_and_calls_follow_each_other_and_never_interleave() {
    let said = [
        thought("hm"),
        text("I look."),
        call(0, "call_a", "f"),
        arguments(0, "{\"a\":"),
        call(1, "call_b", "g"),
        // Of two calls, the pieces come in turns.
        arguments(1, "{\"b\":2}"),
        arguments(0, "1}"),
        text("after"),
        finish(FinishReason::Calls),
    ];
    let told = told(head(&json!({})), &said, None);
    let types: Vec<&Value> = last(&told)["output"].as_array().unwrap().iter().map(|item| &item["type"]).collect();
    assert_eq!(types, ["reasoning", "message", "function_call", "function_call", "message"]);
    assert_eq!(meaning(&last(&told)["output"]), meant(&said));
    assert_eq!(last(&told)["status"], "completed", "there is no status for calls");
}

#[test]
fn a_call_without_arguments_has_an_empty_object() {
    let told = told(head(&json!({})), &[call(0, "c", "f"), finish(FinishReason::Calls)], None);
    assert_eq!(last(&told)["output"][0]["arguments"], "{}");
}

#[test]
fn half_a_call_is_never_done() {
    let half = [call(0, "c", "rm"), arguments(0, "{\"path\":\"/ho")];
    let cut = Error::upstream(502, "stream_truncated", "It broke off.");
    let length = [half[0].clone(), half[1].clone(), finish(FinishReason::Length)];
    for (said, failure, status) in [(&half[..], Some(&cut), "failed"), (&length[..], None, "incomplete")] {
        let told = told(head(&json!({})), said, failure);
        assert!(!kinds(&told).iter().any(|kind| kind.ends_with(".done")), "{:?}", kinds(&told));
        assert_eq!(
            (&last(&told)["status"], &last(&told)["output"][0]["status"]),
            (&json!(status), &json!("incomplete"))
        );
    }
}

#[test]
fn what_was_cut_says_why() {
    for (reason, expected) in [(FinishReason::Length, "max_output_tokens"), (FinishReason::Filtered, "content_filter")]
    {
        let told = told(head(&json!({})), &[text("a"), finish(reason)], None);
        assert_eq!(last(&told)["incomplete_details"]["reason"], expected);
        assert_eq!(last(&told)["output"][0]["status"], "incomplete");
        // A response that spent its limit on reasoning has no output.
        assert_eq!(whole(&head(&json!({})), &[finish(reason)])["output"], json!([]));
    }
}

#[test]
fn an_error_is_raised_by_sdks_and_understood_by_agents() {
    let error = |status: u16, code: &'static str| Error::upstream(status, code, "words");
    for (error, code) in [
        (
            error(400, "upstream_error").worded(None, Some("context_length_exceeded".into()), None),
            "context_length_exceeded",
        ),
        (error(429, "upstream_error"), "rate_limit_exceeded"),
        (error(529, "upstream_error"), "server_is_overloaded"),
        (error(400, "upstream_error"), "invalid_prompt"),
        (error(500, "upstream_error"), "server_error"),
        (error(502, "stream_truncated"), "server_error"),
    ] {
        for said in [vec![], vec![text("a")]] {
            for at_end in [false, true] {
                let mut said = said.clone();
                if !at_end {
                    said.push(ResponseEvent::Failed(error.clone()));
                }
                let told = told(head(&json!({})), &said, Some(&error).filter(|_| at_end));
                assert_eq!(last(&told)["error"], json!({ "code": code, "message": "words" }));
                assert_eq!(told[told.len() - 2]["error"]["code"], code);
            }
        }
    }
}

#[test]
fn usage_has_all_of_its_fields_and_includes_what_was_cached_and_thought() {
    let usage =
        Usage { uncached_input: 30, cache_read: 60, cache_write: 10, output: 9, reasoning: 4, ..Usage::default() };
    let said = [text("a"), finish(FinishReason::Stop), ResponseEvent::Usage(usage)];
    let expected = json!({
        "input_tokens": 100, "input_tokens_details": { "cached_tokens": 60, "cache_write_tokens": 10 },
        "output_tokens": 9, "output_tokens_details": { "reasoning_tokens": 4 }, "total_tokens": 109,
    });
    assert_eq!(whole(&head(&json!({})), &said)["usage"], expected);
    assert_eq!(whole(&head(&json!({})), &said[..2])["usage"]["total_tokens"], 0);
}

#[test]
fn settings_are_repeated_and_only_what_is_kept_is_said_to_be_stored() {
    let settings = json!({
        "instructions": "Be brief.", "temperature": 0.5, "metadata": { "a": "b" }, "store": true,
        "tools": [{ "type": "function", "name": "f", "parameters": {} }], "reasoning": { "effort": "low" },
    });
    let response = whole(&head(&settings), &[text("a"), finish(FinishReason::Stop)]);
    for (name, value) in settings.as_object().unwrap().iter().filter(|(name, _)| *name != "store") {
        assert_eq!(&response[name], value, "{name}");
    }
    assert_eq!(response["store"], json!(false));
    let kept = ResponseHead { is_kept: true, completed: Some(7), ..head(&settings) };
    let response = whole(&kept, &[text("a"), finish(FinishReason::Stop)]);
    assert_eq!((&response["store"], &response["completed_at"]), (&json!(true), &json!(7)));
    assert_eq!(whole(&kept, &[text("a"), finish(FinishReason::Length)])["completed_at"], Value::Null);
}

#[test]
fn a_tool_comes_back_as_it_was_declared() {
    let tools = json!({ "tools": [
        { "type": "custom", "name": "apply_patch", "format": { "type": "grammar", "syntax": "lark", "definition": "x" } },
        { "type": "namespace", "name": "mcp__files", "description": "d", "tools": [{ "type": "function", "name": "read", "parameters": {} }] },
        { "type": "tool_search", "execution": "client", "parameters": {} },
        { "type": "local_shell" },
        { "type": "function", "name": "plain", "parameters": {} },
    ] });
    let patch = "*** Begin Patch\n\"é\" \\ 😀\n*** End Patch";
    let input = json!({ "input": patch }).to_string();
    let (first, second) = input.split_at(20);
    let said = [
        call(0, "c0", "apply_patch"),
        arguments(0, first),
        arguments(0, second),
        call(1, "c1", "mcp__files__read"),
        arguments(1, "{\"path\":\"a\"}"),
        call(2, "c2", "tool_search"),
        arguments(2, "{\"query\":\"q\"}"),
        call(3, "c3", "local_shell"),
        arguments(3, "{\"command\":"),
        arguments(3, "[\"ls\"]}"),
        call(4, "c4", "plain"),
        finish(FinishReason::Calls),
    ];
    let told = told(head(&tools), &said, None);
    let output = last(&told)["output"].as_array().unwrap();
    let of = |index: usize, name: &str| output[index][name].clone();
    assert_eq!(
        (of(0, "type"), of(0, "name"), of(0, "input")),
        (json!("custom_tool_call"), json!("apply_patch"), json!(patch))
    );
    assert_eq!((of(1, "name"), of(1, "namespace")), (json!("read"), json!("mcp__files")));
    assert_eq!((of(2, "type"), of(2, "execution")), (json!("tool_search_call"), json!("client")));
    assert_eq!(of(2, "arguments"), json!({ "query": "q" }), "an object, not a text");
    assert_eq!(of(3, "action"), json!({ "type": "exec", "command": ["ls"], "env": {} }));
    assert_eq!((of(4, "type"), of(4, "namespace")), (json!("function_call"), Value::Null));
    let begun: Vec<&Value> = told.iter().filter(|event| event["type"] == "response.output_item.added").collect();
    assert_eq!(begun[3]["item"]["action"], of(3, "action"), "half of an action is none");
}

#[test]
fn the_input_of_a_custom_tool_is_what_the_model_meant() {
    let tools = json!({ "tools": [{ "type": "custom", "name": "t" }] });
    for (written, input) in [
        (r#"{"input":"a"}"#, "a"),
        (r#"{"patch":"a"}"#, "a"),
        (r#"{"input":7}"#, r#"{"input":7}"#),
        ("plain", "plain"),
        ("", ""),
    ] {
        let said = [call(0, "c", "t"), arguments(0, written), finish(FinishReason::Calls)];
        assert_eq!(last(&told(head(&tools), &said, None))["output"][0]["input"], input, "{written}");
    }
}

#[test]
fn the_state_of_a_call_is_carried_by_the_reasoning_before_it() {
    let state = |id: &'static str| ResponseEvent::ReasoningState { id: id.into(), memory: Raw::quoted("c2VhbGVk") };
    for (before, kinds) in
        [(vec![thought("hm")], vec!["reasoning", "function_call"]), (vec![], vec!["reasoning", "function_call"])]
    {
        let mut said = before;
        said.extend([call(0, "call_1", "f"), state("call_1"), arguments(0, "{}"), finish(FinishReason::Calls)]);
        let told = told(head(&json!({})), &said, None);
        let output = last(&told)["output"].as_array().unwrap();
        assert_eq!(output.iter().map(|item| item["type"].as_str().unwrap()).collect::<Vec<_>>(), kinds);
        let carried = output[0]["encrypted_content"].as_str().unwrap();
        let input =
            json!({ "model": "m", "input": [{ "type": "reasoning", "summary": [], "encrypted_content": carried }] })
                .to_string();
        let document = llm_bridge::wire::json::Document::read(input.as_bytes()).unwrap();
        let request = RESPONSES.read(&document).unwrap();
        assert_eq!(request.sealed_states, [("call_1".into(), "c2VhbGVk".into())]);
    }
}

#[test]
fn nothing_that_a_provider_says_panics() {
    for odd in ["null", "7", "\"\"", "[]", "{}", "\"\\ud800\""] {
        for (name, document) in documents() {
            for format in shipped_formats() {
                let Some(chunks) = document[format.kind.name]["stream"].as_array() else { continue };
                let stream = framed(format.kind.name, chunks);
                for field in ["content", "text", "arguments", "partial_json", "args", "name", "id", "type"] {
                    let spoilt = stream.replace(&format!("\"{field}\":"), &format!("\"{field}\":{odd},\"was\":"));
                    let told = translated(format, RESPONSES, "m", [spoilt.as_bytes()]);
                    assert!(told.contains("event: response."), "{name}: {field}: {odd}");
                }
            }
        }
    }
    assert!(formats::CLIENT_FORMATS.iter().any(|client| client.name == RESPONSES.name));
}

#[test]
fn the_input_of_a_custom_tool_comes_piece_by_piece() {
    let settings = json!({ "tools": [{ "type": "custom", "name": "patch" }] });
    let pieces = ["{\"in", "put\": \"*** Be", "gin\\", "n\\u00e9\\ud83d", "\\ude00 \\\"x\\\"", "\"}"];
    let mut said = vec![call(0, "call_1", "patch")];
    said.extend(pieces.iter().map(|piece| arguments(0, piece)));
    said.push(finish(FinishReason::Calls));
    let told = told(head(&settings), &said, None);
    let deltas: Vec<&str> = told
        .iter()
        .filter(|event| event["type"] == "response.custom_tool_call_input.delta")
        .map(|event| event["delta"].as_str().unwrap())
        .collect();
    assert_eq!(deltas, ["*** Be", "gin", "\né", "😀 \"x\""]);
    assert_eq!(last(&told)["output"][0]["input"], "*** Begin\né😀 \"x\"");
    // Not the object that was asked for: all of it is the input, at the end.
    let odd = [call(0, "call_1", "patch"), arguments(0, "{\"cmd\":\"ls\"}"), finish(FinishReason::Calls)];
    assert_eq!(last(&super::told(head(&settings), &odd, None))["output"][0]["input"], "ls");
}

#[test]
fn a_client_that_waits_gets_events() {
    let mut encoder = (RESPONSES.stream)(head(&json!({})));
    let mut out = encoder.keep_alive().unwrap();
    encoder.event(&text("a"), &mut out);
    out.extend(encoder.keep_alive().unwrap());
    encoder.event(&finish(FinishReason::Stop), &mut out);
    encoder.finish(None, &mut out);
    let told = events(RESPONSES.name, &String::from_utf8(out).unwrap());
    assert_eq!(kinds(&told)[..2], ["created", "in_progress"]);
    assert_eq!(kinds(&told).iter().filter(|kind| **kind == "in_progress").count(), 2);
    for (number, event) in told.iter().enumerate() {
        assert_eq!(event["sequence_number"], json!(number));
    }
}

#[test]
fn a_prompt_that_is_too_long_is_told_in_the_stream() {
    let error = |code: &str| Error::upstream(400, "x", "no").worded(None, Some(code.to_owned()), None);
    assert!((RESPONSES.fails_in_stream)(&error("context_length_exceeded")));
    assert!(!(RESPONSES.fails_in_stream)(&error("invalid_prompt")));
    assert!(!(formats::CHAT.fails_in_stream)(&error("context_length_exceeded")));
}

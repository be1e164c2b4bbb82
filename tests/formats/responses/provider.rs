//! The Responses API as providers speak it: recorded and made-up responses, and the requests that are written.

use std::collections::BTreeMap;

use llm_bridge::canonical::{FinishReason, ModelRequest, Part, Raw, ResponseEvent, Usage};
use llm_bridge::catalogue::{self, Facts};
use llm_bridge::error::Error;
use llm_bridge::formats::summary::ResponseSummary;
use llm_bridge::formats::tap::{TapOptions, finish_tapped};
use llm_bridge::formats::{
    AssembleOptions, Assembler, CHAT, CONTENTS, MESSAGES, ProviderFormat, RESPONSES, WriteTarget, fit, provider_format,
};
use llm_bridge::wire::json::Document;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{decoded, told};
use crate::claims::framed;
use crate::recorded::{Recording, recordings};

fn format() -> &'static ProviderFormat {
    provider_format("responses").unwrap()
}

/// A stream in pieces: its events, with pieces of one text joined, and how many could not be read.
fn read<'b>(pieces: impl IntoIterator<Item = &'b [u8]>) -> (Vec<String>, u32) {
    let (mut decoder, mut all) = ((format().stream)(), Vec::new());
    pieces.into_iter().for_each(|piece| decoder.push(piece, &mut |event| all.push(format!("{event:?}"))));
    decoder.finish(&mut |event| all.push(format!("{event:?}")));
    (all, decoder.malformed())
}

/// The tokens that a body states last, found without our code.
fn stated(body: &[u8]) -> Option<[u64; 4]> {
    let text = String::from_utf8_lossy(body);
    let documents = text.lines().filter_map(|line| line.strip_prefix("data:")).chain([text.as_ref()]);
    let usage = |value: Value| {
        let usage = [&value["usage"], &value["response"]["usage"]].into_iter().find(|usage| usage.is_object())?.clone();
        let count = |path: &str| usage.pointer(path).and_then(Value::as_u64);
        Some([
            count("/input_tokens")?,
            count("/output_tokens")?,
            count("/input_tokens_details/cached_tokens").unwrap_or(0),
            count("/output_tokens_details/reasoning_tokens").unwrap_or(0),
        ])
    };
    documents.filter_map(|text| usage(serde_json::from_str(text.trim()).ok()?)).next_back()
}

/// The responses of a recorded stream. A few recordings hold several, one after the other.
fn responses(body: &[u8]) -> Vec<&[u8]> {
    let text = std::str::from_utf8(body).unwrap();
    let later = text.match_indices(r#""type":"response.created""#).skip(1);
    let mut cuts: Vec<usize> = later.map(|(at, _)| text[..at].rfind("\n\n").unwrap() + 2).collect();
    cuts.insert(0, 0);
    cuts.push(body.len());
    cuts.windows(2).map(|cut| &body[cut[0]..cut[1]]).collect()
}

fn tokens(summary: &ResponseSummary) -> Option<[u64; 4]> {
    summary.usage.map(|usage| [usage.prompt(), usage.output, usage.cache_read, usage.reasoning])
}

fn is_read_to_its_end(name: &str, body: &[u8]) {
    let (whole, malformed) = read([body]);
    assert_eq!((malformed, whole.last().map(String::as_str)), (0, Some("End")), "{name}");
    for size in [1, 7, 1000] {
        assert_eq!(read(body.chunks(size)).0, whole, "{name} in pieces of {size}");
    }
    let mut tap = (format().tap)(TapOptions::default());
    body.chunks(100).for_each(|piece| assert_eq!(tap.push(piece).as_ref(), piece, "{name}"));
    assert!(tap.finish(&mut Vec::new()) && tap.summary().is_complete(), "{name}");
    assert_eq!(tokens(tap.summary()), stated(body), "{name}");
    let mut assembler = Assembler::new(format(), AssembleOptions { max_bytes: 16 << 20, choices: 1 }).unwrap();
    body.chunks(999).for_each(|piece| assembler.push(piece).unwrap());
    let document = assembler.finish().unwrap();
    let summary = ResponseSummary::of_events(|each| (format().whole)(&document, each));
    summary.check().unwrap();
    assert_eq!(tokens(&summary), stated(body), "{name}, assembled");
    assert_eq!(summary.finish, tap.summary().finish, "{name}, assembled");
}

#[test]
fn recorded_streams_are_read_to_their_end_however_they_are_cut() {
    for Recording { name, body, about } in recordings("openai-responses") {
        if !about["ct"].as_str().unwrap().starts_with("text/event-stream") {
            continue;
        }
        responses(&body).into_iter().for_each(|response| is_read_to_its_end(&name, response));
    }
}

#[test]
fn recorded_responses_and_errors_are_read() {
    let (mut read, mut refused) = (0, 0);
    for Recording { name, body, about } in recordings("openai-responses") {
        if !about["ct"].as_str().unwrap().starts_with("application/json") {
            continue;
        }
        let status = u16::try_from(about["status"].as_u64().unwrap()).unwrap();
        if status != 200 {
            let (error, told): (Error, Value) =
                ((format().refusal)(status, &body), serde_json::from_slice(&body).unwrap());
            assert_eq!((error.status(), Some(error.message())), (status, told["error"]["message"].as_str()), "{name}");
            assert_eq!(error.code(), told["error"]["code"].as_str(), "{name}");
            refused += 1;
            continue;
        }
        let summary = ResponseSummary::of_events(|each| (format().whole)(&body, each));
        summary.check().unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(tokens(&summary), stated(&body), "{name}");
        // Searches are counted from the output, not stated in the usage.
        let stated_alone = (format().usage)(&json!(stated_usage(&body)).to_string());
        let expected = stated_alone.map(|usage| Usage { searches: searches(&body), ..usage });
        assert_eq!(summary.usage, expected, "{name}");
        read += 1;
    }
    assert!(std::env::var_os("RECORDINGS_DIR").is_none() || read > 3 && refused > 3);
}

/// The searches in a response's output.
fn searches(body: &[u8]) -> u64 {
    let response: Value = serde_json::from_slice(body).unwrap();
    response["output"].as_array().unwrap().iter().filter(|item| item["type"] == "web_search_call").count() as u64
}

fn stated_usage(body: &[u8]) -> Value {
    serde_json::from_slice::<Value>(body).unwrap()["usage"].clone()
}

/// A response that reasons, speaks, and calls two tools.
fn items() -> Value {
    json!([
        { "type": "reasoning", "id": "rs_1", "summary": [{ "type": "summary_text", "text": "First." },
            { "type": "summary_text", "text": "Then." }], "encrypted_content": "sealed+1" },
        { "type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
            "content": [{ "type": "output_text", "text": "Let me \"look\".", "annotations": [] }] },
        { "type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{\"a\": 1}" },
        { "type": "function_call", "id": "fc_2", "call_id": "call_2", "name": "g", "arguments": "{}" },
        { "type": "web_search_call", "id": "ws_1", "status": "completed" },
        { "type": "custom_tool_call", "id": "ctc_1", "call_id": "call_3", "name": "h", "input": "a\nb" },
    ])
}

fn response(status: &str, output: &Value) -> Value {
    json!({ "id": "resp_1", "object": "response", "status": status, "model": "m-1", "output": output, "error": null,
        "incomplete_details": null, "service_tier": "flex",
        "usage": { "input_tokens": 10, "input_tokens_details": { "cached_tokens": 4, "cache_write_tokens": 1 },
            "output_tokens": 7, "output_tokens_details": { "reasoning_tokens": 5 }, "total_tokens": 17 } })
}

fn meaning(events: &[ResponseEvent<'_>]) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut texts = [String::new(), String::new()];
    let mut arguments: BTreeMap<u32, String> = BTreeMap::new();
    for event in events {
        match event {
            ResponseEvent::Text { text, .. } => texts[0].push_str(&text.text().unwrap()),
            ResponseEvent::Thinking { text, .. } => texts[1].push_str(&text.text().unwrap()),
            ResponseEvent::Arguments { call, json, .. } => {
                arguments.entry(*call).or_default().push_str(&json.text().unwrap())
            }
            event => all.push(format!("{event:?}")),
        }
    }
    all.extend(texts);
    all.push(format!("{arguments:?}"));
    all
}

fn events_of(body: &Value) -> Vec<ResponseEvent<'static>> {
    let mut all = Vec::new();
    (format().whole)(body.to_string().as_bytes(), &mut |event| all.push(event.owned())).unwrap();
    all
}

#[test]
fn a_response_is_read_with_the_state_of_its_first_call() {
    let read = meaning(&events_of(&response("completed", &items())));
    let state = r#"[{"type":"reasoning","summary":[],"encrypted_content":"sealed+1"}]"#;
    assert_eq!(read[2], format!("ReasoningState {{ id: \"call_1\", memory: {state} }}"));
    assert_eq!(read.iter().filter(|event| event.starts_with("ReasoningState")).count(), 1);
    assert_eq!(
        &read[read.len() - 3..],
        ["Let me \"look\".", "First.\n\nThen.", r#"{0: "{\"a\": 1}", 1: "{}", 2: "{\"input\":\"a\\nb\"}"}"#]
    );
    let usage =
        "Usage(Usage { uncached_input: 5, cache_read: 4, cache_write: 1, cache_write_1h: 0, output: 7, reasoning: 5,";
    assert!(read.iter().any(|event| event.starts_with(usage) && event.contains("searches: 1")), "{read:?}");
    assert!(read.contains(&"Tier(\"flex\")".to_owned()) && read.contains(&"End".to_owned()));
    assert!(read.contains(&"Finish { choice: 0, reason: Calls }".to_owned()));
}

#[test]
fn probabilities_are_read_whether_they_come_at_once_or_in_pieces() {
    let probability = json!([{ "token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": [] }]);
    let item = json!({ "id": "msg_1", "type": "message", "role": "assistant", "status": "completed",
        "content": [{ "type": "output_text", "text": "a", "annotations": [], "logprobs": probability }] });
    let told = |events: Vec<ResponseEvent<'static>>| -> Vec<Value> {
        let logprobs = |event: &ResponseEvent<'_>| match event {
            ResponseEvent::Logprobs { logprobs, .. } => serde_json::from_str(logprobs.get()).ok(),
            _ => None,
        };
        events.iter().filter_map(logprobs).collect()
    };
    let expected = [json!({ "content": probability, "refusal": null })];
    assert_eq!(told(events_of(&response("completed", &json!([item])))), expected);
    let delta =
        json!({ "type": "response.output_text.delta", "output_index": 0, "delta": "a", "logprobs": probability });
    let stream = format!("data: {}\n\ndata: {delta}\n\n", begun(&item, 0, false));
    assert_eq!(told(decoded("responses", &stream)), expected);
}

#[test]
fn responses_end_as_they_say() {
    let finish = |status: &str, reason: Value| {
        let mut body = response(status, &json!([]));
        body["incomplete_details"] = reason;
        let summary = ResponseSummary::of_events(|each| (format().whole)(body.to_string().as_bytes(), each));
        (summary.finish, summary.error.map(|error| error.status()))
    };
    let reason = |word: &str| json!({ "reason": word });
    assert_eq!(finish("completed", Value::Null), (Some(FinishReason::Stop), None));
    assert_eq!(finish("incomplete", reason("max_output_tokens")), (Some(FinishReason::Length), None));
    assert_eq!(finish("incomplete", reason("content_filter")), (Some(FinishReason::Filtered), None));
    assert_eq!(finish("in_progress", Value::Null), (None, Some(502)), "in the background");
    assert_eq!(finish("cancelled", Value::Null), (None, Some(502)));
    let mut failed = response("failed", &json!([]));
    failed["error"] = json!({ "code": "rate_limit_exceeded", "message": "Slow down" });
    let summary = ResponseSummary::of_events(|each| (format().whole)(failed.to_string().as_bytes(), each));
    let error = summary.error.unwrap();
    assert_eq!((error.status(), error.code(), error.message()), (429, Some("rate_limit_exceeded"), "Slow down"));
}

/// An item as its first event gives it.
fn begun(item: &Value, index: usize, rotate: bool) -> Value {
    let mut begun = item.clone();
    if rotate {
        begun["id"] = json!(format!("other_{index}"));
    }
    for (field, empty) in
        [("content", json!([])), ("summary", json!([])), ("arguments", json!("")), ("input", json!(""))]
    {
        if begun.get(field).is_some() {
            begun[field] = empty;
        }
    }
    json!({ "type": "response.output_item.added", "output_index": index, "item": begun })
}

/// The pieces of an item.
fn pieces(item: &Value, index: usize) -> Vec<Value> {
    let mut all = Vec::new();
    let mut piece = |kind: &str, delta: Value| {
        all.push(json!({ "type": format!("response.{kind}"), "output_index": index, "delta": delta, "logprobs": [] }));
    };
    if let Some(arguments) = item["arguments"].as_str() {
        piece("function_call_arguments.delta", json!(&arguments[..1]));
        piece("function_call_arguments.delta", json!(&arguments[1..]));
    }
    if let Some(text) = item.pointer("/content/0/text") {
        piece("output_text.delta", text.clone());
    }
    for (part, summary) in item["summary"].as_array().into_iter().flatten().enumerate() {
        let place =
            json!({ "type": "response.reasoning_summary_part.added", "output_index": index, "summary_index": part });
        all.push(place);
        all.push(
            json!({ "type": "response.reasoning_summary_text.delta", "output_index": index, "delta": summary["text"] }),
        );
    }
    all
}

/// The stream of a response, of which a host keeps some events. `rotate`: ids change, and the end has no items.
fn frames(whole: &Value, keep: &dyn Fn(&Value) -> bool, rotate: bool) -> String {
    let mut all = vec![json!({ "type": "response.created", "response": response("in_progress", &json!([])) })];
    for (index, item) in whole["output"].as_array().unwrap().iter().enumerate() {
        all.push(begun(item, index, rotate));
        all.extend(pieces(item, index));
        all.push(json!({ "type": "response.output_item.done", "output_index": index, "item": item }));
    }
    let mut ended = whole.clone();
    if rotate {
        ended["output"] = json!([]);
    }
    all.push(json!({ "type": "response.completed", "response": ended }));
    all.retain(keep);
    framed("responses", &all)
}

#[test]
fn a_stream_means_what_its_whole_response_means_whatever_its_host_leaves_out() {
    let whole = response("completed", &items());
    let meant = meaning(&events_of(&whole));
    let is = |event: &Value, word: &str| event["type"].as_str().unwrap().contains(word);
    for (what, keep) in [
        ("all", &(|_: &Value| true) as &dyn Fn(&Value) -> bool),
        ("no pieces", &|event: &Value| !is(event, "delta") && !is(event, "part.added")),
        ("no beginnings", &|event: &Value| !is(event, "added") && !is(event, "delta")),
        ("the end alone", &|event: &Value| is(event, "completed") || is(event, "created")),
    ] {
        let stream = frames(&whole, keep, false);
        assert_eq!(meaning(&decoded("responses", &stream)), meant, "{what}");
        for cut in 0..stream.len() {
            let (head, rest) = stream.as_bytes().split_at(cut);
            assert_eq!(read([head, rest]), read([stream.as_bytes()]), "{what} cut at {cut}");
        }
    }
    let rotated = frames(&whole, &|_| true, true) + "data: [DONE]\n\n";
    assert_eq!(meaning(&decoded("responses", &rotated)), meant, "other ids, and an end as of chats");
    assert_eq!(read([rotated.as_bytes()]).1, 0);
}

#[test]
fn errors_of_a_stream_are_read_in_both_forms() {
    for error in [
        json!({ "type": "error", "code": "insufficient_quota", "message": "No money", "param": null, "sequence_number": 2 }),
        json!({ "type": "error", "error": { "type": "insufficient_quota", "code": "insufficient_quota", "message": "No money" } }),
        json!({ "type": "response.failed", "response": { "id": "r", "status": "failed", "output": [],
            "error": { "code": "insufficient_quota", "message": "No money" } } }),
        json!({ "error": { "code": "insufficient_quota", "message": "No money" } }),
    ] {
        let events = decoded("responses", &format!("data: {error}\n\n"));
        let Some(ResponseEvent::Failed(failure)) = events.last() else { panic!("{error}: {events:?}") };
        let told = (failure.status(), failure.code(), failure.message());
        assert_eq!(told, (429, Some("insufficient_quota"), "No money"), "{error}");
    }
    let (mut tap, mut tail) = ((format().tap)(TapOptions::default()), Vec::new());
    let begun = r#"event: response.output_text.delta
data: {"type":"response.output_text.delta","output_index":0,"delta":"Hi"}

"#;
    tap.push(begun.as_bytes());
    let broken = Error::upstream(502, "stream_truncated", "It broke off.");
    finish_tapped(tap.as_mut(), RESPONSES.end_passthrough, &broken, &mut tail);
    let ended = decoded("responses", &String::from_utf8(tail).unwrap());
    assert!(matches!(&ended[0], ResponseEvent::Failed(error) if error.message() == "It broke off."), "{ended:?}");
    assert_eq!(ended.len(), 2, "the error, and the end that others wait for");
}

/// Gives each call of a conversation this state.
fn keep_state<'a>(request: &mut ModelRequest<'a>, state: &'a str) {
    for part in request.turns.iter_mut().flat_map(|turn| &mut turn.parts) {
        if let Part::Call(call) = part {
            call.reasoning_state = Raw::parse(state);
        }
    }
}

/// The request that is written for a client's, and what it could not say.
fn written(client: &llm_bridge::formats::ClientFormat, body: &Value, facts: &Facts) -> (Value, Vec<String>) {
    let body = body.to_string();
    let document = Document::read(body.as_bytes()).unwrap();
    let mut request = client.read(&document).unwrap();
    keep_state(&mut request, r#"[{"type":"reasoning","summary":[],"encrypted_content":"sealed"}]"#);
    let target = WriteTarget { model: "m", max_output: None, limit_field: None, facts };
    let written = fit::write(format(), &mut request, target, b"s").unwrap();
    assert_eq!(written.path, "/responses");
    let told = written.dropped.iter().map(|name| name.clone().into_owned());
    let told = told.chain(written.adjusted.iter().map(ToString::to_string)).collect();
    (serde_json::from_slice(&written.body).unwrap(), told)
}

#[test]
fn a_chat_is_written_as_items_and_nothing_is_stored() {
    let chat = json!({
        "model": "x", "stream": true, "max_completion_tokens": 1, "reasoning_effort": "high", "parallel_tool_calls": false,
        "messages": [
            { "role": "system", "content": "Be brief." },
            { "role": "user", "content": [{ "type": "text", "text": "What is this?" },
                { "type": "image_url", "image_url": { "url": "data:image/png;base64,AA==" } },
                { "type": "file", "file": { "filename": "a.pdf", "file_data": "data:application/pdf;base64,AA==" } }] },
            { "role": "assistant", "content": "I look.", "tool_calls": [
                { "id": "call_1", "type": "function", "function": { "name": "f", "arguments": "{\"a\":\"é\"}" } }] },
            { "role": "tool", "tool_call_id": "call_1", "content": "42" },
        ],
        "tools": [{ "type": "function", "function": { "name": "f", "parameters": { "type": "object", "properties": { "a": {} } } } },
            { "type": "function", "function": { "name": "g", "strict": true } }],
        "tool_choice": { "type": "function", "function": { "name": "f" } },
        "response_format": { "type": "json_schema", "json_schema": { "name": "n", "schema": { "type": "object" } } },
        "stop": "END", "seed": 7, "n": 2, "user": "u",
    });
    let (body, told) = written(CHAT, &chat, &Facts::UNKNOWN);
    let expected = json!({
        "model": "m", "stream": true, "store": false, "include": ["reasoning.encrypted_content"], "max_output_tokens": 16,
        "input": [
            { "type": "message", "role": "system", "content": [{ "type": "input_text", "text": "Be brief." }] },
            { "type": "message", "role": "user", "content": [{ "type": "input_text", "text": "What is this?" },
                { "type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "auto" },
                { "type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AA==" }] },
            { "type": "message", "role": "assistant", "content": [{ "type": "output_text", "text": "I look.", "annotations": [] }] },
            { "type": "reasoning", "summary": [], "encrypted_content": "sealed" },
            { "type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{\"a\":\"é\"}" },
            { "type": "function_call_output", "call_id": "call_1", "output": "42" },
        ],
        "tools": [{ "type": "function", "name": "f", "parameters": { "type": "object", "properties": { "a": {} } }, "strict": false },
            { "type": "function", "name": "g", "parameters": { "type": "object", "properties": {} }, "strict": true }],
        "tool_choice": { "type": "function", "name": "f" }, "parallel_tool_calls": false,
        "text": { "format": { "type": "json_schema", "name": "n", "schema": { "type": "object" }, "strict": false } },
        "reasoning": { "effort": "high" }, "user": "u",
    });
    assert_eq!(body, expected);
    assert_eq!(told, ["stop", "n", "seed", "max_tokens: 1 -> 16"]);
}

fn facts_of(model: &str) -> Facts {
    let mut facts = catalogue::family(model);
    facts.overlay(format().facts);
    facts
}

#[test]
fn reasoning_is_asked_for_as_the_model_takes_it() {
    let messages = |model: &str, thinking: Value| {
        let body = json!({ "model": "x", "max_tokens": 4000, "thinking": thinking,
            "messages": [{ "role": "user", "content": "Hi" }], "tools": [{ "name": "f", "input_schema": { "type": "object" } }] });
        written(MESSAGES, &body, &facts_of(model)).0
    };
    let adaptive = messages("gpt-5.6-terra", json!({ "type": "adaptive" }));
    assert_eq!(adaptive["reasoning"], json!({ "summary": "auto" }), "tools do not turn it off");
    let budget = messages("gpt-5.6-terra", json!({ "type": "enabled", "budget_tokens": 2000 }));
    assert_eq!(budget["reasoning"], json!({ "effort": "low", "summary": "auto" }));
    let effort = |client, body: Value| written(client, &body, &facts_of("gpt-5.6-terra")).0["reasoning"].clone();
    let gemini = |config: Value| {
        let body =
            json!({ "contents": [{ "parts": [{ "text": "Hi" }] }], "generationConfig": { "thinkingConfig": config } });
        effort(CONTENTS, body)
    };
    assert_eq!(gemini(json!({ "includeThoughts": true })), json!({ "summary": "auto" }));
    let high = json!({ "includeThoughts": true, "thinkingLevel": "HIGH" });
    assert_eq!(gemini(high), json!({ "effort": "high", "summary": "auto" }));
    assert_eq!(gemini(json!({ "thinkingLevel": "HIGH" })), json!({ "effort": "high" }), "nobody would see it");
    let claude = json!({ "model": "x", "max_tokens": 4000, "thinking": { "type": "adaptive" },
        "output_config": { "effort": "high" }, "messages": [{ "role": "user", "content": "Hi" }] });
    assert_eq!(effort(MESSAGES, claude), json!({ "effort": "high", "summary": "auto" }));
    let codex = json!({ "model": "x", "input": "Hi", "reasoning": { "effort": "high", "summary": "detailed" } });
    assert_eq!(effort(RESPONSES, codex), json!({ "effort": "high", "summary": "auto" }));
    assert_eq!(messages("gpt-5.6-terra", json!({ "type": "disabled" }))["reasoning"], json!({ "effort": "none" }));
    let plain = messages("gpt-4o", json!({ "type": "adaptive" }));
    assert_eq!((&plain["reasoning"], &plain["include"]), (&Value::Null, &Value::Null), "it seals none");
}

#[test]
fn the_state_of_another_format_is_left_out() {
    let items = |state: &str| {
        let body = r#"{"model":"m","messages":[{"role":"user","content":"a"},{"role":"assistant",
            "tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]}]}"#;
        let document = Document::read(body.as_bytes()).unwrap();
        let mut request = CHAT.read(&document).unwrap();
        keep_state(&mut request, state);
        let target = WriteTarget { model: "m", max_output: None, limit_field: None, facts: &Facts::UNKNOWN };
        let body = fit::write(format(), &mut request, target, b"s").unwrap().body;
        serde_json::from_slice::<Value>(&body).unwrap()["input"].as_array().unwrap().len()
    };
    for other in
        ["[]", "{}", "\"x\"", r#"[{"type":"thinking","thinking":"","signature":"s"}]"#, r#"{"thoughtSignature":"s"}"#]
    {
        assert_eq!(items(other), 2, "{other}");
    }
    assert_eq!(items(r#"[{"type":"reasoning","summary":[],"encrypted_content":"e"}]"#), 3);
}

/// Bytes that resemble a stream.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        Just("data: ".to_owned()),
        Just("\n\n".to_owned()),
        Just(r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"function_call","arguments":{"a":1}}}"#.to_owned()),
        Just(r#"{"type":"response.function_call_arguments.delta","output_index":0,"delta":"{"}"#.to_owned()),
        Just(r#"{"type":"response.output_item.done","output_index":-1,"item":{"type":"reasoning","encrypted_content":7,"summary":{}}}"#.to_owned()),
        Just(r#"{"type":"response.completed","response":{"output":[null,{}],"usage":{"input_tokens":-1}}}"#.to_owned()),
        Just(r#"{"type":"error","error":null}"#.to_owned()),
        "[\\{\\}\\[\\]\",:a-z0-9\\\\]{0,6}",
    ];
    proptest::collection::vec(word, 0..12).prop_map(|words| words.concat().into_bytes())
}

proptest! {
    #[test]
    fn no_bytes_of_a_provider_panic(bytes in prop_oneof![noise(), proptest::collection::vec(any::<u8>(), 0..200)]) {
        prop_assert_eq!(read(bytes.chunks(1)), read([bytes.as_slice()]));
        let _ = (format().whole)(&bytes, &mut |_| ());
        (format().refusal)(400, &bytes);
        (format().usage)(&String::from_utf8_lossy(&bytes));
        if let Some(mut assembler) = Assembler::new(format(), AssembleOptions { max_bytes: 1 << 20, choices: 1 }) {
            let _ = assembler.push(&bytes);
            let _ = assembler.finish();
        }
    }

    /// What the gateway writes for clients is what it reads of providers.
    #[test]
    fn what_is_written_is_read_again(steps in proptest::collection::vec((0..3_u8, "[a-z\"\\\\\n]{1,6}"), 1..12)) {
        let mut said = Vec::new();
        for (number, (kind, text)) in steps.iter().enumerate() {
            let (call, text) = (u32::try_from(number).unwrap(), Raw::quoted(text));
            match kind {
                0 => said.push(ResponseEvent::Text { choice: 0, text }),
                1 => said.push(ResponseEvent::Thinking { choice: 0, text }),
                _ => {
                    let calls = u32::try_from(said.iter().filter(|event| matches!(event, ResponseEvent::Call { .. })).count()).unwrap();
                    said.push(ResponseEvent::Call { choice: 0, call: calls, id: format!("call_{call}").into(), name: "f".into() });
                    said.push(ResponseEvent::Arguments { choice: 0, call: calls, json: Raw::quoted(&json!({ "a": text.text() }).to_string()) });
                }
            }
        }
        let ends = said.iter().any(|event| matches!(event, ResponseEvent::Call { .. }));
        said.push(ResponseEvent::Finish { choice: 0, reason: if ends { FinishReason::Calls } else { FinishReason::Stop } });
        let head = super::head(&json!({}));
        let stream = framed("responses", &told(head.clone(), &said, None));
        let only = |events: &[ResponseEvent<'_>]| {
            let kept = events.iter().filter(|event| !matches!(event, ResponseEvent::Start { .. } | ResponseEvent::Usage(_) | ResponseEvent::Tier(_) | ResponseEvent::End));
            meaning(&kept.cloned().collect::<Vec<_>>())
        };
        prop_assert_eq!(only(&decoded("responses", &stream)), only(&said));
        prop_assert_eq!(only(&events_of(&super::whole(&head, &said))), only(&said));
    }
}

#[test]
fn what_is_kept_is_put_in_place_of_references() {
    let rules = RESPONSES.kept.unwrap();
    let body = json!({ "model": "m", "previous_response_id": "resp_1", "input": [
        { "id": "msg_1" }, { "type": "item_reference", "id": "msg_never" }, { "role": "user", "content": "B" }] });
    let body = body.to_string();
    let document = Document::read(body.as_bytes()).unwrap();
    let references = (rules.references)(&document).unwrap();
    assert_eq!(references.previous.as_deref(), Some("resp_1"));
    assert_eq!(references.items, ["msg_1", "msg_never"]);
    let response = response("completed", &items()).to_string();
    let (id, ids) = (rules.identify)(&response).unwrap();
    assert_eq!((id.as_str(), ids.len()), ("resp_1", 6));
    let item = (rules.item)(&response, "msg_1").unwrap();
    assert_eq!((rules.item)(&response, "msg_2"), None);
    let earlier = llm_bridge::formats::Earlier {
        turns: vec![("\"A\"".to_owned(), response)],
        items: [("msg_1".to_owned(), item)].into(),
    };
    let resolved: Value = serde_json::from_slice(&(rules.resolve)(&document, &earlier)).unwrap();
    assert_eq!(resolved["previous_response_id"], Value::Null);
    let kinds: Vec<&str> =
        resolved["input"].as_array().unwrap().iter().map(|item| item["type"].as_str().unwrap_or("message")).collect();
    let answered = ["reasoning", "message", "function_call", "function_call", "web_search_call", "custom_tool_call"];
    assert_eq!(kinds, [&["message"][..], &answered, &["message", "item_reference", "message"]].concat());
    assert!(
        resolved["input"]
            .as_array()
            .unwrap()
            .iter()
            .all(|item| item.get("id").is_none() || item["type"] == "item_reference")
    );
    for hostile in ["resp_\u{1}", "", &"x".repeat(200), "a/b"] {
        assert_eq!((rules.identify)(&json!({ "id": hostile, "output": [] }).to_string()), None, "{hostile}");
    }
    let many: Vec<Value> = (0..600).map(|number| json!({ "id": format!("msg_{number}") })).collect();
    let body = json!({ "model": "m", "input": many }).to_string();
    assert_eq!((rules.references)(&Document::read(body.as_bytes()).unwrap()).unwrap_err().status(), 400);
}

#[test]
fn the_items_of_a_request_are_listed_page_by_page() {
    let rules = RESPONSES.kept.unwrap();
    let question = json!([{ "role": "user", "content": "A" }, { "role": "user", "content": "B" }, { "role": "user", "content": "C" }]).to_string();
    let list =
        |query: &str| serde_json::from_slice::<Value>(&(rules.list)(&question, "resp_1", query).unwrap()).unwrap();
    let texts = |list: &Value| {
        list["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["content"][0]["text"].as_str().unwrap().to_owned())
            .collect::<String>()
    };
    assert_eq!(texts(&list("")), "CBA");
    // A message has its type, and parts also where it was sent as a text.
    let item = &list("order=asc")["data"][0];
    assert_eq!((&item["type"], &item["content"][0]["type"]), (&json!("message"), &json!("input_text")));
    let first = list("order=asc&limit=2");
    assert_eq!((texts(&first).as_str(), &first["has_more"]), ("AB", &json!(true)));
    let rest = list(&format!("order=asc&limit=2&after={}", first["last_id"].as_str().unwrap()));
    assert_eq!((texts(&rest).as_str(), &rest["has_more"]), ("C", &json!(false)));
    for limit in ["0", "101", "x", "-1"] {
        assert_eq!((rules.list)(&question, "resp_1", &format!("limit={limit}")).unwrap_err().param(), Some("limit"));
    }
}

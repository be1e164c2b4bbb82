//! The grammar of a stream, as the reference has it and as clients rely on it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

const TERMINAL: &[&str] = &["response.completed", "response.incomplete", "response.failed"];

/// What a client has built of an item.
#[derive(Default)]
struct Built {
    id: String,
    kind: String,
    has_part: bool,
    text: String,
    has_text_end: bool,
}

/// Checks the events of a whole stream.
pub(crate) fn check(told: &[Value]) {
    let kind = |event: &Value| event["type"].as_str().unwrap().to_owned();
    for (number, event) in told.iter().enumerate() {
        assert_eq!(event["sequence_number"], json!(number), "{event}");
    }
    assert_eq!((kind(&told[0]), kind(&told[1])), ("response.created".into(), "response.in_progress".into()));
    for begun in &told[..2] {
        let response = &begun["response"];
        assert_eq!((&response["status"], &response["output"]), (&json!("in_progress"), &json!([])), "{begun}");
        assert!(response["usage"].is_null() && response["error"].is_null(), "{begun}");
        check_fields(response);
    }
    let terminal: Vec<usize> =
        told.iter().enumerate().filter(|(_, event)| TERMINAL.contains(&&*kind(event))).map(|(at, _)| at).collect();
    assert_eq!(terminal, [told.len() - 1], "one terminal event, the last: {:?}", told.last());
    let end = &told[told.len() - 1];
    assert_eq!(format!("response.{}", end["response"]["status"].as_str().unwrap()), kind(end));
    check_fields(&end["response"]);
    check_usage(&end["response"]["usage"]);
    let done = check_items(&told[2..told.len() - 1]);
    let output = end["response"]["output"].as_array().unwrap();
    for (index, item) in output.iter().enumerate() {
        match done.get(&(index as u64)) {
            Some(known) => assert_eq!(known, item),
            None => assert_eq!(item["status"], "incomplete", "{item}"),
        }
    }
    assert!(done.keys().all(|index| *index < output.len() as u64));
}

/// Checks the events between the beginning and the end; returns the items that are done, by their places.
fn check_items(told: &[Value]) -> BTreeMap<u64, Value> {
    let (mut done, mut open, mut next): (BTreeMap<u64, Value>, Option<Built>, u64) = (BTreeMap::new(), None, 0);
    for event in told {
        let kind = event["type"].as_str().unwrap();
        if kind == "error" {
            assert!(event["error"]["message"].is_string() && event["message"] == event["error"]["message"], "{event}");
            continue;
        }
        if kind == "response.output_item.added" {
            // An item that a broken stream left half stays open.
            assert!(open.is_none(), "two items are open: {event}");
            assert_eq!(event["output_index"], json!(next), "{event}");
            next += 1;
            open = Some(begin(&event["item"]));
            continue;
        }
        let item = open.as_mut().unwrap_or_else(|| panic!("no item is open: {event}"));
        assert_eq!(event["output_index"], json!(next - 1), "{event}");
        if kind == "response.output_item.done" {
            let item = open.take().unwrap();
            finish(&item, &event["item"]);
            done.insert(next - 1, event["item"].clone());
            continue;
        }
        assert_eq!(event["item_id"], json!(item.id), "{event}");
        step(item, kind, event);
    }
    done
}

fn begin(item: &Value) -> Built {
    let kind = item["type"].as_str().unwrap();
    match kind {
        "message" => {
            assert_eq!(
                (&item["role"], &item["content"], &item["status"]),
                (&json!("assistant"), &json!([]), &json!("in_progress"))
            );
        }
        "reasoning" => assert_eq!(item["summary"], json!([])),
        _ => assert!(item["call_id"].is_string() && item["status"] == "in_progress", "{item}"),
    }
    Built { id: item["id"].as_str().unwrap().to_owned(), kind: kind.to_owned(), ..Built::default() }
}

fn step(item: &mut Built, kind: &str, event: &Value) {
    assert!(!item.has_text_end || kind.ends_with("part.done"), "after the end of the text: {event}");
    match kind {
        "response.content_part.added" | "response.reasoning_summary_part.added" => {
            assert!(!std::mem::replace(&mut item.has_part, true));
            assert_eq!(event["part"]["text"], "");
        }
        "response.output_text.delta"
        | "response.reasoning_summary_text.delta"
        | "response.function_call_arguments.delta"
        | "response.custom_tool_call_input.delta" => {
            assert!(item.has_part || event["content_index"].is_null() && event["summary_index"].is_null(), "{event}");
            item.text.push_str(event["delta"].as_str().unwrap());
        }
        "response.output_text.done"
        | "response.reasoning_summary_text.done"
        | "response.function_call_arguments.done"
        | "response.custom_tool_call_input.done" => {
            let text = ["text", "arguments", "input"].iter().find_map(|field| event[*field].as_str()).unwrap();
            assert_eq!(text, item.text, "the pieces are the whole: {event}");
            item.has_text_end = true;
        }
        "response.content_part.done" | "response.reasoning_summary_part.done" => {
            assert_eq!(event["part"]["text"], json!(item.text));
        }
        other => panic!("an unknown event: {other}"),
    }
}

fn finish(built: &Built, item: &Value) {
    assert_eq!((item["id"].as_str().unwrap(), item["type"].as_str().unwrap()), (&*built.id, &*built.kind));
    match built.kind.as_str() {
        "message" => {
            let part = &item["content"][0];
            assert_eq!(part["text"], json!(built.text));
            assert!(part["annotations"].is_array() && part["logprobs"].is_array(), "{item}");
        }
        "reasoning" => {}
        "function_call" => {
            assert_eq!(item["arguments"], json!(built.text));
            let arguments: Value = serde_json::from_str(&built.text).unwrap();
            assert!(arguments.is_object() && item["status"] == "completed", "{item}");
        }
        "custom_tool_call" => assert_eq!(item["input"], json!(built.text)),
        _ => {}
    }
}

/// The fields that strict clients demand.
fn check_fields(response: &Value) {
    assert_eq!(response["object"], "response");
    assert!(response["id"].as_str().unwrap().starts_with("resp_"));
    assert!(response["created_at"].is_u64() && response["model"].is_string());
    let fields = ["error", "incomplete_details", "instructions", "metadata", "parallel_tool_calls", "temperature"];
    for field in fields.iter().chain(&["tool_choice", "tools", "top_p", "text", "truncation", "service_tier", "usage"])
    {
        assert!(response.get(*field).is_some(), "{field}: {response}");
    }
}

fn check_usage(usage: &Value) {
    for field in [
        "/input_tokens",
        "/output_tokens",
        "/total_tokens",
        "/input_tokens_details/cached_tokens",
        "/output_tokens_details/reasoning_tokens",
    ] {
        assert!(usage.pointer(field).is_some_and(Value::is_u64), "{field}: {usage}");
    }
    assert_eq!(
        usage["total_tokens"].as_u64(),
        Some(usage["input_tokens"].as_u64().unwrap() + usage["output_tokens"].as_u64().unwrap())
    );
}

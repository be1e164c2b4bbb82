//! Recorded traffic: responses with the tokens that they state, requests with all their fields.

use llm_bridge::canonical::ResponseEvent;
use llm_bridge::formats::anthropic::{CLIENT, PROVIDER};
use llm_bridge::wire::json::Document;
use serde_json::Value;

use super::{encoded, streamed, whole, without_memory, write};
use crate::recorded::{Recording, recordings};

/// The counts that a body states, found without the gateway's code: input, cache reads, cache writes, output.
fn stated(body: &[u8]) -> [u64; 4] {
    let text = String::from_utf8_lossy(body);
    let mut stated = [0; 4];
    for line in text.lines().map(|line| line.strip_prefix("data:").unwrap_or(line)).chain([text.as_ref()]) {
        let Ok(value) = serde_json::from_str::<Value>(line.trim()) else { continue };
        for usage in [&value["usage"], &value["message"]["usage"]] {
            let names = ["input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens"];
            for (place, name) in stated.iter_mut().zip(names) {
                *place = usage[name].as_u64().unwrap_or(*place);
            }
        }
    }
    stated
}

#[test]
fn recorded_answers_are_read_with_the_tokens_that_they_state() {
    for Recording { name, about, body } in recordings("anthropic-messages") {
        if about["status"] != 200 {
            let error = (PROVIDER.refusal)(404, &body);
            assert!(error.message().contains("claude"), "{name}");
            continue;
        }
        let is_stream = about["ct"].as_str().unwrap().starts_with("text/event-stream");
        let (events, malformed) = if is_stream { streamed([body.as_slice()]) } else { (whole(&body).unwrap(), 0) };
        assert_eq!(malformed, 0, "{name}");
        assert!(matches!(events.last(), Some(ResponseEvent::End)), "{name}");
        assert!(events.iter().any(|event| matches!(event, ResponseEvent::Finish { .. })), "{name}");
        let usage = events
            .iter()
            .rev()
            .find_map(|event| if let ResponseEvent::Usage(usage) = event { Some(*usage) } else { None });
        let usage = usage.unwrap();
        assert_eq!([usage.uncached_input, usage.cache_read, usage.cache_write, usage.output], stated(&body), "{name}");
        if is_stream {
            let debug = |events: &[ResponseEvent<'_>]| format!("{events:?}");
            assert_eq!(debug(&streamed(body.chunks(1)).0), debug(&events), "{name} byte by byte");
        }
        // A client of the same format gets the same.
        let again = without_memory(streamed([encoded(&events).as_slice()]).0);
        let spoken = |told: Vec<String>| -> Vec<String> {
            let heads = ["text ", "thinking ", "arguments ", "Call ", "Finish ", "End"];
            told.into_iter().filter(|line| heads.iter().any(|head| line.starts_with(head))).collect()
        };
        assert_eq!(spoken(again), spoken(without_memory(events)), "{name} told again");
    }
}

/// All values of members with this name, at any depth.
fn all<'v>(value: &'v Value, name: &str, found: &mut Vec<&'v Value>) {
    match value {
        Value::Object(members) => members.iter().for_each(|(key, value)| {
            if key == name {
                found.push(value);
            }
            all(value, name, found);
        }),
        Value::Array(values) => values.iter().for_each(|value| all(value, name, found)),
        _ => {}
    }
}

#[test]
fn recorded_requests_keep_their_text_tools_and_cache_hints() {
    for Recording { name, about, .. } in recordings("anthropic-messages") {
        let mut asked = about["request"].clone();
        if !asked["messages"].is_array() {
            continue;
        }
        let body = asked.to_string();
        let document = Document::read(body.as_bytes()).unwrap();
        let request = CLIENT.read(&document).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (written, dropped) = write(&request, about["model"].as_str().unwrap_or("m"));
        // Server tools and a cache hint for the whole request have no place in the canonical form: they are
        // named.
        for (field, kept) in [("tools", "custom"), ("messages", "")] {
            if field == "tools" && asked["tools"].is_array() {
                let tools = asked["tools"].as_array_mut().unwrap();
                tools.retain(|tool| tool["type"].is_null() || tool["type"] == kept);
                assert_eq!(tools.len(), written["tools"].as_array().map_or(0, Vec::len), "{name}");
            }
        }
        if asked.as_object_mut().unwrap().remove("cache_control").is_some() {
            assert!(dropped.iter().any(|field| field == "cache_control"), "{name}: {dropped:?}");
        }
        let strange = dropped.iter().any(|field| field.starts_with("messages[]"));
        for member in ["cache_control", "input_schema", "thinking", "signature"] {
            let (mut before, mut after) = (Vec::new(), Vec::new());
            all(&asked["messages"], member, &mut before);
            all(&asked["tools"], member, &mut before);
            all(&written["messages"], member, &mut after);
            all(&written["tools"], member, &mut after);
            assert_eq!(before, after, "{name}: {member}");
        }
        let told = written.to_string();
        let mut texts = Vec::new();
        all(&asked["messages"], "text", &mut texts);
        let lost = texts.iter().filter(|text| !text.as_str().unwrap_or_default().trim().is_empty());
        let lost: Vec<_> = lost.filter(|text| !told.contains(&text.to_string())).collect();
        assert!(strange || lost.is_empty(), "{name}: {lost:?}");
        assert_eq!(written["output_config"], asked["output_config"], "{name}");
        assert_eq!(written["max_tokens"], asked["max_tokens"], "{name}");
    }
}

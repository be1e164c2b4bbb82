//! What the gateway writes into responses that pass to a client of the same format: the end of a stream, the
//! cost, and a complete response as a stream.

use serde_json::Value;

use super::errors;
use crate::formats::client_format::{RestreamOptions, UsageReport};
use crate::formats::tap::PassthroughEnd;
use crate::wire::dense::parse_tree;
use crate::wire::json::Document;
use crate::wire::sse;

/// Inserts the chunk that reports the usage and the cost: before `[DONE]` if the response is complete, else
/// before all of `tail`.
pub fn insert_cost(report: UsageReport<'_>, tail: &mut Vec<u8>) {
    if let Some(event) = with_cost(report.json, report.cost) {
        let at = if report.is_complete { tail.len().saturating_sub(super::wire::DONE.len()) } else { 0 };
        tail.splice(at..at, event);
    }
}

/// Ends a stream of the provider's bytes that lacks its `[DONE]`.
pub fn end_passthrough(end: PassthroughEnd<'_>, out: &mut Vec<u8>) {
    if let PassthroughEnd::Incomplete(failure) = end {
        errors::write_event(failure, out);
    }
    out.extend_from_slice(super::wire::DONE);
}

/// The chunk as an event that reports the usage and the cost, without choices. `None` if the chunk reports no
/// usage.
fn with_cost(chunk: &[u8], cost: &str) -> Option<Vec<u8>> {
    let mut chunk = Document::read(chunk).ok()?;
    let usage = chunk.value("usage").filter(|raw| raw.starts_with('{'))?.to_owned();
    let mut usage = Document::read(usage.as_bytes()).ok()?;
    // What is not known does not take the place of the provider's own word.
    if cost != "null" || usage.value("cost").is_none() {
        usage.set("cost", cost);
    }
    let usage = String::from_utf8_lossy(&usage.render()).into_owned();
    chunk.set("usage", usage);
    if chunk.value("choices").is_some_and(|choices| choices != "[]") {
        chunk.set("choices", "[]");
    }
    let mut out = Vec::new();
    sse::write(&chunk.render(), &mut out);
    Some(out)
}

/// Converts a complete response into a stream of one chunk. `None` if the body is not a complete response.
pub fn restream(body: &[u8], options: RestreamOptions<'_>) -> Option<Vec<u8>> {
    let mut response = parse_tree(body)?;
    let chunk = response.as_object_mut()?;
    let usage = chunk.remove("usage");
    // A legacy completion has the same form in a stream as in a complete response.
    if chunk.get("object").and_then(Value::as_str) != Some("text_completion") {
        chunk.insert("object".to_owned(), "chat.completion.chunk".into());
    }
    let choices = chunk.get_mut("choices")?.as_array_mut()?;
    choices.iter_mut().filter_map(Value::as_object_mut).for_each(|choice| {
        let Some(mut message) = choice.remove("message") else { return };
        let calls = message.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten();
        for (index, call) in calls.filter_map(Value::as_object_mut).enumerate() {
            call.insert("index".to_owned(), index.into());
        }
        choice.insert("delta".to_owned(), message);
    });
    let mut out = Vec::new();
    sse::write(&serde_json::to_vec(&response).ok()?, &mut out);
    if let (true, Some(usage)) = (options.usage, usage) {
        let chunk = response.as_object_mut()?;
        chunk.insert("choices".to_owned(), Value::Array(Vec::new()));
        chunk.insert("usage".to_owned(), usage);
        let chunk = serde_json::to_vec(&response).ok()?;
        match options.cost.and_then(|cost| with_cost(&chunk, cost)) {
            Some(event) => out.extend_from_slice(&event),
            None => sse::write(&chunk, &mut out),
        }
    }
    out.extend_from_slice(super::wire::DONE);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_legacy_completion_keeps_its_form_in_a_stream() {
        let body = br#"{"object":"text_completion","choices":[{"text":"a","index":0,"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}"#;
        let written = String::from_utf8(restream(body, RestreamOptions::default()).unwrap()).unwrap();
        assert!(written.contains(r#""object":"text_completion""#) && written.contains(r#""text":"a""#), "{written}");
        assert!(!written.contains("delta") && !written.contains("usage"), "{written}");
    }

    #[test]
    fn an_unknown_cost_leaves_the_providers_own() {
        let inserted = |usage: &str, cost: &str| {
            let chunk = format!(r#"{{"choices":[],"usage":{usage}}}"#);
            String::from_utf8(with_cost(chunk.as_bytes(), cost).unwrap()).unwrap()
        };
        assert!(inserted(r#"{"cost":0.0123}"#, "null").contains(r#"{"cost":0.0123}"#));
        assert!(inserted(r#"{"cost":0.0123}"#, "0.5").contains(r#"{"cost":0.5}"#));
        assert!(inserted("{}", "null").contains(r#"{"cost":null}"#));
    }

    #[test]
    fn a_complete_response_becomes_a_stream() {
        let body = br#"{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":null,
            "tool_calls":[{"id":"t","type":"function","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"tool_calls"}],
            "usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
        let written = |include_usage| {
            String::from_utf8(restream(body, RestreamOptions { usage: include_usage, cost: None }).unwrap()).unwrap()
        };
        let plain = written(false);
        assert!(
            plain.contains(r#""index":0,"type":"function""#) && plain.contains(r#""finish_reason":"tool_calls""#),
            "{plain}"
        );
        assert!(plain.contains("chat.completion.chunk") && !plain.contains("message") && !plain.contains("usage"));
        assert!(written(true).contains(r#""choices":[]"#) && written(true).ends_with("data: [DONE]\n\n"));
        assert_eq!(restream(b"[1]", RestreamOptions { usage: true, cost: None }), None);
    }

    #[test]
    fn a_cost_is_written_to_the_last_digit_beside_any_usage() {
        let priced = |cost| RestreamOptions { usage: true, cost: Some(cost) };
        let body = br#"{"choices":[],"usage":{"prompt_tokens":1}}"#;
        let written = String::from_utf8(restream(body, priced("0.0000000010")).unwrap()).unwrap();
        assert!(written.contains(r#""usage":{"prompt_tokens":1,"cost":0.0000000010}"#), "{written}");
        let without_usage =
            String::from_utf8(restream(br#"{"choices":[],"usage":null}"#, priced("1")).unwrap()).unwrap();
        assert!(
            without_usage.contains(r#""usage":null"#) && without_usage.ends_with("data: [DONE]\n\n"),
            "{without_usage}"
        );
    }

    #[test]
    fn a_withheld_chunk_repeats_no_content() {
        let chunk = br#"{"id":"c","choices":[{"index":0,"delta":{"content":"a"}}],"usage":{"prompt_tokens":1}}"#;
        let written = r#"data: {"id":"c","choices":[],"usage":{"prompt_tokens":1,"cost":null}}"#.to_owned() + "\n\n";
        let tail = |is_complete, tail: &str| {
            let mut tail = tail.as_bytes().to_vec();
            insert_cost(UsageReport { json: chunk, cost: "null", is_complete }, &mut tail);
            String::from_utf8(tail).unwrap()
        };
        let done = "data: [DONE]\n\n";
        assert_eq!(tail(true, &format!("data: 1\n\n{done}")), format!("data: 1\n\n{written}{done}"));
        assert_eq!(tail(false, &format!("data: 1\n\n{done}")), format!("{written}data: 1\n\n{done}"));
        assert_eq!(tail(true, ""), written);
        let mut without_usage = done.as_bytes().to_vec();
        let json = br#"{"choices":[],"usage":null}"#;
        insert_cost(UsageReport { json, cost: "1", is_complete: true }, &mut without_usage);
        assert_eq!(without_usage, done.as_bytes());
    }
}

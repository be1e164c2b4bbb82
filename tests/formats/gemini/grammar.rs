//! The grammar of a stream, as the reference has it and as clients rely on it.

use serde_json::{Value, json};

/// Checks the chunks of a whole stream, or a whole response as the only one.
pub(crate) fn check(told: &[Value]) {
    let mut calls: Vec<&Value> = Vec::new();
    for (number, chunk) in told.iter().enumerate() {
        if chunk["error"].is_object() {
            assert_eq!(number + 1, told.len(), "an error ends the stream");
            continue;
        }
        assert_eq!(chunk["responseId"], told[0]["responseId"], "{chunk}");
        assert!(chunk["responseId"].is_string() && chunk["modelVersion"].is_string(), "{chunk}");
        let candidates = chunk["candidates"].as_array().unwrap();
        let is_last = number + 1 == told.len();
        for candidate in candidates {
            assert!(candidate["index"].is_u64(), "{candidate}");
            assert_eq!(candidate["content"]["role"], "model", "{candidate}");
            assert_eq!(candidate["finishReason"].is_string(), is_last, "the last chunk says why it ends: {chunk}");
            calls.extend(parts(candidate).iter().filter_map(|part| part.get("functionCall")));
        }
        // Usage may stand in every chunk; the last has to have it.
        if is_last {
            check_usage(&chunk["usageMetadata"]);
        }
    }
    for (number, call) in calls.iter().enumerate() {
        assert!(call["args"].is_object() && call["name"].is_string() && call["id"].is_string(), "{call}");
        assert!(calls[..number].iter().all(|other| other["id"] != call["id"]), "twice: {call}");
    }
}

fn parts(candidate: &Value) -> &[Value] {
    candidate["content"]["parts"].as_array().map_or(&[], Vec::as_slice)
}

/// What is counted apart adds up: thoughts stand beside the candidates, cached tokens within the prompt.
fn check_usage(usage: &Value) {
    let count = |name: &str| usage[name].as_u64().unwrap_or(0);
    let sum = count("promptTokenCount") + count("candidatesTokenCount") + count("thoughtsTokenCount");
    assert_eq!(usage["totalTokenCount"], json!(sum), "{usage}");
    assert!(count("cachedContentTokenCount") <= count("promptTokenCount"), "{usage}");
}

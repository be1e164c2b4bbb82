//! Responses, cut at every position.

use llm_bridge::canonical::{FinishReason, ResponseEvent, Usage};
use llm_bridge::formats::gemini::PROVIDER;
use serde_json::{Value, json};

use super::{cut, stream, told, whole};

fn sse(chunks: &[Value]) -> Vec<u8> {
    chunks.iter().map(|chunk| format!("data: {chunk}\r\n\r\n")).collect::<String>().into_bytes()
}

fn chunk(index: u32, parts: &Value, finish: Option<&str>) -> Value {
    json!({"candidates":[{"content":{"parts":parts,"role":"model"},"index":index,"finishReason":finish}],"responseId":"r1","modelVersion":"m"})
}

const START: &str = r#"Start { id: Some("r1"), model: Some("m") }"#;

#[test]
fn calls_keep_their_numbers_over_chunks_and_beside_text() {
    let f = |name: &str| json!({"functionCall":{"name":name,"args":{"a":name}}});
    let bytes = sse(&[
        chunk(0, &json!([{"text":"Let me "}, f("one"), {"text":"see"}]), None),
        chunk(1, &json!([f("other")]), Some("STOP")),
        chunk(0, &json!([f("two"), f("three")]), Some("STOP")),
    ]);
    let events = cut(&bytes);
    let expected = [
        START,
        r#"Text { choice: 0, text: "Let me " }"#,
        r#"Call { choice: 0, call: 0, id: "call_r1_0", name: "one" }"#,
        r#"Arguments { choice: 0, call: 0, json: "{\"a\":\"one\"}" }"#,
        r#"Text { choice: 0, text: "see" }"#,
        r#"Call { choice: 1, call: 0, id: "call_r1_1", name: "other" }"#,
        r#"Arguments { choice: 1, call: 0, json: "{\"a\":\"other\"}" }"#,
        r#"Call { choice: 0, call: 1, id: "call_r1_2", name: "two" }"#,
        r#"Arguments { choice: 0, call: 1, json: "{\"a\":\"two\"}" }"#,
        r#"Call { choice: 0, call: 2, id: "call_r1_3", name: "three" }"#,
        r#"Arguments { choice: 0, call: 2, json: "{\"a\":\"three\"}" }"#,
        "Finish { choice: 0, reason: Calls }",
        "Finish { choice: 1, reason: Calls }",
        "End",
    ];
    assert_eq!(events, expected);
}

#[test]
fn a_call_without_arguments_has_an_empty_object() {
    for call in [json!({"name":"f"}), json!({"name":"f","args":{}}), json!({"name":"f","args":null})] {
        let events = whole(chunk(0, &json!([{"functionCall":call}]), Some("STOP")).to_string().as_bytes()).unwrap();
        assert_eq!(events[2], r#"Arguments { choice: 0, call: 0, json: "{}" }"#);
    }
    let text = chunk(0, &json!([{"functionCall":{"name":"f","args":"oops"}}]), Some("STOP")).to_string();
    assert_eq!(whole(text.as_bytes()).unwrap_err().status(), 502);
}

#[test]
fn a_signature_is_handed_on_with_the_id_of_its_call() {
    let parts = json!([
        {"functionCall":{"name":"f","args":{},"id":"abc"},"thoughtSignature":"c2ln"},
        {"functionCall":{"name":"g","args":{}}}
    ]);
    let events = cut(&sse(&[chunk(0, &parts, Some("STOP"))]));
    let memories: Vec<_> = events.iter().filter(|event| event.starts_with("ReasoningState")).collect();
    assert_eq!(memories, [r#"ReasoningState { id: "abc", memory: "c2ln" }"#]);
}

#[test]
fn usage_is_taken_from_any_chunk_and_the_last_one_counts() {
    let with = |mut chunk: Value, said: u64| {
        chunk["usageMetadata"] =
            json!({"promptTokenCount":9,"candidatesTokenCount":said,"thoughtsTokenCount":2,"totalTokenCount":11+said});
        chunk
    };
    let only = json!({"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":7,"cachedContentTokenCount":4}});
    let bytes =
        sse(&[with(chunk(0, &json!([{"text":"a"}]), None), 1), with(chunk(0, &json!([]), Some("STOP")), 5), only]);
    let last = cut(&bytes).into_iter().rfind(|event| event.starts_with("Usage")).unwrap();
    let expected = Usage { uncached_input: 5, cache_read: 4, output: 7, ..Usage::default() };
    assert_eq!(last, format!("{:?}", ResponseEvent::Usage(expected)));
}

#[test]
fn usage_that_comes_in_parts_is_put_together_and_never_summed() {
    let last = |told: &[Value]| {
        let chunks: Vec<Value> = told.iter().map(|usage| json!({ "usageMetadata": usage })).collect();
        cut(&sse(&chunks)).into_iter().rfind(|event| event.starts_with("Usage")).unwrap()
    };
    let usage = |usage: Usage| format!("{:?}", ResponseEvent::Usage(usage));
    let prompt =
        json!({"promptTokenCount":100,"cachedContentTokenCount":64,"toolUsePromptTokenCount":10,"totalTokenCount":110});
    let answer = json!({"candidatesTokenCount":20,"thoughtsTokenCount":5});
    let both = Usage { uncached_input: 46, cache_read: 64, output: 25, reasoning: 5, ..Usage::default() };
    assert_eq!(last(&[prompt.clone(), answer.clone(), json!({"trafficType":"ON_DEMAND"})]), usage(both));
    assert_eq!(last(&[prompt.clone(), json!({"candidatesTokenCount":1}), answer.clone(), answer]), usage(both));
    // Thinking that only the total shows; an earlier total says nothing about a new response.
    let total = json!({"candidatesTokenCount":20,"totalTokenCount":135});
    assert_eq!(last(&[prompt.clone(), total]), usage(both));
    assert_eq!(last(&[prompt, json!({"totalTokenCount":135})]), usage(Usage { output: 25, reasoning: 25, ..both }));
    // New counts replace the old ones; omitted parts count as nothing.
    let (more, less) = (json!({"promptTokenCount":15,"cachedContentTokenCount":3}), json!({"promptTokenCount":13}));
    assert_eq!(last(&[more, less]), usage(Usage { uncached_input: 13, ..Usage::default() }));
}

#[test]
fn the_usage_of_an_unreadable_response_counts() {
    let mut broken = chunk(0, &json!([{"functionCall":{"args":{}}}]), None);
    broken["usageMetadata"] = json!({"promptTokenCount":9,"candidatesTokenCount":7});
    let events = cut(&sse(&[broken]));
    let usage = events.iter().position(|event| event.starts_with("Usage")).unwrap();
    let failed = events.iter().position(|event| event.starts_with("Failed 502")).unwrap();
    assert!(usage < failed, "{events:?}");
}

#[test]
fn finish_reasons_are_emitted_at_the_end() {
    // Text after the finish reason, contents without parts, and thinking.
    let bytes = sse(&[
        chunk(0, &json!([{"text":"hm","thought":true}]), None),
        json!({"candidates":[{"content":{"role":"model"},"finishReason":"STOP"}]}),
        chunk(0, &json!([{"text":"late"}, {"text":"","thoughtSignature":"x"}]), None),
    ]);
    let expected = [
        START,
        r#"Thinking { choice: 0, text: "hm" }"#,
        r#"Text { choice: 0, text: "late" }"#,
        "Finish { choice: 0, reason: Stop }",
        "End",
    ];
    assert_eq!(cut(&bytes), expected);
}

#[test]
fn a_stream_cut_short_has_no_end() {
    let bytes = sse(&[chunk(0, &json!([{"text":"a"}]), None), chunk(1, &json!([{"text":"b"}]), Some("STOP"))]);
    let events = cut(&bytes);
    assert!(events.contains(&"Finish { choice: 1, reason: Stop }".to_owned()));
    assert!(!events.iter().any(|event| event == "End" || event.starts_with("Finish { choice: 0")), "{events:?}");
    assert_eq!(stream([]), (vec![], 0));
    assert!(whole(chunk(0, &json!([{"text":"a"}]), None).to_string().as_bytes()).is_err());
}

#[test]
fn reasons_to_finish_are_never_invented() {
    let reason = |word: &str| {
        let text = chunk(0, &json!([{"text":"a"}]), Some(word)).to_string();
        whole(text.as_bytes()).map(|events| events[events.len() - 2].clone())
    };
    let finished = |reason: FinishReason| format!("{:?}", ResponseEvent::Finish { choice: 0, reason });
    assert_eq!(reason("STOP").unwrap(), finished(FinishReason::Stop));
    assert_eq!(reason("MAX_TOKENS").unwrap(), finished(FinishReason::Length));
    for word in ["SAFETY", "RECITATION", "PROHIBITED_CONTENT", "BLOCKLIST", "SPII", "LANGUAGE", "IMAGE_SAFETY"] {
        assert_eq!(reason(word).unwrap(), finished(FinishReason::Filtered), "{word}");
    }
    for word in ["OTHER", "FINISH_REASON_UNSPECIFIED", "SOMETHING_NEW"] {
        assert_eq!(reason(word).unwrap(), finished(FinishReason::Stop), "a finished response");
        let last = chunk(0, &json!([]), Some(word));
        let events = cut(&sse(&[chunk(0, &json!([{"text":"a"}]), None), last.clone()]));
        assert_eq!(events.last().unwrap(), "End", "{word}");
        let error = whole(last.to_string().as_bytes()).unwrap_err();
        assert_eq!((error.status(), error.code()), (502, Some(word)), "nothing came");
    }
    for word in ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS"] {
        let error = reason(word).unwrap_err();
        assert_eq!((error.status(), error.code()), (502, Some(word)));
        let mut last = chunk(0, &json!([]), Some(word));
        last["candidates"][0]["finishMessage"] = json!("Malformed: x");
        let events = cut(&sse(&[chunk(0, &json!([{"text":"a"}]), None), last, chunk(0, &json!([]), Some("STOP"))]));
        assert_eq!(events.last().unwrap(), &format!("Failed 502 Some({word:?}) Malformed: x"));
    }
}

#[test]
fn a_blocked_prompt_is_an_error_and_never_an_empty_success() {
    let blocked = json!({"promptFeedback":{"blockReason":"SAFETY","blockReasonMessage":"Too rude."},"responseId":"r","usageMetadata":{"promptTokenCount":4}});
    let error = whole(blocked.to_string().as_bytes()).unwrap_err();
    assert_eq!((error.status(), error.code()), (400, Some("content_filter")));
    assert!(error.message().contains("SAFETY") && error.message().contains("Too rude."), "{error}");
    let mut events = Vec::new();
    (PROVIDER.whole)(blocked.to_string().as_bytes(), &mut |event| events.push(told(&event))).unwrap_err();
    assert!(matches!(&events[..], [usage] if usage.starts_with("Usage")), "{events:?}");
    let events = cut(&sse(&[blocked]));
    assert!(events[1].starts_with("Usage") && events[2].starts_with("Failed 400"), "{events:?}");
    assert_eq!(events.len(), 3);
}

#[test]
fn an_error_in_an_answer_is_an_error_however_it_is_wrapped() {
    let error = json!({"error":{"code":503,"message":"Overloaded","status":"UNAVAILABLE"}});
    let told = r#"Failed 503 Some("UNAVAILABLE") Overloaded"#;
    let begin = sse(&[chunk(0, &json!([{"text":"a"}]), None)]);
    let pretty = serde_json::to_string_pretty(&error).unwrap();
    for tail in
        [format!("data: {error}\r\n\r\n"), format!("data: [{error}]\n\n"), pretty.clone(), format!("[{pretty}]\r\n")]
    {
        let events = cut(&[begin.as_slice(), tail.as_bytes()].concat());
        assert_eq!(events.last().map(String::as_str), Some(told), "{tail}");
    }
    for body in [error.to_string(), format!("[{error}]")] {
        let error = whole(body.as_bytes()).unwrap_err();
        assert_eq!((error.status(), error.message()), (503, "Overloaded"));
    }
    for body in ["", "<html>", "7", "{}", "[]", "null", r#"{"candidates":[]}"#] {
        assert_eq!(whole(body.as_bytes()).unwrap_err().status(), 502, "{body}");
    }
}

#[test]
fn an_event_that_cannot_be_read_is_counted_and_the_stream_goes_on() {
    let bytes =
        [b": hi\n\ndata: {oops\n\n\n".as_slice(), &sse(&[chunk(0, &json!([{"text":"a"}]), Some("STOP"))])].concat();
    assert_eq!(cut(&bytes).last().unwrap(), "End");
    assert_eq!(stream([bytes.as_slice()]).1, 1);
}

#[test]
fn what_has_no_place_in_an_answer_is_shown_as_markdown() {
    let parts = json!([
        {"executableCode":{"language":"PYTHON","code":"print(1)\n"}},
        {"codeExecutionResult":{"outcome":"OUTCOME_OK","output":"1\n"}},
        {"inlineData":{"mimeType":"image/png","data":"AAEC"}}
    ]);
    let events = whole(chunk(0, &parts, Some("STOP")).to_string().as_bytes()).unwrap();
    assert_eq!(events[1], r#"Text { choice: 0, text: "\n```python\nprint(1)\n```\n" }"#);
    assert_eq!(events[2], r#"Text { choice: 0, text: "\n```\n1\n```\n" }"#);
    assert_eq!(events[3], r#"Text { choice: 0, text: "\n![image](data:image/png;base64,AAEC)\n" }"#);
}

#[test]
fn log_probabilities_are_written_in_openais_form() {
    let mut last = chunk(0, &json!([{"text":"Hi"}]), Some("STOP"));
    last["candidates"][0]["logprobsResult"] = json!({
        "chosenCandidates":[{"token":"Hi","logProbability":-0.5,"tokenId":1}],
        "topCandidates":[{"candidates":[{"token":"Hi","logProbability":-0.5},{"token":"Yo","logProbability":-2.5}]}]
    });
    let events = cut(&sse(&[last]));
    let expected = concat!(
        r#"Logprobs { choice: 0, logprobs: {"content":[{"token":"Hi","logprob":-0.5,"bytes":[72,105],"top_logprobs":["#,
        r#"{"token":"Hi","logprob":-0.5,"bytes":[72,105]},{"token":"Yo","logprob":-2.5,"bytes":[89,111]}]}],"refusal":null} }"#
    );
    assert_eq!(events[2], expected);
}

#[test]
fn an_answer_without_an_id_gives_its_calls_ids_that_are_always_the_same() {
    let answer = |id: Value, args: &str| {
        let mut answer = chunk(0, &json!([{"functionCall":{"name":"f","args":{"a":args}}}]), Some("STOP"));
        answer["responseId"] = id;
        whole(answer.to_string().as_bytes()).unwrap()[1].clone()
    };
    let long = json!("x".repeat(100));
    for id in [Value::Null, json!("odd id"), long] {
        let one = answer(id.clone(), "1");
        assert_eq!(one, answer(id.clone(), "1"));
        assert_ne!(one, answer(id, "2"));
        assert!(one.contains(r#"id: "call_"#) && one.len() < 80, "{one}");
    }
}

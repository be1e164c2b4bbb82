//! Token counts.

use llm_bridge::formats::{CHAT, MESSAGES};
use serde_json::json;

use super::{block, chunk, ended, gemini, message, sse, streamed, usage, whole};

#[test]
fn what_the_last_usage_leaves_out_is_kept_from_the_first() {
    let text = block(0, &json!({ "type": "text", "text": "x" }), &[]);
    let told = streamed("anthropic", CHAT, &message(&[text], "end_turn", &json!({ "output_tokens": 20 })));
    let expected = json!({ "prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120,
        "prompt_tokens_details": { "cached_tokens": 60, "cache_write_tokens": 10 }, "completion_tokens_details": { "reasoning_tokens": 0 } });
    assert_eq!(usage(&told), &expected);
}

#[test]
fn no_usage_is_counted_twice() {
    let text = || block(0, &json!({ "type": "text", "text": "x" }), &[]);
    let again = json!({ "input_tokens": 30, "cache_read_input_tokens": 60, "cache_creation_input_tokens": 10, "output_tokens": 20 });
    let once = streamed("anthropic", CHAT, &message(&[text()], "end_turn", &json!({ "output_tokens": 20 })));
    let twice = streamed("anthropic", CHAT, &message(&[text()], "end_turn", &again));
    assert_eq!(usage(&twice), usage(&once));
    let growing = |output: u64| json!({ "choices": [], "usage": { "prompt_tokens": 9, "completion_tokens": output, "total_tokens": 9 + output } });
    let chats = [chunk(&json!({ "content": "x" })), growing(1), growing(2), ended("stop"), growing(3)];
    assert_eq!(usage(&streamed("openai", CHAT, &sse(&chats)))["total_tokens"], 12);
    let tokens = |said: u64| json!({ "usageMetadata": { "promptTokenCount": 9, "candidatesTokenCount": said, "totalTokenCount": 9 + said } });
    let first = json!({ "candidates": [{ "content": { "parts": [{ "text": "x" }] } }], "usageMetadata": tokens(1)["usageMetadata"] });
    let stream = sse(&[first, gemini(&json!([]), &tokens(3))]);
    assert_eq!(usage(&streamed("gemini", CHAT, &stream))["total_tokens"], 12);
}

#[test]
fn usage_is_taken_from_a_chunk_with_choices_too() {
    let mut last = ended("stop");
    last["usage"] = json!({ "prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12 });
    for end in ["data: [DONE]\n\n", ""] {
        let stream = sse(&[chunk(&json!({ "content": "x" })), last.clone()]) + end;
        assert_eq!(usage(&streamed("openai", CHAT, &stream))["total_tokens"], 12);
    }
}

#[test]
fn what_gemini_thinks_is_part_of_the_completion() {
    let tokens = json!({ "usageMetadata": { "promptTokenCount": 100, "cachedContentTokenCount": 60, "candidatesTokenCount": 15, "thoughtsTokenCount": 5, "totalTokenCount": 120 } });
    let answer = gemini(&json!([{ "text": "x" }]), &tokens);
    let told = whole("gemini", CHAT, &answer);
    let usage = &told["usage"];
    assert_eq!(
        (&usage["completion_tokens"], &usage["completion_tokens_details"]["reasoning_tokens"]),
        (&json!(20), &json!(5))
    );
    assert_eq!((&usage["prompt_tokens_details"]["cached_tokens"], &usage["total_tokens"]), (&json!(60), &json!(120)));
    let told = whole("gemini", MESSAGES, &answer);
    assert_eq!(
        (&told["usage"]["input_tokens"], &told["usage"]["cache_read_input_tokens"], &told["usage"]["output_tokens"]),
        (&json!(40), &json!(60), &json!(20))
    );
}

#[test]
fn the_prompt_is_what_was_read_anew_from_the_cache_and_into_it() {
    let tokens = json!({ "input_tokens": 30, "cache_read_input_tokens": 60, "cache_creation_input_tokens": 10, "output_tokens": 20 });
    let answer = json!({ "content": [{ "type": "text", "text": "x" }], "stop_reason": "end_turn", "usage": tokens });
    let told = whole("anthropic", CHAT, &answer);
    assert_eq!((&told["usage"]["prompt_tokens"], &told["usage"]["total_tokens"]), (&json!(100), &json!(120)));
}

#[test]
fn no_count_of_tokens_is_ever_null() {
    let nulls = json!({ "prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12, "prompt_tokens_details": null, "completion_tokens_details": { "reasoning_tokens": null } });
    let answer =
        json!({ "choices": [{ "index": 0, "message": { "content": "x" }, "finish_reason": "stop" }], "usage": nulls });
    let told = whole("openai", MESSAGES, &answer);
    let fields = ["input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"];
    assert!(fields.iter().all(|field| told["usage"][field].is_u64()), "{told}");
    let bare = json!({ "content": [{ "type": "text", "text": "x" }], "stop_reason": "end_turn", "usage": { "input_tokens": 9, "output_tokens": 3, "cache_read_input_tokens": null } });
    let told = whole("anthropic", CHAT, &bare);
    assert!(
        told["usage"]["prompt_tokens_details"]["cached_tokens"].is_u64()
            && told["usage"]["completion_tokens_details"]["reasoning_tokens"].is_u64(),
        "{told}"
    );
}

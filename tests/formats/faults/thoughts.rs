//! Signed thinking, and cache hints.

use llm_bridge::formats::{CHAT, MESSAGES, PROVIDER_FORMATS};
use serde_json::json;

use super::{asked, body};

#[test]
fn another_providers_proof_of_thought_is_never_sent() {
    let thought = json!({ "type": "thinking", "thinking": "hm", "signature": "llm-bridge:unsigned" });
    let document = json!({ "max_tokens": 9, "messages": [{ "role": "user", "content": "x" }, { "role": "assistant", "content": [thought, { "type": "text", "text": "y" }] }, { "role": "user", "content": "z" }] });
    for provider in PROVIDER_FORMATS {
        let (written, dropped) = asked(MESSAGES, provider.kind.name, "claude-haiku-4-5", &document);
        assert!(
            !written.contains("unsigned") && !written.contains("hm") && dropped.is_empty(),
            "{}: {written}",
            provider.kind.name
        );
    }
}

#[test]
fn hints_for_caches_stand_where_they_stood() {
    let hint = json!({ "type": "ephemeral", "ttl": "1h" });
    let text = |text: &str| json!({ "type": "text", "text": text, "cache_control": hint });
    let call = json!({ "id": "c", "type": "function", "function": { "name": "f", "arguments": "{}" } });
    let tool = json!({ "type": "function", "function": { "name": "f" }, "cache_control": hint });
    let document = json!({ "tools": [tool], "messages": [
        { "role": "system", "content": [{ "type": "text", "text": "a" }, text("b")] }, { "role": "user", "content": [text("c"), { "type": "text", "text": "d" }] },
        { "role": "assistant", "content": null, "tool_calls": [call] }, { "role": "tool", "tool_call_id": "c", "content": "e", "cache_control": hint }] });
    let told = body(CHAT, "anthropic", &document);
    let hinted = |at: &str| told.pointer(at).is_some_and(|block| block["cache_control"] == hint);
    assert!(
        hinted("/system/1") && hinted("/messages/0/content/0") && hinted("/messages/2/content/0") && hinted("/tools/0"),
        "{told:#}"
    );
    assert_eq!(told.to_string().matches("ephemeral").count(), 4);
}

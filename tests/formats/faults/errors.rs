//! Error responses, and incomplete ends.

use llm_bridge::formats::{CHAT, MESSAGES};
use serde_json::{Value, json};

use super::{CLIENTS, block, chunk, ended, gemini, sse, streamed, streams, upstream};

#[test]
fn a_refusal_is_written_in_the_clients_format_for_errors() {
    let bodies = [
        ("openai", json!({ "error": { "message": "No.", "type": "invalid_request_error", "code": "x" } })),
        ("anthropic", json!({ "type": "error", "error": { "type": "invalid_request_error", "message": "No." } })),
        ("gemini", json!({ "error": { "code": 400, "message": "No.", "status": "INVALID_ARGUMENT" } })),
    ];
    for (provider, body) in bodies {
        let error = (upstream(provider).refusal)(400, body.to_string().as_bytes());
        let chat: Value = serde_json::from_slice(&(CHAT.error)(&error, "req_1")).unwrap();
        assert_eq!(
            (error.status(), &chat["error"]["message"], chat.get("type")),
            (400, &json!("No."), None),
            "{provider}"
        );
        let told: Value = serde_json::from_slice(&(MESSAGES.error)(&error, "req_1")).unwrap();
        assert_eq!(
            (&told["type"], &told["error"]["type"], &told["error"]["message"]),
            (&json!("error"), &json!("invalid_request_error"), &json!("No.")),
            "{provider}"
        );
    }
}

/// For each provider, a stream with an error after its first content.
fn failed_streams() -> [(&'static str, String); 3] {
    [
        (
            "openai",
            sse(&[
                chunk(&json!({ "content": "x" })),
                json!({ "error": { "message": "busy" } }),
                chunk(&json!({ "content": "y" })),
                ended("stop"),
            ]) + "data: [DONE]\n\n",
        ),
        (
            "anthropic",
            sse(&[
                block(0, &json!({ "type": "text", "text": "x" }), &[]),
                vec![
                    json!({ "type": "error", "error": { "type": "overloaded_error", "message": "busy" } }),
                    json!({ "type": "message_stop" }),
                ],
            ]
            .concat()),
        ),
        (
            "gemini",
            sse(&[
                json!({ "candidates": [{ "content": { "parts": [{ "text": "x" }] } }] }),
                json!({ "error": { "code": 503, "message": "busy" } }),
                gemini(&json!([{ "text": "y" }]), &json!({})),
            ]),
        ),
    ]
}

#[test]
fn after_an_error_in_the_midst_a_chat_has_one_done_and_a_message_no_end() {
    for (provider, stream) in failed_streams() {
        let told = streamed(provider, CHAT, &stream);
        let at = told.iter().position(|event| event.get("error").is_some()).unwrap();
        assert_eq!(
            (&told[at]["error"]["message"], &told[at + 1..]),
            (&json!("busy"), [json!("[DONE]")].as_slice()),
            "{provider}"
        );
        assert!(told.iter().all(|event| event["choices"][0]["finish_reason"].is_null()), "{provider}: {told:?}");
        let told = streamed(provider, MESSAGES, &stream);
        assert_eq!(told.last().unwrap()["error"]["message"], "busy", "{provider}");
        assert!(
            told.iter().all(|event| event["type"] != "message_stop" && event["type"] != "message_delta"),
            "{provider}: {told:?}"
        );
    }
}

#[test]
fn a_stream_that_breaks_off_is_never_an_end() {
    for (provider, stream) in streams() {
        let first = stream.find("one ").unwrap() + stream[stream.find("one ").unwrap()..].find("\n\n").unwrap() + 2;
        for client in CLIENTS {
            let told = streamed(provider, client, &stream[..first]);
            assert!(told.iter().any(|event| event.get("error").is_some()), "{provider} to {}: {told:?}", client.name);
            let ends = |event: &Value| {
                event["choices"][0]["finish_reason"].is_string() || event["delta"]["stop_reason"].is_string()
            };
            assert!(!told.iter().any(ends), "{provider} to {}: {told:?}", client.name);
        }
    }
}

//! Requests for whole responses that are sent as requests for streams.

use llm_bridge::config::Config;
use llm_bridge::formats::bounds::{Edit, LimitNames};
use llm_bridge::formats::operation::ModelPlace;
use llm_bridge::formats::{CLIENT_FORMATS, KINDS};
use llm_bridge::wire::json::Document;
use serde_json::{Value, json};

/// A client's request as it is sent to a provider of the same format.
fn edited(format: &str, body: &Value, asks_for_usage: bool) -> Value {
    let body = body.to_string();
    let config = "providers: { p: { base_url: https://p.example, models: { m: { max_tokens: 9 } } } }";
    let config = Config::read(config, KINDS).unwrap();
    let mut document = Document::read(body.as_bytes()).unwrap();
    let rules = &CLIENT_FORMATS.iter().find(|client| client.name == format).unwrap().rules;
    assert!((rules.may_stream)(&document));
    let edit = Edit {
        row: &config.providers[0].models[0],
        model: "m",
        model_place: if format == "toy" { ModelPlace::Path } else { ModelPlace::Body("model") },
        limit_names: LimitNames::Unknown,
        allows_zero_limit: false,
        streams: true,
        seals_reasoning: false,
        prompt_only: false,
        developer_role: None,
        asks_for_usage,
        asks_for_stream: true,
    };
    (rules.edit)(&mut document, &edit);
    serde_json::from_slice(&document.render()).unwrap()
}

#[test]
fn a_request_for_a_whole_response_becomes_one_for_a_stream() {
    let usage = json!({ "include_usage": true });
    let chat = json!({ "model": "x", "messages": [] });
    assert_eq!(
        edited("openai", &chat, true),
        json!({ "model": "m", "messages": [], "stream": true, "stream_options": usage })
    );
    // Some hosts refuse the options.
    assert_eq!(edited("openai", &chat, false), json!({ "model": "m", "messages": [], "stream": true }));
    let said = json!({ "model": "x", "messages": [], "stream": false, "max_tokens": 5 });
    assert_eq!(
        edited("anthropic", &said, false),
        json!({ "model": "m", "messages": [], "stream": true, "max_tokens": 5 })
    );
    assert_eq!(edited("toy", &json!({ "dialogue": [] }), false), json!({ "dialogue": [], "live": true }));
}

//! A provider that refuses a field which the gateway wrote is asked once more, as its refusal demands.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may insist")]

mod support;

use llm_bridge::gateway::Opened;
use serde_json::{Value, json};
use support::{Got, Script, World, ask, bridge};

const CONFIG: &str = "
default_provider: up
providers:
  up: { base_url: https://up.example, models: '*' }
  never: { base_url: https://up.example, fit: never, models: '*' }
  always: { base_url: https://up.example, fit: always, models: { 'gpt-4o': {} } }
  stated: { base_url: https://up.example, models: { told: { reasoning_effort: keep, limit_fields: [max_tokens] } } }
  gem: { adapter: gemini, base_url: https://gem.example, models: '*' }
  leaves: { base_url: https://up.example, stream_usage: leave, models: '*' }
";
const KEY: &[(&str, &str)] = &[("authorization", "Bearer k")];
const SECRETS: &[(&str, &str)] = &[
    ("ACCESS_API_KEYS", "k"),
    ("UP_API_KEY", "sk-upstream"),
    ("NEVER_API_KEY", "sk-upstream"),
    ("ALWAYS_API_KEY", "sk-upstream"),
    ("STATED_API_KEY", "sk-upstream"),
    ("LEAVES_API_KEY", "sk-upstream"),
    ("GEM_API_KEY", "sk-upstream"),
];

const CHAT: &str = "POST /v1/chat/completions";
const MESSAGES: &str = "POST /v1/messages";
const WHOLE: &str = r#"{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2}}"#;
const STREAM: &str =
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
const NO_MAX_TOKENS: &str =
    "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.";
const NO_STREAM_OPTIONS: &str = "Unknown parameter: 'stream_options'.";
const NO_EFFORT: &str = "Unsupported parameter: 'reasoning_effort' is not supported with this model.";

/// A gateway whose provider answers with these refusals and then as given.
struct Stage {
    bridge: Opened,
    world: World,
}

impl Stage {
    fn new() -> Self {
        Self { bridge: bridge(CONFIG, SECRETS), world: World::default() }
    }

    fn refuses(&self, message: &str) -> &Self {
        let error =
            json!({"error": {"message": message, "type": "invalid_request_error", "param": null, "code": null}});
        self.will(Script::json(400, error.to_string().leak()))
    }

    fn answers(&self) -> &Self {
        self.will(Script::json(200, WHOLE))
    }

    fn will(&self, script: Script) -> &Self {
        self.world.scripts.borrow_mut().push_back(script);
        self
    }

    fn post(&self, path: &str, body: &Value) -> Got {
        ask(&self.bridge, &self.world, path, KEY, &body.to_string())
    }

    /// A request with a limit and an effort, which is translated.
    fn message(&self, model: &str) -> Got {
        self.post(MESSAGES, &message(model))
    }

    /// The bodies that the provider got.
    fn sent(&self) -> Vec<Value> {
        self.world.calls.borrow().iter().map(|call| serde_json::from_slice(&call.body).unwrap()).collect()
    }
}

fn message(model: &str) -> Value {
    json!({
        "model": model,
        "max_tokens": 9000,
        "messages": [{"role": "user", "content": "Hi"}],
        "thinking": {"type": "enabled", "budget_tokens": 5000},
    })
}

#[test]
fn a_refused_field_is_written_as_the_provider_demands_and_remembered() {
    let stage = Stage::new();
    stage.refuses(NO_MAX_TOKENS).answers().answers();
    assert_eq!(stage.message("m").status, 200);
    assert_eq!(stage.message("m").status, 200);
    let sent = stage.sent();
    assert_eq!(sent.len(), 3, "the second request is right at once");
    assert_eq!(sent[0]["max_tokens"], 9000);
    for body in &sent[1..] {
        assert_eq!((&body["max_completion_tokens"], &body["max_tokens"]), (&json!(9000), &Value::Null));
        assert_eq!(body["reasoning_effort"], "medium", "nothing else has changed");
    }
    let stale = stage.world.logged("catalogue_stale").unwrap();
    assert_eq!((&stale["field"], &stale["stale_so_far"]), (&json!("max_tokens"), &json!(1)));
    let logs = stage.world.logs.borrow();
    let count = |event: &str| logs.iter().filter(|line| line.contains(event)).count();
    assert_eq!((count("request_complete"), count("request_error")), (2, 0), "the refused call is no request");
}

#[test]
fn a_fact_is_forgotten_after_an_hour_and_holds_for_its_model_alone() {
    let stage = Stage::new();
    stage.refuses(NO_MAX_TOKENS).answers().answers().answers();
    stage.message("m");
    stage.message("another");
    stage.world.clock.set(stage.world.clock.get() + 3_600_001);
    stage.message("m");
    let limits: Vec<bool> = stage.sent().iter().map(|body| body.get("max_tokens").is_some()).collect();
    assert_eq!(limits, [true, false, true, true]);
}

#[test]
fn a_loss_is_named() {
    let stage = Stage::new();
    stage.refuses(NO_EFFORT).answers();
    let got = stage.message("m");
    assert_eq!(got.status, 200);
    assert_eq!(got.header("x-llm-bridge-dropped").unwrap(), "reasoning_effort");
    assert_eq!(stage.sent()[1].get("reasoning_effort"), None);
}

#[test]
fn a_request_is_sent_twice_at_most_and_what_did_not_help_is_not_kept() {
    let stage = Stage::new();
    stage.refuses(NO_EFFORT).refuses(NO_EFFORT).answers();
    let got = stage.message("m");
    assert_eq!(got.status, 400);
    assert!(got.body.contains("reasoning_effort"), "{}", got.body);
    assert_eq!(stage.sent().len(), 2);
    assert!(stage.world.logged("catalogue_stale").is_none());
    stage.message("m");
    assert_eq!(stage.sent()[2]["reasoning_effort"], "medium");
}

#[test]
fn two_fields_are_learned_by_two_requests() {
    let stage = Stage::new();
    stage.refuses(NO_MAX_TOKENS).refuses(NO_EFFORT).refuses(NO_EFFORT).answers();
    assert_eq!(stage.message("m").status, 400);
    assert_eq!(stage.message("m").status, 200);
    let last = stage.sent().pop().unwrap();
    assert_eq!((last.get("max_tokens"), last.get("reasoning_effort")), (None, None));
}

#[test]
fn other_errors_are_the_clients() {
    for (status, message) in [(400, "messages: too many"), (401, NO_EFFORT), (429, NO_EFFORT), (500, NO_EFFORT)] {
        let stage = Stage::new();
        let error = json!({"error": {"message": message, "type": "invalid_request_error"}});
        stage.will(Script::json(status, error.to_string().leak())).answers();
        assert_ne!(stage.message("m").status, 200, "{status}");
        assert_eq!(stage.sent().len(), 1, "{status}");
    }
}

#[test]
fn what_the_operator_or_the_caller_insists_on_is_not_changed() {
    for (model, refusal) in [("never/m", NO_MAX_TOKENS), ("stated/told", NO_EFFORT), ("stated/told", NO_MAX_TOKENS)] {
        let stage = Stage::new();
        stage.refuses(refusal).answers();
        assert_eq!(stage.message(model).status, 400, "{model}");
        assert_eq!(stage.sent().len(), 1, "{model}");
    }
    let stage = Stage::new();
    stage.refuses(NO_EFFORT).answers();
    let strict = [KEY, &[("x-llm-bridge-strict", "true")]].concat();
    let got = ask(&stage.bridge, &stage.world, MESSAGES, &strict, &message("m").to_string());
    assert_eq!((got.status, stage.sent().len()), (400, 1));
}

#[test]
fn a_long_body_is_not_kept() {
    let stage = Stage::new();
    stage.refuses(NO_EFFORT).answers();
    let mut body = message("m");
    body["system"] = json!("x".repeat(1 << 20));
    assert_eq!((stage.post(MESSAGES, &body).status, stage.sent().len()), (400, 1));
}

#[test]
fn between_equal_formats_only_what_the_gateway_added_is_taken_back() {
    let stage = Stage::new();
    stage.refuses(NO_STREAM_OPTIONS).will(Script::stream(vec![Ok(STREAM)])).will(Script::stream(vec![Ok(STREAM)]));
    let chat = json!({"model": "m", "stream": true, "messages": []});
    assert_eq!(stage.post(CHAT, &chat).status, 200);
    assert_eq!(stage.post(CHAT, &chat).status, 200);
    let has_options = |body: &Value| body.get("stream_options").is_some();
    assert_eq!(stage.sent().iter().map(has_options).collect::<Vec<_>>(), [true, false, false]);

    let stage = Stage::new();
    stage.refuses(NO_STREAM_OPTIONS).answers();
    let asks = json!({"model": "m", "stream": true, "messages": [], "stream_options": {"include_usage": true}});
    assert_eq!((stage.post(CHAT, &asks).status, stage.sent().len()), (400, 1), "the client asked");
    let stage = Stage::new();
    stage.refuses(NO_EFFORT).answers();
    let effort = json!({"model": "m", "stream": true, "messages": [], "reasoning_effort": "low"});
    assert_eq!((stage.post(CHAT, &effort).status, stage.sent().len()), (400, 1), "the client sent it");
}

#[test]
fn usage_is_not_requested_where_the_operator_says_leave() {
    let stage = Stage::new();
    stage.will(Script::stream(vec![Ok(STREAM)]));
    let mut body = message("leaves/m");
    body["stream"] = json!(true);
    assert_eq!(stage.post(MESSAGES, &body).status, 200);
    assert_eq!(stage.sent()[0].get("stream_options"), None);
}

#[test]
fn fit_says_which_requests_are_fitted() {
    let stage = Stage::new();
    stage.answers().answers().answers();
    let chat = |model: &str| json!({"model": model, "reasoning_effort": "high", "messages": [{"role": "user", "content": "Hi"}]});
    let got = stage.post(CHAT, &chat("always/gpt-4o"));
    assert_eq!(got.header("x-llm-bridge-dropped").unwrap(), "reasoning_effort");
    assert_eq!(stage.post(CHAT, &chat("up/gpt-4o")).header("x-llm-bridge-dropped"), None);
    stage.message("never/gpt-4o");
    let efforts: Vec<Value> = stage.sent().iter().map(|body| body["reasoning_effort"].clone()).collect();
    assert_eq!(efforts, [Value::Null, json!("high"), json!("medium")]);
}

/// What the provider was sent after this refusal of a request with one more field.
fn after_refusal(refusal: &str, field: &str, value: Value) -> (u16, Vec<Value>) {
    let stage = Stage::new();
    stage.refuses(refusal).answers().answers();
    let mut body = message("m");
    body[field] = value;
    let status = stage.post(MESSAGES, &body).status;
    stage.message("m");
    (status, stage.sent())
}

#[test]
fn a_refused_value_teaches_nothing_of_its_field() {
    for (refusal, field, value) in [
        ("'temperature' 1.7 is not supported: at the least 0.", "temperature", json!(1.7)),
        ("'max_tokens' 9000000 is not supported.", "max_tokens", json!(9_000_000)),
        ("Invalid 'stop': '\n' is not supported.", "stop_sequences", json!(["\n"])),
        // A host that repeats the caller's text.
        ("Invalid 'stop': 'x is not supported y'.", "stop_sequences", json!(["x is not supported y"])),
        ("Invalid 'user': 'user' is not supported.", "metadata", json!({"user_id": "'user' is not supported"})),
    ] {
        let (status, sent) = after_refusal(refusal, field, value);
        assert_eq!((status, sent.len()), (400, 2), "{refusal}");
        assert_eq!(sent[1]["max_tokens"], 9000, "{refusal}");
    }
}

#[test]
fn text_that_a_provider_repeats_from_elsewhere_teaches_nothing() {
    let stage = Stage::new();
    let refusal = "Invalid schema for function 'f': 'Unsupported parameter: 'reasoning_effort'' is no type.";
    stage.refuses(refusal).refuses(refusal).answers();
    assert_eq!(stage.message("m").status, 400);
    assert!(stage.world.logged("catalogue_stale").is_none());
    stage.message("m");
    assert_eq!(stage.sent()[2]["reasoning_effort"], "medium");
}

#[test]
fn a_count_is_written_as_the_provider_demands_and_uses_what_was_learned() {
    const COUNT: &str = "POST /v1/messages/count_tokens";
    let stage = Stage::new();
    let refusal = r#"{"error":{"code":400,"message":"Thinking level is not supported for this model.","status":"INVALID_ARGUMENT"}}"#;
    stage.will(Script::json(400, refusal));
    for _ in 0..2 {
        stage.will(Script::json(200, r#"{"totalTokens":7}"#));
    }
    for _ in 0..2 {
        let mut body = message("gem/gemini-9-x");
        (body["thinking"], body["output_config"]) = (json!({"type": "adaptive"}), json!({"effort": "low"}));
        let got = stage.post(COUNT, &body);
        assert_eq!((got.status, &got.json()["input_tokens"]), (200, &json!(7)), "{}", got.body);
    }
    let config = |body: &Value| body["generateContentRequest"]["generationConfig"]["thinkingConfig"].clone();
    let has_level: Vec<bool> = stage.sent().iter().map(|body| config(body).get("thinkingLevel").is_some()).collect();
    assert_eq!(has_level, [true, false, false], "{:?}", stage.sent());
}

#[test]
fn an_embedding_is_not_asked_for_again() {
    let stage = Stage::new();
    stage.will(Script::json(
        400,
        r#"{"error":{"code":400,"message":"Unknown name \"user\"","status":"INVALID_ARGUMENT"}}"#,
    ));
    let body = json!({"model": "gem/e", "input": "a", "user": "u"});
    assert_eq!((stage.post("POST /v1/embeddings", &body).status, stage.sent().len()), (400, 1));
    assert_eq!(stage.sent()[0]["requests"][0].get("user"), None, "only what the client sent, and the model");
}

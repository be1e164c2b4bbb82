//! Requests through the gateway on a scripted platform: what the provider and the client get, and what is
//! recorded.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may insist")]

mod support;

use llm_bridge::gateway::Outcome;
use llm_bridge::gateway::platform::CallError;
use support::{Fate, Got, Script, World, ask, bridge};

const CONFIG: &str = "
default_provider: up
providers:
  up:
    base_url: https://up.example/v1
    headers: { X-Team: blue }
    keep_alive: 0
    models:
      m: { max_tokens: 100 }
      m<deep>: { param_config: { add_params: { effort: high } } }
  quick: { base_url: https://quick.example, clocks: { connect: 3, first_token: 20, idle: 5 }, models: { m: {} } }
  shows: { base_url: https://shows.example, stream_usage: show, models: { m: {} } }
  leaves: { base_url: https://leaves.example, stream_usage: leave, models: { m: {} } }
  strict: { base_url: https://strict.example, relay: checked, models: { m: {} } }
  unset: { base_url: https://unset.example, models: { m: {} } }
  demo: { adapter: echo, models: { echo: {} } }
limits: { max_body_bytes: 1000 }
logging: { fields: { response: true } }
";
const KEY: &[(&str, &str)] = &[("authorization", "Bearer k")];
const SECRETS: &[(&str, &str)] = &[
    ("ACCESS_API_KEYS", "k"),
    ("UP_API_KEY", "sk-upstream"),
    ("QUICK_API_KEY", "q"),
    ("SHOWS_API_KEY", "s"),
    ("LEAVES_API_KEY", "l"),
    ("STRICT_API_KEY", "t"),
];
const CHAT: &str = "POST /v1/chat/completions";

fn post(world: &World, body: &str) -> Got {
    ask(&bridge(CONFIG, SECRETS), world, CHAT, KEY, body)
}

const WHOLE: &str = r#"{ "id":"c", "choices":[{"message":{"content":"hi"}}], "usage":{"prompt_tokens":5,"completion_tokens":2}, "new_field": 1.0 }"#;
const TEXT: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]}\n\n";
const ROLE: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n";
const STOP: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const DONE: &str = "data: [DONE]\n\n";

#[test]
fn only_the_model_of_a_request_is_changed() {
    let world = World::saying(Script::json(200, WHOLE));
    let got = post(&world, "{ \"messages\":[ 1.0, \"\\u00e9\" ], \"model\" : \"up/m\", \"new\":1e2 }");
    assert_eq!(got.status, 200);
    assert_eq!(got.body, WHOLE);
    let call = world.call();
    assert_eq!(call.url, "https://up.example/v1/chat/completions");
    assert_eq!(
        String::from_utf8(call.body.to_vec()).unwrap(),
        "{ \"messages\":[ 1.0, \"\\u00e9\" ], \"model\" : \"m\", \"new\":1e2 }"
    );
    let headers =
        [("x-team".to_owned(), "blue".to_owned()), ("authorization".to_owned(), "Bearer sk-upstream".to_owned())];
    assert_eq!(call.headers, headers);
}

#[test]
fn a_model_name_that_needs_no_change_leaves_every_byte() {
    let world = World::saying(Script::json(200, WHOLE));
    let body = "{\"model\":\"m\" ,\"messages\":[]}\n";
    post(&world, body);
    assert_eq!(world.call().body.as_slice(), body.as_bytes());
}

#[test]
fn a_variant_adds_its_parameters_and_is_removed_from_the_name() {
    let world = World::saying(Script::json(200, WHOLE));
    post(&world, r#"{"model":"up/m<deep>","messages":[]}"#);
    assert_eq!(
        String::from_utf8(world.call().body.to_vec()).unwrap(),
        r#"{"model":"m","messages":[],"effort":"high"}"#
    );
}

#[test]
fn an_invalid_key_calls_no_provider() {
    let world = World::saying(Script::json(200, ""));
    for headers in [&[][..], &[("authorization", "Bearer other")]] {
        let got = ask(&bridge(CONFIG, SECRETS), &world, CHAT, headers, "not even JSON");
        assert_eq!(got.status, 401);
        assert_eq!(got.code(), "invalid_api_key");
        assert!(got.header("www-authenticate").is_some());
    }
    assert!(world.calls.borrow().is_empty());
}

#[test]
fn a_complete_response_is_logged_once_with_its_tokens() {
    let world = World::saying(Script::json(200, WHOLE));
    post(&world, r#"{"model":"m","messages":[]}"#);
    let record = world.logged("request_complete").unwrap();
    assert_eq!(record["input_tokens"], 5);
    assert_eq!(record["output_tokens"], 2);
    assert_eq!(record["provider"], "up");
    assert_eq!(record["model"], "m");
    assert_eq!(record["status"], 200);
    assert_eq!(record["response"], WHOLE);
    assert_eq!(world.logs.borrow().len(), 2);
    assert!(!world.logs.borrow().concat().contains("sk-upstream"));
}

#[test]
fn a_providers_error_keeps_its_text_without_secrets() {
    let body =
        r#"{"error":{"message":"slow down sk-upstream at https://up.example/v1","type":"rate","code":"rate_limit"}}"#;
    let mut script = Script::json(429, body);
    script.headers.push(("retry-after", "7"));
    let got = post(&World::saying(script), r#"{"model":"m","messages":[]}"#);
    assert_eq!(got.status, 429);
    assert_eq!(got.code(), "rate_limit");
    assert_eq!(got.header("retry-after"), Some("7"));
    assert_eq!(got.json()["error"]["message"], "slow down *** at up/v1");
}

#[test]
fn a_provider_without_its_key_is_not_called() {
    let world = World::saying(Script::json(200, ""));
    let got = post(&world, r#"{"model":"unset/m","messages":[]}"#);
    assert_eq!(got.status, 503);
    assert_eq!(got.code(), "provider_key_missing");
    assert!(got.body.contains("UNSET_API_KEY"));
    assert!(world.calls.borrow().is_empty());
}

#[test]
fn unreachable_and_slow_providers_are_different_errors() {
    assert_eq!(post(&World::default(), r#"{"model":"m","messages":[]}"#).status, 502);
    let late = Script { status: 200, headers: Vec::new(), pieces: vec![Err(CallError::TimedOut)] };
    assert_eq!(post(&World::saying(late), r#"{"model":"m","messages":[]}"#).status, 504);
}

const STREAM: &str = r#"{"model":"m","messages":[],"stream":true}"#;

#[test]
fn a_stream_passes_unchanged() {
    let world = World::saying(Script::stream(vec![Ok(": ping\n\n"), Ok(ROLE), Ok(TEXT), Ok(STOP), Ok(DONE)]));
    let got = post(&world, STREAM);
    assert_eq!(got.status, 200);
    assert_eq!(got.body, [": ping\n\n", ROLE, TEXT, STOP, DONE].concat());
    assert_eq!(world.logged("request_complete").unwrap()["response"], "a");
}

#[test]
fn a_failure_before_the_first_content_is_a_plain_error() {
    let error = "data: {\"error\":{\"message\":\"overloaded\",\"code\":\"overloaded\"}}\n\n";
    for (pieces, status, code) in [
        (vec![Ok(": ping\n\n"), Ok(error)], 502, "overloaded"),
        (vec![Ok(ROLE)], 502, "stream_truncated"),
        (vec![], 502, "stream_truncated"),
        (vec![Ok(ROLE), Err(CallError::Broken)], 502, "upstream_unreachable"),
        (vec![Ok(ROLE), Err(CallError::TimedOut)], 504, "upstream_timeout"),
        (vec![Ok(ROLE), Err(CallError::TooLarge)], 502, "answer_too_large"),
    ] {
        let got = post(&World::saying(Script::stream(pieces)), STREAM);
        assert_eq!(got.status, status);
        assert_eq!(got.code(), code);
    }
}

#[test]
fn a_failure_after_the_first_content_is_an_error_event() {
    for (last, outcome, code) in [
        (None, "truncated", "stream_truncated"),
        (Some(Err(CallError::Broken)), "truncated", "stream_truncated"),
        (Some(Err(CallError::TooLarge)), "truncated", "answer_too_large"),
        (Some(Err(CallError::TimedOut)), "timed_out", "upstream_timeout"),
    ] {
        let pieces = [Ok(ROLE), Ok(TEXT)].into_iter().chain(last).collect();
        let world = World::saying(Script::stream(pieces));
        let got = post(&world, STREAM);
        assert_eq!(got.status, 200);
        let tail = got.body.strip_prefix(&[ROLE, TEXT].concat()).unwrap();
        assert!(tail.starts_with("data: {\"error\":") && tail.contains(code) && tail.ends_with(DONE), "{tail}");
        assert_eq!(tail.matches("data: ").count(), 2);
        assert_eq!(world.logged("request_error").unwrap()["outcome"], outcome);
        assert!(world.logged("request_complete").is_none());
    }
}

#[test]
fn a_finished_stream_without_an_end_marker_gets_one() {
    let got = post(&World::saying(Script::stream(vec![Ok(TEXT), Ok(STOP)])), STREAM);
    assert_eq!(got.body, [TEXT, STOP, DONE].concat());
}

#[test]
fn the_demonstration_answers_without_a_call() {
    let world = World::saying(Script::json(200, ""));
    let body = r#"{"model":"demo/echo","messages":[{"role":"user","content":"hi"}],"stream":true,"stream_options":{"include_usage":true}}"#;
    let got = post(&world, body);
    assert!(
        got.body.ends_with(DONE) && got.body.contains("\"choices\":[],\"usage\":{\"prompt_tokens\":1,"),
        "{}",
        got.body
    );
    assert!(world.calls.borrow().is_empty());
    assert_eq!(world.logged("request_complete").unwrap()["input_tokens"], 1);
}

#[test]
fn a_body_beyond_the_limit_is_refused() {
    let long = format!(r#"{{"model":"m","messages":["{}"]}}"#, "x".repeat(1000));
    assert_eq!(post(&World::default(), &long).status, 413);
    let announced = [KEY, &[("content-length", "99999999999999")]].concat();
    assert_eq!(ask(&bridge(CONFIG, SECRETS), &World::default(), CHAT, &announced, "{}").status, 413);
}

#[test]
fn an_invalid_configuration_is_the_response_to_every_request() {
    let broken = bridge("providers: { p: { modles: 1 } }", SECRETS);
    for line in [CHAT, "GET /health", "GET /nowhere"] {
        let got = ask(&broken, &World::default(), line, &[], "{}");
        assert_eq!(got.status, 500);
        assert_eq!(got.code(), "invalid_configuration");
        assert!(got.body.contains("providers.p.modles") && got.header("x-request-id").is_some());
    }
}

#[test]
fn every_response_has_an_id() {
    let with = |id: &str| ask(&bridge(CONFIG, SECRETS), &World::default(), "GET /health", &[("x-request-id", id)], "");
    assert_eq!(with("my-id.1:2_3").header("x-request-id"), Some("my-id.1:2_3"));
    for insane in ["", "a b", "é", &"x".repeat(129)] {
        assert_eq!(with(insane).header("x-request-id"), Some("req_00000000000000000000000000000007"));
    }
}

const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2}}\n\n";

fn streamed(model: &str, more: &str, pieces: Vec<Result<&'static str, CallError>>) -> (World, Got) {
    let world = World::saying(Script::stream(pieces));
    let got = post(&world, &format!("{{\"model\":\"{model}\",\"messages\":[],\"stream\":true{more}}}"));
    (world, got)
}

#[test]
fn usage_is_requested_and_hidden_from_clients_that_did_not_ask() {
    let pieces = || vec![Ok(TEXT), Ok(STOP), Ok(USAGE), Ok(DONE)];
    let sent = |world: &World| String::from_utf8(world.call().body.to_vec()).unwrap();
    let asks = r#""stream_options":{"include_usage":true}"#;
    for (model, more, shown, asked) in [
        ("up/m", "", false, true),
        ("up/m", r#","stream_options":{"include_usage":false}"#, false, true),
        ("up/m", r#","stream_options":{"include_usage":true}"#, true, true),
        ("shows/m", "", true, true),
        ("shows/m", r#","stream_options":{"include_usage":false}"#, false, true),
        ("leaves/m", "", true, false),
    ] {
        let (world, got) = streamed(model, more, pieces());
        assert_eq!(got.body.contains("prompt_tokens"), shown, "{model} {more}");
        assert_eq!(sent(&world).contains(asks), asked, "{model} {more}");
        assert_eq!(got.body.matches(DONE).count(), 1);
        assert_eq!(world.receipts.borrow()[0].tokens.map(|tokens| tokens.uncached_input + tokens.cache_read), Some(5));
    }
    let (world, _) = streamed("up/m", r#","stream_options":{"other":1}"#, pieces());
    assert!(sent(&world).contains(r#""stream_options":{"other":1,"include_usage":true}"#));
}

#[test]
fn malformed_events_are_withheld_where_each_event_is_checked() {
    let more = r#","stream_options":{"include_usage":true}"#;
    let (world, got) = streamed(
        "strict/m",
        more,
        vec![Ok(TEXT), Ok("data: {oops\n\n"), Ok(STOP), Ok("data: {\"cho"), Err(CallError::Broken)],
    );
    assert_eq!(got.body, [TEXT, STOP, DONE].concat());
    assert_eq!(world.logged("request_complete").unwrap()["malformed_events"], 1);
}

#[test]
fn a_silent_provider_gets_time_and_its_client_keep_alives() {
    let (_, got) = streamed("quick/m", "", vec![Ok(": hi\n\n"), Err(CallError::TimedOut)]);
    assert_eq!(got.status, 504, "idle for 5 s");
    assert_eq!(got.code(), "upstream_timeout", "idle for 5 s");
    let (world, got) = streamed("leaves/m", "", vec![Ok(ROLE), Err(CallError::TimedOut), Ok(TEXT), Ok(STOP), Ok(DONE)]);
    assert_eq!(got.body, [ROLE, ": keep-alive\n\n", TEXT, STOP, DONE].concat());
    assert_eq!(world.clock.get(), 15_000);
}

#[test]
fn every_request_leaves_one_receipt() {
    for (pieces, outcome) in [
        (vec![Ok(TEXT), Ok(STOP), Ok(DONE)], Outcome::Complete),
        (vec![Ok(TEXT)], Outcome::Truncated),
        (vec![Ok(TEXT), Err(CallError::TimedOut)], Outcome::TimedOut),
        (vec![Ok(TEXT), Ok("data: {\"error\":{\"message\":\"x\"}}\n\n")], Outcome::UpstreamError),
        (vec![], Outcome::Refused),
    ] {
        let (world, _) = streamed("up/m", "", pieces);
        let receipts = world.receipts.borrow();
        assert_eq!(receipts.iter().map(|receipt| receipt.outcome.as_str()).collect::<Vec<_>>(), [outcome.name()]);
    }
}

#[test]
fn an_error_in_a_stream_is_logged_without_secrets() {
    let error = "data: {\"error\":{\"message\":\"bad key sk-upstream\",\"type\":\"sk-upstream\"}}\n\n";
    let (world, _) = streamed("up/m", "", vec![Ok(TEXT), Ok(error)]);
    assert!(!world.logs.borrow().concat().contains("sk-upstream"));
    assert_eq!(world.logged("request_error").unwrap()["error"], "bad key ***");
}

#[test]
fn a_complete_response_reports_its_timing() {
    let got = post(&World::saying(Script::json(200, WHOLE)), r#"{"model":"m","messages":[]}"#);
    assert_eq!(got.header("server-timing"), Some("gateway;dur=0, upstream;dur=0, ttft;dur=0"));
}

#[test]
fn a_complete_response_becomes_a_stream_for_a_client_that_asked_for_one() {
    let got = post(&World::saying(Script::json(200, WHOLE)), STREAM);
    assert_eq!(got.status, 200);
    assert_eq!(got.header("content-type"), Some("text/event-stream; charset=utf-8"));
    assert!(got.body.contains(r#""delta":{"content":"hi"}"#) && got.body.ends_with(DONE), "{}", got.body);
}

#[test]
fn an_upgrade_request_is_passed_to_its_session() {
    let world = World::saying(Script::json(200, ""));
    let bridge = bridge(CONFIG, SECRETS);
    let upgrade = |line: &str, headers: &[(&str, &str)]| ask(&bridge, &world, line, headers, "");
    let socket = ("upgrade", "WebSocket");
    assert_eq!(upgrade("GET /v1/ws", &[socket]).status, 101);
    let got = upgrade("GET /v1/ws", &[("upgrade", "h2c")]);
    assert_eq!(got.status, 426);
    assert_eq!(got.code(), "upgrade_required");
    assert_eq!(got.header("upgrade"), Some("websocket"));
    let got = upgrade("GET /v1/ws?session=x", &[socket]);
    assert_eq!(got.status, 400);
    assert_eq!(got.code(), "invalid_query");
    assert_eq!(upgrade("POST /v1/ws", &[socket]).status, 405);
}

const CLAUDE: &str = "
providers:
  claude: { adapter: anthropic, base_url: https://claude.example/v1, models: { m: {} } }
  open: { adapter: anthropic, base_url: https://open.example/v1, api_key_env: none, models: { m: {} } }
";
const THOUGHTFUL: &str = r#"{"id":"a","type":"message","role":"assistant","model":"m","stop_reason":"tool_use","usage":{"input_tokens":1,"output_tokens":1},
    "content":[{"type":"thinking","thinking":"hm","signature":"sig"},{"type":"tool_use","id":"t1","name":"f","input":{}}]}"#;

/// The request that the provider gets after it made a call, when the conversation continues.
fn second_turn(world: &World, model: &str) -> (Got, serde_json::Value) {
    let bridge = bridge(CLAUDE, &[("ACCESS_API_KEYS", "k"), ("CLAUDE_API_KEY", "c")]);
    let call = r#"{"role":"assistant","tool_calls":[{"id":"t1","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"t1","content":"1"}"#;
    let body = |more: &str| {
        let user = r#"{"role":"user","content":"?"}"#;
        format!(r#"{{"model":"{model}","reasoning_effort":"low","messages":[{user}{more}]}}"#)
    };
    let first = ask(&bridge, world, CHAT, KEY, &body(""));
    assert_eq!(first.status, 200, "{}", first.body);
    world.scripts.borrow_mut().push_back(Script::json(200, THOUGHTFUL));
    let got = ask(&bridge, world, CHAT, KEY, &body(&format!(",{call}")));
    let sent: serde_json::Value = serde_json::from_slice(&world.call().body).unwrap();
    (got, sent["messages"][1]["content"].clone())
}

#[test]
fn reasoning_state_is_sent_back_with_its_call() {
    let (got, content) = second_turn(&World::saying(Script::json(200, THOUGHTFUL)), "claude/m");
    let thought = serde_json::json!({ "type": "thinking", "thinking": "hm", "signature": "sig" });
    assert_eq!(content[0], thought);
    assert_eq!(content[1]["type"], "tool_use");
    assert_eq!(got.header("x-llm-bridge-dropped"), None);
}

#[test]
fn without_the_reasoning_store_requests_work_and_report_the_loss() {
    for (fates, model) in [
        (vec![Fate::Lost], "claude/m"),
        (vec![Fate::Fine, Fate::Lost], "claude/m"),
        // Without a key of the provider there is nothing to seal with.
        (Vec::new(), "open/m"),
    ] {
        let world = World::saying(Script::json(200, THOUGHTFUL));
        world.fates.borrow_mut().extend(fates);
        let (got, content) = second_turn(&world, model);
        assert_eq!(got.status, 200);
        assert_eq!(got.header("x-llm-bridge-dropped"), Some("reasoning_effort"));
        assert_eq!(content.as_array().unwrap().len(), 1);
        assert_eq!(content[0]["type"], "tool_use");
    }
}

//! Whole requests through the gateway with a scripted world: what the provider gets, what the client gets, what is recorded.
#![allow(clippy::unwrap_used, reason = "a test may insist")]

mod support;

use llm_bridge::gateway::host::Lost;
use support::{Got, Script, World, ask, bridge};

const CONFIG: &str = "
default_provider: up
providers:
  up:
    base_url: https://up.example/v1
    headers: { X-Team: blue }
    models:
      m: { max_tokens: 100 }
      m<deep>: { param_config: { add_params: { effort: high } } }
  unset: { base_url: https://unset.example, models: { m: {} } }
  demo: { adapter: echo, models: { echo: {} } }
limits: { max_body_bytes: 1000 }
logging: { fields: { response: true } }
";
const KEY: &[(&str, &str)] = &[("authorization", "Bearer k")];
const SECRETS: &[(&str, &str)] = &[("ACCESS_API_KEYS", "k"), ("UP_API_KEY", "sk-upstream")];
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
fn a_request_reaches_its_provider_with_nothing_but_the_model_changed() {
    let world = World::saying(Script::json(200, WHOLE));
    let got = post(&world, "{ \"messages\":[ 1.0, \"\\u00e9\" ], \"model\" : \"up/m\", \"new\":1e2 }");
    assert_eq!((got.status, got.body.as_str()), (200, WHOLE));
    let call = world.call();
    assert_eq!(call.url, "https://up.example/v1/chat/completions");
    assert_eq!(
        String::from_utf8(call.body).unwrap(),
        "{ \"messages\":[ 1.0, \"\\u00e9\" ], \"model\" : \"m\", \"new\":1e2 }"
    );
    let headers =
        [("x-team".to_owned(), "blue".to_owned()), ("authorization".to_owned(), "Bearer sk-upstream".to_owned())];
    assert_eq!(call.headers, headers);
}

#[test]
fn a_name_that_needs_no_change_changes_no_byte() {
    let world = World::saying(Script::json(200, WHOLE));
    let body = "{\"model\":\"m\" ,\"messages\":[]}\n";
    post(&world, body);
    assert_eq!(world.call().body, body.as_bytes());
}

#[test]
fn a_variant_brings_its_parameters_and_leaves_its_hint() {
    let world = World::saying(Script::json(200, WHOLE));
    post(&world, r#"{"model":"up/m<deep>","messages":[]}"#);
    assert_eq!(String::from_utf8(world.call().body).unwrap(), r#"{"model":"m","messages":[],"effort":"high"}"#);
}

#[test]
fn a_revoked_key_costs_the_provider_nothing() {
    let world = World::default();
    for headers in [&[][..], &[("authorization", "Bearer other")]] {
        let got = ask(&bridge(CONFIG, SECRETS), &world, CHAT, headers, "not even JSON");
        assert_eq!((got.status, got.code().as_str()), (401, "invalid_api_key"));
        assert!(got.header("www-authenticate").is_some());
    }
    assert!(world.calls.borrow().is_empty());
}

#[test]
fn a_whole_answer_leaves_one_record_with_its_tokens() {
    let world = World::saying(Script::json(200, WHOLE));
    post(&world, r#"{"model":"m","messages":[]}"#);
    let record = world.logged("request_complete").unwrap();
    assert_eq!((&record["input_tokens"], &record["output_tokens"]), (&5.into(), &2.into()));
    assert_eq!((&record["provider"], &record["model"], &record["status"]), (&"up".into(), &"m".into(), &200.into()));
    assert_eq!(record["response"], WHOLE);
    assert_eq!(world.logs.borrow().len(), 2);
    assert!(!world.logs.borrow().concat().contains("sk-upstream"));
}

#[test]
fn a_refusal_keeps_its_words_but_tells_no_secret() {
    let body =
        r#"{"error":{"message":"slow down sk-upstream at https://up.example/v1","type":"rate","code":"rate_limit"}}"#;
    let mut script = Script::json(429, body);
    script.headers.push(("retry-after", "7"));
    let got = post(&World::saying(script), r#"{"model":"m","messages":[]}"#);
    assert_eq!((got.status, got.code().as_str(), got.header("retry-after")), (429, "rate_limit", Some("7")));
    assert_eq!(got.json()["error"]["message"], "slow down *** at up/v1");
}

#[test]
fn a_provider_without_its_key_is_not_called() {
    let world = World::default();
    let got = post(&world, r#"{"model":"unset/m","messages":[]}"#);
    assert_eq!((got.status, got.code().as_str()), (503, "provider_key_missing"));
    assert!(got.body.contains("UNSET_API_KEY"));
    assert!(world.calls.borrow().is_empty());
}

#[test]
fn a_provider_that_cannot_be_reached_or_is_late_is_told_apart() {
    assert_eq!(post(&World::default(), r#"{"model":"m","messages":[]}"#).status, 502);
    let late = Script { status: 200, headers: Vec::new(), pieces: vec![Err(Lost::TimedOut)] };
    assert_eq!(post(&World::saying(late), r#"{"model":"m","messages":[]}"#).status, 504);
}

const STREAM: &str = r#"{"model":"m","messages":[],"stream":true}"#;

#[test]
fn a_stream_passes_unchanged() {
    let world = World::saying(Script::stream(vec![Ok(": ping\n\n"), Ok(ROLE), Ok(TEXT), Ok(STOP), Ok(DONE)]));
    let got = post(&world, STREAM);
    assert_eq!((got.status, got.body), (200, [": ping\n\n", ROLE, TEXT, STOP, DONE].concat()));
    assert_eq!(world.logged("request_complete").unwrap()["response"], "a");
}

#[test]
fn what_fails_before_the_first_content_is_a_plain_error() {
    let error = "data: {\"error\":{\"message\":\"overloaded\",\"code\":\"overloaded\"}}\n\n";
    for (pieces, status, code) in [
        (vec![Ok(": ping\n\n"), Ok(error)], 502, "overloaded"),
        (vec![Ok(ROLE)], 502, "stream_truncated"),
        (vec![], 502, "stream_truncated"),
        (vec![Ok(ROLE), Err(Lost::Broken)], 502, "upstream_unreachable"),
        (vec![Ok(ROLE), Err(Lost::TimedOut)], 504, "upstream_timeout"),
    ] {
        let got = post(&World::saying(Script::stream(pieces)), STREAM);
        assert_eq!((got.status, got.code().as_str()), (status, code));
    }
}

#[test]
fn what_fails_after_it_is_one_frame_and_done() {
    for (last, outcome, code) in [
        (None, "truncated", "stream_truncated"),
        (Some(Err(Lost::Broken)), "truncated", "stream_truncated"),
        (Some(Err(Lost::TimedOut)), "timed_out", "upstream_timeout"),
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
fn a_finished_stream_that_lacks_done_gets_it() {
    let got = post(&World::saying(Script::stream(vec![Ok(TEXT), Ok(STOP)])), STREAM);
    assert_eq!(got.body, [TEXT, STOP, DONE].concat());
}

#[test]
fn the_demonstration_answers_without_a_call() {
    let world = World::default();
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
fn a_faulty_configuration_answers_everything_with_its_fault() {
    let broken = bridge("providers: { p: { modles: 1 } }", SECRETS);
    for line in [CHAT, "GET /health", "GET /nowhere"] {
        let got = ask(&broken, &World::default(), line, &[], "{}");
        assert_eq!((got.status, got.code().as_str()), (500, "invalid_configuration"));
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

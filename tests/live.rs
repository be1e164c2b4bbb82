//! Watched requests on a scripted platform: what watchers are told, and how an admin ends a request.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may insist")]

mod support;

use llm_bridge::gateway::platform::CallError;
use llm_bridge::operations::LiveEvent;
use support::{Got, Script, World, ask, bridge};

const CONFIG: &str = "
default_provider: up
providers:
  up: { base_url: https://up.example/v1, keep_alive: 0, models: { m: {} } }
  strict: { base_url: https://strict.example, keep_alive: 0, relay: checked, models: { m: {} } }
  demo: { adapter: echo, models: { echo: { echo: { delay_ms: 30 } } } }
routes:
  either: [up/m, strict/m]
";
const KEY: &[(&str, &str)] = &[("authorization", "Bearer k"), ("x-request-id", "mine")];
const SECRETS: &[(&str, &str)] =
    &[("ACCESS_API_KEYS", "k"), ("UP_API_KEY", "sk-upstream"), ("STRICT_API_KEY", "sk-strict")];
const TEXT: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]}\n\n";
const STOP: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const DONE: &str = "data: [DONE]\n\n";
const WHOLE: &str =
    r#"{"id":"c","choices":[{"message":{"content":"hi"}}],"usage":{"prompt_tokens":5,"completion_tokens":2}}"#;

fn chat(world: &World, model: &str, stream: bool) -> Got {
    let body = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hi"}}],"stream":{stream}}}"#);
    ask(&bridge(CONFIG, SECRETS), world, "POST /v1/chat/completions", KEY, &body)
}

fn watched(script: Script) -> World {
    let world = World::saying(script);
    world.is_watched.set(true);
    world
}

/// What watchers were told: the kind of each event, and the run.
fn told(world: &World) -> Vec<(&'static str, String)> {
    let event = |event: &LiveEvent| match event {
        LiveEvent::Started(request) => ("started", request.run.clone()),
        LiveEvent::FirstToken(token) => ("first_token", token.run.clone()),
    };
    world.live.borrow().iter().map(event).collect()
}

/// The outcome in the receipt, and whether it has tokens.
fn receipt(world: &World) -> (String, bool) {
    let receipts = world.receipts.borrow();
    assert_eq!(receipts.len(), 1);
    (receipts[0].outcome.clone(), receipts[0].tokens.is_some())
}

#[test]
fn watchers_are_told_of_the_start_and_the_first_content() {
    let world = watched(Script::stream(vec![Ok(TEXT), Ok(TEXT), Ok(STOP), Ok(DONE)]));
    assert_eq!(chat(&world, "m", true).status, 200);
    let run = world.receipts.borrow()[0].id.clone();
    assert_eq!(told(&world), [("started", run.clone()), ("first_token", run.clone())]);
    assert_eq!(world.summaries.borrow()[0].run, run, "the end is told by the summary");
    let live = world.live.borrow();
    let LiveEvent::Started(request) = &live[0] else { panic!("{live:?}") };
    let names = [&request.request_id, &request.provider, &request.model, &request.route];
    assert_eq!(names.map(String::as_str), ["mine", "up", "m", "m"]);
    assert!(request.stream && request.key_id.starts_with("key_"));
}

#[test]
fn without_a_watcher_nothing_is_reported() {
    let world = World::saying(Script::stream(vec![Ok(TEXT), Ok(STOP), Ok(DONE)]));
    assert_eq!(chat(&world, "m", true).status, 200);
    assert_eq!(told(&world), []);
    assert_eq!(world.summaries.borrow()[0].run, "");
}

#[test]
fn a_whole_response_has_no_first_token() {
    let world = watched(Script::json(200, WHOLE));
    assert_eq!(chat(&world, "m", false).status, 200);
    assert_eq!(told(&world).iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), ["started"]);
}

#[test]
fn a_stream_that_an_admin_ends_gets_an_error_event_and_a_receipt() {
    for model in ["m", "strict/m", "either"] {
        let pieces = std::iter::repeat_n(Ok(TEXT), 50).chain([Ok(STOP), Ok(DONE)]).collect();
        let world = watched(Script::stream(pieces));
        world.looks_to_end.set(4);
        let got = chat(&world, model, true);
        assert_eq!(got.status, 200, "{model}");
        let (text, end) = got.body.split_at(got.body.find("data: {\"error\"").unwrap());
        assert!(text.starts_with(TEXT) && text.len() < 50 * TEXT.len(), "{model}: {text}");
        assert!(end.contains("request_ended_by_admin") && end.ends_with(DONE), "{model}: {end}");
        assert_eq!(receipt(&world), ("ended_by_admin".to_owned(), true), "{model}");
        assert!(world.cancelled.get(), "the call of the provider goes on: {model}");
        assert_eq!(world.logged("request_error").unwrap()["error_code"], "request_ended_by_admin");
    }
}

#[test]
fn a_request_that_is_ended_before_its_response_began_is_refused() {
    for (model, stream) in [("m", false), ("m", true), ("either", true)] {
        let kind = if stream { "text/event-stream" } else { "application/json" };
        let headers = vec![("content-type", kind)];
        let world = watched(Script { status: 200, headers, pieces: vec![Err(CallError::TimedOut)] });
        world.looks_to_end.set(2);
        let got = chat(&world, model, stream);
        assert_eq!((got.status, got.code()), (403, "request_ended_by_admin".to_owned()), "{model}");
        assert_eq!(receipt(&world).0, "ended_by_admin", "{model}");
        assert_eq!(world.calls.borrow().len(), 1, "no other target is called");
        assert!(world.clock.get() < 10_000, "it looks often");
    }
}

#[test]
fn a_stream_of_the_gateway_itself_is_ended_too() {
    let world = watched(Script::json(200, ""));
    world.looks_to_end.set(1);
    let long = "word ".repeat(200);
    let body = format!(r#"{{"model":"demo/echo","messages":[{{"role":"user","content":"{long}"}}],"stream":true}}"#);
    let got = ask(&bridge(CONFIG, SECRETS), &world, "POST /v1/chat/completions", KEY, &body);
    assert!(got.body.contains("request_ended_by_admin"), "{}", got.body);
    assert_eq!(receipt(&world).0, "ended_by_admin");
}

#[test]
fn a_translated_stream_gets_the_error_in_its_clients_format_and_no_clean_end() {
    let pieces = std::iter::repeat_n(Ok(TEXT), 50).chain([Ok(STOP), Ok(DONE)]).collect();
    let world = watched(Script::stream(pieces));
    world.looks_to_end.set(4);
    let body = r#"{"model":"m","max_tokens":50,"messages":[{"role":"user","content":"hi"}],"stream":true}"#;
    let got = ask(&bridge(CONFIG, SECRETS), &world, "POST /v1/messages", KEY, body);
    assert_eq!(got.status, 200);
    let (_, end) = got.body.split_at(got.body.find("event: error").unwrap());
    assert!(end.contains("permission_error") && end.contains("An administrator of this gateway"), "{end}");
    assert!(!got.body.contains("message_stop") && !got.body.contains("end_turn"), "{}", got.body);
    assert_eq!(receipt(&world), ("ended_by_admin".to_owned(), true));
    assert!(world.cancelled.get());
}

#[test]
fn a_request_that_waits_for_a_target_to_have_rested_is_ended() {
    let headers = vec![("content-type", "application/json"), ("retry-after", "2")];
    let world = World::saying(Script { headers, ..Script::json(429, r#"{"error":{"message":"busy"}}"#) });
    let gateway = bridge(CONFIG, SECRETS);
    let body = r#"{"model":"either","messages":[{"role":"user","content":"hi"}]}"#;
    let send = || ask(&gateway, &world, "POST /v1/chat/completions", KEY, body);
    assert_eq!(send().status, 429, "both targets rest now");
    let calls = world.calls.borrow().len();
    world.receipts.borrow_mut().clear();
    world.is_watched.set(true);
    world.looks_to_end.set(2);
    let began = world.clock.get();
    let got = send();
    assert_eq!((got.status, got.code()), (403, "request_ended_by_admin".to_owned()), "{}", got.body);
    assert_eq!(receipt(&world).0, "ended_by_admin");
    assert_eq!(world.calls.borrow().len(), calls, "nothing is sent");
    assert!(world.clock.get() - began < 1_500, "it does not wait to its end");
}

#[test]
fn a_request_that_runs_for_long_looks_for_watchers_and_appears() {
    for stream in [false, true] {
        let kind = if stream { "text/event-stream" } else { "application/json" };
        let silent =
            Script { status: 200, headers: vec![("content-type", kind)], pieces: vec![Err(CallError::TimedOut)] };
        let world = World::saying(silent.clone());
        let started = world.clock.get();
        assert_eq!(chat(&world, "m", stream).status, 504);
        let looks = world.looks_for_watchers.borrow().clone();
        assert!(looks.len() > 1 && looks.iter().all(|look| look - started >= 60_000), "{looks:?}");
        assert_eq!(told(&world), [], "nobody was found");
        let world = World::saying(silent);
        world.finds_watchers.set(true);
        world.looks_to_end.set(3);
        assert_eq!(chat(&world, "m", stream).code(), "request_ended_by_admin");
        assert_eq!(told(&world).iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), ["started"]);
        assert_eq!(world.looks_for_watchers.borrow().len(), 1);
        assert_eq!(world.summaries.borrow()[0].run, world.receipts.borrow()[0].id);
    }
}

//! Requests for embeddings, legacy completions and token counts: what the provider and the client get, and
//! the receipts.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may insist")]

mod support;

use llm_bridge::gateway::Opened;
use llm_bridge::gateway::platform::CallError;
use llm_bridge::tokens::{Encoding, Vocabulary};
use serde_json::{Value, json};
use support::{Got, Script, World, ask, bridge};

const CONFIG: &str = "
default_provider: up
providers:
  up:
    base_url: https://up.example/v1
    keep_alive: 0
    models:
      m: { max_tokens: 100, price: { input: 1, output: 2 } }
      e: { price: { input: 1, output: 2 }, context: 8, param_config: { add_params: { user: someone } } }
  claude: { adapter: anthropic, base_url: https://claude.example/v1, models: { c: { param_config: { add_params: { top_k: 7 } } } } }
  goo: { adapter: gemini, base_url: https://goo.example/v1beta, models: { g: { price: { input: 1, output: 0 } }, s: { strict: true } } }
  demo: { adapter: echo, models: { echo: {} } }
";
const SECRETS: &[(&str, &str)] =
    &[("ACCESS_API_KEYS", "k"), ("UP_API_KEY", "u"), ("CLAUDE_API_KEY", "a"), ("GOO_API_KEY", "g")];

const EMBED: &str = "POST /v1/embeddings";
const COMPLETE: &str = "POST /v1/completions";
const COUNT: &str = "POST /v1/messages/count_tokens";

fn post(world: &World, line: &str, body: &str) -> Got {
    ask(&bridge(CONFIG, SECRETS), world, line, &[("authorization", "Bearer k")], body)
}

fn sent(world: &World) -> Value {
    serde_json::from_slice(&world.call().body).unwrap()
}

fn small(encoding: Encoding) -> &'static Vocabulary {
    let letters = (0..=255_u8).map(|byte| [1, byte]);
    let packed: Vec<u8> = letters.flatten().collect();
    Box::leak(Box::new(Vocabulary::read(encoding, packed).unwrap()))
}

const VECTORS: &str = r#"{ "object":"list","data":[{"object":"embedding","index":0,"embedding":"AACAPw=="}],"model":"e-1","usage":{"prompt_tokens":7,"total_tokens":7} }"#;

#[test]
fn embeddings_pass_unchanged_and_are_billed_by_their_prompt() {
    let world = World::saying(Script::json(200, VECTORS));
    let got = post(&world, EMBED, r#"{ "input":[ "a\u00e9" ], "model":"up/e", "encoding_format":"base64","new":1e2 }"#);
    assert_eq!(got.status, 200);
    assert_eq!(got.body, VECTORS);
    assert_eq!(got.header("x-llm-bridge-cost"), Some("0.000007"));
    assert_eq!(got.header("x-llm-bridge-estimated"), None);
    assert_eq!(world.call().url, "https://up.example/v1/embeddings");
    let expected = r#"{ "input":[ "a\u00e9" ], "model":"e", "encoding_format":"base64","new":1e2,"user":"someone" }"#;
    assert_eq!(String::from_utf8(world.call().body.to_vec()).unwrap(), expected);
    let receipt = &world.receipts.borrow()[0];
    assert_eq!(receipt.tokens.unwrap().uncached_input, 7);
    assert_eq!(receipt.tokens.unwrap().output, 0);
    assert_eq!(receipt.cost, Some(7_000));
    assert_eq!(receipt.served.as_deref(), Some("e-1"));
    assert!(!receipt.estimated);
}

#[test]
fn an_invalid_embedding_request_is_refused_before_a_call() {
    let refused = |body: &str| {
        let world = World::default();
        let got = post(&world, EMBED, body);
        assert!(world.calls.borrow().is_empty(), "{body}");
        (got.status, got.code(), got.json()["error"]["param"].clone())
    };
    let at = |code: &str, param: &str| (400, code.to_owned(), json!(param));
    assert_eq!(refused("{"), (400, "invalid_json".into(), Value::Null));
    assert_eq!(refused(r#"{"model":"e"}"#), at("missing_required_parameter", "input"));
    assert_eq!(refused(r#"{"model":"e","input":7}"#), at("invalid_type", "input"));
    assert_eq!(refused(r#"{"model":"e","input":"a","input":"b"}"#), at("duplicate_key", "input"));
    assert_eq!(refused(r#"{"model":"goo/g","input":[[1,2]]}"#), at("unsupported_input", "input"));
    assert_eq!(refused(r#"{"model":"goo/s","input":"a","user":"me"}"#), at("unsupported_parameter", "user"));
    let many = format!(r#"{{"model":"goo/g","input":[{}]}}"#, vec!["\"a\""; 101].join(","));
    assert_eq!(refused(&many), at("too_many_texts", "input"));
    for model in ["claude/c", "demo/echo"] {
        assert_eq!(refused(&format!(r#"{{"model":"{model}","input":"a"}}"#)), at("unsupported_endpoint", "model"));
    }
}

#[test]
fn a_success_without_vectors_is_a_failure() {
    for body in ["<html>", "{}", r#"{"choices":[]}"#, r#"{"error":{"message":"no"}}"#] {
        let world = World::saying(Script::json(200, body));
        assert_eq!(post(&world, EMBED, r#"{"model":"e","input":"a"}"#).status, 502, "{body}");
        assert_eq!(world.receipts.borrow()[0].cost, Some(0), "{body}");
    }
}

#[test]
fn vectors_of_another_format_are_translated() {
    let answer = r#"{"embeddings":[{"values":[1.0,-0.5]},{"values":[2.0]}],"usageMetadata":{"promptTokenCount":3}}"#;
    let world = World::saying(Script::json(200, answer));
    let got = post(&world, EMBED, r#"{"model":"goo/g","input":["a","b"],"encoding_format":"base64","user":"me"}"#);
    assert_eq!(got.status, 200);
    assert_eq!(got.header("x-llm-bridge-dropped"), Some("user"));
    assert_eq!(got.json()["data"][0]["embedding"], "AACAPwAAAL8=");
    assert_eq!(got.json()["usage"], json!({"prompt_tokens": 3, "total_tokens": 3}));
    assert_eq!(got.header("x-llm-bridge-cost"), Some("0.000003"));
    assert_eq!(got.header("x-llm-bridge-estimated"), None);
    assert_eq!(world.call().url, "https://goo.example/v1beta/models/g:batchEmbedContents");
    assert!(world.call().headers.contains(&("x-goog-api-key".into(), "g".into())));
}

#[test]
fn vectors_without_usage_are_billed_by_a_marked_estimate() {
    let bare = r#"{"embeddings":[{"values":[1.0]}]}"#;
    let world = World { vocabularies: vec![small(Encoding::O200k)], ..World::saying(Script::json(200, bare)) };
    let got = post(&world, EMBED, r#"{"model":"goo/g","input":"abcdefgh"}"#);
    assert_eq!(got.header("x-llm-bridge-estimated"), Some("true"));
    assert_eq!(got.header("x-llm-bridge-cost"), None);
    assert_eq!(got.json()["usage"]["prompt_tokens"], 3, "ten bytes and quotes, at a guess");
    let receipt = &world.receipts.borrow()[0];
    assert!(receipt.estimated, "a letter each");
    assert_eq!(receipt.tokens.unwrap().uncached_input, 8, "a letter each");
    assert_eq!(receipt.cost, Some(8_000), "a letter each");
    let native = r#"{"data":[{"embedding":[1.0]}]}"#;
    let world = World { vocabularies: vec![small(Encoding::O200k)], ..World::saying(Script::json(200, native)) };
    post(&world, EMBED, r#"{"model":"e","input":[1,2,3]}"#);
    let receipt = &world.receipts.borrow()[0];
    assert!(receipt.estimated, "three tokens");
    assert_eq!(receipt.tokens.unwrap().uncached_input, 3, "three tokens");
}

const WHOLE: &str = r#"{"id":"cmpl-1","object":"text_completion","model":"m-1","choices":[{"text":" hi","index":0,"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}"#;
const TEXT: &str =
    "data: {\"object\":\"text_completion\",\"choices\":[{\"text\":\"a\",\"index\":0,\"finish_reason\":null}]}\n\n";
const STOP: &str =
    "data: {\"object\":\"text_completion\",\"choices\":[{\"text\":\"\",\"index\":0,\"finish_reason\":\"stop\"}]}\n\n";
const USAGE: &str =
    "data: {\"object\":\"text_completion\",\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

#[test]
fn a_completion_passes_unchanged() {
    let world = World::saying(Script::json(200, WHOLE));
    let got = post(&world, COMPLETE, r#"{"model":"up/m","prompt":"say","max_tokens":500,"logprobs":1}"#);
    assert_eq!(got.status, 200);
    assert_eq!(got.body, WHOLE);
    assert_eq!(got.header("x-llm-bridge-cost"), Some("0.000009"));
    assert_eq!(world.call().url, "https://up.example/v1/completions");
    assert_eq!(sent(&world), json!({"model": "m", "prompt": "say", "max_tokens": 100, "logprobs": 1}));
    for model in ["claude/c", "goo/g", "demo/echo"] {
        let world = World::default();
        let got = post(&world, COMPLETE, &format!(r#"{{"model":"{model}","prompt":"a"}}"#));
        assert_eq!(got.status, 400);
        assert_eq!(got.code(), "unsupported_endpoint");
        assert!(got.body.contains("legacy completions") && world.calls.borrow().is_empty());
    }
}

#[test]
fn a_streamed_completion_is_metered_and_a_cut_one_is_an_error() {
    let streamed = |more: &str, pieces: Vec<Result<&'static str, CallError>>| {
        let world = World::saying(Script::stream(pieces));
        let got = post(&world, COMPLETE, &format!(r#"{{"model":"m","prompt":"say","stream":true{more}}}"#));
        (world, got)
    };
    let (world, got) = streamed("", vec![Ok(TEXT), Ok(STOP), Ok(USAGE), Ok(DONE)]);
    assert_eq!(got.body, [TEXT, STOP, DONE].concat(), "usage was not asked for");
    assert_eq!(sent(&world)["stream_options"]["include_usage"], true);
    let receipt = &world.receipts.borrow()[0];
    assert_eq!(receipt.outcome, "complete");
    assert_eq!(receipt.tokens.unwrap().sum(), 7);
    assert_eq!(receipt.cost, Some(9_000));
    let asking = r#","stream_options":{"include_usage":true}"#;
    assert_eq!(
        streamed(asking, vec![Ok(TEXT), Ok(STOP), Ok(USAGE), Ok(DONE)]).1.body,
        [TEXT, STOP, USAGE, DONE].concat()
    );
    let (world, got) = streamed("", vec![Ok(TEXT)]);
    assert!(got.body.starts_with(TEXT) && got.body.contains("stream_truncated") && got.body.ends_with(DONE));
    let receipt = &world.receipts.borrow()[0];
    assert_eq!(receipt.outcome, "truncated");
    assert!(receipt.estimated);
    assert_eq!(streamed("", vec![]).1.status, 502);
    assert_eq!(streamed(r#","n":2"#, vec![Ok(TEXT), Ok(STOP)]).0.receipts.borrow()[0].outcome, "truncated");
}

#[test]
fn a_refusal_costs_nothing_whatever_its_status_and_words() {
    for status in [408, 429, 500, 503, 504] {
        for body in ["", "{}", "busy"] {
            let world = World::saying(Script::json(status, body));
            post(
                &world,
                "POST /v1/chat/completions",
                r#"{"model":"goo/g","messages":[{"role":"user","content":"Hi"}]}"#,
            );
            let receipt = &world.receipts.borrow()[0];
            assert_eq!(receipt.cost, Some(0), "{status} {body:?}");
            assert_eq!(receipt.tokens, None, "{status} {body:?}");
        }
    }
}

#[test]
fn a_complete_completion_becomes_the_requested_stream() {
    let world = World::saying(Script::json(200, WHOLE));
    let got = post(&world, COMPLETE, r#"{"model":"m","prompt":"say","stream":true}"#);
    assert!(got.body.contains(r#""text":" hi""#) && got.body.ends_with(DONE), "{}", got.body);
    assert!(got.body.contains("text_completion") && !got.body.contains("chat") && !got.body.contains("usage"));
}

const PROMPT: &str = r#""system":"Be brief.","messages":[{"role":"user","content":"Hi"}]"#;

#[test]
fn a_count_of_the_same_format_passes_unchanged() {
    let world = World::saying(Script::json(200, r#"{"input_tokens": 1581}"#));
    let headers = [("x-api-key", "k"), ("anthropic-version", "2023-06-01"), ("anthropic-beta", "b")];
    let got = ask(&bridge(CONFIG, SECRETS), &world, COUNT, &headers, &format!(r#"{{"model":"claude/c", {PROMPT} }}"#));
    assert_eq!(got.status, 200);
    assert_eq!(got.body, r#"{"input_tokens": 1581}"#);
    assert_eq!(got.header("x-llm-bridge-estimated"), None);
    let call = world.call();
    assert_eq!(call.url, "https://claude.example/v1/messages/count_tokens");
    assert_eq!(String::from_utf8(call.body.to_vec()).unwrap(), format!(r#"{{"model":"c", {PROMPT} }}"#));
    for (name, value) in [("x-api-key", "a"), ("anthropic-version", "2023-06-01"), ("anthropic-beta", "b")] {
        assert_eq!(call.headers.iter().filter(|(known, _)| known == name).count(), 1, "{name}");
        assert!(call.headers.contains(&(name.into(), value.into())), "{name}");
    }
    assert!(world.receipts.borrow().is_empty(), "a count has no receipt");
}

#[test]
fn placeholders_of_the_gateway_are_not_counted_by_the_provider() {
    let world = World::saying(Script::json(200, r#"{"input_tokens":9}"#));
    let thought = r#"{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"llm-bridge:x"},{"type":"text","text":"a"}]}"#;
    let body = format!(
        r#"{{"model":"claude/c","max_tokens":9,"messages":[{{"role":"user","content":"Hi"}},{thought},{{"role":"user","content":"b"}}]}}"#
    );
    let got = post(&world, COUNT, &body);
    assert_eq!(got.status, 200);
    assert_eq!(got.body, r#"{"input_tokens":9}"#);
    assert!(!sent(&world).to_string().contains("llm-bridge"));
    assert_eq!(sent(&world)["messages"][1]["content"], "a");
    let mut fields: Vec<String> = sent(&world).as_object().unwrap().keys().cloned().collect();
    fields.sort();
    assert_eq!(fields, ["messages", "model"], "neither the limit nor the row's edits are part of a prompt");
}

#[test]
fn a_count_is_translated_for_another_format() {
    let world = World::saying(Script::json(200, r#"{"totalTokens":12}"#));
    let got = post(&world, COUNT, &format!(r#"{{"model":"goo/g",{PROMPT}}}"#));
    assert_eq!(got.status, 200);
    assert_eq!(got.body, r#"{"input_tokens":12}"#);
    assert_eq!(got.header("x-llm-bridge-estimated"), None);
    assert_eq!(world.call().url, "https://goo.example/v1beta/models/g:countTokens");
    assert_eq!(sent(&world)["generateContentRequest"]["model"], "models/g");
}

#[test]
fn without_a_counting_provider_a_count_is_an_estimate() {
    for model in ["up/m", "demo/echo"] {
        let world = World { vocabularies: vec![small(Encoding::O200k)], ..World::default() };
        let got = post(&world, COUNT, &format!(r#"{{"model":"{model}",{PROMPT}}}"#));
        // A letter is a token here: "Be brief." of the system, "Hi" of the user. 3 for each message, 3 for
        // the response.
        let expected = 9 + "system".len() + 2 + "user".len() + 3 + 3 + 3;
        assert_eq!(got.status, 200, "{model}");
        assert_eq!(got.json()["input_tokens"].as_u64(), Some(expected as u64), "{model}");
        assert_eq!(got.header("x-llm-bridge-estimated"), Some("true"));
        assert!(world.calls.borrow().is_empty() && world.receipts.borrow().is_empty());
    }
    let got = post(&World::default(), COUNT, &format!(r#"{{"model":"up/m",{PROMPT}}}"#));
    assert_eq!(got.status, 503, "no vocabulary");
    assert_eq!(got.json()["type"].as_str(), Some("error"), "no vocabulary");
}

#[test]
fn refusals_of_a_count_have_the_clients_shape() {
    let refused = |model: &str, status: u16, body: &'static str, prompt: &str| {
        let world = World::saying(Script::json(status, body));
        let got = post(&world, COUNT, &format!(r#"{{"model":"{model}",{prompt}}}"#));
        assert_eq!(got.json()["type"], "error", "{}", got.body);
        (got.status, got.json()["error"]["type"].as_str().unwrap().to_owned())
    };
    let error = |status: u16, kind: &str| (status, kind.to_owned());
    let goo = r#"{"error":{"code":429,"message":"Quota","status":"RESOURCE_EXHAUSTED"}}"#;
    assert_eq!(refused("goo/g", 429, goo, PROMPT), error(429, "rate_limit_error"));
    assert_eq!(refused("claude/c", 401, "{}", PROMPT), error(502, "api_error"));
    assert_eq!(refused("claude/c", 200, "{}", PROMPT), error(502, "api_error"));
    assert_eq!(refused("nobody/x", 200, "{}", PROMPT), error(404, "not_found_error"));
    assert_eq!(
        refused("up/m", 200, "{}", r#""messages":[{"role":"user","content":7}]"#),
        error(400, "invalid_request_error")
    );
    assert_eq!(refused("claude/c", 200, "{}", r#""prompt":"x""#), error(400, "invalid_request_error"));
}

/// Creates a key with these limits, and returns its text.
fn key(gateway: &Opened, world: &World, terms: &Value) -> String {
    let got = ask(gateway, world, "POST /admin/api/keys", &[("authorization", "Bearer admin")], &terms.to_string());
    assert_eq!(got.status, 201, "{}", got.body);
    got.json()["key"].as_str().unwrap().to_owned()
}

/// The status and the error code of a request with a key.
fn with(gateway: &Opened, world: &World, key: &str, line: &str, body: &Value) -> (u16, String) {
    let bearer = format!("Bearer {key}");
    let got = ask(gateway, world, line, &[("authorization", &bearer)], &body.to_string());
    (got.status, got.code())
}

fn operated() -> (Opened, World) {
    let world = World::default();
    world.clock.set(1_795_435_200_000);
    (bridge(CONFIG, &[SECRETS, &[("ADMIN_API_KEYS", "admin")]].concat()), world)
}

#[test]
fn embeddings_and_completions_use_up_a_keys_limits() {
    let (gateway, world) = operated();
    let say = |body: &'static str| world.scripts.borrow_mut().push_back(Script::json(200, body));
    let text =
        key(&gateway, &world, &json!({"id": "e", "models": ["up/*"], "budget": {"amount": "0.0012", "per": "total"}}));
    let embed =
        |model: &str, input: &str| with(&gateway, &world, &text, EMBED, &json!({"model": model, "input": input}));
    assert_eq!(embed("goo/g", "a"), (403, "model_not_allowed".into()));
    // The bound is the body's bytes and an allowance, at most the context, without a response.
    say(VECTORS);
    assert_eq!(embed("up/e", &"x".repeat(5_000)).0, 200, "a context of eight tokens costs little");
    // The longest response is the model's: 100 tokens at $2, and 1,024 and some for the prompt at $1.
    let complete = |fields: &Value| {
        let mut body = json!({"model": "up/m", "prompt": "say", "max_tokens": 5});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        with(&gateway, &world, &text, COMPLETE, &body)
    };
    assert_eq!(complete(&json!({"best_of": 30})), (429, "insufficient_quota".into()));
    assert_eq!(complete(&json!({"prompt": vec!["a"; 30]})), (429, "insufficient_quota".into()));
    say(WHOLE);
    assert_eq!(complete(&json!({})).0, 200);
    let receipts = world.receipts.borrow();
    let costs: Vec<_> = receipts.iter().map(|receipt| (receipt.status, receipt.cost)).collect();
    // A refused request leaves no receipt.
    assert_eq!(costs, [(200, Some(7_000)), (200, Some(9_000))]);
}

#[test]
fn a_count_obeys_a_keys_limits_and_uses_up_nothing() {
    let (gateway, world) = operated();
    let text = key(
        &gateway,
        &world,
        &json!({"id": "c", "models": ["claude/*"], "requests_per_minute": 1, "concurrent_requests": 1,
        "budget": {"amount": "0.000001", "per": "total"}}),
    );
    let count = |key: &str, model: &str| {
        let body = json!({"model": model, "messages": [{"role": "user", "content": "Hi"}]});
        world.scripts.borrow_mut().push_back(Script::json(200, r#"{"input_tokens":9}"#));
        with(&gateway, &world, key, COUNT, &body).0
    };
    assert_eq!(count(&text, "goo/g"), 403);
    // Ten for each request per minute.
    let counts: Vec<u16> = (0..11).map(|_| count(&text, "claude/c")).collect();
    assert_eq!(counts, [[200; 10].as_slice(), &[429]].concat());
    assert_eq!(count("sk-lb-c-wrong", "claude/c"), 401);
    let team = key(&gateway, &world, &json!({"id": "team", "models": ["up/*"]}));
    let member = key(&gateway, &world, &json!({"id": "member", "parent": "team"}));
    assert_eq!(count(&team, "claude/c"), 403);
    assert_eq!(count(&member, "claude/c"), 403);
    let rows = world.rows.borrow();
    let entries: usize = ["c", "member", "team"]
        .iter()
        .filter_map(|id| rows.get(*id))
        .flatten()
        .map(|row| row.read().unwrap().len())
        .sum();
    assert_eq!(entries, 0, "a count has no receipt");
}

#[test]
fn each_text_may_fill_the_context() {
    let (gateway, world) = operated();
    // A token costs a millionth of a dollar, and the context has eight.
    let text = key(&gateway, &world, &json!({"id": "e", "budget": {"amount": "0.00002", "per": "total"}}));
    let embed = |input: &Value| {
        world.scripts.borrow_mut().push_back(Script::json(200, VECTORS));
        with(&gateway, &world, &text, EMBED, &json!({"model": "up/e", "input": input})).0
    };
    assert_eq!(embed(&json!(["a", "b", "c"])), 429);
    assert_eq!(embed(&json!([1, 2, 3])), 200);
}

#[test]
fn only_a_prompt_that_may_be_cached_for_an_hour_is_reserved_at_that_price() {
    let world = World::default();
    world.clock.set(1_795_435_200_000);
    let config = "providers: { up: { base_url: https://up.example, models: { m: { context: 8, max_tokens: 1, price: { input: 1, output: 0, cache_write_1h: 2 } } } } }";
    let gateway = bridge(config, &[("ADMIN_API_KEYS", "admin"), ("UP_API_KEY", "u")]);
    // A token costs one or two millionths of a dollar, and the context has eight.
    let text = key(&gateway, &world, &json!({"id": "h", "budget": {"amount": "0.00001", "per": "total"}}));
    let chat = |cache: &str| {
        world.scripts.borrow_mut().push_back(Script::json(
            200,
            r#"{"choices":[{"message":{}}],"usage":{"prompt_tokens":0,"completion_tokens":0}}"#,
        ));
        let body =
            format!(r#"{{"model":"up/m","messages":[{{"role":"user","content":"Hi","cache_control":{cache}}}]}}"#);
        let bearer = format!("Bearer {text}");
        ask(&gateway, &world, "POST /v1/chat/completions", &[("authorization", &bearer)], &body).status
    };
    assert_eq!([chat("null"), chat(r#"{"ttl":"5m"}"#)], [200; 2]);
    for hour in [r#"{"ttl":"1h"}"#, r#"{"ttl":"\u0031h"}"#, r#"{"ttl":"1\u0068"}"#] {
        assert_eq!(chat(hour), 429, "{hour}");
    }
}

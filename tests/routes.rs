//! Routes, aliases and an order of the client's own on a scripted platform: who is called, by whom they may
//! be, and how they are listed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may insist")]

mod support;

use llm_bridge::gateway::Opened;
use serde_json::{Value, json};
use support::{Got, Script, World, ask, bridge};

const CONFIG: &str = "
default_provider: one
routes:
  smart: [one/a, two/b]
  sighted:
    targets:
      - { model: one/a, when: { needs: [vision] } }
      - { model: two/b, when: { max_input_tokens: 100 } }
  seeing: [{ model: one/a, when: { needs: [vision] } }]
  blind: [one/text, two/b]
  locked: [three/c]
  vectors: [one/embed-1, one/embed-2, two/org/embed-1]
aliases: { nick: two/b, clever: smart }
providers:
  one:
    base_url: https://one.example/v1
    models:
      a: { context: 1000, max_output: 100, input_kinds: [text, image], tools: true, price: { input: 1, output: 2 } }
      text: { input_kinds: [text] }
      embed-1: {}
      embed-2: {}
  two:
    base_url: https://two.example/v1
    models:
      b: { context: 500, max_output: 200, input_kinds: [text, image, pdf], tools: false, price: { input: 1, output: 3 } }
      org/embed-1: {}
  three: { base_url: https://three.example/v1, models: { c: {} } }
";
const SECRETS: &[(&str, &str)] =
    &[("ACCESS_API_KEYS", "k"), ("ADMIN_API_KEYS", "admin"), ("ONE_API_KEY", "1a,1b"), ("TWO_API_KEY", "2")];
const WHOLE: &str = r#"{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2}}"#;
const VECTORS: &str = r#"{"data":[{"embedding":[1.0],"index":0}],"usage":{"prompt_tokens":7,"total_tokens":7}}"#;
const CHAT: &str = "POST /v1/chat/completions";

struct Stage {
    bridge: Opened,
    world: World,
}

impl Stage {
    fn new() -> Self {
        Self { bridge: bridge(CONFIG, SECRETS), world: World::default() }
    }

    fn post(&self, line: &str, headers: &[(&str, &str)], body: &Value) -> Got {
        ask(&self.bridge, &self.world, line, headers, &body.to_string())
    }

    /// Asks for a chat, and says who was called for which model, or the code of the refusal.
    fn chat(&self, key: &str, more: Value) -> String {
        self.chat_with(key, &[], more)
    }

    fn chat_with(&self, key: &str, headers: &[(&str, &str)], more: Value) -> String {
        let mut body = json!({"messages": [{"role": "user", "content": "Hi"}]});
        body.as_object_mut().unwrap().extend(serde_json::from_value::<serde_json::Map<_, _>>(more).unwrap());
        self.world.calls.borrow_mut().clear();
        self.world.scripts.borrow_mut().push_back(Script::json(200, WHOLE));
        let bearer = format!("Bearer {key}");
        let got = self.post(CHAT, &[&[("authorization", bearer.as_str())], headers].concat(), &body);
        match self.world.calls.borrow().first() {
            Some(call) => format!("{} {}", call.url, serde_json::from_slice::<Value>(&call.body).unwrap()["model"]),
            None => format!("{} {}", got.status, got.code()),
        }
    }

    /// Makes a key that may use these models.
    fn key(&self, id: &str, models: &[&str]) -> String {
        let admin = [("authorization", "Bearer admin")];
        let got = self.post("POST /admin/api/keys", &admin, &json!({"id": id, "models": models}));
        assert_eq!(got.status, 201, "{}", got.body);
        got.json()["key"].as_str().unwrap().to_owned()
    }

    fn list(&self, line: &str) -> Value {
        self.post(line, &[("authorization", "Bearer k")], &json!({})).json()
    }
}

const ONE: &str = "https://one.example/v1/chat/completions \"a\"";
const TWO: &str = "https://two.example/v1/chat/completions \"b\"";
const DENIED: &str = "403 model_not_allowed";

#[test]
fn a_name_of_the_gateways_own_leads_to_its_first_target() {
    let stage = Stage::new();
    assert_eq!(stage.chat("k", json!({"model": "smart"})), ONE);
    assert_eq!(stage.chat("k", json!({"model": "clever"})), ONE);
    assert_eq!(stage.chat("k", json!({"model": "nick"})), TWO);
    assert_eq!(stage.chat("k", json!({"model": "b"})), TWO);
    assert_eq!(stage.chat("k", json!({"model": "locked"})), "503 provider_key_missing");
    assert_eq!(stage.chat("k", json!({"model": "stupid"})), "404 model_not_found");
}

#[test]
fn a_key_that_lists_a_route_uses_its_targets_through_it_only() {
    let stage = Stage::new();
    let key = stage.key("route", &["smart"]);
    assert_eq!(stage.chat(&key, json!({"model": "smart"})), ONE);
    for other in ["one/a", "a", "two/b", "nick", "clever", "sighted"] {
        assert_eq!(stage.chat(&key, json!({"model": other})), DENIED, "{other}");
    }
}

#[test]
fn a_key_that_lists_models_needs_all_targets_of_a_route() {
    let stage = Stage::new();
    let first = stage.key("first", &["one/a"]);
    assert_eq!(stage.chat(&first, json!({"model": "a"})), ONE);
    assert_eq!(stage.chat(&first, json!({"model": "smart"})), DENIED);
    let both = stage.key("both", &["one/*", "two/b"]);
    assert_eq!(stage.chat(&both, json!({"model": "smart"})), ONE);
    assert_eq!(stage.chat(&both, json!({"model": "nick"})), TWO);
}

#[test]
fn a_key_that_lists_an_alias_uses_its_model_through_it_only() {
    let stage = Stage::new();
    let key = stage.key("alias", &["nick"]);
    assert_eq!(stage.chat(&key, json!({"model": "nick"})), TWO);
    assert_eq!(stage.chat(&key, json!({"model": "two/b"})), DENIED);
    assert_eq!(stage.chat(&key, json!({"model": "b"})), DENIED);
}

#[test]
fn an_order_of_the_clients_own_is_checked_as_a_whole_and_not_passed_on() {
    let stage = Stage::new();
    let key = stage.key("a", &["one/a", "smart"]);
    assert_eq!(stage.chat(&key, json!({"model": "one/a", "models": ["smart"]})), ONE);
    assert_eq!(stage.chat(&key, json!({"model": "one/a", "models": ["two/b"]})), DENIED);
    assert_eq!(stage.chat(&key, json!({"models": ["two/b", "one/a"]})), DENIED);
    assert_eq!(stage.chat(&key, json!({"models": ["a", "one/a"]})), ONE);
    let sent: Value = serde_json::from_slice(&stage.world.call().body).unwrap();
    assert_eq!(sent.get("models"), None);
    assert_eq!(stage.chat("k", json!({"model": "two/b", "models": ["one/a"]})), TWO);
    assert_eq!(stage.chat("k", json!({"model": "two/b", "models": ["one/nothing"]})), "404 model_not_found");
    assert_eq!(stage.chat("k", json!({"model": "two/b", "models": ["a", "b", "c", "d", "e"]})), "400 invalid_value");
}

#[test]
fn the_bytes_around_a_consumed_order_stay_as_they_are() {
    let stage = Stage::new();
    stage.world.scripts.borrow_mut().push_back(Script::json(200, WHOLE));
    let body = r#"{ "messages":[ ] , "models" : ["one/a"] , "model":"two/b", "x":1.0 }"#;
    let headers = &[("authorization", "Bearer k"), ("x-llm-bridge-fallback", "none")];
    ask(&stage.bridge, &stage.world, CHAT, headers, body);
    assert_eq!(
        String::from_utf8(stage.world.call().body.to_vec()).unwrap(),
        r#"{ "messages":[ ] , "model":"b", "x":1.0 }"#
    );
}

#[test]
fn a_condition_that_is_not_met_does_not_widen_the_rights_of_a_key() {
    let stage = Stage::new();
    let key = stage.key("a", &["sighted-not", "one/a"]);
    let order = json!({"model": "one/a", "models": ["sighted"]});
    assert_eq!(stage.chat(&key, order), DENIED, "two/b is a target of the second name");
    assert_eq!(stage.chat(&key, json!({"model": "sighted", "models": ["one/a"]})), DENIED);
    let key = stage.key("b", &["seeing"]);
    assert_eq!(stage.chat("k", json!({"model": "seeing", "models": ["two/b"]})), TWO, "the route has no target for it");
    assert_eq!(stage.chat(&key, json!({"model": "seeing", "models": ["two/b"]})), DENIED);
    assert_eq!(stage.chat(&key, json!({"model": "seeing"})), "400 no_target_fits");
}

#[test]
fn a_request_may_refuse_fallbacks() {
    let stage = Stage::new();
    let none = [("x-llm-bridge-fallback", "none")];
    let key = stage.key("a", &["one/a"]);
    let order = || json!({"model": "one/a", "models": ["two/b"]});
    assert_eq!(stage.chat(&key, order()), DENIED);
    assert_eq!(stage.chat_with(&key, &none, order()), ONE, "nothing else can be called");
    assert_eq!(stage.chat_with(&key, &none, json!({"model": "smart"})), ONE);
    assert_eq!(stage.chat_with(&key, &[("x-llm-bridge-fallback", "auto")], order()), DENIED);
}

#[test]
fn targets_that_do_not_fit_a_request_are_left_out() {
    let stage = Stage::new();
    let image =
        json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.example/i"}}]}]);
    let long = json!([{"role": "user", "content": "x".repeat(1_000)}]);
    assert_eq!(stage.chat("k", json!({"model": "sighted"})), TWO);
    assert_eq!(stage.chat("k", json!({"model": "sighted", "messages": image})), ONE);
    assert_eq!(stage.chat("k", json!({"model": "sighted", "messages": long})), "400 no_target_fits");
    let text = "https://one.example/v1/chat/completions \"text\"";
    assert_eq!(stage.chat("k", json!({"model": "blind"})), text);
    assert_eq!(stage.chat("k", json!({"model": "blind", "messages": image})), TWO, "one/text takes no images");
    assert_eq!(stage.chat("k", json!({"model": "one/text", "messages": image})), text, "it alone is asked for");
}

#[test]
fn embeddings_stay_at_hosts_of_one_model() {
    let stage = Stage::new();
    let embed = |key: &str| {
        stage.world.scripts.borrow_mut().push_back(Script::json(200, VECTORS));
        let bearer = format!("Bearer {key}");
        stage
            .post("POST /v1/embeddings", &[("authorization", &bearer)], &json!({"model": "vectors", "input": "x"}))
            .status
    };
    assert_eq!(embed(&stage.key("same", &["one/embed-1", "two/org/embed-1"])), 200);
    assert_eq!(embed(&stage.key("one", &["one/embed-1"])), 403);
}

#[test]
fn routes_and_aliases_are_listed_with_what_all_of_their_targets_take() {
    let stage = Stage::new();
    let list = stage.list("GET /v1/models");
    let models = list["data"].as_array().unwrap();
    let ids: Vec<&str> = models.iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert_eq!(ids[..7], ["smart", "sighted", "seeing", "blind", "vectors", "nick", "clever"]);
    assert_eq!(ids[7], "one/a");
    let smart = &models[0];
    assert_eq!(smart["owned_by"], "llm-bridge");
    assert_eq!(smart["context_length"], 500);
    assert_eq!(smart["top_provider"], json!({"context_length": 500, "max_completion_tokens": 100}));
    assert_eq!(smart["architecture"]["input_modalities"], json!(["text", "image"]));
    assert_eq!(smart.get("pricing"), None, "two prices");
    let tools = |model: &Value| model["supported_parameters"].as_array().unwrap().contains(&json!("tools"));
    assert!(!tools(smart));
    assert!(tools(&models[7]));
    assert_eq!(models[5]["pricing"]["completion"], "0.000003", "an alias costs what its model costs");
    assert_eq!(stage.list("GET /v1/models/smart"), *smart);
    assert_eq!(stage.list("GET /v1/models/nick")["owned_by"], "llm-bridge");
    assert_eq!(stage.list("GET /v1/models/two%2Fb")["owned_by"], "two");
}

#[test]
fn a_route_without_a_key_is_listed_on_demand() {
    let stage = Stage::new();
    let all = stage.list("GET /v1/models?all=true");
    let of = |id: &str| all["data"].as_array().unwrap().iter().find(|model| model["id"] == id).unwrap().clone();
    assert_eq!(of("smart")["available"], true);
    assert_eq!(of("locked")["available"], false);
    assert_eq!(of("locked")["unavailable_reason"], "THREE_API_KEY is not set");
    assert_eq!(stage.list("GET /v1/models/locked")["available"], false);
}

#[test]
fn keys_that_cannot_be_used_are_noted() {
    let gateway = |one: &str| bridge(CONFIG, &[("ACCESS_API_KEYS", "k"), ("ONE_API_KEY", one)]).unwrap();
    assert_eq!(gateway("a,b").notes(), []);
    let noted = gateway("a,a");
    let notes: Vec<String> = noted.notes().iter().map(ToString::to_string).collect();
    assert_eq!(notes, ["providers.one: a key in ONE_API_KEY is listed twice; it is used once"]);
}

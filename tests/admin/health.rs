//! What is out is listed and can be reset, in the isolate that found it and in others.

use llm_bridge::gateway::Opened;
use serde_json::{Value, json};

use crate::setup::ADMIN;
use crate::support::{Got, Script, World, ask, bridge};

const CONFIG: &str = "
default_provider: a
providers:
  a: { base_url: https://a.example, models: { m: {} } }
  b: { base_url: https://b.example, models: { m: {} } }
routes:
  smart: { targets: [a/m, b/m] }
";
const SECRETS: &[(&str, &str)] =
    &[("ACCESS_API_KEYS", "k"), ("ADMIN_API_KEYS", "admin"), ("A_API_KEY", "sk-a"), ("B_API_KEY", "sk-b")];
const WHOLE: &str = r#"{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2}}"#;
const BUSY: &str = r#"{"error":{"message":"busy","type":"server_error","code":null}}"#;
const NO_KEY: &str = r#"{"error":{"message":"no","type":"invalid_request_error","code":"invalid_api_key"}}"#;

/// Two isolates with the same configuration, and one world.
struct Stage {
    world: World,
    isolates: [Opened; 2],
}

impl Stage {
    fn new() -> Self {
        let world = World::default();
        world.clock.set(1_795_435_200_000);
        Self { world, isolates: [bridge(CONFIG, SECRETS), bridge(CONFIG, SECRETS)] }
    }

    /// A chat in an isolate, to which the providers answer so.
    fn chat(&self, isolate: usize, answers: &[(u16, &'static str)]) -> Got {
        let scripts = answers.iter().map(|(status, body)| Script::json(*status, body));
        *self.world.scripts.borrow_mut() = scripts.collect();
        let body = json!({"model": "smart", "messages": [{"role": "user", "content": "Hi"}]}).to_string();
        let key = [("authorization", "Bearer k")];
        ask(&self.isolates[isolate], &self.world, "POST /v1/chat/completions", &key, &body)
    }

    fn admin(&self, isolate: usize, line: &str, body: &str) -> Value {
        ask(&self.isolates[isolate], &self.world, line, ADMIN, body).json()
    }

    fn states(&self, isolate: usize) -> Vec<Value> {
        self.admin(isolate, "GET /admin/api/health", "")["data"].as_array().unwrap().clone()
    }

    /// How many calls of the shared object there were.
    fn asked(&self) -> usize {
        self.world.called.borrow().iter().filter(|object| *object == "Health").count()
    }

    fn pass(&self, time: u64) {
        self.world.clock.set(self.world.clock.get() + time);
    }

    /// The hosts of all calls of providers since the last look.
    fn called(&self) -> Vec<String> {
        let host = |url: &str| url.trim_start_matches("https://").split('.').next().unwrap().to_owned();
        self.world.calls.borrow_mut().drain(..).map(|call| host(&call.url)).collect()
    }

    /// Three requests of an isolate whose first target is overloaded.
    fn open_breaker(&self) {
        for _ in 0..3 {
            assert_eq!(self.chat(0, &[(503, BUSY), (200, WHOLE)]).status, 200);
        }
        self.called();
    }
}

#[test]
fn a_target_that_is_out_is_skipped_listed_and_reset() {
    let stage = Stage::new();
    assert_eq!(stage.states(0), [Value::Null; 0]);
    stage.open_breaker();
    assert_eq!(stage.chat(0, &[(200, WHOLE)]).status, 200);
    assert_eq!(stage.called(), ["b"]);
    let states = stage.states(0);
    let [state] = &states[..] else { panic!("{states:?}") };
    let shown = |name: &str| state[name].clone();
    assert_eq!(shown("id"), "target:a:m");
    assert_eq!((shown("provider"), shown("model"), shown("keys")), (json!("a"), json!("m"), Value::Null));
    assert_eq!(
        (shown("state"), shown("reason"), shown("known")),
        (json!("open"), json!("overload"), json!("everywhere"))
    );
    let left = stage.admin(0, "POST /admin/api/health/reset", r#"{"id":"target:a:m"}"#);
    assert_eq!(left["data"], json!([]));
    assert_eq!(stage.chat(0, &[(200, WHOLE)]).status, 200);
    assert_eq!(stage.called(), ["a"]);
}

#[test]
fn another_isolate_learns_of_it_and_of_its_reset_in_the_background() {
    let stage = Stage::new();
    let served = || {
        assert_eq!(stage.chat(1, &[(200, WHOLE)]).status, 200);
        stage.called()
    };
    assert_eq!(served(), ["a"]);
    stage.chat(0, &[(401, NO_KEY), (200, WHOLE)]);
    assert_eq!(stage.called(), ["a", "b"]);
    assert_eq!(served(), ["a"], "it has asked less than half a minute ago");
    stage.pass(30_000);
    assert_eq!(served(), ["a"], "it asks, and does not wait for the answer");
    assert_eq!(served(), ["b"]);
    stage.admin(0, "POST /admin/api/health/reset", "");
    assert_eq!(served(), ["b"]);
    stage.pass(30_000);
    assert_eq!(served(), ["b"]);
    assert_eq!(served(), ["a"]);
}

#[test]
fn what_one_isolate_finds_good_again_is_good_for_all() {
    let stage = Stage::new();
    stage.open_breaker();
    assert_eq!(stage.states(1).len(), 1);
    stage.pass(7_000);
    assert_eq!(stage.states(1)[0]["state"], "half_open");
    assert_eq!(stage.chat(1, &[(200, WHOLE)]).status, 200);
    assert_eq!(stage.called(), ["a"]);
    assert_eq!(stage.states(1), [Value::Null; 0]);
    let states = stage.states(0);
    assert_eq!((&states[0]["known"], &states[0]["state"]), (&json!("here"), &json!("half_open")), "a probe is due");
}

#[test]
fn the_shared_object_is_asked_once_in_half_a_minute_and_told_of_changes() {
    let stage = Stage::new();
    for _ in 0..10 {
        stage.chat(0, &[(200, WHOLE)]);
    }
    assert_eq!(stage.asked(), 1);
    stage.open_breaker();
    assert_eq!(stage.asked(), 2, "the breaker opened");
    for _ in 0..10 {
        stage.chat(0, &[(200, WHOLE)]);
    }
    assert_eq!(stage.asked(), 2);
    stage.pass(7_000);
    stage.chat(0, &[(200, WHOLE)]);
    assert_eq!(stage.called().last().map(String::as_str), Some("a"), "the probe");
    assert_eq!(stage.asked(), 3, "the breaker closed");
    assert_eq!(stage.states(0), [Value::Null; 0]);
}

#[test]
fn a_refused_key_rests_with_its_index() {
    let stage = Stage::new();
    assert_eq!(stage.chat(0, &[(401, NO_KEY), (200, WHOLE)]).status, 200);
    let states = stage.states(1);
    let [state] = &states[..] else { panic!("{states:?}") };
    assert_eq!(
        (&state["state"], &state["reason"], &state["keys"]),
        (&json!("resting"), &json!("credential"), &json!([0]))
    );
    assert!(!state.to_string().contains("sk-a"));
}

#[test]
fn a_reset_of_what_is_not_out_is_refused() {
    let stage = Stage::new();
    for (body, status) in [(r#"{"id":"target:a:m"}"#, 404), (r#"{"key":1}"#, 400), ("x", 400), ("", 200), ("{}", 200)] {
        let got = ask(&stage.isolates[0], &stage.world, "POST /admin/api/health/reset", ADMIN, body);
        assert_eq!(got.status, status, "{body}");
    }
}

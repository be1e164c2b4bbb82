//! Operators see every provider and model, why one cannot be called, and where prices come from.

use serde_json::Value;

use crate::setup::ADMIN;
use crate::support::{World, ask, bridge};

const CONFIG: &str = "
default_provider: openai
providers:
  demo: { adapter: echo, models: { echo: {} } }
  openai: { base_url: https://api.openai.com/v1, models: { gpt-4o: {}, own: { price: { input: 1, output: 2 } }, odd: {} } }
  other: { base_url: \"https://other.example:8443/v1?key-of=nobody\", models: \"*\" }
aliases: { nick: openai/gpt-4o }
";

fn models(secrets: &[(&str, &str)]) -> Value {
    let got = ask(&bridge(CONFIG, secrets), &World::default(), "GET /admin/api/models", ADMIN, "");
    assert_eq!(got.status, 200, "{}", got.body);
    assert!(!got.body.contains("sk-secret") && !got.body.contains("nobody"), "{}", got.body);
    got.json()
}

#[test]
fn providers_without_a_key_name_the_variable_to_set() {
    let seen = models(&[("ADMIN_API_KEYS", "admin"), ("OTHER_API_KEY", "sk-secret-1,sk-secret-2")]);
    assert_eq!(seen["default_provider"], "openai");
    let [demo, openai, other] = seen["providers"].as_array().unwrap().as_slice() else { panic!("{seen}") };
    assert_eq!((&demo["host"], &demo["missing"], &demo["keys"]), (&Value::Null, &Value::Null, &0.into()));
    assert_eq!((&openai["missing"], &openai["host"]), (&"OPENAI_API_KEY".into(), &"api.openai.com".into()));
    assert_eq!((&other["missing"], &other["keys"]), (&Value::Null, &2.into()));
    assert_eq!(other["host"], "other.example");
    let of = |id: &str| seen["models"]["data"].as_array().unwrap().iter().find(|model| model["id"] == id).unwrap();
    assert_eq!(of("openai/gpt-4o")["available"], false);
    assert_eq!(of("nick")["unavailable_reason"], "OPENAI_API_KEY is not set");
    assert_eq!(of("demo/echo")["available"], true);
}

#[test]
fn prices_have_their_source() {
    let seen = models(&[("ADMIN_API_KEYS", "admin")]);
    let sources = &seen["price_sources"];
    let listed = &sources["openai/gpt-4o"];
    assert!(listed["name"].as_str().unwrap().contains("openai"), "{listed}");
    assert_eq!(listed["date"].as_str().unwrap().len(), "2026-11-27".len());
    let own = &sources["openai/own"];
    assert_eq!((&own["name"], &own["is_documented"]), (&Value::Null, &Value::Null), "{own}");
    assert!(sources["openai/odd"].is_null(), "{sources}");
}

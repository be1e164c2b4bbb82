//! A session says what its caller may do, and a key without rights can ask without a trace.

use serde_json::{Value, json};

use crate::setup::{AdminSetup, CONFIG, keep_audit_log};
use crate::support::{World, ask, bridge};

const SECRETS: &[(&str, &str)] =
    &[("ACCESS_API_KEYS", "caller"), ("ADMIN_API_KEYS", "admin"), ("ADMIN_READ_API_KEYS", "reader")];

fn session(key: &str, world: &World) -> (u16, Value) {
    let header = format!("Bearer {key}");
    let got = ask(&bridge(CONFIG, SECRETS), world, "GET /admin/api/session", &[("authorization", &header)], "");
    (got.status, got.json())
}

#[test]
fn a_session_says_what_its_key_may_do() {
    let world = World::default();
    let (status, of_admin) = session("admin", &world);
    assert_eq!((status, &of_admin["may_change"]), (200, &Value::Bool(true)));
    let (status, of_reader) = session("reader", &world);
    assert_eq!((status, &of_reader["may_change"]), (200, &Value::Bool(false)));
    assert_ne!(of_admin["actor"], of_reader["actor"]);
    assert_eq!(of_admin["timezone"], "UTC");
    assert_eq!(of_admin["log_files"], true);
    assert_eq!(of_admin["has_fixed_callers"], true);
    assert_eq!(of_admin["has_provider_keys"], false);
}

#[test]
fn a_callers_key_is_refused_without_an_entry_in_the_audit_log() {
    let world = World::default();
    keep_audit_log(&world);
    assert_eq!(session("caller", &world).0, 401);
    assert_eq!(session("unknown", &world).0, 401);
    let admin = [("authorization", "Bearer admin")];
    let log = ask(&bridge(CONFIG, SECRETS), &world, "GET /admin/api/audit", &admin, "").json();
    assert_eq!(log["data"], Value::Array(Vec::new()), "{log}");
    // A route that a caller's key has no business with leaves one.
    ask(&bridge(CONFIG, SECRETS), &world, "GET /admin/api/keys", &[("authorization", "Bearer caller")], "");
    let log = ask(&bridge(CONFIG, SECRETS), &world, "GET /admin/api/audit", &admin, "").json();
    assert_eq!(log["data"][0]["action"], "read", "{log}");
}

#[test]
fn a_configuration_is_checked_without_being_used() {
    let setup = AdminSetup::open();
    let sound = setup.ask("POST /config/check", CONFIG).json();
    assert_eq!((&sound["is_sound"], &sound["providers"], &sound["models"]), (&true.into(), &1.into(), &2.into()));
    let text = "providers: { demo: { adapter: echo, models: { e: {} } } }\nloging: {}\n";
    let faulty = setup.ask("POST /config/check", text).json();
    assert_eq!(faulty["is_sound"], false);
    assert_eq!(faulty["faults"][0]["line"], 2);
    assert!(faulty["faults"][0]["message"].as_str().unwrap().contains("logging"), "{faulty}");
    assert_eq!(setup.ask("POST /config/check", "\t{").status, 200);
    // What is in use stays.
    assert_eq!(setup.ask("GET /session", "").status, 200);
}

#[test]
fn a_keys_standing_is_what_its_account_counts() {
    let setup = AdminSetup::open();
    let key = setup.key(&json!({"id": "a", "requests_per_minute": 9, "budget": {"amount": "5", "per": "day"}}));
    let standing = || setup.ask("GET /keys/a/standing", "").json();
    assert_eq!(standing()["spent_nanos"], 0);
    // The price of the demonstration is unknown, so a budget would refuse it.
    setup.json("PATCH /keys/a", &json!({"budget": null}));
    assert_eq!(setup.call(&key, "demo/echo"), 200);
    let used = standing();
    assert_eq!((&used["requests_in_minute"], &used["running_requests"]), (&1.into(), &0.into()), "{used}");
    assert_eq!(used["spent_nanos"], Value::Null);
    assert_eq!(setup.ask("GET /keys/nobody/standing", "").status, 404);
}

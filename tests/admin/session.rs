//! A session says what its caller may do, and a key without rights can ask without a trace.

use serde_json::Value;

use crate::setup::{CONFIG, keep_audit_log};
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

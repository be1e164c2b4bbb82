//! The audit log has every change, who made it, and what changed.

use std::collections::BTreeSet;

use llm_bridge::admin::{self, Access};
use serde_json::{Value, json};

use crate::setup::{ADMIN, AdminSetup, CONFIG, keep_audit_log};
use crate::support::{Fate, World, ask, bridge};
use crate::{alerts, live};

/// Calls that change something: one for each such route, and the name of its entry. They succeed in this
/// order.
const CHANGES: &[(&str, &str, &str)] = &[
    ("POST /keys", r#"{"id":"a","name":"A"}"#, "key.create"),
    ("PATCH /keys/a", r#"{"name":"B"}"#, "key.edit"),
    ("POST /keys/a/disable", "", "key.disable"),
    ("POST /keys/a/enable", "", "key.enable"),
    ("POST /keys/a/rotate", "", "key.rotate"),
    ("POST /keys/a/anonymize", "", "key.anonymize"),
    ("DELETE /keys/a", "", "key.delete"),
    ("POST /signing-secrets", "", "signing_secret.renew"),
    ("DELETE /signing-secrets/1", "", "signing_secret.end"),
    ("POST /health/reset", "{}", "health.reset"),
    ("DELETE /requests?key=a", "", "requests.delete"),
    ("POST /alerts/test", "", "alerts.test"),
    ("POST /requests/run/end", "", "request.end"),
];

fn actions(entries: &[Value]) -> Vec<&str> {
    entries.iter().map(|entry| entry["action"].as_str().unwrap()).collect()
}

fn changed(entry: &Value) -> Vec<String> {
    let change =
        |change: &Value| format!("{}: {} -> {}", change["field"].as_str().unwrap(), change["from"], change["to"]);
    entry["changes"].as_array().unwrap().iter().map(change).collect()
}

#[test]
fn every_route_that_changes_something_leaves_an_entry() {
    let setup = AdminSetup::open();
    let deleted = json!({"Deleted": {"requests": 3, "next": null}}).to_string();
    setup.world.operations.borrow_mut().insert("reports", Box::new(move |_| deleted.clone()));
    alerts::answer(&setup.world);
    live::answer(&setup.world);
    let mut text = String::new();
    for (line, body, _) in CHANGES {
        let got = setup.ask(line, body);
        assert!(got.status < 300, "{line}: {}", got.body);
        if let Some(key) = got.json()["key"].as_str() {
            key.clone_into(&mut text);
        }
    }
    let entries = setup.audit();
    let names: Vec<&str> = CHANGES.iter().map(|(_, _, name)| *name).collect();
    assert_eq!(actions(&entries), names);
    let written: BTreeSet<&str> = names.into_iter().collect();
    let routes = admin::ROUTES.iter().filter(|route| route.access == Access::Write).map(|route| route.audit_name);
    assert_eq!(written, routes.collect(), "each route that changes something needs a row here");
    let log = serde_json::to_string(&entries).unwrap();
    assert!(!log.contains(&text), "the text of a key is in the audit log");
    assert_eq!(changed(&entries[1]), [r#"name: "A" -> "B""#]);
    assert_eq!(changed(&entries[2]), ["enabled: true -> false"]);
    assert!(changed(&entries[0]).contains(&r#"id: null -> "a""#.to_owned()));
    assert!(changed(&entries[6]).contains(&r#"id: "a" -> null"#.to_owned()));
    assert_eq!(entries[6]["subject"], "a");
    assert_eq!(entries[8]["subject"], "1");
    assert!(changed(&entries[10]).contains(&"requests: 3 -> null".to_owned()));
}

#[test]
fn an_entry_says_who_and_from_where() {
    let setup = AdminSetup::open();
    let headers = [ADMIN[0], ("cf-connecting-ip", "192.0.2.7"), ("x-request-id", "mine")];
    ask(&setup.gateway, &setup.world, "POST /admin/api/keys", &headers, r#"{"id":"a"}"#);
    let entries = setup.audit();
    assert_eq!(entries[0]["address"], "192.0.2.7");
    assert_eq!(entries[0]["at"], "2026-11-23T12:00:00.000Z");
    assert_eq!(entries[0]["status"], 201);
    let key = admin_key_id();
    assert_eq!(entries[0]["actor"], key);
}

/// The id of the key `admin`.
fn admin_key_id() -> String {
    use sha2::{Digest as _, Sha256};
    let hash = Sha256::digest(b"admin");
    hash.iter().take(6).fold("key_".to_owned(), |id, byte| format!("{id}{byte:02x}"))
}

#[test]
fn a_change_that_failed_leaves_an_entry_and_reading_none() {
    let setup = AdminSetup::open();
    setup.key(&json!({"id": "a"}));
    assert_eq!(setup.ask("PATCH /keys/nobody", "{}").status, 404);
    assert_eq!(setup.ask("POST /keys", "{").status, 400);
    for line in ["GET /keys", "GET /keys/nobody", "GET /usage", "GET /audit"] {
        setup.ask(line, "");
    }
    let entries = setup.audit();
    assert_eq!(actions(&entries), ["key.create", "key.edit", "key.create"]);
    assert_eq!((&entries[1]["status"], &entries[1]["subject"]), (&json!(404), &json!("nobody")));
    // The registry has changed the key; its account was not reached.
    setup.world.fates.borrow_mut().extend([Fate::Fine, Fate::Lost]);
    assert_eq!(setup.ask("PATCH /keys/a", r#"{"name":"B"}"#).status, 503);
    let entries = setup.audit();
    assert_eq!(entries[3]["status"], 503);
    assert_eq!(changed(&entries[3]), [r#"name: null -> "B""#]);
}

#[test]
fn a_known_key_without_the_right_is_recorded_and_an_unknown_one_costs_nothing() {
    let secrets = [("ACCESS_API_KEYS", "caller"), ("ADMIN_API_KEYS", "admin"), ("ADMIN_READ_API_KEYS", "viewer")];
    let (gateway, world) = (bridge(CONFIG, &secrets), World::default());
    keep_audit_log(&world);
    let call = |key: &str, line: &str| ask(&gateway, &world, line, &[("authorization", key)], "{}");
    for key in ["", "Bearer other", "Bearer sk-lb-a-1x"] {
        assert_eq!(call(key, "POST /admin/api/keys").status, 401);
    }
    assert!(world.called.borrow().is_empty(), "{:?}", world.called.borrow());
    assert_eq!(call("Bearer viewer", "POST /admin/api/keys").status, 403);
    assert_eq!(call("Bearer caller", "GET /admin/api/keys").status, 401);
    let page = call("Bearer viewer", "GET /admin/api/audit").json();
    let entries = page["data"].as_array().unwrap();
    assert_eq!(actions(entries), ["read", "key.create"]);
    assert_eq!((&entries[0]["status"], &entries[1]["status"]), (&json!(401), &json!(403)));
    // They are counted, and told with the next entry.
    assert_eq!(page["failed_sign_ins"][0]["count"], 3);
    assert_eq!(page["failed_sign_ins"][1]["count"], 0);
}

#[test]
fn an_audit_log_that_fails_changes_no_response_and_its_entry_is_logged() {
    let setup = AdminSetup::open();
    setup.world.operations.borrow_mut().clear();
    let got = setup.json("POST /keys", &json!({"id": "a"}));
    assert_eq!(got.status, 201);
    let line = setup.world.logged("audit_lost").unwrap();
    assert_eq!((&line["level"], &line["entry"]["action"]), (&json!("error"), &json!("key.create")));
    assert_eq!(line["entry"]["subject"], "a");
    let got = setup.ask("GET /audit", "");
    assert_eq!((got.status, got.code()), (503, "audit_log_unavailable".to_owned()));
}

#[test]
fn an_entry_is_sent_a_second_time() {
    let setup = AdminSetup::open();
    setup.key(&json!({"id": "a"}));
    setup.world.fates.borrow_mut().extend([Fate::Fine, Fate::Fine, Fate::Fine, Fate::Lost]);
    assert_eq!(setup.ask("PATCH /keys/a", r#"{"name":"B"}"#).status, 200);
    assert_eq!(actions(&setup.audit()), ["key.create", "key.edit"]);
    assert!(setup.world.logged("audit_lost").is_none());
}

#[test]
fn invalid_parameters_are_refused_by_name() {
    let setup = AdminSetup::open();
    for (parameter, name) in [
        ("from=yesterday", "from"),
        ("to=2026-13-01", "to"),
        ("from=2026-11-02&to=2026-11-01", "from"),
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("before=x", "before"),
        ("action=key.destroy", "action"),
        ("who=me", "who"),
    ] {
        let got = setup.ask(&format!("GET /audit?{parameter}"), "");
        assert_eq!(got.status, 400, "{parameter}");
        assert_eq!(got.json()["error"]["param"], json!(name));
    }
    assert_eq!(setup.ask("GET /audit?from=2026-11-23&to=2026-11-23&action=key.edit&actor=key_1", "").status, 200);
}

//! Access to the admin API, and its errors.

use llm_bridge::admin::{self, Access, Action};
use serde_json::json;

use crate::setup::{ADMIN, AdminSetup, CONFIG, SECRETS};
use crate::support::{World, ask, bridge};

#[test]
fn only_an_admin_key_is_accepted() {
    let world = World::default();
    let get_keys = |secrets: &[(&str, &str)], key: &str| {
        ask(&bridge(CONFIG, secrets), &world, "GET /admin/api/keys", &[("authorization", key)], "")
    };
    assert_eq!(get_keys(SECRETS, "Bearer admin").status, 200);
    let disabled = get_keys(&[("ACCESS_API_KEYS", "caller")], "Bearer caller");
    assert_eq!(disabled.status, 401);
    assert!(disabled.body.contains("ADMIN_API_KEYS"), "{}", disabled.body);
    for key in ["", "Bearer caller", "Bearer other"] {
        let got = get_keys(SECRETS, key);
        assert_eq!(got.status, 401, "{key}");
        assert_eq!(got.code(), "invalid_api_key", "{key}");
        assert!(got.header("www-authenticate").is_some(), "{key}");
        assert_eq!(got.header("cache-control"), Some("no-store"), "{key}");
    }
    let got = ask(&bridge(CONFIG, SECRETS), &world, "GET /v1/models", ADMIN, "");
    assert_eq!(got.status, 401, "an admin key is no access key");
}

#[test]
fn a_read_only_admin_key_calls_the_routes_that_change_nothing() {
    let secrets = [("ADMIN_API_KEYS", "admin"), ("ADMIN_READ_API_KEYS", "viewer,admin")];
    let (gateway, world) = (bridge(CONFIG, &secrets), World::default());
    let call = |key: &str, method: &str, path: &str| {
        let line = format!("{method} {}{}", admin::ROOT, path.replace("{id}", "nobody"));
        ask(&gateway, &world, &line, &[("authorization", key)], "")
    };
    for route in admin::ROUTES {
        let as_viewer = call("Bearer viewer", route.method, route.path);
        if route.access == Access::Read {
            let as_admin = call("Bearer admin", route.method, route.path);
            assert_eq!(as_viewer.status, as_admin.status, "{route:?}");
            // A session says whose it is.
            assert!(as_viewer.body == as_admin.body || route.action == Action::Session, "{route:?}");
        } else {
            assert_eq!(as_viewer.status, 403, "{route:?}");
            assert_eq!(as_viewer.code(), "admin_key_read_only", "{route:?}");
        }
    }
    assert_eq!(call("Bearer admin", "POST", "/signing-secrets").status, 201, "a key in both variables is a full one");
    assert_eq!(call("Bearer other", "GET", "/keys").status, 401);
    assert_eq!(call("", "GET", "/keys").status, 401);
}

#[test]
fn read_only_admin_keys_need_no_full_one() {
    let gateway = bridge(CONFIG, &[("ADMIN_READ_API_KEYS", "viewer")]);
    let world = World::default();
    let headers = [("authorization", "Bearer viewer")];
    assert_eq!(ask(&gateway, &world, "GET /admin/api/keys", &headers, "").status, 200);
    assert_eq!(ask(&gateway, &world, "POST /admin/api/keys", &headers, "{}").status, 403);
    assert_eq!(ask(&gateway, &world, "HEAD /admin/api/keys", &headers, "").status, 200);
}

#[test]
fn only_pages_of_configured_origins_may_read_it() {
    let with_origin = format!("cors: {{ origins: [\"https://app.example\"] }}\n{CONFIG}");
    let from = |config: &str, line: &str, origin: &str| {
        let headers = [("authorization", "Bearer admin"), ("origin", origin)];
        let got = ask(&bridge(config, SECRETS), &World::default(), line, &headers, "");
        got.header("access-control-allow-origin").map(str::to_owned)
    };
    for line in ["GET /admin/api/keys", "OPTIONS /admin/api/keys", "GET /admin/api/nothing"] {
        assert_eq!(from(CONFIG, line, "https://app.example"), None);
        assert_eq!(from(&with_origin, line, "https://app.example").as_deref(), Some("https://app.example"));
        assert_eq!(from(&with_origin, line, "https://evil.example"), None);
    }
}

/// Invalid calls: line, body, and the status, code and field of the error.
const INVALID: &[(&str, &str, u16, &str, Option<&str>)] = &[
    ("POST /keys", "{", 400, "invalid_json", None),
    ("POST /keys", "[]", 400, "invalid_body", None),
    ("POST /keys", r#"{"name":"a","name":"b"}"#, 400, "duplicate_key", Some("name")),
    (
        "POST /keys",
        r#"{"budget":{"amount":"1","amount":"9","per":"day"}}"#,
        400,
        "duplicate_key",
        Some("budget.amount"),
    ),
    ("POST /keys", r#"{"budgte":1}"#, 400, "unknown_parameter", Some("budgte")),
    ("POST /keys", r#"{"id":"a","name":"other"}"#, 409, "key_exists", Some("id")),
    ("POST /keys", r#"{"id":"b","parent":"nobody"}"#, 400, "invalid_value", Some("parent")),
    ("POST /keys", r#"{"id":"b","parent":"b"}"#, 400, "invalid_value", Some("parent")),
    ("POST /keys", r#"{"id":"b","parent":"kid"}"#, 400, "invalid_value", Some("parent")),
    ("PATCH /keys/a", r#"{"id":"b"}"#, 400, "unknown_parameter", Some("id")),
    ("PATCH /keys/a", r#"{"models":[]}"#, 400, "invalid_value", Some("models")),
    ("PATCH /keys/nobody", "{}", 404, "key_not_found", None),
    ("GET /keys/nobody", "", 404, "key_not_found", None),
    ("DELETE /keys/nobody", "", 404, "key_not_found", None),
    ("DELETE /keys/a", "", 409, "key_has_members", None),
    ("POST /keys/nobody/rotate", "", 404, "key_not_found", None),
    ("GET /keys/nobody/receipts", "", 404, "key_not_found", None),
    ("GET /keys/key_000000000000/receipts", "", 404, "key_not_found", None),
    ("GET /keys/anonymous/receipts", "", 404, "key_not_found", None),
    ("GET /keys?limit=0", "", 400, "invalid_value", Some("limit")),
    ("GET /keys?limit=101", "", 400, "invalid_value", Some("limit")),
    ("GET /keys?limit=1&limit=2", "", 400, "duplicate_key", Some("limit")),
    ("GET /keys?page=2", "", 400, "unknown_parameter", Some("page")),
    ("GET /keys?after=nobody", "", 400, "invalid_value", Some("after")),
    ("GET /usage?from=yesterday", "", 400, "invalid_value", Some("from")),
    ("GET /usage?from=2026-11-02&to=2026-11-01", "", 400, "invalid_value", Some("from")),
    ("GET /usage?from=2020-01-01", "", 400, "invalid_value", Some("from")),
    ("GET /usage?group_by=month", "", 400, "invalid_value", Some("group_by")),
    ("GET /usage?key=nobody", "", 404, "key_not_found", None),
    ("GET /usage?key=a&limit=5", "", 400, "invalid_value", Some("limit")),
    ("GET /export/receipts", "", 400, "missing_required_parameter", Some("key")),
    ("GET /export/receipts?key=a&format=xls", "", 400, "invalid_value", Some("format")),
    ("GET /keys/a/receipts?before=x", "", 400, "invalid_value", Some("before")),
    ("GET /nothing", "", 404, "unknown_url", None),
    ("PUT /keys/a", "", 405, "method_not_allowed", None),
];

#[test]
fn errors_name_the_invalid_field() {
    let setup = AdminSetup::open();
    setup.key(&json!({"id": "a"}));
    setup.key(&json!({"id": "kid", "parent": "a"}));
    for (line, body, status, code, param) in INVALID {
        let got = setup.ask(line, body);
        let error = got.json()["error"].clone();
        assert_eq!(got.status, *status, "{line} {body}");
        assert_eq!(error["code"], *code, "{line} {body}");
        assert_eq!(error["param"].as_str(), *param, "{line} {body}");
    }
    let got = setup.ask("PUT /keys/a", "");
    assert_eq!(got.header("allow"), Some("GET, HEAD, PATCH, DELETE, OPTIONS"));
    let got = ask(&setup.gateway, &setup.world, "OPTIONS /admin/api/keys", &[], "");
    assert_eq!(got.status, 204);
    assert_eq!(got.header("allow"), Some("GET, HEAD, POST, OPTIONS"));
}

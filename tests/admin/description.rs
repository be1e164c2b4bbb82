//! The OpenAPI description of the admin API has every route, and every response.

use std::collections::BTreeSet;

use llm_bridge::admin;
use serde_json::json;

use crate::alerts;
use crate::live;
use crate::reports;
use crate::setup::AdminSetup;

#[test]
fn the_description_has_every_route_and_no_other() {
    let setup = AdminSetup::open();
    let described: BTreeSet<(String, String)> = setup.document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(|method| (method.to_uppercase(), path.clone()))
        })
        .collect();
    let routes = admin::ROUTES.iter().map(|row| (row.method.to_owned(), [admin::ROOT, row.path].concat())).collect();
    assert_eq!(described, routes);
}

#[test]
fn every_response_is_as_described() {
    let setup = AdminSetup::open();
    reports::answer(&setup.world);
    alerts::answer(&setup.world);
    live::answer(&setup.world);
    let key = setup
        .key(&json!({"id": "a", "name": "A", "metadata": {"x": "y"}, "budget": {"amount": "5.5", "per": "week"},
        "expires_at": 1_900_000_000, "models": ["demo/*"], "max_body_bytes": 10_000, "on_disconnect": "finish", "budget_alerts": [80, 100]}));
    setup.json("POST /keys", &json!({"name": "no id"}));
    // The price of the demonstration is unknown, so a budget would refuse it.
    setup.json("PATCH /keys/a", &json!({"budget": null}));
    assert_eq!(setup.call(&key, "demo/other"), 200);
    setup.call("caller", "demo/echo");
    for (line, body) in [
        (
            "POST /keys",
            r#"{"id":"a","name":"A","metadata":{"x":"y"},"budget":{"amount":"5.5","per":"week"},"expires_at":1900000000,"models":["demo/*"],"max_body_bytes":10000,"on_disconnect":"finish","budget_alerts":[80,100]}"#,
        ),
        ("GET /session", ""),
        ("GET /models", ""),
        ("GET /egress", ""),
        ("GET /keys?limit=1", ""),
        ("GET /keys/a", ""),
        ("PATCH /keys/a", r#"{"owner":"me","budget":null}"#),
        ("POST /keys/a/disable", ""),
        ("POST /keys/a/enable", ""),
        ("GET /keys/a/standing", ""),
        ("GET /config", ""),
        ("POST /config/check", "providers: {}"),
        ("GET /keys/a/receipts", ""),
        ("POST /keys/a/anonymize?member=a", ""),
        ("GET /usage", ""),
        ("GET /export/receipts?key=a", ""),
        ("GET /export/receipts?key=a&format=csv", ""),
        ("GET /export/usage", ""),
        ("GET /export/usage?format=csv", ""),
        ("GET /openapi.json", ""),
        ("POST /keys/a/rotate", ""),
        ("GET /signing-secrets", ""),
        ("POST /signing-secrets", ""),
        ("DELETE /signing-secrets/1", ""),
        ("GET /health", ""),
        ("GET /logs", ""),
        ("GET /audit", ""),
        ("GET /reports?group_by=key", ""),
        ("GET /reports?from=2026-11-23T10:00:00Z&to=2026-11-23T11:05:00Z", ""),
        ("GET /reports?format=csv", ""),
        ("GET /requests", ""),
        ("GET /requests/r", ""),
        ("GET /stores", ""),
        ("DELETE /requests?key=a", ""),
        ("GET /logs?format=ndjson", ""),
        ("POST /health/reset", "{}"),
        ("GET /alerts", ""),
        ("POST /alerts/test", ""),
        ("POST /live", ""),
        ("POST /requests/run/end", ""),
        ("DELETE /keys/a", ""),
    ] {
        let got = setup.ask(line, body);
        let status = match line {
            "POST /signing-secrets" | "POST /live" => 201,
            "POST /alerts/test" | "POST /requests/run/end" => 202,
            _ => 200,
        };
        assert_eq!(got.status, status, "{line}: {}", got.body);
    }
    // Every described success was seen.
    let described = setup.document["paths"].as_object().unwrap().iter().flat_map(|(path, methods)| {
        methods.as_object().unwrap().iter().flat_map(move |(method, operation)| {
            let successes =
                operation["responses"].as_object().unwrap().iter().filter(|(status, _)| status.starts_with('2'));
            successes.flat_map(move |(status, response)| {
                let kinds = response["content"].as_object().unwrap().keys();
                kinds.map(move |kind| format!("{} {path} {status} {kind}", method.to_uppercase()))
            })
        })
    });
    let seen = setup.seen.borrow();
    for described in described {
        assert!(seen.contains(&described), "never seen: {described}");
    }
}

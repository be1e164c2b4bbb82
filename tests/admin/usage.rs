//! Usage reports, receipts and exports.

use serde_json::json;

use crate::setup::AdminSetup;
use crate::support::ask;

/// A gateway after three chats of two keys with the same parent, and one with another key.
fn setup_with_receipts() -> AdminSetup {
    let setup = AdminSetup::open();
    setup.key(&json!({"id": "team"}));
    let [first, second] = ["kid", "other"].map(|id| setup.key(&json!({"id": id, "parent": "team"})));
    for (key, model) in
        [(&first, "demo/echo"), (&first, "demo/other"), (&second, "demo/echo"), (&"caller".to_owned(), "demo/echo")]
    {
        assert_eq!(setup.call(key, model), 200);
    }
    setup
}

#[test]
fn usage_is_grouped_as_requested() {
    let setup = setup_with_receipts();
    let usage = |query: &str| setup.ask(&format!("GET /usage{query}"), "").json();
    let all = usage("");
    assert_eq!(all["totals"]["requests"], 4);
    assert_eq!(all["from"], "2026-10-25");
    assert_eq!(all["to"], "2026-11-23");
    assert_eq!(all["data"].as_array().unwrap().len(), 4);
    let by = |query: &str, word: &str| -> Vec<(String, u64)> {
        let rows = usage(query)["data"].as_array().unwrap().clone();
        rows.iter().map(|row| (row[word].as_str().unwrap().to_owned(), row["requests"].as_u64().unwrap())).collect()
    };
    let two = |a: &str, b: &str, first, second| vec![(a.to_owned(), first), (b.to_owned(), second)];
    assert_eq!(by("?group_by=model", "model"), two("echo", "other", 3, 1));
    assert_eq!(by("?group_by=day", "day"), vec![("2026-11-23".to_owned(), 4)]);
    assert_eq!(by("?key=kid&group_by=model", "model"), two("echo", "other", 1, 1));
    assert_eq!(by("?group_by=key", "key_id").len(), 3);
    assert_eq!(usage("?group_by=")["data"][0], usage("")["totals"]);
    assert_eq!(usage("?from=2026-11-24&to=2026-11-25")["totals"]["requests"], 0);
    // The usage of a deleted key is kept.
    setup.ask("DELETE /keys/other", "");
    assert_eq!(usage("")["totals"]["requests"], 4);
    assert_eq!(by("?group_by=key", "key_id").len(), 3);
    // The first page includes the keys in the gateway's variables.
    let first = usage("?limit=2&group_by=key");
    assert_eq!(first["totals"]["requests"], 3);
    assert_eq!(first["next_after"], "kid");
    let rest = usage("?limit=2&group_by=key&after=kid");
    assert_eq!(rest["totals"]["requests"], 1);
    assert_eq!(rest["has_more"], false);
}

#[test]
fn receipts_add_up_to_usage() {
    let setup = setup_with_receipts();
    for key in ["kid", "other"] {
        let receipts = setup.ask(&format!("GET /keys/{key}/receipts"), "").json();
        let sum = |field: &str| {
            receipts["data"].as_array().unwrap().iter().map(|row| row["tokens"][field].as_u64().unwrap()).sum::<u64>()
        };
        let totals = setup.ask(&format!("GET /usage?key={key}"), "").json()["totals"].clone();
        assert_eq!(totals["tokens"]["prompt"], sum("prompt"), "{key}");
        assert_eq!(totals["tokens"]["completion"], sum("completion"), "{key}");
        assert_eq!(totals["requests"].as_u64(), Some(receipts["data"].as_array().unwrap().len() as u64));
    }
    // The account of a parent has the receipts of its children, but does not count them again.
    let page = setup.ask("GET /keys/team/receipts?limit=2", "").json();
    assert_eq!(page["has_more"], true);
    assert_eq!(page["next_before"], 2);
    assert_eq!(page["data"][0]["key_id"], "vk_other");
    assert_eq!(setup.ask("GET /keys/team/receipts?before=2", "").json()["data"].as_array().unwrap().len(), 1);
    assert_eq!(setup.ask("GET /usage?key=team", "").json()["totals"]["requests"], 0);
}

#[test]
fn exports_continue_where_the_last_file_ended() {
    let setup = setup_with_receipts();
    let csv = setup.ask("GET /export/receipts?key=team&format=csv&limit=2", "");
    assert_eq!(csv.header("x-next-before"), Some("2"));
    assert!(csv.header("content-type").unwrap().starts_with("text/csv"));
    let rows: Vec<&str> = csv.body.split("\r\n").collect();
    assert!(rows[0].starts_with("number,id,request_id,key_id,"), "{}", rows[0]);
    assert_eq!(rows.len(), 4);
    assert_eq!(rows[3], "");
    let columns = rows[0].split(',').count();
    assert!(rows[1..3].iter().all(|row| row.split(',').count() == columns));
    assert_eq!(setup.ask("GET /export/receipts?key=team&before=2", "").body.lines().count(), 1);
    let usage = setup.ask("GET /export/usage?format=csv&limit=2", "");
    assert_eq!(usage.header("x-next-after"), Some("kid"));
    assert_eq!(usage.body.lines().count(), 1 + 3);
    let columns = usage.body.lines().next().unwrap().split(',').count();
    assert!(usage.body.lines().all(|row| row.split(',').count() == columns));
}

#[test]
fn callers_see_their_own_usage() {
    let setup = setup_with_receipts();
    let own = |path: &str, key: &str| {
        ask(&setup.gateway, &setup.world, &format!("GET {path}"), &[("authorization", key)], "")
    };
    let usage = own("/v1/usage?group_by=model", "Bearer caller").json();
    assert_eq!(usage["data"][0]["model"], "echo");
    assert_eq!(usage["totals"]["requests"], 1);
    assert_eq!(usage["data"][0].get("key_id"), None);
    assert_eq!(usage.get("has_more"), None);
    assert_eq!(own("/usage", "Bearer caller").status, 200);
    let key = setup.ask("POST /keys/kid/rotate", "").json()["key"].as_str().unwrap().to_owned();
    assert_eq!(own("/v1/usage", &format!("Bearer {key}")).json()["totals"]["requests"], 2);
    assert_eq!(own("/v1/usage", "Bearer nobody").status, 401);
    assert_eq!(own("/v1/usage?group_by=key", "Bearer caller").code(), "invalid_value");
    assert_eq!(own("/v1/usage?key=kid", "Bearer caller").code(), "unknown_parameter");
}

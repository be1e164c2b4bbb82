//! The life of a key: created, changed, rotated, listed and deleted.

use llm_bridge::ids::KeyHash;
use llm_bridge::ledger::key_text::PresentedKey;
use serde_json::json;

use crate::setup::AdminSetup;
use crate::support::Fate;

#[test]
fn a_key_works_within_its_limits() {
    let setup = AdminSetup::open();
    let key = setup.key(&json!({"id": "a", "models": ["demo/echo"]}));
    assert_eq!(setup.call(&key, "demo/echo"), 200);
    assert_eq!(setup.call(&key, "demo/other"), 403);
    assert_eq!(setup.call(&key.replace("sk-lb-a-", "sk-lb-b-"), "demo/echo"), 401);
    setup.json("PATCH /keys/a", &json!({"models": null}));
    assert_eq!(setup.call(&key, "demo/other"), 200);
    assert_eq!(setup.ask("POST /keys/a/disable", "").json()["status"], "disabled");
    assert_eq!(setup.call(&key, "demo/echo"), 401);
    setup.ask("POST /keys/a/enable", "");
    assert_eq!(setup.call(&key, "demo/echo"), 200);
    let rotated = setup.ask("POST /keys/a/rotate", "").json()["key"].as_str().unwrap().to_owned();
    assert_eq!(setup.call(&key, "demo/echo"), 401);
    assert_eq!(setup.call(&rotated, "demo/echo"), 200);
    setup.json("PATCH /keys/a", &json!({"expires_at": "2026-11-23T12:00:01Z"}));
    assert_eq!(setup.call(&rotated, "demo/echo"), 401);
    assert_eq!(setup.ask("GET /keys/a", "").json()["status"], "expired");
    setup.json("PATCH /keys/a", &json!({"expires_at": null}));
    assert_eq!(setup.ask("DELETE /keys/a", "").status, 200);
    assert_eq!(setup.call(&rotated, "demo/echo"), 401);
    assert_eq!(setup.ask("GET /keys/a", "").code(), "key_not_found");
    // Its receipts stay.
    assert_ne!(setup.ask("GET /keys/a/receipts", "").json()["data"], json!([]));
}

#[test]
fn an_interrupted_change_is_completed_by_repeating_it() {
    // Any of the commands may be lost, before or after it was carried out.
    for (fate, at) in [Fate::Lost, Fate::Unanswered].into_iter().flat_map(|fate| (0..3).map(move |at| (fate, at))) {
        let setup = AdminSetup::open();
        let lose =
            || setup.world.fates.borrow_mut().extend((0..=at).map(|now| if now == at { fate } else { Fate::Fine }));
        let again = |line: &str, body: &str| {
            lose();
            assert_eq!(setup.ask(line, body).status, 503, "{line} {at}");
            setup.ask(line, body)
        };
        let made = again("POST /keys", r#"{"id":"a","models":["demo/*"]}"#);
        // If only the response was lost, the key exists and its text is unknown: rotate it.
        let key = match made.status {
            201 => made.json()["key"].as_str().unwrap().to_owned(),
            200 => setup.ask("POST /keys/a/rotate", "").json()["key"].as_str().unwrap().to_owned(),
            other => panic!("{other}: {}", made.body),
        };
        assert_eq!(setup.call(&key, "demo/echo"), 200);
        assert_eq!(setup.ask("GET /keys/a", "").json()["status"], "active");
        assert_eq!(again("PATCH /keys/a", r#"{"enabled":false}"#).status, 200);
        assert_eq!(setup.call(&key, "demo/echo"), 401);
        assert_eq!(again("POST /keys/a/enable", "").status, 200);
        assert_eq!(setup.call(&key, "demo/echo"), 200);
        let rotated = again("POST /keys/a/rotate", "").json()["key"].as_str().unwrap().to_owned();
        assert_eq!(setup.call(&key, "demo/echo"), 401);
        assert_eq!(setup.call(&rotated, "demo/echo"), 200);
        let deleted = again("DELETE /keys/a", "");
        assert!(deleted.status == 200 || deleted.code() == "key_not_found", "{}", deleted.body);
        assert_eq!(setup.call(&rotated, "demo/echo"), 401);
    }
}

#[test]
fn a_repeated_creation_makes_one_key() {
    let setup = AdminSetup::open();
    let fields = json!({"id": "a", "name": "A"});
    let first = setup.json("POST /keys", &fields).json();
    let second = setup.json("POST /keys", &fields);
    assert_eq!(second.status, 200);
    assert_eq!(second.json()["created"], false);
    assert_eq!(second.json()["hint"], first["hint"]);
    assert!(first["key"].as_str().unwrap().ends_with(first["hint"].as_str().unwrap()));
    let page = setup.ask("GET /keys", "");
    assert_eq!(page.json()["data"].as_array().unwrap().len(), 1);
    // Later responses contain neither the text nor its hash.
    let text = first["key"].as_str().unwrap();
    let hash = fingerprint(text);
    for got in [page, second, setup.ask("GET /keys/a", "")] {
        assert!(!got.body.contains(text), "{}", got.body);
        assert!(!got.body.contains(hash.as_str()), "{}", got.body);
    }
    assert!(setup.world.logs.borrow().iter().all(|line| !line.contains(text)));
}

#[test]
fn keys_are_listed_page_by_page() {
    let setup = AdminSetup::open();
    for id in ["c", "a", "b"] {
        setup.key(&json!({"id": id}));
    }
    let page = |query: &str| {
        let page = setup.ask(&format!("GET /keys{query}"), "").json();
        let ids: String = page["data"].as_array().unwrap().iter().map(|key| key["id"].as_str().unwrap()).collect();
        (ids, page["has_more"].as_bool().unwrap(), page["next_after"].as_str().map(str::to_owned))
    };
    assert_eq!(page("?limit=2"), ("ca".to_owned(), true, Some("a".to_owned())));
    assert_eq!(page("?limit=2&after=a"), ("b".to_owned(), false, None));
    assert_eq!(page("?after=vk_c"), ("ab".to_owned(), false, None));
}

/// The fingerprint of a key, which the registry stores.
fn fingerprint(text: &str) -> KeyHash {
    match PresentedKey::parse(text) {
        Some(PresentedKey::Signed(signed)) => signed.hash(),
        _ => unreachable!("a signed key"),
    }
}

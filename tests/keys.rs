//! Keys made at run time on a scripted platform: which are refused, and which objects are called for that.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may insist")]

mod support;

use futures::executor::block_on;
use futures::future::join_all;
use llm_bridge::gateway::{Opened, identify};
use serde_json::{Value, json};
use support::{Fate, Got, World, ask, asking, bridge};

const CONFIG: &str = "providers: { demo: { adapter: echo, models: { echo: {} } } }";
const SECRETS: &[(&str, &str)] = &[("ACCESS_API_KEYS", "caller"), ("ADMIN_API_KEYS", "admin")];
const ADMIN: &[(&str, &str)] = &[("authorization", "Bearer admin")];
const CHAT: &str = r#"{"model":"demo/echo","messages":[{"role":"user","content":"Hello!"}]}"#;
/// Where a key is shown.
const DOORS: &[&str] = &[
    "POST /v1/chat/completions",
    "POST /v1/messages",
    "POST /v1/messages/count_tokens",
    "POST /v1/completions",
    "POST /v1/embeddings",
    "POST /v1/tokenize",
    "GET /v1/models",
    "GET /v1/models/demo%2Fecho",
    "GET /v1/usage",
];

struct Office {
    gateway: Opened,
    world: World,
}

impl Office {
    fn open() -> Self {
        Self { gateway: bridge(CONFIG, SECRETS), world: World::default() }
    }

    fn admin(&self, line: &str, body: &Value) -> Got {
        ask(&self.gateway, &self.world, &line.replacen(' ', " /admin/api", 1), ADMIN, &body.to_string())
    }

    fn key(&self, wish: &Value) -> String {
        let got = self.admin("POST /keys", wish);
        assert_eq!(got.status, 201, "{}", got.body);
        got.json()["key"].as_str().unwrap().to_owned()
    }

    fn shown(&self, key: &str, line: &str, body: &str) -> Got {
        let bearer = format!("Bearer {key}");
        ask(&self.gateway, &self.world, line, &[("authorization", &bearer)], body)
    }

    fn chat(&self, key: &str) -> Got {
        self.shown(key, "POST /v1/chat/completions", CHAT)
    }

    /// The objects that were called since the last time.
    fn called(&self) -> Vec<String> {
        self.world.called.take()
    }

    /// The same gateway in a new isolate.
    fn anew(self) -> Self {
        Self { gateway: bridge(CONFIG, SECRETS), ..self }
    }

    fn wait(&self, millis: u64) {
        self.world.clock.set(self.world.clock.get() + millis);
    }
}

/// The key with another character in the middle of its secret.
fn forged(key: &str) -> String {
    let at = key.len() - 30;
    let letter = if &key[at..=at] == "x" { "y" } else { "x" };
    [&key[..at], letter, &key[at + 1..]].concat()
}

#[test]
fn an_invented_key_reaches_no_account_on_any_endpoint() {
    let office = Office::open();
    let key = office.key(&json!({"id": "a"}));
    let (forged, other) = (forged(&key), key.replacen("sk-lb-a-", "sk-lb-b-", 1));
    let old = format!("sk-lb-a-{}", "x".repeat(40));
    office.called();
    for line in DOORS {
        for made_up in [&forged, &other, &old] {
            // The body is invalid. The key is checked before it.
            let got = office.shown(made_up, line, "{");
            assert_eq!(got.status, 401, "{line} {}", got.body);
            assert!(got.body.contains("rotate") == (*made_up == old), "{line} {}", got.body);
        }
    }
    assert_eq!(office.called(), Vec::<String>::new());
    assert_eq!(office.chat(&key).status, 200);
}

#[test]
fn concurrent_requests_ask_for_the_secrets_once() {
    let office = Office::open();
    let key = office.key(&json!({"id": "a"}));
    let office = office.anew();
    office.called();
    office.world.pauses.borrow_mut().extend([9; 30]);
    let bearer = format!("Bearer {key}");
    let headers = [("authorization", bearer.as_str())];
    let chats = (0..12).map(|_| asking(&office.gateway, &office.world, "POST /v1/chat/completions", &headers, CHAT));
    assert!(block_on(join_all(chats)).iter().all(|got| got.status == 200));
    assert_eq!(office.called().iter().filter(|seat| *seat == "Signing").count(), 1);
    office.wait(59_000);
    assert_eq!(office.chat(&key).status, 200);
    assert_eq!(office.called(), ["Account(\"vk_a\")"], "the secrets are kept");
}

#[test]
fn an_unreachable_registry_is_a_503_and_is_not_asked_by_each_request() {
    let office = Office::open();
    let key = office.key(&json!({"id": "a"}));
    let office = office.anew();
    office.called();
    office.world.fates.borrow_mut().push_back(Fate::Lost);
    let got = office.shown(&key, "POST /v1/messages", CHAT);
    assert_eq!(got.status, 503);
    assert_eq!(got.header("retry-after"), Some("1"));
    assert_eq!(got.json()["type"].as_str(), Some("error"));
    for _ in 0..9 {
        assert_eq!(office.chat(&key).status, 503);
        assert_eq!(office.chat(&forged(&key)).status, 503);
    }
    assert_eq!(office.called(), ["Signing"]);
    // Requests with a key of the configuration, or with no key of the gateway, are not affected.
    assert_eq!(office.chat("caller").status, 200);
    assert_eq!(office.chat("made-up").status, 401);
    office.wait(1_000);
    assert_eq!(office.chat(&key).status, 200);
}

#[test]
fn known_secrets_are_used_while_the_registry_is_unreachable() {
    let office = Office::open();
    let key = office.key(&json!({"id": "a"}));
    office.wait(60_000);
    office.called();
    office.world.fates.borrow_mut().push_back(Fate::Lost);
    assert_eq!(office.chat(&key).status, 200);
    assert_eq!(office.chat(&key).status, 200);
    assert_eq!(office.called(), ["Signing", "Account(\"vk_a\")"]);
}

#[test]
fn an_unknown_version_costs_a_call_each_four_seconds() {
    let office = Office::open();
    let key = office.key(&json!({"id": "a"}));
    office.called();
    office.wait(4_000);
    for version in 2..50 {
        assert_eq!(office.chat(&key.replacen("-a-1", &format!("-a-{version}"), 1)).status, 401);
    }
    assert_eq!(office.called(), ["Signing"]);
}

#[test]
fn two_versions_are_valid_until_the_operator_ends_one() {
    let office = Office::open();
    let first = office.key(&json!({"id": "a"}));
    assert_eq!(office.admin("DELETE /signing-secrets/1", &json!({})).code(), "last_signing_secret");
    let made = office.admin("POST /signing-secrets", &json!({})).json();
    assert_eq!(made["version"], 2);
    assert_eq!(made["signs_new_keys"], true);
    assert_eq!(made["keys"], 0);
    assert_eq!(office.admin("POST /signing-secrets", &json!({})).code(), "too_many_signing_secrets");
    let second = office.key(&json!({"id": "b"}));
    assert!(first.starts_with("sk-lb-a-1") && second.starts_with("sk-lb-b-2"));
    assert_eq!(office.chat(&first).status, 200);
    assert_eq!(office.chat(&second).status, 200);
    let ended = office.admin("DELETE /signing-secrets/1", &json!({})).json();
    assert_eq!(ended["deleted"], true);
    assert_eq!(ended["keys_to_rotate"], 1);
    let refused = office.chat(&first);
    assert!(refused.status == 401 && refused.body.contains("POST /admin/api/keys/a/rotate"), "{}", refused.body);
    assert_eq!(office.chat(&second).status, 200);
    assert_eq!(office.admin("GET /keys/a", &json!({})).json()["status"], "must_rotate");
    let fresh = office.admin("POST /keys/a/rotate", &json!({})).json()["key"].as_str().unwrap().to_owned();
    assert_eq!(office.chat(&fresh).status, 200);
    assert_eq!(office.chat(&first).status, 401);
    assert_eq!(office.admin("GET /keys/a", &json!({})).json()["status"], "active");
    for version in ["1", "3", "x"] {
        let got = office.admin(&format!("DELETE /signing-secrets/{version}"), &json!({}));
        assert_eq!(got.status, 404, "{version}");
        assert_eq!(got.code(), "signing_secret_not_found", "{version}");
    }
}

#[test]
fn another_isolate_notices_a_new_version_at_once_and_an_ended_one_within_a_minute() {
    let office = Office::open();
    let first = office.key(&json!({"id": "a"}));
    let other = Office { gateway: bridge(CONFIG, SECRETS), world: World::default() };
    // Two isolates with the same registry and accounts.
    let here = &office.gateway;
    let there = &other.gateway;
    let chat = |gateway: &Opened, key: &str| {
        let bearer = format!("Bearer {key}");
        ask(gateway, &office.world, "POST /v1/chat/completions", &[("authorization", &bearer)], CHAT).status
    };
    assert_eq!(chat(here, &first), 200);
    assert_eq!(chat(there, &first), 200);
    office.wait(5_000);
    office.admin("POST /signing-secrets", &json!({}));
    let second = office.key(&json!({"id": "b"}));
    assert_eq!(chat(there, &second), 200);
    office.admin("DELETE /signing-secrets/1", &json!({}));
    assert_eq!(chat(here, &first), 401);
    assert_eq!(chat(there, &first), 200);
    office.wait(60_000);
    // This request asks the registry, and the next one uses the result.
    assert_eq!(chat(there, &first), 401);
}

#[test]
fn a_deleted_key_costs_one_call_in_four_seconds() {
    let office = Office::open();
    let old = office.key(&json!({"id": "a"}));
    let off = office.key(&json!({"id": "b"}));
    office.admin("POST /keys/a/rotate", &json!({}));
    office.admin("POST /keys/b/disable", &json!({}));
    office.called();
    for line in DOORS {
        let (old, off) = (office.shown(&old, line, CHAT), office.shown(&off, line, CHAT));
        assert_eq!(old.status, 401, "{line} {} {}", old.body, off.body);
        assert_eq!(off.status, 401, "{line} {} {}", old.body, off.body);
    }
    assert_eq!(office.called(), ["Account(\"vk_a\")", "Account(\"vk_b\")"]);
    office.admin("POST /keys/b/enable", &json!({}));
    assert_eq!(office.chat(&off).status, 200, "here it is known at once");
    office.wait(4_000);
    office.called();
    office.chat(&old);
    assert_eq!(office.called(), ["Account(\"vk_a\")"]);
}

#[test]
fn an_invalid_parent_blocks_its_members_on_every_endpoint() {
    let office = Office::open();
    office.key(&json!({"id": "team"}));
    let key = office.key(&json!({"id": "kid", "parent": "team"}));
    let all = |status: u16| {
        for line in [
            "POST /v1/chat/completions",
            "POST /v1/tokenize",
            "GET /v1/models",
            "GET /v1/models/demo%2Fecho",
            "GET /v1/usage",
        ] {
            // A count fails here, because there is no vocabulary.
            let found = office.shown(&key, line, CHAT).status;
            assert_eq!(if found == 503 { 200 } else { found }, status, "{line}");
        }
        let bearer = format!("Bearer {key}");
        let header = |name: &str| (name == "authorization").then(|| bearer.clone());
        let caller = block_on(identify(&office.gateway, &office.world, "gateway.example", &header));
        assert_eq!(caller.map_or_else(|error| error.status(), |_| 200), status, "a WebSocket");
    };
    all(200);
    office.admin("POST /keys/team/disable", &json!({}));
    all(401);
    office.admin("POST /keys/team/enable", &json!({}));
    office.wait(4_000);
    all(200);
    office.admin("PATCH /keys/team", &json!({"expires_at": 1}));
    all(401);
}

#[test]
fn a_failed_admission_reserves_nothing_and_has_no_receipt() {
    let office = Office::open();
    office.key(&json!({"id": "team", "concurrent_requests": 1}));
    let key = office.key(&json!({"id": "kid", "parent": "team", "concurrent_requests": 1}));
    assert_eq!(office.chat(&key).status, 200);
    // The response of the key's own account is lost, or that of its parent's, or the command to the parent's.
    for fates in [vec![Fate::Unanswered], vec![Fate::Fine, Fate::Unanswered], vec![Fate::Fine, Fate::Lost]] {
        office.world.fates.borrow_mut().extend(fates);
        assert_eq!(office.chat(&key).status, 503);
        assert_eq!(office.chat(&key).status, 200, "each place is free");
    }
    office.wait(80_000);
    for id in ["kid", "team"] {
        let receipts = office.admin(&format!("GET /keys/{id}/receipts"), &json!({})).json();
        let outcomes: Vec<_> = receipts["data"].as_array().unwrap().iter().map(|receipt| &receipt["outcome"]).collect();
        assert_eq!(outcomes, ["complete"; 4], "{id}");
    }
}

#[test]
fn counts_need_no_call_without_limits_and_at_most_one_with_them() {
    let office = Office::open();
    let count = |key: &str| office.shown(key, "POST /v1/tokenize", CHAT).status;
    let free = office.key(&json!({"id": "free", "models": ["demo/*"], "budget": {"amount": "0", "per": "total"}}));
    let fast = office.key(&json!({"id": "fast", "requests_per_minute": 1}));
    let few = office.key(&json!({"id": "few", "concurrent_requests": 1}));
    office.called();
    for (key, calls) in [(&free, 1), (&fast, 3), (&few, 6), (&"caller".to_owned(), 0)] {
        // A count fails here, because there is no vocabulary. The third one shows that the slot is freed.
        assert_eq!([count(key), count(key), count(key)], [503; 3]);
        assert_eq!(office.called().len(), calls);
    }
    let small = office.key(&json!({"id": "small", "max_body_bytes": 10}));
    let other = office.key(&json!({"id": "other", "models": ["x/*"]}));
    for _ in 0..2 {
        assert_eq!(count(&small), 413);
        assert_eq!(count(&other), 403);
    }
    assert_eq!(office.shown(&small, "POST /v1/messages/count_tokens", CHAT).status, 413);
}

//! The signatures of keys made at run time, in a scripted world: who is turned away at the door, what it costs, and what the directory is
//! asked for.
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

    /// The objects called since the last time.
    fn called(&self) -> Vec<String> {
        self.world.called.take()
    }

    /// As an isolate that has just begun.
    fn anew(self) -> Self {
        Self { gateway: bridge(CONFIG, SECRETS), ..self }
    }

    fn wait(&self, millis: u64) {
        self.world.clock.set(self.world.clock.get() + millis);
    }
}

/// A key of the same form, with another letter in the middle of its secret.
fn forged(key: &str) -> String {
    let at = key.len() - 30;
    let letter = if &key[at..=at] == "x" { "y" } else { "x" };
    [&key[..at], letter, &key[at + 1..]].concat()
}

#[test]
fn a_made_up_key_opens_no_account_at_any_door() {
    let office = Office::open();
    let key = office.key(&json!({"id": "a"}));
    let (forged, other) = (forged(&key), key.replacen("sk-lb-a-", "sk-lb-b-", 1));
    let old = format!("sk-lb-a-{}", "x".repeat(40));
    office.called();
    for line in DOORS {
        for made_up in [&forged, &other, &old] {
            // What cannot be read is not read: the key comes first.
            let got = office.shown(made_up, line, "{");
            assert_eq!(got.status, 401, "{line} {}", got.body);
            assert!(got.body.contains("rotate") == (*made_up == old), "{line} {}", got.body);
        }
    }
    assert_eq!(office.called(), Vec::<String>::new());
    assert_eq!(office.chat(&key).status, 200);
}

#[test]
fn an_isolate_asks_for_the_secrets_once_however_many_come_at_once() {
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
fn a_directory_that_is_away_is_a_503_in_the_callers_format_and_is_not_asked_by_each() {
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
    // Whoever has a fixed key, or none at all, does not notice.
    assert_eq!(office.chat("caller").status, 200);
    assert_eq!(office.chat("made-up").status, 401);
    office.wait(1_000);
    assert_eq!(office.chat(&key).status, 200);
}

#[test]
fn a_secret_that_is_known_is_relied_on_while_the_directory_is_away() {
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
fn a_version_that_nobody_made_costs_a_call_each_four_seconds() {
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
fn an_isolate_that_was_not_told_notices_a_new_version_at_once_and_an_ended_one_within_a_minute() {
    let office = Office::open();
    let first = office.key(&json!({"id": "a"}));
    let other = Office { gateway: bridge(CONFIG, SECRETS), world: World::default() };
    // One directory and one set of books, two isolates.
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
    // This one has the directory asked, and the next one knows.
    assert_eq!(chat(there, &first), 401);
}

#[test]
fn a_key_that_was_taken_back_costs_one_call_in_four_seconds() {
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
fn a_parent_that_is_no_good_closes_every_door_to_its_members_at_once() {
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
            // Nothing is counted here, for there is no vocabulary.
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
fn a_request_whose_admission_failed_holds_nothing_and_has_no_receipt() {
    let office = Office::open();
    office.key(&json!({"id": "team", "concurrent_requests": 1}));
    let key = office.key(&json!({"id": "kid", "parent": "team", "concurrent_requests": 1}));
    assert_eq!(office.chat(&key).status, 200);
    // The answer of the key's own account is lost, or that of the account above, or that never gets the question.
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
fn counts_cost_a_key_without_limits_no_call_and_another_one_call_more_at_most() {
    let office = Office::open();
    let count = |key: &str| office.shown(key, "POST /v1/tokenize", CHAT).status;
    let free = office.key(&json!({"id": "free", "models": ["demo/*"], "budget": {"amount": "0", "per": "total"}}));
    let fast = office.key(&json!({"id": "fast", "requests_per_minute": 1}));
    let few = office.key(&json!({"id": "few", "concurrent_requests": 1}));
    office.called();
    for (key, calls) in [(&free, 1), (&fast, 3), (&few, 6), (&"caller".to_owned(), 0)] {
        // Nothing is counted here, for there is no vocabulary; that the place is given back all the same shows in the third.
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

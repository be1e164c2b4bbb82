//! Identities of Cloudflare Access: what they may do, and which tokens are refused. Signatures are the
//! platform's matter; here, a signature says which key made it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use llm_bridge::gateway::Opened;
use serde_json::{Value, json};

use crate::setup::{ADMIN, SECRETS, keep_audit_log};
use crate::support::{Got, World, ask, bridge};

const CONFIG: &str = "
providers: { demo: { adapter: echo, models: { echo: {} } } }
admin:
  access: { team_domain: team.cloudflareaccess.com, audience: app, writers: [alice@example.com] }
";
const NOW: u64 = 1_795_435_200_000;

fn open(config: &str) -> (Opened, World) {
    let world = World::default();
    world.clock.set(NOW);
    keep_audit_log(&world);
    (bridge(config, SECRETS), world)
}

/// The keys with these ids, as the team's domain has them.
fn certs(ids: &[&str]) -> String {
    let key =
        |id: &&str| json!({"kid": id, "kty": "RSA", "alg": "RS256", "use": "sig", "n": "A".repeat(342), "e": "AQAB"});
    json!({"keys": ids.iter().map(key).collect::<Vec<_>>(), "public_cert": {}, "public_certs": []}).to_string()
}

fn token(key: &str, email: &str, changes: &Value) -> String {
    let mut claims = json!({"iss": "https://team.cloudflareaccess.com", "aud": ["app"], "email": email,
        "exp": NOW / 1_000 + 600, "iat": NOW / 1_000 - 60, "nbf": NOW / 1_000 - 60});
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    let part = |text: String| URL_SAFE_NO_PAD.encode(text);
    [part(json!({"alg": "RS256", "kid": key}).to_string()), part(claims.to_string()), part(format!("signed by {key}"))]
        .join(".")
}

fn call(setup: &(Opened, World), line: &str, token: &str, more: &[(&str, &str)]) -> Got {
    let headers = [&[("cf-access-jwt-assertion", token), ("host", "gateway.example")], more].concat();
    ask(&setup.0, &setup.1, line, &headers, r#"{"id":"a"}"#)
}

fn alice() -> String {
    token("k1", "Alice@example.com", &json!({}))
}

fn bob() -> String {
    token("k1", "bob@example.com", &json!({}))
}

#[test]
fn identities_may_read_and_writers_may_write() {
    let setup = open(CONFIG);
    setup.1.texts.borrow_mut().push_back(certs(&["k1"]));
    assert_eq!(call(&setup, "GET /admin/api/keys", &bob(), &[]).status, 200);
    assert_eq!(call(&setup, "POST /admin/api/keys", &alice(), &[]).status, 201);
    let refused = call(&setup, "DELETE /admin/api/keys/a", &bob(), &[]);
    assert_eq!((refused.status, refused.code()), (403, "access_read_only".to_owned()));
    assert_eq!(*setup.1.fetched.borrow(), ["https://team.cloudflareaccess.com/cdn-cgi/access/certs"]);
    let entries = call(&setup, "GET /admin/api/audit", &bob(), &[]).json()["data"].clone();
    assert_eq!(entries[0]["actor"], "access:bob@example.com");
    assert_eq!((&entries[0]["action"], &entries[0]["status"]), (&json!("key.delete"), &json!(403)));
    assert_eq!((&entries[1]["actor"], &entries[1]["status"]), (&json!("access:alice@example.com"), &json!(201)));
}

#[test]
fn listed_readers_are_the_only_ones() {
    let setup = open(&CONFIG.replace("writers:", "readers: [carol@example.com], writers:"));
    setup.1.texts.borrow_mut().push_back(certs(&["k1"]));
    let status = |email: &str| call(&setup, "GET /admin/api/keys", &token("k1", email, &json!({})), &[]).status;
    assert_eq!(status("carol@example.com"), 200);
    assert_eq!(status("alice@example.com"), 200);
    assert_eq!(status("bob@example.com"), 403);
}

#[test]
fn tokens_that_do_not_hold_are_refused_and_cost_no_object() {
    let setup = open(CONFIG);
    setup.1.texts.borrow_mut().push_back(certs(&["k1"]));
    let good = alice();
    let (signed, _) = good.rsplit_once('.').unwrap();
    let forged = format!("{signed}.{}", URL_SAFE_NO_PAD.encode("signed by k2"));
    let tokens = [
        forged,
        token("k1", "alice@example.com", &json!({"exp": NOW / 1_000})),
        token("k1", "alice@example.com", &json!({"aud": ["other"]})),
        token("k1", "alice@example.com", &json!({"iss": "https://evil.cloudflareaccess.com"})),
        token("k9", "alice@example.com", &json!({})),
        "x".to_owned(),
        String::new(),
    ];
    for text in tokens {
        let got = call(&setup, "POST /admin/api/keys", &text, &[]);
        assert_eq!(got.status, 401, "{text}");
        assert_eq!(got.code(), "invalid_access_token", "{text}");
    }
    assert!(setup.1.called.borrow().is_empty());
    assert_eq!(setup.1.fetched.borrow().len(), 1);
}

#[test]
fn keys_are_fetched_once_a_minute_at_most_and_used_while_they_cannot_be_fetched() {
    let setup = open(CONFIG);
    let status = |token: &str| call(&setup, "GET /admin/api/keys", token, &[]).status;
    let minute = |minutes: u64| setup.1.clock.set(NOW + minutes * 60_000);
    let long = |key: &str| token(key, "bob@example.com", &json!({"exp": NOW}));
    assert_eq!(status(&long("k1")), 503, "the keys cannot be fetched");
    setup.1.texts.borrow_mut().push_back(certs(&["k1"]));
    assert_eq!(status(&long("k1")), 503, "a minute has not passed");
    minute(1);
    assert_eq!(status(&long("k1")), 200);
    assert_eq!(status(&long("k2")), 401);
    minute(2);
    setup.1.texts.borrow_mut().push_back(certs(&["k1", "k2"]));
    assert_eq!(status(&long("k2")), 200, "a new key is found");
    // An hour later they are fetched again. That fails, and the old ones are good for a day.
    minute(70);
    assert_eq!(status(&long("k1")), 200);
    assert_eq!(setup.1.fetched.borrow().len(), 4);
    minute(2 + 24 * 60 + 1);
    assert_eq!(status(&long("k1")), 503);
}

#[test]
fn an_admin_key_counts_before_an_identity() {
    let setup = open(CONFIG);
    let with_key = |key: &str| call(&setup, "POST /admin/api/keys", "x", &[("authorization", key)]).status;
    assert_eq!(with_key("Bearer admin"), 201);
    assert_eq!(with_key("Bearer other"), 401);
    let without_keys = (bridge(CONFIG, &[]), World::default());
    let got = ask(&without_keys.0, &without_keys.1, "GET /admin/api/keys", &[], "");
    assert_eq!((got.status, got.code()), (401, "invalid_api_key".to_owned()));
}

#[test]
fn a_page_of_another_site_cannot_use_the_browser_of_an_administrator() {
    let setup = open(&CONFIG.replace("admin:", "cors: { origins: [\"https://app.example\"] }\nadmin:"));
    setup.1.texts.borrow_mut().push_back(certs(&["k1"]));
    let from = |origin: &str| call(&setup, "POST /admin/api/keys", &alice(), &[("origin", origin)]);
    assert_eq!(from("https://gateway.example").status, 201);
    assert_eq!(from("https://app.example").status, 200);
    for origin in ["https://evil.example", "null", "https://gateway.example.evil.example", ""] {
        let got = from(origin);
        assert_eq!((got.status, got.code()), (403, "origin_not_allowed".to_owned()), "{origin}");
    }
    // A key is not sent by itself, so no origin is asked for.
    let headers = [ADMIN[0], ("origin", "https://evil.example")];
    assert_eq!(ask(&setup.0, &setup.1, "GET /admin/api/keys", &headers, "").status, 200);
}

#[test]
fn without_access_in_the_configuration_a_token_is_nothing() {
    let setup = open("providers: { demo: { adapter: echo, models: { echo: {} } } }");
    let got = call(&setup, "GET /admin/api/keys", &alice(), &[]);
    assert_eq!(got.status, 401);
    assert!(setup.1.fetched.borrow().is_empty());
}

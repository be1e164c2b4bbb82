//! Any request gets a response, and concurrent changes of a key leave the registry and the account
//! consistent.

use futures::executor::block_on;
use futures::future::join_all;
use proptest::prelude::*;
use serde_json::json;

use crate::setup::{ADMIN, AdminSetup};
use crate::support::{ask, asking};

/// Requests that change one key.
const CHANGES: &[(&str, &str)] = &[
    ("PATCH /admin/api/keys/a", r#"{"enabled":true}"#),
    ("PATCH /admin/api/keys/a", r#"{"enabled":false}"#),
    ("POST /admin/api/keys/a/rotate", ""),
    ("DELETE /admin/api/keys/a", ""),
    ("POST /admin/api/keys", r#"{"id":"a"}"#),
    ("POST /admin/api/keys", r#"{"id":"a","name":"A"}"#),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// No request makes the gateway fail.
    #[test]
    fn no_request_makes_the_gateway_fail(path in "/[a-z{}%/0-9.-]{0,20}|/keys(/[a-z%]{0,3}){0,2}|/usage|/export/usage", query in ".{0,30}|(from|to|key|after)=.{0,12}", method in "GET|POST|PATCH|DELETE|[A-Z]{1,6}", body in r#".{0,20}|\{"[a-z_]{1,9}":.{0,20}\}"#) {
        let setup = AdminSetup::open();
        let got = ask(&setup.gateway, &setup.world, &format!("{method} /admin/api{path}?{query}"), ADMIN, &body);
        prop_assert!(got.status < 500, "{}", got.body);
    }

    /// After concurrent changes in any order, the registry and the account agree, and only the last text
    /// works.
    #[test]
    fn registry_and_account_agree(changes in prop::collection::vec(0..CHANGES.len(), 1..6), pauses in prop::collection::vec(0usize..9, 60)) {
        let setup = AdminSetup::open();
        let mut texts = vec![setup.key(&json!({"id": "a"}))];
        setup.world.pauses.borrow_mut().extend(pauses);
        let requests = changes.iter().map(|change| {
            let (line, body) = CHANGES[*change];
            asking(&setup.gateway, &setup.world, line, ADMIN, body)
        });
        for got in block_on(join_all(requests)) {
            texts.extend(got.json()["key"].as_str().map(str::to_owned));
            // A change that others overtook five times must be repeated.
            let overtaken = got.status == 503 && got.code() == "directory_unavailable";
            prop_assert!(overtaken || matches!(got.status, 200 | 201 | 404 | 409), "{} {}", got.status, got.body);
        }
        setup.world.pauses.borrow_mut().clear();
        let key = setup.ask("GET /keys/a", "").json();
        prop_assert!(matches!(key["status"].as_str(), None | Some("active" | "disabled")), "{}", key);
        let working: Vec<&str> = texts.iter().filter(|text| setup.call(text, "demo/echo") == 200).map(|text| &text[text.len() - 4..]).collect();
        let wanted: Vec<&str> = key["hint"].as_str().filter(|_| key["status"] == "active").into_iter().collect();
        prop_assert_eq!(working, wanted);
    }
}

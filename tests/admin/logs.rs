//! The lines of log files are asked of their object, and returned as it has them.

use llm_bridge::config::LogLevel;
use llm_bridge::telemetry::log_file::{LogPage, LogQuery};
use serde_json::json;

use crate::setup::{ADMIN, AdminSetup, SECRETS};
use crate::support::{Fate, World, ask, bridge};

const LINE: &str =
    r#"{"timestamp":"2026-11-23T12:00:00.000Z","level":"info","event":"request_start","request_id":"r1"}"#;

#[test]
fn parameters_say_which_lines_are_wanted() {
    let setup = AdminSetup::open();
    let queried = |line: &str| {
        assert_eq!(setup.ask(line, "").status, 200, "{line}");
        setup.world.log_queries.borrow_mut().pop().unwrap()
    };
    assert_eq!(queried("GET /logs"), LogQuery::newest(100));
    let expected = LogQuery {
        level: LogLevel::Warning,
        request_id: Some("a b".to_owned()),
        from: Some(1_795_412_345_000),
        ..LogQuery::newest(7)
    };
    assert_eq!(queried("GET /logs?tail=7&level=warning&request_id=a%20b&from=2026-11-23T05:39:05Z"), expected);
    let of_day = LogQuery { from: Some(1_795_392_000_000), ..LogQuery::newest(100) };
    assert_eq!(queried("GET /logs?from=2026-11-23"), of_day);
}

#[test]
fn lines_are_returned_as_they_are() {
    let setup = AdminSetup::open();
    *setup.world.log_page.borrow_mut() =
        LogPage { lines: vec![LINE.to_owned()], has_more: true, unread_segments: 1, ..LogPage::default() };
    let got = setup.ask("GET /logs", "");
    assert!(got.body.contains(LINE), "{}", got.body);
    assert_eq!(got.json()["has_more"], json!(true));
    assert_eq!(got.json()["unread_segments"], json!(1));
    assert_eq!(setup.ask("GET /logs?format=ndjson", "").body, format!("{LINE}\n"));
}

#[test]
fn lines_that_came_along_with_reports_are_fetched_first() {
    for (response, unread) in [("true", 0), ("false", 1)] {
        let setup = AdminSetup::open();
        setup.world.operations.borrow_mut().insert("lines", Box::new(|_| response.to_owned()));
        let got = setup.ask("GET /logs", "");
        assert_eq!((got.status, got.json()["unread_segments"].clone()), (200, json!(unread)));
    }
    let setup = AdminSetup::open();
    setup.world.fates.borrow_mut().push_back(Fate::Lost);
    assert_eq!(setup.ask("GET /logs", "").json()["unread_segments"], json!(1));
}

#[test]
fn invalid_parameters_are_refused_by_name() {
    let setup = AdminSetup::open();
    for (parameter, name) in [
        ("tail=0", "tail"),
        ("tail=10001", "tail"),
        ("level=loud", "level"),
        ("from=yesterday", "from"),
        ("format=csv", "format"),
    ] {
        let got = setup.ask(&format!("GET /logs?{parameter}"), "");
        assert_eq!(got.status, 400, "{parameter}");
        assert_eq!(got.json()["error"]["param"], json!(name));
    }
}

#[test]
fn without_log_files_there_are_no_lines() {
    let (gateway, world) =
        (bridge("providers: { demo: { adapter: echo, models: { echo: {} } } }", SECRETS), World::default());
    let got = ask(&gateway, &world, "GET /admin/api/logs", ADMIN, "");
    assert_eq!(got.status, 404);
    assert_eq!(got.json()["error"]["code"], json!("log_files_disabled"));
    assert!(world.called.borrow().is_empty());
}

#[test]
fn an_object_that_cannot_be_reached_is_reported() {
    let setup = AdminSetup::open();
    setup.world.fates.borrow_mut().extend([Fate::Lost, Fate::Lost]);
    let got = setup.ask("GET /logs", "");
    assert_eq!(got.status, 503);
    assert_eq!(got.json()["error"]["code"], json!("log_files_unavailable"));
}

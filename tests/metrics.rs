//! Metrics as scrapers get them, and what an isolate measures for them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may insist")]

mod support;

use llm_bridge::telemetry::metrics::{Family, LIMITS_HIT, REFUSED_REQUESTS, SeriesValue};
use serde_json::json;
use support::{Got, World, ask, bridge};

const CONFIG: &str = "
providers: { demo: { adapter: echo, models: { echo: {}, 'other<high>': {} } } }
aliases: { short: demo/echo }
";
const KEYS: &[(&str, &str)] = &[
    ("ACCESS_API_KEYS", "caller"),
    ("METRICS_API_KEYS", "scraper, second"),
    ("ADMIN_API_KEYS", "admin"),
    ("ADMIN_READ_API_KEYS", "viewer"),
];

/// A platform whose object of metrics responds.
fn world() -> World {
    let world = World::default();
    let respond = |command: &str| format!("# asked: {command}\n");
    world.operations.borrow_mut().insert("metrics", Box::new(respond));
    world
}

fn scrape(secrets: &[(&str, &str)], world: &World, headers: &[(&str, &str)]) -> Got {
    ask(&bridge(CONFIG, secrets), world, "GET /metrics", headers, "")
}

/// `user:key` in base64, as a header.
fn basic(key: &str) -> String {
    use base64::Engine as _;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("user:{key}")))
}

#[test]
fn a_key_of_metrics_or_any_admin_key_opens_them() {
    for key in ["scraper", "second", "admin", "viewer"] {
        for header in [format!("Bearer {key}"), basic(key)] {
            let got = scrape(KEYS, &world(), &[("authorization", &header)]);
            assert_eq!(got.status, 200, "{header}: {}", got.body);
            assert_eq!(got.header("cache-control"), Some("no-store"));
            assert_eq!(got.header("access-control-allow-origin"), None);
        }
    }
    let world = world();
    let got = ask(&bridge(CONFIG, KEYS), &world, "GET /v1/models", &[("authorization", "Bearer scraper")], "");
    assert_eq!(got.status, 401, "a key of metrics is no access key");
    let got = ask(&bridge(CONFIG, KEYS), &world, "GET /admin/api/keys", &[("authorization", "Bearer scraper")], "");
    assert_eq!(got.status, 401, "nor an admin key");
}

#[test]
fn any_other_key_is_refused_without_a_call_of_an_object() {
    for header in
        ["", "Bearer caller", "Bearer scraper, second", "Bearer scrape", "Basic ?", &basic("caller"), &basic("")]
    {
        let world = world();
        let got = scrape(KEYS, &world, &[("authorization", header)]);
        assert_eq!((got.status, got.code().as_str()), (401, "invalid_api_key"), "{header}");
        assert!(got.header("www-authenticate").is_some(), "{header}");
        assert_eq!(got.header("cache-control"), Some("no-store"), "{header}");
        assert!(world.called.borrow().is_empty(), "{header}");
    }
}

#[test]
fn without_keys_there_are_no_metrics() {
    let world = world();
    let got = scrape(&[("ACCESS_API_KEYS", "caller")], &world, &[("authorization", "Bearer caller")]);
    assert_eq!((got.status, got.code().as_str()), (404, "metrics_disabled"));
    assert!(got.body.contains("METRICS_API_KEYS"), "{}", got.body);
    assert!(world.called.borrow().is_empty());
    assert_eq!(scrape(&[("METRICS_API_KEYS", "scraper")], &world, &[("authorization", "Bearer scraper")]).status, 200);
}

#[test]
fn the_format_is_negotiated() {
    const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
    for (accept, content_type, format) in [
        ("", TEXT, "text"),
        ("*/*", TEXT, "text"),
        (
            "application/openmetrics-text; version=1.0.0",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            "open_metrics",
        ),
    ] {
        let got = scrape(KEYS, &world(), &[("authorization", "Bearer scraper"), ("accept", accept)]);
        assert_eq!(got.header("content-type"), Some(content_type), "{accept}");
        assert_eq!(got.body, format!("# asked: {{\"expose\":\"{format}\"}}\n"), "the text is the object's own");
    }
    let got = ask(&bridge(CONFIG, KEYS), &world(), "HEAD /metrics", &[("authorization", "Bearer scraper")], "");
    assert_eq!((got.status, got.body.as_str()), (200, ""));
    assert_eq!(ask(&bridge(CONFIG, KEYS), &world(), "POST /metrics", &[], "").status, 405);
}

#[test]
fn an_object_that_cannot_be_reached_is_a_503() {
    let got = scrape(KEYS, &World::default(), &[("authorization", "Bearer scraper")]);
    assert_eq!((got.status, got.code().as_str()), (503, "metrics_unavailable"));
}

fn counted(world: &World, family: &Family, labels: &[&str]) -> u64 {
    match world.metrics.borrow().get(family, labels) {
        Some(SeriesValue::Counter(total)) => *total,
        _ => 0,
    }
}

fn chat(world: &World, key: &str, body: &str) -> u16 {
    ask(&bridge(CONFIG, KEYS), world, "POST /v1/chat/completions", &[("authorization", key)], body).status
}

#[test]
fn requests_that_end_before_admission_are_measured_and_cost_no_call() {
    let world = World::default();
    assert_eq!(chat(&world, "Bearer nobody", "{}"), 401);
    assert_eq!(chat(&world, "Bearer caller", "{"), 400);
    assert_eq!(ask(&bridge(CONFIG, KEYS), &world, "GET /wp-login.php", &[], "").status, 404);
    assert_eq!(counted(&world, &REFUSED_REQUESTS, &["unknown", "401"]), 1);
    assert_eq!(counted(&world, &REFUSED_REQUESTS, &["unknown", "404"]), 1);
    assert_eq!(counted(&world, &REFUSED_REQUESTS, &["known", "400"]), 1);
    assert_eq!((world.reported_measured.get(), world.summaries.borrow().len()), (0, 0));
    assert!(world.called.borrow().is_empty());
    let body = json!({"model": "echo", "messages": [{"role": "user", "content": "Hi"}]}).to_string();
    assert_eq!(chat(&world, "Bearer caller", &body), 200);
    assert_eq!(world.summaries.borrow().len(), 1);
    assert_eq!(world.metrics.borrow().samples(), 3, "what was admitted is in the summaries");
}

#[test]
fn a_limit_that_is_hit_is_measured_and_reported() {
    let (gateway, world) = (bridge(CONFIG, KEYS), World::default());
    world.clock.set(1_795_435_200_000);
    let admin = &[("authorization", "Bearer admin")];
    let fields = json!({"name": "few", "requests_per_minute": 1}).to_string();
    let key = ask(&gateway, &world, "POST /admin/api/keys", admin, &fields);
    let key = format!("Bearer {}", key.json()["key"].as_str().unwrap_or_else(|| panic!("{}", key.body)));
    let body = json!({"model": "echo", "messages": [{"role": "user", "content": "Hi"}]}).to_string();
    let statuses =
        [0; 3].map(|_| ask(&gateway, &world, "POST /v1/chat/completions", &[("authorization", &key)], &body).status);
    assert_eq!(statuses, [200, 429, 429]);
    assert_eq!(counted(&world, &LIMITS_HIT, &["requests"]), 2);
    assert_eq!(counted(&world, &REFUSED_REQUESTS, &["known", "429"]), 2);
    assert_eq!(world.reported_measured.get(), 2);
}

#[test]
fn the_configured_names_are_those_of_models_routes_and_aliases() {
    let gateway = bridge(
        "
providers: { demo: { adapter: echo, models: { echo: {}, 'other<high>': {} } }, any: { adapter: echo, models: '*' } }
aliases: { short: any/one }
routes: { both: [any/two, demo/echo] }
",
        &[],
    );
    let names = gateway.unwrap_or_else(|problems| panic!("{problems:?}")).metric_names();
    for model in ["echo", "other"] {
        assert_eq!(names.labels("demo", model), ["demo", model]);
    }
    for model in ["one", "two"] {
        assert_eq!(names.labels("any", model), ["any", model]);
    }
    assert_eq!(names.labels("any", "three"), ["any", "other"]);
}

#[test]
fn what_is_out_and_what_is_open_are_gauges() {
    let config = "
providers:
  one: { base_url: 'https://one.example/v1', api_key: first-key, models: { m: {} } }
  two: { base_url: 'https://two.example/v1', api_key: second-key, models: { m: {} } }
routes: { both: { targets: [one/m, two/m] } }
";
    let (gateway, world) = (bridge(config, KEYS), World::default());
    let values = |now: u64| {
        let bridge = gateway.as_ref().unwrap_or_else(|problems| panic!("{problems:?}"));
        let value = |value: &SeriesValue| match value {
            SeriesValue::Gauge { value, .. } => *value,
            other => panic!("{other:?}"),
        };
        let rows = bridge.gauges(now);
        rows.iter()
            .map(|row| (format!("{} {}", row.family, row.labels.join(" ")), value(&row.value)))
            .collect::<Vec<_>>()
    };
    assert_eq!(values(0), [("llm_bridge_open_requests ".to_owned(), 0)]);
    let body = json!({"model": "both", "messages": [{"role": "user", "content": "Hi"}]}).to_string();
    for _ in 0..10 {
        ask(&gateway, &world, "POST /v1/chat/completions", &[("authorization", "Bearer caller")], &body);
    }
    let after = values(world.clock.get());
    let is_out = |row: &&(String, u64)| row.0.starts_with("llm_bridge_out_targets one ") && row.1 == 1;
    assert_eq!(after.iter().filter(is_out).count(), 1, "{after:?}");
    assert!(after.contains(&("llm_bridge_open_requests ".to_owned(), 0)), "{after:?}");
}

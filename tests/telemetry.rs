//! Metrics and OpenTelemetry: what is exposed obeys its specification whatever was observed, no bytes from
//! outside panic, and the encodings are those that the judges in `tests/python/test_telemetry.py` have read.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may insist")]

#[path = "support/openmetrics.rs"]
mod openmetrics;

use std::fs;
use std::path::Path;

use llm_bridge::config::{Logging, OtlpFormat};
use llm_bridge::ledger::TokenCounts;
use llm_bridge::telemetry::metrics::{
    ConfiguredNames, ExpositionFormat, FAMILIES, FamilyKind, OPEN_REQUESTS, REQUESTS, Registry, TOKENS, expose,
    negotiate, observe,
};
use llm_bridge::telemetry::otlp::{
    Attribute, Body, ExportQueue, ExportResponse, HttpFacts, LogRecord, ProviderAddress, QueueLimits, QueueStep,
    RequestTrace, Resource, SendResult, Span, TraceContext, log_record, logs_body, metrics_body, request_spans,
    system_of, traces_body,
};
use llm_bridge::telemetry::{AttemptSummary, Event, EventKind, RequestSummary};
use openmetrics::ReadFamily;
use proptest::prelude::*;

const START: u64 = 1_795_000_000_000;

fn attempt(model: &str, class: &str, started: u64, ended: u64) -> AttemptSummary {
    let (provider, model, class) = ("first".to_owned(), model.to_owned(), class.to_owned());
    AttemptSummary {
        provider,
        model,
        class,
        started: START + started,
        ended: START + ended,
        ..AttemptSummary::default()
    }
}

/// A stream whose first attempt failed.
fn stream() -> RequestSummary {
    RequestSummary {
        at: START + 3_210,
        started: START,
        duration: 3_210,
        ttft: Some(1_500),
        gateway_time: 60,
        request_id: "req-1 \"é\"".into(),
        key_id: "vk_1".into(),
        provider: "first".into(),
        model: "large".into(),
        served: Some("large-2026".into()),
        route: "best".into(),
        status: 200,
        outcome: "complete".into(),
        tokens: Some(TokenCounts {
            uncached_input: 700,
            cache_read: 200,
            output: 100,
            reasoning: 40,
            ..Default::default()
        }),
        cost: Some(12_750_000),
        attempts: vec![attempt("small", "overload", 10, 900), attempt("large", "", 950, 3_200)],
        stream: true,
        tags: vec![("team".into(), "red".into())],
        ..RequestSummary::default()
    }
}

/// A request that its provider failed.
fn failure() -> RequestSummary {
    RequestSummary {
        status: 502,
        outcome: "refused".into(),
        class: "hollow".into(),
        attempts: vec![attempt("large", "hollow", 10, 3_200)],
        ttft: None,
        tokens: None,
        cost: None,
        stream: false,
        ..stream()
    }
}

fn spans() -> Vec<Span> {
    let http = HttpFacts {
        method: "POST",
        route: "/v1/chat/completions",
        path: "/v1/chat/completions",
        scheme: "https",
        operation: None,
    };
    let address = |_: &str| Some(ProviderAddress { system: "s".into(), host: "api.test".into(), port: 443 });
    let caller = TraceContext::read("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    let child = request_spans(&stream(), &RequestTrace::begin(caller.as_ref(), [7; 24]), &http, &address);
    let root = request_spans(&failure(), &RequestTrace::begin(None, [9; 24]), &http, &|_| None);
    child.into_iter().chain(root).collect()
}

fn records() -> Vec<LogRecord> {
    let woken = Event { at: START, kind: EventKind::SessionWoken(Some("vk_1")) };
    let level = llm_bridge::config::LogLevel::Debug;
    let logging = Logging { level, exported: true, ..Logging::default() };
    let span = RequestTrace::begin(None, [9; 24]).own;
    [None, Some(span)].into_iter().filter_map(|span| log_record(&woken, &logging, span)).collect()
}

fn resource() -> Resource {
    Resource {
        attributes: vec![Attribute::new("service.name", "llm-bridge"), Attribute::new("service.instance.id", "a")],
    }
}

fn registry() -> Registry {
    let names = ConfiguredNames::new([("first", "large")]);
    let mut registry = Registry::default();
    let refused = RequestSummary { status: 401, ..RequestSummary::default() };
    observe(&mut registry, &[stream(), failure(), refused], &names);
    registry.observe(&TOKENS, &["first", "quotes \" \\ and\nlines", "input"], 3);
    registry.set(&OPEN_REQUESTS, &[], 2, START);
    registry
}

/// Compares bytes with a fixture, or writes it under `BLESS=1`.
fn check(name: &str, bytes: &[u8]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/telemetry").join(name);
    if std::env::var_os("BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
    }
    assert!(fs::read(&path).unwrap() == bytes, "{name} differs; BLESS=1 writes it anew, and Python judges it");
}

#[test]
fn the_encodings_are_those_that_were_judged() {
    for (name, Body { bytes, .. }) in [
        ("traces.pb", traces_body(OtlpFormat::Protobuf, &resource(), &spans())),
        ("traces.json", traces_body(OtlpFormat::Json, &resource(), &spans())),
        ("logs.pb", logs_body(OtlpFormat::Protobuf, &resource(), &records())),
        ("logs.json", logs_body(OtlpFormat::Json, &resource(), &records())),
        ("metrics.pb", metrics_body(OtlpFormat::Protobuf, &resource(), &registry(), START, START + 1_000)),
        ("metrics.json", metrics_body(OtlpFormat::Json, &resource(), &registry(), START, START + 1_000)),
        ("metrics.openmetrics", body_of(ExpositionFormat::OpenMetrics)),
        ("metrics.txt", body_of(ExpositionFormat::Text)),
    ] {
        check(name, &bytes);
    }
}

fn body_of(format: ExpositionFormat) -> Body {
    Body { content_type: format.content_type(), bytes: expose(&registry(), format, START).into_bytes() }
}

#[test]
fn what_is_exposed_obeys_openmetrics() {
    let families = openmetrics::read(&expose(&registry(), ExpositionFormat::OpenMetrics, START)).unwrap();
    assert!(families.values().all(|family| family.help.ends_with('.')));
    let requests: &ReadFamily = &families["llm_bridge_requests"];
    assert_eq!((requests.kind.as_str(), requests.unit.as_deref()), ("counter", None));
    assert_eq!(requests.samples.values().sum::<f64>(), 3.0);
    let cost = &families["llm_bridge_cost_dollars"];
    assert_eq!((cost.unit.as_deref(), cost.samples.values().sum::<f64>()), (Some("dollars"), 0.01275));
}

#[test]
fn the_strict_reader_refuses_what_the_specification_forbids() {
    let head = "# TYPE a counter\n# HELP a b\n";
    let sound = format!("{head}a_total 1\n# EOF\n");
    openmetrics::read(&sound).unwrap();
    for text in [
        sound.replace("# EOF\n", ""),
        sound.replace("# EOF\n", "\n# EOF\n"),
        sound.replace("a_total", "a"),
        sound.replace("a_total 1", "a_total -1"),
        sound.replace("a_total 1", "a_total NaN"),
        sound.replace("a_total 1\n", "a_total 1\na_total 1\n"),
        sound.replace("a_total", "a_total{b=\"c}"),
        sound.replace("a_total", "a_total{b=\"\\c\"}"),
        sound.replace("a_total", "a_total{b=\"c\",b=\"c\"}"),
        sound.replace("# HELP a b\n", "# HELP a b\n# TYPE a counter\n"),
        sound.replace("# HELP a b\n", "# HELP a b\n# UNIT a seconds\n"),
        sound.replace("a_total 1\n", "a_total 1\n# TYPE b gauge\nb 1\na_total{c=\"d\"} 1\n"),
        "# TYPE a histogram\na_bucket{le=\"1\"} 1\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 1\n# EOF\n".to_owned(),
        "# TYPE a histogram\na_bucket{le=\"1.0\"} 1\na_sum 1\na_count 1\n# EOF\n".to_owned(),
        "# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 2\n# EOF\n".to_owned(),
    ] {
        assert!(openmetrics::read(&text).is_err(), "{text}");
    }
}

#[test]
fn every_host_with_a_name_in_the_conventions_is_in_the_catalogue() {
    let catalogue: serde_yaml::Value = serde_yaml::from_str(include_str!("../configs/catalogue.yaml")).unwrap();
    let rows = include_str!("../configs/gen-ai-providers.txt").lines().filter(|line| !line.starts_with('#'));
    for (host, system) in rows.map(|line| line.split_once(' ').unwrap()) {
        assert!(catalogue["hosts"].get(host).is_some(), "{host}");
        assert_eq!(system_of(host), system);
    }
}

/// Words of queries that are neither metrics nor labels.
const QUERY_WORDS: &[&str] =
    &["sum", "by", "rate", "increase", "histogram_quantile", "__rate_interval", "le", "complete", "client_closed"];

#[test]
fn the_dashboard_asks_for_metrics_and_labels_that_exist() {
    let dashboard: serde_json::Value = serde_json::from_str(include_str!("../docs/grafana-dashboard.json")).unwrap();
    let targets = dashboard["panels"].as_array().unwrap().iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let queries: Vec<&str> = targets.map(|target| target["expr"].as_str().unwrap()).collect();
    assert!(queries.len() > 10);
    for query in queries {
        let words = query.split(|c: char| !c.is_ascii_lowercase() && c != '_').filter(|word| !word.is_empty());
        let (metrics, others): (Vec<&str>, Vec<&str>) = words.partition(|word| word.starts_with("llm_bridge_"));
        let family_of = |metric: &str| {
            let suffix = |kind| match kind {
                FamilyKind::Counter => "_total",
                FamilyKind::Gauge(_) => "",
                FamilyKind::Histogram(_) => "_bucket",
            };
            FAMILIES.iter().find(|family| format!("{}{}", family.name, suffix(family.kind)) == metric)
        };
        let families: Vec<_> =
            metrics.iter().map(|metric| family_of(metric).unwrap_or_else(|| panic!("{metric}"))).collect();
        assert!(!families.is_empty(), "{query}");
        for word in others {
            let is_label = families.iter().all(|family| family.labels.contains(&word));
            assert!(is_label || QUERY_WORDS.contains(&word), "{query}: {word}");
        }
    }
}

#[test]
fn every_family_is_documented_with_its_labels() {
    let page = include_str!("../docs/metrics.md");
    for family in FAMILIES {
        let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        let row = format!("| `{}` | {} |", family.name, labels.join(", ")).replace("|  |", "| |");
        assert!(page.contains(&row), "{row}");
    }
}

/// An observation with labels that nobody chose well.
fn observation() -> impl Strategy<Value = (usize, Vec<String>, u64)> {
    (0..FAMILIES.len(), prop::collection::vec("[a-c\"\\\\\né]{0,3}", 0..6), any::<u32>().prop_map(u64::from))
}

fn apply(registry: &mut Registry, observations: &[(usize, Vec<String>, u64)]) {
    for (index, labels, amount) in observations {
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        registry.observe(FAMILIES[*index], &labels, *amount);
    }
}

proptest! {
    #[test]
    fn any_observations_are_exposed_in_either_format(observations in prop::collection::vec(observation(), 0..60), cap in 0_usize..300) {
        let mut registry = Registry::with_cap(cap);
        apply(&mut registry, &observations);
        let text = expose(&registry, ExpositionFormat::OpenMetrics, START);
        let families = openmetrics::read(&text).unwrap();
        let lines = expose(&registry, ExpositionFormat::Text, START).lines().filter(|line| !line.starts_with('#')).count();
        prop_assert_eq!(families.values().map(|family| family.samples.len()).sum::<usize>(), lines);
    }

    #[test]
    fn the_parts_are_the_total_whatever_the_cap(amounts in prop::collection::vec(0_u32..1_000, 0..60), cap in 0_usize..40) {
        let mut registry = Registry::with_cap(cap);
        for (index, amount) in amounts.iter().enumerate() {
            registry.observe(&REQUESTS, &["p", &format!("m{index}"), "200", "complete"], u64::from(*amount));
        }
        let text = expose(&registry, ExpositionFormat::OpenMetrics, START);
        let families = openmetrics::read(&text).unwrap();
        let sum: f64 = families.get(REQUESTS.name).map_or(0.0, |family| family.samples.values().sum());
        prop_assert_eq!(sum, amounts.iter().copied().map(f64::from).sum::<f64>());
        prop_assert!(registry.samples() <= cap + 1);
    }

    #[test]
    fn registries_merge_to_the_same_in_any_order(one in prop::collection::vec(observation(), 0..30), other in prop::collection::vec(observation(), 0..30)) {
        let (mut first, mut second, mut all) = (Registry::default(), Registry::default(), Registry::default());
        apply(&mut first, &one);
        apply(&mut second, &other);
        apply(&mut all, &one);
        apply(&mut all, &other);
        let rows = first.rows();
        prop_assert_eq!(first.merge(&second.rows()), 0);
        prop_assert_eq!(second.merge(&rows), 0);
        prop_assert_eq!(&first, &second);
        prop_assert_eq!(&first, &all);
    }

    #[test]
    fn no_text_from_outside_panics(text in "\\PC{0,120}", bytes in prop::collection::vec(any::<u8>(), 0..60), status in any::<u16>()) {
        negotiate(Some(&text));
        TraceContext::read(&text);
        for content_type in [None, Some("application/json"), Some(text.as_str())] {
            let response = ExportResponse { status, content_type, retry_after: Some(&text), body: &bytes };
            response.result(START);
        }
    }

    #[test]
    fn a_trace_context_is_read_as_it_was_written(random in any::<[u8; 24]>()) {
        let own = RequestTrace::begin(None, random).own;
        prop_assert_eq!(TraceContext::read(&own.write()), Some(own));
    }

    #[test]
    fn every_item_of_a_queue_is_taken_dropped_or_held(events in prop::collection::vec((0_u8..6, 0_u64..9_000), 0..200)) {
        let limits = QueueLimits { max_waiting: 7, max_batch: 4, delay: 2_000, max_tries: 2, ..QueueLimits::default() };
        let (mut queue, mut now, mut pushed, mut under_way) = (ExportQueue::new(limits), START, 0_u64, false);
        for (event, pause) in events {
            now += pause;
            match event {
                0..=2 => {
                    queue.push(pushed, 1, now);
                    pushed += 1;
                }
                3 => if let QueueStep::Send(batch) = queue.step(now) {
                    prop_assert!(!under_way && !batch.is_empty() && batch.len() <= limits.max_batch);
                    under_way = true;
                },
                _ if under_way => {
                    let taken = SendResult::Taken { rejected: pause % 3, message: String::new() };
                    let again = SendResult::Again { wait: None };
                    queue.sent(if event == 4 { &taken } else { &again }, now, pause);
                    under_way = false;
                }
                _ => {}
            }
            prop_assert!(queue.held() <= limits.max_waiting + limits.max_batch);
            prop_assert_eq!(queue.taken() + queue.dropped().sum() + queue.held() as u64, pushed);
        }
    }
}

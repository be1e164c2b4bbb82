//! Whole configuration files: those that must work, and what is said of those that do not.
#![allow(clippy::expect_used, reason = "a test may insist")]

use llm_bridge::catalogue::Fact;
use llm_bridge::catalogue::field::{Efforts, Field, Fit, Value};
use llm_bridge::catalogue::price::{DatedPrice, Hours, ModelPrice, Rates, TierRates};
use llm_bridge::config::{
    Accounting, Catalogue, Config, Cors, EgressRule, KeySource, LogLevel, Problem, RelayKind, Reporting, StreamUsage,
    Websocket,
};
use llm_bridge::formats::KINDS;
use llm_bridge::policy::model_card::ModelCard;
use llm_bridge::policy::routing;
use llm_bridge::provider::Proxies;

fn read(text: &str) -> Result<Config, Vec<Problem>> {
    Config::read(text, KINDS)
}

fn faults(text: &str) -> Vec<String> {
    read(text).expect_err("a fault").iter().map(ToString::to_string).collect()
}

#[test]
fn the_shipped_file_is_sound() {
    let config = read(include_str!("../configs/config.yaml")).unwrap();
    let names: Vec<&str> = config.providers.iter().map(|provider| provider.name.as_str()).collect();
    assert_eq!(names, ["demo", "openai", "closeai", "deepseek", "gemini", "anthropic", "groq", "openrouter", "ollama"]);
    assert_eq!(config.notes, []);
    assert_eq!(config.cors, Cors::Any);
    assert_eq!(config.provider("ollama").unwrap().key, KeySource::Keyless);
    let asked_by_claude_code = routing::resolve_target(&config, "claude-opus-5-5").unwrap();
    assert_eq!(
        (asked_by_claude_code.provider.name.as_str(), &*asked_by_claude_code.upstream),
        ("anthropic", "claude-opus-5-5")
    );
}

#[test]
fn the_file_of_the_python_bridge_works_unchanged() {
    let config = read(include_str!("fixtures/python-bridge.yaml")).unwrap();
    let target = |name: &str| routing::resolve_target(&config, name).unwrap();
    assert_eq!(target("o3-mini<high>").upstream, "o3-mini");
    assert_eq!(target("o3-mini<high>").model.clocks.total, 600_000);
    assert_eq!(target("closeai/o3-mini").model.params.add, [("reasoning_effort".to_owned(), "\"low\"".to_owned())]);
    assert_eq!(target("deepseek/deepseek-reasoner").model.params.rename.len(), 1);
    assert_eq!(config.provider("deepseek").unwrap().adapter, "openai");
    assert_eq!(config.notes, []);
    let proxies: Vec<_> = Proxies::open(&config, &|_| None).unwrap().of_providers.into_iter().collect();
    let addresses: Vec<Option<String>> =
        proxies.iter().map(|proxy| proxy.as_ref().map(|proxy| proxy.address.shown())).collect();
    assert_eq!(addresses, [None, Some("socks5://127.0.0.1:7890".to_owned()), None]);
    assert_eq!(config.logging.level, LogLevel::Debug);
    assert_eq!(config.logging.file.unwrap().path, "logs/llm-bridge.log");
}

#[test]
fn a_proxy_is_an_address_and_excludes_other_ways() {
    let with = |row: &str, section: &str| {
        format!(
            "providers:\n  p: {{ base_url: 'https://a.example', models: {{ m: {{}} }}, {row} }}\n  demo: {{ adapter: echo, models: {{ m: {{}} }}, requires_proxy: true }}\nproxy: {section}\n"
        )
    };
    for (row, section, fault) in [
        ("proxy: 127.0.0.1:7890", "{}", "line 2: providers.p.proxy: expected the address of a proxy that begins with"),
        ("proxy: none, requires_proxy: true", "{}", "line 2: providers.p.proxy: `none` contradicts"),
        ("proxy: 'http://x.example', binding: B", "{}", "line 2: providers.p.binding: a provider is called through a"),
        ("requires_proxy: true, binding: B", "{}", "line 2: providers.p.binding: a provider is called through a"),
        ("", "{ https: 'ftp://a' }", "line 4: proxy.https: expected the address of a proxy"),
        ("", "{ no_proxy: [a.example, 'b/c'] }", "line 4: proxy.no_proxy.1: `b/c` is no host"),
        ("", "{ ca: certs/own.pem }", "line 4: proxy.ca: expected certificates as PEM"),
        ("", "{ ca: '-----BEGIN CERTIFICATE----- AQID' }", "line 4: proxy.ca: a certificate does not end"),
        ("", "{ htps: 'http://a' }", "line 4: proxy.htps: unknown key, did you mean `https`?"),
    ] {
        let told = faults(&with(row, section));
        assert!(told.len() == 1 && told[0].starts_with(fault), "{fault}\nin {told:?}");
    }
    let login = with("proxy: 'http://user:secret@x.example'", "{ no_proxy: 'a.example, .b.example' }");
    let notes: Vec<String> = read(&login).unwrap().notes.iter().map(ToString::to_string).collect();
    assert!(notes[0].starts_with("line 2: providers.p.proxy: everybody who can read this file"), "{notes:?}");
    assert!(notes[1].starts_with("line 3: providers.demo.requires_proxy: this has no effect"), "{notes:?}");
    assert_eq!(notes.len(), 2, "{notes:?}");
}

#[test]
fn the_free_plan_shows_usage_and_notes_what_takes_chunks() {
    let with = |plan: &str, row: &str| {
        let text = format!("{plan}\nproviders:\n  p: {{ base_url: 'https://a.example', models: '*', {row} }}\n");
        let config = read(&text).unwrap();
        let streaming = config.provider("p").unwrap().streaming;
        let notes: Vec<String> = config.notes.iter().map(ToString::to_string).collect();
        (streaming.usage, streaming.relay, notes)
    };
    for paid in ["", "plan: paid"] {
        assert_eq!(with(paid, ""), (StreamUsage::Hide, RelayKind::Native, vec![]), "{paid}");
        assert_eq!(with(paid, "relay: checked"), (StreamUsage::Hide, RelayKind::Checked, vec![]), "{paid}");
    }
    let free = "plan: free";
    assert_eq!(with(free, ""), (StreamUsage::Show, RelayKind::Native, vec![]));
    assert_eq!(with(free, "stream_usage: leave"), (StreamUsage::Leave, RelayKind::Native, vec![]));
    assert_eq!(with(free, "stream_usage: show, relay: native"), (StreamUsage::Show, RelayKind::Native, vec![]));
    for (row, key) in [("stream_usage: hide", "stream_usage"), ("relay: checked", "relay")] {
        let (usage, relay, notes) = with(free, row);
        assert!(usage == StreamUsage::Hide || relay == RelayKind::Checked, "{row}");
        let [note] = notes.as_slice() else { panic!("{row}: {notes:?}") };
        assert!(note.starts_with(&format!("line 3: providers.p.{key}: with this, each chunk")), "{note}");
    }
    let [fault] = &*faults("plan: fre\nproviders: { p: { base_url: 'https://a.example', models: '*' } }\n") else {
        panic!("one fault")
    };
    assert_eq!(fault, "line 1: plan: `fre` is not known, did you mean `free`?; expected one of paid, free");
}

#[test]
fn limits_are_whole_numbers_and_a_body_that_may_not_fit_is_noted() {
    let with =
        |limits: &str| format!("limits: {limits}\nproviders: {{ demo: {{ adapter: echo, models: {{ m: {{}} }} }} }}\n");
    let usual = read(&with("{}")).unwrap();
    assert_eq!(usual.max_body_bytes, 20 << 20);
    assert_eq!(usual.memory_bytes, 64 << 20);
    assert_eq!(usual.max_answer_bytes, 16 << 20);
    assert_eq!(usual.notes, []);
    let small = read(&with("{ memory_bytes: 3000000 }")).unwrap();
    assert_eq!(small.memory_bytes, 3_000_000);
    let note = small.notes[0].to_string();
    assert!(note.contains("limits.memory_bytes") && note.contains("over 1000000 bytes"), "{note}");
    assert!(faults(&with("{ memory_bytes: 0 }"))[0].contains("a whole number, at least 1"));
}

#[test]
fn addresses_lead_to_the_format_and_others_are_noted() {
    let with = |row: &str| read(&format!("providers:\n  p:\n    {row}\n    models: '*'\n")).unwrap();
    let url = |row: &str| with(row).providers[0].address.as_ref().unwrap().join("");
    for (row, expected) in [
        ("base_url: https://api.openai.com", "https://api.openai.com/v1"),
        ("base_url: https://api.openai.com/v1/chat/completions", "https://api.openai.com/v1"),
        ("base_url: https://openrouter.ai/api", "https://openrouter.ai/api/v1"),
        ("base_url: https://api.groq.com/", "https://api.groq.com/openai/v1"),
        ("base_url: https://api.deepseek.com", "https://api.deepseek.com"),
        (
            "base_url: https://generativelanguage.googleapis.com/v1beta",
            "https://generativelanguage.googleapis.com/v1beta/openai",
        ),
        (
            "{ adapter: gemini, base_url: https://generativelanguage.googleapis.com/v1beta/openai/ }",
            "https://generativelanguage.googleapis.com/v1beta",
        ),
        ("{ adapter: gemini, base_url: https://a.example/proxy }", "https://a.example/proxy/v1beta"),
        ("{ adapter: anthropic, base_url: https://api.moonshot.ai/anthropic }", "https://api.moonshot.ai/anthropic/v1"),
        ("{ adapter: responses, base_url: https://api.openai.com/v1/responses }", "https://api.openai.com/v1"),
    ] {
        let row = row.trim_matches(['{', '}', ' ']).replace(", ", "\n    ");
        assert_eq!(url(&row), expected);
        assert_eq!(with(&row).notes, [], "{row}");
    }
    let meant = with("base_url: https://api.deepseek.com/anthropic").notes;
    assert_eq!(
        meant.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "line 3: providers.p.base_url: providers print such an address for clients of another format: if so, set `adapter: anthropic`"
        ]
    );
}

#[test]
fn callers_are_told_the_limits_of_the_operator_only_if_the_file_says_so() {
    let with = |row: &str| format!("providers: {{ p: {{ base_url: 'https://a.example', models: '*'{row} }} }}");
    let exposes = |row: &str| read(&with(row)).unwrap().providers[0].exposes_limits;
    assert_eq!(
        [exposes(""), exposes(", expose_limits: true"), exposes(", expose_limits: false")],
        [false, true, false]
    );
    assert_eq!(
        faults(&with(", expose_limits: all")),
        ["line 1: providers.p.expose_limits: expected true or false, found text"]
    );
}

#[test]
fn every_fault_is_reported_with_its_line_and_path() {
    let text = "default_provider: opnai
providers:
  openai:
    base_url: api.openai.com
    modles: {}
    models:
      gpt-4o: { max_tokens: lots, timeout: -1 }
      gpt-4.1:
        param_config:
          add_params: { model: x }
          delete_params: [messages]
logging: { level: loud, fields: { mesages: true } }
loging: 1
";
    let told = faults(text);
    let expected = [
        "line 1: default_provider: no provider is named `opnai`, did you mean `openai`?",
        "line 4: providers.openai.base_url: expected an address",
        "line 5: providers.openai.modles: unknown key, did you mean `models`?",
        "line 7: providers.openai.models.gpt-4o.max_tokens: expected a whole number",
        "line 7: providers.openai.models.gpt-4o.timeout: expected a time in seconds",
        "line 10: providers.openai.models[\"gpt-4.1\"].param_config.add_params.model: `model` is set by the gateway",
        "line 11: providers.openai.models[\"gpt-4.1\"].param_config.delete_params.0: `messages` is set by the gateway",
        "line 12: logging.level: `loud` is not known",
        "line 12: logging.fields.mesages: unknown key, did you mean `messages`?",
        "line 13: loging: unknown key, did you mean `logging`?",
    ];
    for start in expected {
        assert!(told.iter().any(|fault| fault.starts_with(start)), "{start}\nin {told:#?}");
    }
    assert_eq!(told.len(), expected.len(), "{told:#?}");
}

#[test]
fn a_binding_is_a_name_of_the_deployment() {
    let with =
        |row: &str| format!("providers: {{ p: {{ base_url: 'https://p.example', models: {{ m: {{}} }}, {row} }} }}");
    assert_eq!(
        read(&with("binding: HOME_SERVER")).unwrap().providers[0].egress,
        EgressRule::Binding("HOME_SERVER".into())
    );
    assert_eq!(read(&with("")).unwrap().providers[0].egress, EgressRule::Direct);
    for wrong in ["binding: home-server", "binding: '1st'", "binding: ''", "binding: [A]"] {
        let faults = faults(&with(wrong));
        assert!(faults.len() == 1 && faults[0].starts_with("line 1: providers.p.binding"), "{faults:?}");
    }
}

#[test]
fn calls_leave_from_a_region_of_the_provider_or_the_model() {
    let with = |row: &str, model: &str| {
        format!("providers: {{ p: {{ base_url: 'https://p.example', models: {{ m: {{ {model} }} }}, {row} }} }}")
    };
    let rule = |row: &str, model: &str| {
        let config = read(&with(row, model)).unwrap();
        let target = routing::resolve(&config, "p/m").unwrap().candidates[0].target.clone();
        match target.egress() {
            EgressRule::Region(rule) => Some((rule.region.name(), rule.is_fallback)),
            EgressRule::Direct => None,
            EgressRule::Binding(name) => panic!("{name}"),
        }
    };
    for name in ["wnam", "enam", "sam", "weur", "eeur", "apac", "apac-ne", "apac-se", "oc", "afr", "me"] {
        assert_eq!(rule(&format!("region: {name}"), ""), Some((name, false)));
    }
    assert_eq!(rule("region: { fallback: wnam }", ""), Some(("wnam", true)));
    assert_eq!(rule("region: wnam, proxy: none", ""), Some(("wnam", false)));
    assert_eq!(rule("region: wnam", "region: weur"), Some(("weur", false)));
    assert_eq!(rule("region: wnam", "region: none"), None);
    assert_eq!(rule("", "region: { fallback: oc }"), Some(("oc", true)));
    assert_eq!(rule("region: none", ""), None);
}

#[test]
fn a_region_that_cannot_be_meant_is_a_fault() {
    let with = |row: &str| format!("providers: {{ p: {{ base_url: 'https://p.example', {row} }} }}");
    let (m, model) = ("models: { m: {} }", "models: { m: { region: oc } }");
    for (row, path, says) in [
        (
            format!("{m}, region: wnam1"),
            "region",
            "`wnam1` is not known, did you mean `wnam`?; expected one of wnam, enam",
        ),
        (format!("{m}, region: apac-n"), "region", "did you mean `apac-ne`?"),
        (format!("{m}, region: 7"), "region", "expected a mapping"),
        (format!("{m}, region: {{}}"), "region", "name a region"),
        (format!("{m}, region: {{ fallbak: oc }}"), "region.fallbak", "did you mean `fallback`?"),
        (format!("{m}, region: {{ fallback: none }}"), "region.fallback", "`none` is not known"),
        (format!("{m}, region: oc, binding: HOME"), "region", "called by a binding"),
        (format!("{m}, region: oc, proxy: 'http://a.example'"), "region", "called through a proxy"),
        (format!("{m}, region: oc, requires_proxy: true"), "region", "called through a proxy"),
        (format!("{model}, binding: HOME"), "models.m.region", "called by a binding"),
        (format!("{model}, requires_proxy: true"), "models.m.region", "called through a proxy"),
    ] {
        let faults = faults(&with(&row));
        let is_said =
            |fault: &String| fault.starts_with(&format!("line 1: providers.p.{path}: ")) && fault.contains(says);
        assert!(faults.iter().any(is_said), "{row}: {faults:?}");
    }
}

#[test]
fn what_is_asked_for_a_place_and_which_are_avoided_is_configurable() {
    let with =
        |section: &str| format!("providers: {{ p: {{ adapter: echo, models: {{ m: {{}} }} }} }}\nregions: {section}\n");
    let usual = read("providers: { p: { adapter: echo, models: { m: {} } } }").unwrap().regions;
    assert_eq!(usual.trace.as_deref(), Some("https://www.cloudflare.com/cdn-cgi/trace"));
    assert!(usual.avoid.iter().any(|place| place == "HK") && usual.avoid.iter().any(|place| place == "HKG"));
    let own = read(&with("{ trace: 'http://127.0.0.1:1/trace', avoid: [hk, SJC] }")).unwrap().regions;
    assert_eq!((own.trace.as_deref(), own.avoid.join(" ")), (Some("http://127.0.0.1:1/trace"), "HK SJC".to_owned()));
    assert_eq!(read(&with("{ trace: none, avoid: [] }")).unwrap().regions.trace, None);
    for wrong in [
        "{ trace: here }",
        "{ trace: 'https://a@b.example' }",
        "{ avoid: HK }",
        "{ avoid: [China] }",
        "{ avoid: ['1K'] }",
    ] {
        assert_eq!(faults(&with(wrong)).len(), 1, "{wrong}");
    }
}

#[test]
fn each_format_protects_its_own_fields() {
    let text = "providers:
  goo:
    adapter: gemini
    base_url: https://goo.example/v1beta
    models:
      g: { param_config: { add_params: { messages: [], contents: [] }, rename_params: { a: model } } }
";
    let expected = [
        "line 6: providers.goo.models.g.param_config.add_params.contents: `contents` is set by the gateway; param_config cannot edit model, contents",
        "line 6: providers.goo.models.g.param_config.rename_params.a: `model` is set by the gateway; param_config cannot edit model, contents",
    ];
    assert_eq!(faults(text), expected);
}

#[test]
fn invalid_yaml_is_reported_with_its_line() {
    assert!(faults("a: [1\nb: 2")[0].starts_with("line 2: this is not YAML"));
    assert!(faults("a: 1\na: 2")[0].contains("duplicate"));
    assert!(!faults("").is_empty());
    assert!(!faults("[]").is_empty());
}

#[test]
fn anchors_and_merges_work_as_in_python() {
    let text = "providers:
  p:
    base_url: https://a.b/v1
    models:
      one: &row { timeout: 7 }
      two: { <<: *row, max_tokens: 5 }
";
    let config = read(text).unwrap();
    let two = config.provider("p").unwrap().model("two").unwrap();
    assert_eq!(two.clocks.total, 7_000);
    assert_eq!(two.max_tokens, Some(5));
}

#[test]
fn a_key_has_its_variable() {
    let key = |row: &str| {
        let text = format!("providers: {{ my-host: {{ base_url: \"https://a.b\", models: \"*\", {row} }} }}");
        match read(&text).unwrap().provider("my-host").map(|provider| format!("{:?}", provider.key)) {
            Some(key) => key,
            None => panic!("no provider"),
        }
    };
    assert!(key("").contains("MY_HOST_API_KEY"));
    assert!(key("api_key_env: OTHER").contains("\"OTHER\""));
    assert_eq!(key("api_key_env: none"), "Keyless");
}

#[test]
fn names_lead_to_targets() {
    let text = "default_provider: b
providers:
  a: { base_url: https://a.b, models: { m: {}, x/y: {}, o3<high>: {}, o3: {} } }
  b: { base_url: https://a.b, models: { m: {}, org/m: {} } }
  any: { base_url: https://a.b, models: \"*\" }
  some: { base_url: https://a.b, models: { \"*\": { timeout: 9 }, m: { timeout: 5 } } }
";
    let config = read(text).unwrap();
    let found = |name: &str| {
        let target = routing::resolve_target(&config, name).ok()?;
        Some(format!("{} {} {}", target.provider.name, target.upstream, target.model.clocks.total / 1000))
    };
    assert_eq!(found("a/m").as_deref(), Some("a m 600"));
    assert_eq!(found("m").as_deref(), Some("b m 600"));
    assert_eq!(found("a/x/y").as_deref(), Some("a x/y 600"));
    assert_eq!(found("org/m").as_deref(), Some("b org/m 600"));
    assert_eq!(found("a/o3<high>").as_deref(), Some("a o3 600"));
    assert_eq!(found("any/x/y:free").as_deref(), Some("any x/y:free 600"));
    assert_eq!(found("some/other").as_deref(), Some("some other 9"));
    assert_eq!(found("some/m").as_deref(), Some("some m 5"));
    for unknown in ["a/o3<low>", "A/m", "a/", "/m", "", "any/", "any/m<x>", "nowhere/m"] {
        let error = routing::resolve_target(&config, unknown).expect_err(unknown);
        assert_eq!(error.status(), 404, "{unknown}");
        assert_eq!(error.code(), Some("model_not_found"), "{unknown}");
    }
    let error = routing::resolve_target(&config, "a/o3<hgih>").unwrap_err();
    assert!(error.message().contains("`a/o3<high>`"), "{error}");
}

#[test]
fn a_row_may_tell_what_its_model_costs_and_takes() {
    let text = "providers:
  p:
    base_url: https://a.b/v1
    catalogue: none
    models:
      m: { price: { input: 2.50, cached_input: '0.25', output: 10, per_request: 0.000000001 }, context: 1000, max_output: 100, tokens_per_second: 70 }
      '*': { price: { input: 1e-6, cache_write: 0.01, output: 0, reasoning: 3 } }
      hour: { price: { input: 1, cache_write: 1.25, cache_write_1h: 2, output: 5 } }
";
    let config = read(text).unwrap();
    let provider = config.provider("p").unwrap();
    let model = provider.model("m").unwrap();
    assert!(matches!(provider.catalogue, Catalogue::Nothing));
    let stated = |field, count| Fact { field, value: Value::Count(count) };
    let expected = [stated(Field::Context, 1000), stated(Field::MaxOutput, 100), stated(Field::TokensPerSecond, 70)];
    assert_eq!(model.facts, expected);
    let rates = |input, cached_input, cache_write, output, reasoning| Rates {
        input,
        cached_input,
        cache_write,
        cache_write_1h: cache_write,
        output,
        reasoning,
        media: None,
    };
    let always = |rates, per_request| {
        let standard = TierRates { rates, long: None };
        let price = ModelPrice { standard, tiers: &[], per_request, per_search: None };
        vec![DatedPrice { from: 0, hours: None, price: Some(price) }]
    };
    assert_eq!(model.prices, always(rates(2_500_000, 250_000, 2_500_000, 10_000_000, 10_000_000), 1));
    assert_eq!(provider.pattern("x").unwrap().prices, always(rates(1, 1, 10_000, 0, 3_000_000), 0));
    let rates = Rates { cache_write_1h: 2_000_000, ..rates(1_000_000, 1_000_000, 1_250_000, 5_000_000, 5_000_000) };
    assert_eq!(provider.model("hour").unwrap().prices, always(rates, 0));
}

#[test]
fn reports_have_a_zone_and_declared_tags() {
    let with =
        |text: &str| format!("providers: {{ d: {{ adapter: echo, models: {{ e: {{}} }} }} }}\nreporting: {text}");
    let reporting = |text: &str| read(&with(text)).unwrap().reporting;
    assert_eq!(reporting("{}"), Reporting::default());
    let own = reporting("{ timezone: Asia/Kolkata, tags: [team, env], keep_requests_days: 7, keep_sums_days: 400 }");
    assert_eq!((own.timezone.as_str(), own.keep_requests_days, own.keep_sums_days), ("Asia/Kolkata", 7, 400));
    assert_eq!(own.tags.read("env=prod").unwrap().len(), 1);
    assert!(own.enabled && !reporting("{ enabled: false }").enabled);
    let found = faults(&with("{ timezone: \"half past\", tags: [a, b, c, d, e], keep_requests_days: 0, zone: UTC }"));
    let expected = ["timezone: expected the name of a time zone", "tags: the list has more than 4 names"];
    for start in expected.map(|fault| format!("line 2: reporting.{fault}")) {
        assert!(found.iter().any(|fault| fault.starts_with(&start)), "{start}\nin {found:#?}");
    }
    assert_eq!(found.len(), 4, "{found:#?}");
}

#[test]
fn a_row_may_state_prices_by_tier_by_length_and_by_day() {
    let text = "providers:
  p:
    base_url: https://a.b/v1
    models:
      m:
        price:
          - { input: 1, output: 2 }
          - { input: 3, output: 4, hours: [01-04, 22-24], weekdays_only: true }
          - from: 2026-12-01
            input: 5
            output: 6
            long: { above: 1000, input: 7, output: 8 }
            tiers: { priority: { input: 9, output: 10, long: { above: 2000, input: 11, output: 12 } } }
          - { from: 2027-01-01, unknown: true }
";
    let prices = read(text).unwrap().provider("p").unwrap().model("m").unwrap().prices.clone();
    let [standard, night, december, ended] = prices[..] else { panic!("{prices:?}") };
    assert_eq!((standard.from, standard.hours), (0, None));
    assert_eq!(night.hours, Some(Hours { of_day: 0b1100_0000_0000_0000_0000_1110, weekdays_only: true }));
    assert_eq!(december.from, 20_788 * 86_400_000);
    assert_eq!((ended.from, ended.price), (20_819 * 86_400_000, None));
    let december = december.price.unwrap();
    let long = december.standard.long.unwrap();
    assert_eq!((long.above, long.rates.input, long.rates.reasoning), (1000, 7_000_000, 8_000_000));
    let [(name, tier)] = december.tiers else { panic!("{december:?}") };
    assert_eq!((*name, tier.rates.input, tier.rates.cached_input), ("priority", 9_000_000, 9_000_000));
    assert_eq!(tier.long.map(|long| (long.above, long.rates.output)), Some((2000, 12_000_000)));
}

#[test]
fn every_fault_of_a_list_of_prices_is_reported() {
    let text = "providers:
  p:
    base_url: https://a.b/v1
    models:
      m:
        price:
          - { from: 2026-13-01, input: 1, output: 2 }
          - { hours: [4-1], input: 1, output: 2, colour: red }
          - { input: 1, output: 2, long: { input: 3, output: 4 } }
          - { input: 1, output: 2, tiers: { flex: { input: 1 } } }
";
    let told = faults(text);
    let expected = [
        "line 7: providers.p.models.m.price.0.from: expected a day, such as 2026-12-01",
        "line 8: providers.p.models.m.price.1.colour: unknown key",
        "line 8: providers.p.models.m.price.1.hours.0: expected a span of whole hours (UTC), such as 01-04",
        "line 9: providers.p.models.m.price.2.long: `above` is missing: the tokens of the longest prompt at the usual rates",
        "line 10: providers.p.models.m.price.3.tiers.flex: `output` is missing: dollars per million tokens",
    ];
    for (fault, start) in told.iter().zip(expected) {
        assert!(fault.starts_with(start), "{start}\nin {told:#?}");
    }
    assert_eq!(told.len(), expected.len(), "{told:#?}");
}

#[test]
fn every_fault_of_a_price_is_reported_with_its_line_and_path() {
    let text = "providers:
  p:
    base_url: https://a.b/v1
    catalogue: opnai
    models:
      a: { price: { input: 2.5 } }
      b:
        price: { input: 0.0000001, output: -1, per_request: lots, reasoning: [1], cached: 1 }
        context: 0
        max_output: 1.5
      c: { price: 3 }
";
    let told = faults(text);
    let expected = [
        "line 4: providers.p.catalogue: `opnai` is not known, did you mean `openai`?; expected one of alibaba, anthropic,",
        "line 6: providers.p.models.a.price: `output` is missing: dollars per million tokens",
        "line 8: providers.p.models.b.price.cached: unknown key",
        "line 8: providers.p.models.b.price.input: expected an amount in dollars, at least 0 and with at most 6 decimals, found the number 1e-7",
        "line 8: providers.p.models.b.price.output: expected an amount in dollars",
        "line 8: providers.p.models.b.price.reasoning: expected an amount in dollars, at least 0 and with at most 6 decimals, found a list",
        "line 8: providers.p.models.b.price.per_request: expected an amount in dollars, at least 0 and with at most 9 decimals",
        "line 9: providers.p.models.b.context: expected a whole number, at least 1",
        "line 10: providers.p.models.b.max_output: expected a whole number, at least 1",
        "line 11: providers.p.models.c.price: expected a mapping",
    ];
    for start in expected {
        assert!(told.iter().any(|fault| fault.starts_with(start)), "{start}\nin {told:#?}");
    }
    assert_eq!(told.len(), expected.len(), "{told:#?}");
}

#[test]
fn sessions_are_what_the_file_says() {
    let with =
        |text: &str| format!("providers: {{ d: {{ adapter: echo, models: {{ e: {{}} }} }} }}\nwebsocket: {text}");
    let said = |text: &str| read(&with(text)).unwrap().websocket;
    assert_eq!(said("{}"), Websocket::default());
    let origins = Cors::Only(vec!["https://a.b".to_owned()]);
    let some = Websocket {
        enabled: false,
        origins,
        idle: 1_500,
        resume: 60_000,
        buffer_bytes: 65_536,
        max_requests: 4,
        key: 10_000,
        max_without_key: 0,
    };
    let text = "{ enabled: false, origins: [\"https://a.b\"], idle_seconds: 1.5, resume_seconds: 60, buffer_bytes: 65536, max_requests: 4, key_seconds: 10, max_without_key: 0 }";
    assert_eq!(said(text), some);
    let told = faults(&with(
        "{ origins: [\"a.b\"], idle_seconds: 0, buffer_bytes: 100, max_requests: 0, key_seconds: 0, max_without_key: -1, window: 1 }",
    ));
    let expected = [
        "window: unknown key",
        "buffer_bytes: expected",
        "max_requests: expected",
        "origins.0: expected",
        "idle_seconds: expected",
        "key_seconds: expected",
        "max_without_key: expected",
    ];
    for start in expected.map(|fault| format!("line 2: websocket.{fault}")) {
        assert!(told.iter().any(|fault| fault.starts_with(&start)), "{start}\nin {told:#?}");
    }
    assert_eq!(told.len(), expected.len(), "{told:#?}");
}

#[test]
fn books_are_kept_as_long_as_the_file_says() {
    let with =
        |text: &str| format!("providers: {{ d: {{ adapter: echo, models: {{ e: {{}} }} }} }}\naccounting: {text}");
    let kept = |text: &str| read(&with(text)).unwrap().accounting;
    assert_eq!(kept("{}"), Accounting::default());
    let some = Accounting { receipts: false, keep_receipts_days: 30, keep_usage_days: 365 };
    assert_eq!(kept("{ receipts: false, keep_receipts_days: 30, keep_usage_days: 365 }"), some);
    let found = faults(&with("{ keep_receipts_days: 6, receipt: false }"));
    assert!(found[0].starts_with("line 2: accounting.") && found.len() == 2, "{found:?}");
}

#[test]
fn the_dashboard_is_left_out_by_a_line_that_the_build_finds() {
    let with = |text: &str| format!("providers: {{ d: {{ adapter: echo, models: {{ e: {{}} }} }} }}\n{text}");
    let is_served = |text: &str| read(&with(text)).unwrap().dashboard;
    assert!(is_served("") && is_served("dashboard: true") && is_served("dashboard: yes"));
    assert!(!is_served("dashboard: false") && !is_served("dashboard: false   # for reasons"));
    for spelling in ["dashboard: no", "dashboard: 'off'", "dashboard:  false", "\"dashboard\": false"] {
        let found = faults(&with(spelling));
        assert_eq!(
            found,
            ["line 2: dashboard: expected the line `dashboard: false`, spelled like this and not indented"],
            "{spelling}"
        );
    }
    assert!(faults(&with("dashboard: 1"))[0].contains("true or false"));
}

#[test]
fn a_row_may_state_what_the_catalogue_states() {
    let text = "providers:
  p:
    base_url: https://a.b/v1
    user: { hash: 8 }
    limit_fields: [max_new_tokens]
    models:
      '*': { context: 10 }
      'gpt-*': { reasoning_effort: { nearest_of: [low] }, limit_fields: [n] }
      'gpt-7-*': { user: keep, thinks: true }
      gpt-7-x: {}
";
    let config = read(text).unwrap();
    let provider = config.provider("p").unwrap();
    let facts = |name: &str| {
        let target = routing::resolve_target(&config, name).unwrap();
        ModelCard::of(target.provider, target.model, &target.upstream, 0).facts
    };
    assert_eq!(provider.pattern("gpt-7-mini").unwrap().name, "gpt-7-*");
    assert_eq!(provider.pattern("GPT-8").unwrap().limit_fields, ["n"]);
    assert_eq!(provider.pattern("other").unwrap().limit_fields, ["max_new_tokens"]);
    assert_eq!(facts("other").fit(Field::User), Fit::Hash(8), "of the provider");
    assert_eq!(facts("gpt-7-mini").fit(Field::User), Fit::Keep, "of the model, before the provider's");
    assert_eq!(facts("gpt-8").fit(Field::ReasoningEffort), Fit::NearestOf(Efforts(0b100)), "before the family's");
    assert_eq!(facts("gpt-8").count(Field::Context), None, "only the most exact row applies");
    assert_eq!(facts("gpt-7-x").fit(Field::Temperature), Fit::Drop, "of the family");
    assert_eq!(routing::resolve_target(&config, "gpt-7-y<high>").unwrap_err().status(), 404);
}

#[test]
fn every_fault_of_a_stated_fact_is_told() {
    let text = "providers:
  p:
    base_url: https://a.b/v1
    user: { cut: 5 }
    temperature: drop
    models:
      m: { reasoning_effort: high, tokens_per_second: 20000 }
";
    let told = faults(text);
    for start in [
        "line 4: providers.p.user: expected keep, or drop, or { hash: length }, found a mapping",
        "line 5: providers.p.temperature: unknown key",
        "line 7: providers.p.models.m.reasoning_effort: expected keep, or drop, or { nearest_of: [words of effort] }, found text",
        "line 7: providers.p.models.m.tokens_per_second: expected a whole number, at least 1 and at most 10000, found the number 20000",
    ] {
        assert!(told.iter().any(|fault| fault.starts_with(start)), "{start}\nin {told:#?}");
    }
}

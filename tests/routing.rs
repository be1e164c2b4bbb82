//! Names of models, routes and aliases: what leads where, and which files are refused.
#![allow(clippy::expect_used, reason = "a test may insist")]

use llm_bridge::config::{Config, Needs, OnContentFilter, Recover, Sticky, Strategy, When};
use llm_bridge::formats::KINDS;
use llm_bridge::policy::rendezvous::{ConversationKey, Node, order};
use llm_bridge::policy::routing::{self, Route};

const PROVIDERS: &str = "default_provider: home
providers:
  home: { base_url: 'https://home.example', models: { m: {}, org/m: {}, fast: { clocks: { first_token: 5, idle: 90 } }, var: {}, var<high>: {} } }
  a: { base_url: 'https://a.example', models: { m: {}, only: {}, both: {}, 'gpt-*': {}, 'same-*': {} } }
  b: { base_url: 'https://b.example', models: { both: {}, 'gpt-5*': {}, 'same-*': {} } }
  claudes: { adapter: anthropic, base_url: 'https://api.anthropic.com', models: '*' }
  any: { base_url: 'https://any.example', models: '*' }
";

fn config(more: &str) -> Config {
    Config::read(&format!("{PROVIDERS}{more}"), KINDS).expect("a sound file")
}

fn faults(more: &str) -> Vec<String> {
    let faults = Config::read(&format!("{PROVIDERS}{more}"), KINDS).expect_err("a fault");
    faults.iter().map(|fault| format!("{}: {}", fault.path, fault.message)).collect()
}

fn shown(route: &Route<'_>) -> Vec<String> {
    let name = |target: &routing::Target<'_>| format!("{}/{}", target.provider.name, target.upstream);
    route.candidates.iter().map(|candidate| name(&candidate.target)).collect()
}

fn leads(config: &Config, name: &str) -> Vec<String> {
    match routing::resolve(config, name) {
        Ok(route) => shown(&route),
        Err(error) => {
            assert_eq!(error.status(), 404, "{name}");
            assert_eq!(error.code(), Some("model_not_found"), "{name}");
            assert_eq!(error.param(), Some("model"), "{name}");
            vec![error.message().to_owned()]
        }
    }
}

#[test]
fn each_step_of_the_search_precedes_the_next() {
    let config = config("");
    for (name, target) in [
        ("m", "home/m"),
        ("org/m", "home/org/m"),
        ("only", "a/only"),
        ("gpt-5-x", "b/gpt-5-x"),
        ("gpt-4o", "a/gpt-4o"),
        ("claude-opus-5-5", "claudes/claude-opus-5-5"),
        ("claude-of-the-future", "claudes/claude-of-the-future"),
        ("a/m", "a/m"),
        ("a/gpt-9", "a/gpt-9"),
        ("any/claude-opus-5-5", "any/claude-opus-5-5"),
        ("any/a/m", "any/a/m"),
    ] {
        assert_eq!(leads(&config, name), [target], "{name}");
    }
}

#[test]
fn several_rows_that_fit_equally_well_are_named() {
    let config = config("");
    assert_eq!(
        leads(&config, "both"),
        ["Several providers have the model `both`. Name one of them: `a/both`, `b/both`."]
    );
    let same = leads(&config, "same-x");
    assert_eq!(same, ["Several providers have the model `same-x`. Name one of them: `a/same-x`, `b/same-x`."]);
}

#[test]
fn the_default_provider_precedes_others_with_the_same_pattern() {
    let text = PROVIDERS.replace("default_provider: home", "default_provider: b");
    let config = Config::read(&text, KINDS).unwrap();
    assert_eq!(leads(&config, "same-x"), ["b/same-x"]);
    assert_eq!(leads(&config, "both"), ["b/both"]);
}

#[test]
fn any_name_belongs_to_the_default_provider_only_if_no_other_row_has_it() {
    let text = PROVIDERS.replace("default_provider: home", "default_provider: any");
    let config = Config::read(&text, KINDS).unwrap();
    assert_eq!(leads(&config, "only"), ["a/only"]);
    assert_eq!(leads(&config, "gpt-4"), ["a/gpt-4"]);
    assert_eq!(leads(&config, "claude-opus-5-5"), ["claudes/claude-opus-5-5"]);
    assert_eq!(leads(&config, "unheard-of"), ["any/unheard-of"]);
    assert_eq!(leads(&config, "someone/new:free"), ["any/someone/new:free"]);
}

#[test]
fn a_family_of_two_providers_is_ambiguous() {
    let more = "  others: { adapter: anthropic, base_url: 'https://api.anthropic.com', models: '*' }\n";
    let config = config(more);
    let message = "Several providers have the model `claude-opus-5-5`. Name one of them: `claudes/claude-opus-5-5`, `others/claude-opus-5-5`.";
    assert_eq!(leads(&config, "claude-opus-5-5"), [message]);
}

#[test]
fn a_name_that_leads_nowhere_is_404() {
    let config = config("aliases: { chatty: home/m }\n");
    for name in ["", "unheard-of", "a/", "a/unheard-of", "home/org", "m<high>", "claude-opus<high>", "any/m<x>", "A/m"]
    {
        let message = &leads(&config, name)[0];
        assert!(message.contains("is not known here"), "{name}: {message}");
    }
    assert!(leads(&config, "chaty")[0].contains("Did you mean `chatty`?"));
}

#[test]
fn a_route_leads_to_its_targets() {
    let config = config(
        "routes:
  smart:
    strategy: weighted
    targets:
      - home/m
      - { model: claudes/claude-sonnet-4-5, weight: 2, when: { max_input_tokens: 180000, needs: [vision, tools] } }
      - { model: nick, weight: 0 }
    attempts: 4
    first_token: 20
    idle: 1.5
    on_content_filter: next
    sticky: user
    recover: buffer
    hold: 2.5
    continue_with: 'Go on after {words}'
  short: [only, gpt-5-mini]
aliases: { nick: a/only, nickname: nick, clever: smart, org/clever: clever, m: b/both }
",
    );
    let smart = routing::resolve(&config, "smart").unwrap();
    assert_eq!(shown(&smart), ["home/m", "claudes/claude-sonnet-4-5", "a/only"]);
    assert_eq!(smart.name, Some("smart"));
    assert_eq!(smart.strategy, Strategy::Weighted);
    assert_eq!(smart.candidates.iter().map(|candidate| candidate.weight).collect::<Vec<_>>(), [1, 2, 0]);
    let needs = Needs::VISION.with(Needs::TOOLS);
    assert_eq!(smart.candidates[1].when, When { max_input_tokens: Some(180_000), needs });
    assert_eq!(smart.candidates[0].when, When::default());
    assert_eq!(smart.attempts(9), 4);
    assert_eq!(smart.on_content_filter, OnContentFilter::Next);
    assert_eq!(smart.sticky, Sticky::User);
    assert_eq!((smart.recover, smart.hold), (Recover::Buffer, Some(2_500)));
    assert_eq!(smart.continue_with, Some("Go on after {words}"));
    let short = routing::resolve(&config, "short").unwrap();
    assert_eq!(shown(&short), ["a/only", "b/gpt-5-mini"]);
    assert_eq!((short.strategy, short.on_content_filter), (Strategy::Priority, OnContentFilter::Stop));
    assert_eq!(short.sticky, Sticky::Conversation);
    assert_eq!((short.recover, short.hold), (Recover::Off, None));
    assert_eq!(leads(&config, "nickname"), ["a/only"]);
    assert_eq!(leads(&config, "org/clever"), shown(&smart));
    assert_eq!(leads(&config, "m"), ["b/both"], "an alias precedes the default provider's model");
}

#[test]
fn a_plan_has_as_many_attempts_as_targets_or_keys_can_use() {
    let config = config("routes: { two: [home/m, a/m], once: { targets: [home/m], attempts: 1 } }\n");
    let attempts = |name: &str, keys: usize| routing::resolve(&config, name).unwrap().attempts(keys);
    assert_eq!(
        [attempts("home/m", 0), attempts("home/m", 1), attempts("home/m", 2), attempts("home/m", 9)],
        [1, 1, 2, 3]
    );
    assert_eq!([attempts("two", 1), attempts("two", 9)], [3, 3]);
    assert_eq!(attempts("once", 9), 1);
}

#[test]
fn silence_is_bounded_by_the_shorter_limit() {
    let more = "routes:
  plain: [home/m, home/fast]
  limited: { targets: [home/m, home/fast], first_token: 10, idle: 60 }
  alone: [home/m]
";
    let config = config(more);
    let clocks_of = |name: &str, index: usize, reasons: bool| {
        let route = routing::resolve(&config, name).unwrap();
        let clocks = route.clocks(&route.candidates[index].target, reasons);
        assert_eq!(clocks.total, 600_000);
        (clocks.first_token, clocks.idle)
    };
    let clocks = |name: &str, index: usize| clocks_of(name, index, false);
    assert_eq!(clocks("plain", 0), (Some(30_000), Some(30_000)));
    assert_eq!(clocks_of("plain", 0, true), (Some(180_000), Some(180_000)));
    assert_eq!(clocks_of("limited", 0, true), (Some(10_000), Some(60_000)));
    assert_eq!(clocks("plain", 1), (Some(5_000), Some(90_000)), "the model's own limits precede the default ones");
    assert_eq!(clocks("limited", 0), (Some(10_000), Some(60_000)));
    assert_eq!(clocks("limited", 1), (Some(5_000), Some(60_000)));
    assert_eq!(clocks("alone", 0), (None, None));
    assert_eq!(clocks("home/m", 0), (None, None));
}

#[test]
fn a_target_is_tried_for_requests_that_meet_its_conditions() {
    let plain = When::default();
    assert!(plain.admits(u64::MAX, Needs::NONE) && plain.admits(0, Needs::AUDIO));
    let short = When { max_input_tokens: Some(100), ..plain };
    assert!(short.admits(100, Needs::PDF) && !short.admits(101, Needs::NONE));
    let seeing = When { needs: Needs::VISION.with(Needs::TOOLS), ..plain };
    assert!(seeing.admits(1, Needs::VISION.with(Needs::TOOLS).with(Needs::PDF)));
    assert!(!seeing.admits(1, Needs::VISION) && !seeing.admits(1, Needs::NONE));
    for (word, need) in Needs::WORDS {
        assert!(need.overlap(need) && !need.overlap(Needs::NONE), "{word}");
        assert!(Needs::WORDS.iter().all(|(_, other)| need.overlap(*other) == (need == *other)), "{word}");
    }
}

#[test]
fn a_request_that_names_what_an_account_stores_stays_with_that_account() {
    let config = config(
        "  twin: { base_url: 'https://a.example', api_key_env: A_API_KEY, models: { m: {} } }
routes:
  mixed: [a/m, claudes/claude-sonnet-4-5, a/only]
  several: [claudes/claude-sonnet-4-5, a/m, b/both]
  same: [a/m, twin/m]
  foreign: [claudes/claude-sonnet-4-5, claudes/claude-opus-4-5]
",
    );
    let bound = |name: &str, stored: bool| {
        let mut route = routing::resolve(&config, name).unwrap();
        route.bind("file_id", stored, |target| target.provider.adapter == "openai").map(|()| {
            assert_eq!(route.bound_by.is_some(), name != "same" && name != "foreign", "{name}");
            assert_eq!(route.attempts(1), 3, "{name}");
            shown(&route)
        })
    };
    assert_eq!(bound("mixed", true).unwrap(), ["a/m", "a/only"]);
    assert_eq!(bound("same", true).unwrap(), ["a/m", "twin/m"], "one key at one address");
    assert_eq!(bound("foreign", true).unwrap().len(), 2, "the translation refuses or reports it");
    assert_eq!(bound("several", false).unwrap(), ["a/m", "b/both"], "only one can open it");
    let error = bound("several", true).unwrap_err();
    assert_eq!((error.status(), error.code(), error.param()), (400, Some("bound_to_account"), Some("file_id")));
    assert!(error.message().contains("`file_id`") && error.message().contains("`a/m`, `b/both`."), "{error}");
}

#[test]
fn a_target_whose_window_the_prompt_exceeds_is_left_out_if_another_one_is_left() {
    let config = config(
        "  sizes: { base_url: 'https://s.ai', models: { small: { context: 10000 }, large: { context: 100000 }, any: {} } }
routes: { all: [sizes/small, sizes/large, sizes/any], known: [sizes/small, sizes/large] }
",
    );
    let fitting = |name: &str, tokens: u64| {
        let mut route = routing::resolve(&config, name).unwrap();
        route.fit(tokens, Needs::NONE, 0).unwrap();
        shown(&route)
    };
    let [small, large, any] = ["sizes/small", "sizes/large", "sizes/any"];
    assert_eq!(fitting("all", 9_000), [small, large, any]);
    assert_eq!(fitting("all", 13_000), [small, large, any], "the estimate may be too long");
    assert_eq!(fitting("all", 14_000), [large, any]);
    assert_eq!(fitting("all", 900_000), [any], "a window that is not known");
    assert_eq!(fitting("known", 14_000), [large]);
    assert_eq!(fitting("known", 900_000), [small, large], "somebody has to say that it is too long");
}

#[test]
fn variants_of_one_model_share_conversations_by_their_weights() {
    let config = config(
        "routes: { efforts: { strategy: weighted, targets: [home/var, { model: home/var<high>, weight: 3 }] } }\n",
    );
    let route = routing::resolve(&config, "efforts").unwrap();
    let targets: Vec<_> = route.candidates.iter().map(|candidate| &candidate.target).collect();
    assert_eq!([&targets[0].upstream, &targets[1].upstream], ["var", "var"]);
    assert_eq!(targets[0].cache(), targets[1].cache(), "the provider caches a prompt for both");
    let nodes: Vec<_> = route
        .candidates
        .iter()
        .map(|candidate| Node { id: candidate.target.node(), weight: candidate.weight })
        .collect();
    let key = |number: u32| ConversationKey::of(&[&number.to_be_bytes()]);
    let first = (0..10_000).filter(|number| order(key(*number), &nodes)[0] == 0).count();
    assert!((2_200..2_800).contains(&first), "a quarter: {first}");
}

#[test]
fn a_client_brings_its_own_order() {
    let config = config("routes: { two: { strategy: weighted, targets: [a/only, b/both], attempts: 2 } }\n");
    let route = Route::of_names(&config, &["home/m", "two", "claude-opus-5-5"]).unwrap();
    assert_eq!(shown(&route), ["home/m", "a/only", "b/both", "claudes/claude-opus-5-5"]);
    assert_eq!(route.candidates.iter().map(|candidate| candidate.asked).collect::<Vec<_>>(), [0, 1, 1, 2]);
    assert_eq!((route.name, route.strategy), (None, Strategy::Priority));
    assert_eq!(route.attempts(1), 3);
    let alone = Route::of_names(&config, &["two"]).unwrap();
    assert_eq!((alone.name, alone.strategy, alone.attempts(1)), (Some("two"), Strategy::Weighted, 2));
    let error = Route::of_names(&config, &["home/m", "unheard-of"]).unwrap_err();
    assert!(error.message().contains("`unheard-of`"), "{error}");
    assert_eq!(Route::of_names(&config, &[]).unwrap_err().status(), 404);
    let repeated = Route::of_names(&config, &["home/m", "m", "a/only", "two"]).unwrap();
    assert_eq!(shown(&repeated), ["home/m", "a/only", "b/both"], "a target is listed once");
}

/// Routes and aliases with a fault each.
const FAULTY: &str = "routes:
  empty: []
  none: {}
  bad:
    strategy: dearest
    targets: [a/nothing, smart, both, a/only, only, { weight: 1 }, { model: a/m, when: { needs: [smell], max_input_tokens: 0 } }]
    attempts: 11
    on_content_filter: retry
    sticky: glue
    recover: pray
    hold: 0
    retries: 3
  zero: { strategy: weighted, targets: [{ model: a/m, weight: 0 }] }
  a/mine: [a/m]
  'with space': [a/m]
  star*: [a/m]
  smart: [a/m]
aliases:
  x: y
  y: z
  z: x
  dead: a/gone
  smart: a/m
  home/m: a/m
  list: [a/m]
";

#[test]
fn faults_of_routes_name_their_place() {
    let told = faults(FAULTY);
    let expected = [
        "routes.empty: name at least one model",
        "routes.none: `targets` is missing",
        "routes.bad.strategy: `dearest` is not known, did you mean `cheapest`?; expected one of priority, weighted, cheapest, fastest",
        "routes.bad.targets.0: no model is known as `a/nothing`",
        "routes.bad.targets.1: `smart` is a route; list its models instead",
        "routes.bad.targets.2: several providers have `both`; choose one of `a/both`, `b/both`",
        "routes.bad.targets.4: this model is listed twice",
        "routes.bad.targets.5: `model` is missing",
        "routes.bad.targets.6.when.needs.0: `smell` is not known",
        "routes.bad.targets.6.when.max_input_tokens: expected a whole number, at least 1",
        "routes.bad.attempts: expected at most 10",
        "routes.bad.on_content_filter: `retry` is not known",
        "routes.bad.sticky: `glue` is not known; expected one of conversation, user, off",
        "routes.bad.recover: `pray` is not known; expected one of off, buffer, restart, continue",
        "routes.bad.hold: expected",
        "routes.bad.retries: unknown key",
        "routes.zero.targets: at least one target needs a weight above 0",
        "routes[\"a/mine\"]: names that begin with `a/` belong to the provider",
        "routes[\"with space\"]: expected a name of letters",
        "routes[\"star*\"]: expected a name of letters",
        "aliases.x: this alias stands for itself: y → z → x → y",
        "aliases.y: this alias stands for itself: z → x → y → z",
        "aliases.z: this alias stands for itself: x → y → z → x",
        "aliases.dead: no model is known as `a/gone`",
        "aliases.smart: `smart` is already the name of a route",
        "aliases[\"home/m\"]: names that begin with `home/` belong to the provider",
        "aliases.list: expected text, found a list",
    ];
    for start in expected {
        assert!(told.iter().any(|fault| fault.starts_with(start)), "{start}\nin {told:#?}");
    }
    assert_eq!(told.len(), expected.len(), "{told:#?}");
}

#[test]
fn a_weight_without_effect_is_noted() {
    let config = config("routes: { r: { targets: [{ model: a/m, weight: 3 }] } }\n");
    assert_eq!(config.notes[0].path, "routes.r.targets.0.weight");
}

#[test]
fn a_target_of_a_faulty_provider_adds_no_fault() {
    let more = "  broken: { base_url: nowhere, models: { x: {} } }\nroutes: { r: [broken/x, broken/y] }\naliases: { s: broken/x }\n";
    let told = faults(more);
    assert_eq!(told.len(), 1, "{told:?}");
}

#[test]
fn an_unknown_target_is_compared_with_known_names() {
    assert!(faults("routes: { r: [a/onyl] }\n")[0].contains("did you mean `a/only`?"));
}

#[test]
fn keys_are_listed_by_variable() {
    let told = |row: &str| {
        let text = format!("providers: {{ p: {{ base_url: 'https://a.b', models: '*', {row} }} }}");
        let faults = Config::read(&text, KINDS).expect_err("a fault");
        faults.iter().map(|fault| format!("{}: {}", fault.path, fault.message)).collect::<Vec<_>>()
    };
    assert!(told("keys: []")[0].starts_with("providers.p.keys: name at least one variable"));
    assert!(told("keys: [A, A]")[0].starts_with("providers.p.keys.1: `A` is listed twice"));
    assert!(told("keys: [a-b]")[0].starts_with("providers.p.keys.0: expected the name of a variable"));
    assert!(told("keys: [{ account: x }]")[0].starts_with("providers.p.keys.0: `env` is missing"));
    assert!(told("keys: [{ env: A, weight: 0 }]")[0].starts_with("providers.p.keys.0.weight: expected a whole number"));
    assert!(
        told("keys: [{ env: A, weight: 1001 }]")[0].starts_with("providers.p.keys.0.weight: expected at most 1000")
    );
    assert!(told("keys: [A], api_key_env: B")[0].starts_with("providers.p.keys: `keys` replaces"));
    assert!(told("keys: A")[0].starts_with("providers.p.keys: expected a list"));
}

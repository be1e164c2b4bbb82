//! Money: what providers' own words cost by the catalogue and by an operator's price, and what always holds
//! of costs and bounds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may insist")]

use std::path::{Path, PathBuf};

use llm_bridge::canonical::{ResponseEvent, Usage};
use llm_bridge::catalogue::field::Field;
use llm_bridge::catalogue::price::{LongContextRates, MediaRates, ModelPrice, Rates, TierRates};
use llm_bridge::config::{Config, Provider};
use llm_bridge::formats::openai::summary;
use llm_bridge::formats::{self, KINDS};
use llm_bridge::policy::model_card::ModelCard;
use llm_bridge::policy::pricing::PromptBound;
use llm_bridge::policy::routing;
use proptest::prelude::*;
use serde_json::{Value, json};

/// The card of a model at a provider with this address; `rows` are more lines of its row.
fn look_up(base_url: &str, rows: &str, model: &str) -> ModelCard {
    let text = format!("providers:\n  p:\n    base_url: {base_url}\n{rows}");
    let config = Config::read(&text, KINDS).unwrap();
    let target = routing::resolve_target(&config, &format!("p/{model}")).unwrap();
    ModelCard::of(target.provider, target.model, &target.upstream, NOON)
}

/// Noon of 27 November 2026 (UTC), a Friday, in milliseconds since 1970.
const NOON: u64 = 1_795_780_800_000;

const ANY: &str = "    models: '*'\n";

fn fixtures() -> Vec<(PathBuf, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/usage");
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let costs = paths.filter(|path| path.to_string_lossy().ends_with(".cost.json"));
    let read = |path: PathBuf| (path.clone(), serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap());
    costs.map(read).collect()
}

/// What an answer, whole or streamed, says it used, and how it was served. `adapter` is the word for its
/// format.
fn reported(answer: &str, adapter: Option<&str>) -> (Usage, Option<String>) {
    let body = std::fs::read(answer).unwrap();
    let Some(upstream) = adapter.and_then(formats::provider_format) else {
        let facts = summary::of_completion(&body).unwrap();
        return (facts.usage.unwrap(), facts.tier);
    };
    let (mut usage, mut tier) = (None, None);
    let mut note = |event: ResponseEvent<'_>| match event {
        ResponseEvent::Usage(told) => usage = Some(told),
        ResponseEvent::Tier(told) => tier = Some(told.into_owned()),
        _ => {}
    };
    if answer.ends_with(".sse") {
        let mut stream = (upstream.stream)();
        stream.push(&body, &mut note);
        stream.finish(&mut note);
        assert_eq!(stream.malformed(), 0, "{answer}");
    } else {
        (upstream.whole)(&body, &mut note).unwrap();
    }
    (usage.unwrap(), tier)
}

#[test]
fn what_a_provider_says_it_used_costs_what_it_charges() {
    let fixtures = fixtures();
    assert!(fixtures.len() >= 15);
    for (path, expected) in fixtures {
        let answers = [".json", ".sse"].map(|kind| path.to_string_lossy().replace(".cost.json", kind));
        let answer = answers.into_iter().find(|answer| Path::new(answer).exists()).unwrap();
        let (usage, tier) = reported(&answer, expected["adapter"].as_str());
        let rows = format!("    models:\n      {}\n", expected["row"].as_str().unwrap());
        let card = look_up(expected["base_url"].as_str().unwrap(), &rows, expected["model"].as_str().unwrap());
        let found = json!({
            "usage": {
                "fresh": usage.uncached_input, "cache_read": usage.cache_read, "cache_write": usage.cache_write,
                "output": usage.output, "reasoning": usage.reasoning,
            },
            "tier": tier,
            "nano_dollars": card.price.unwrap().cost(&usage, tier.as_deref()),
        });
        for key in ["usage", "tier", "nano_dollars"] {
            assert_eq!(found[key], expected[key], "{key} of {answer}");
        }
        for (found, key) in [
            (usage.cache_write_1h, "of_these_for_an_hour"),
            (usage.searches, "searches"),
            (usage.audio_input, "of_fresh_audio"),
            (usage.cached_audio, "of_cache_read_audio"),
        ] {
            assert_eq!(found, expected[key].as_u64().unwrap_or(0), "{key} of {answer}");
        }
    }
}

/// The catalogue as people read it, found without our code.
fn catalogue() -> serde_yaml::Value {
    serde_yaml::from_str(include_str!("../configs/catalogue.yaml")).unwrap()
}

#[test]
fn every_row_of_the_catalogue_is_found_by_each_of_its_names() {
    let (mut rows, mut paced) = (0, 0);
    for (name, host) in catalogue()["hosts"].as_mapping().unwrap() {
        let (name, address) = (name.as_str().unwrap(), host["addresses"][0].as_str());
        let address = address.filter(|address| !address.contains('*')).unwrap_or("a.b");
        let named = format!("{{ base_url: 'https://a.b', models: '*', catalogue: {name} }}");
        let at_home = format!("{{ base_url: 'https://{address}/v1', models: '*' }}");
        let text = format!("providers:\n  named: {named}\n  host: {at_home}\n");
        let config = Config::read(&text, KINDS).unwrap();
        let providers = if address == "a.b" { &config.providers[..1] } else { &config.providers };
        for (model, row) in host.get("models").and_then(|models| models.as_mapping()).into_iter().flatten() {
            let aliases = row.get("aliases").and_then(|aliases| aliases.as_sequence().cloned()).unwrap_or_default();
            let names = aliases.iter().chain([model]).map(|name| name.as_str().unwrap());
            for name in names.filter(|name| !name.contains('*')) {
                let card = |provider: &Provider| ModelCard::of(provider, provider.pattern(name).unwrap(), name, NOON);
                providers.iter().for_each(|provider| check(name, &card(provider), row));
                rows += 1;
                paced += usize::from(row.get("tokens_per_second").is_some());
            }
        }
    }
    assert!(rows > 100 && paced > 0, "{rows}, {paced}");
}

/// The price of a row that holds at noon, of those that hold all day.
fn price_at_noon(row: &serde_yaml::Value) -> &serde_yaml::Value {
    let Some(list) = row["price"].as_sequence() else { return &row["price"] };
    let from = |price: &serde_yaml::Value| price.get("from").map_or("", |from| from.as_str().unwrap()).to_owned();
    let holds = |price: &&serde_yaml::Value| price.get("hours").is_none() && *from(price) <= *"2026-11-27";
    list.iter().filter(holds).max_by_key(|price| from(price)).unwrap()
}

fn check(name: &str, card: &ModelCard, row: &serde_yaml::Value) {
    let price = card.price.expect(name);
    let count = |key: &str| row.get(key).and_then(serde_yaml::Value::as_u64);
    assert_eq!(card.context, count("context"), "{name}");
    assert_eq!(card.max_output, count("max_output"), "{name}");
    assert_eq!(card.tokens_per_second, count("tokens_per_second"), "{name}");
    assert!(card.tokens_per_second.is_none_or(|pace| (1..=10_000).contains(&pace)), "{name}");
    let row = price_at_noon(row);
    let said = |key: &str| row.get(key).and_then(serde_yaml::Value::as_f64);
    // A thousand tokens for dollars per million, in nano-dollars.
    let cost = |usage: Usage| f64::from(u32::try_from(price.cost(&usage, None).unwrap()).unwrap());
    let near = |found: f64, dollars: f64| assert!((found - dollars * 1e6).abs() < 0.6, "{name}: {found}");
    near(cost(Usage { uncached_input: 1000, ..Usage::default() }), said("input").unwrap());
    near(cost(Usage { output: 1000, ..Usage::default() }), said("output").unwrap());
    near(cost(Usage { cache_read: 1000, ..Usage::default() }), said("cached_input").or(said("input")).unwrap());
    let write = said("cache_write").or(said("input")).unwrap();
    near(cost(Usage { cache_write: 1000, ..Usage::default() }), write);
    let for_an_hour = Usage { cache_write: 1000, cache_write_1h: 1000, ..Usage::default() };
    near(cost(for_an_hour), said("cache_write_1h").unwrap_or(write));
    let tiers: Vec<&str> = price.tiers.iter().map(|(tier, _)| *tier).collect();
    let said = row.get("tiers").and_then(|tiers| tiers.as_mapping());
    assert_eq!(tiers.len(), said.map_or(0, serde_yaml::Mapping::len), "{name}");
    assert!(tiers.iter().all(|tier| row["tiers"].get(tier).is_some()), "{name}");
    assert_eq!(price.standard.long.map(|long| long.above), row.get("long").map(|long| long["above"].as_u64().unwrap()));
}

#[test]
fn a_name_with_a_date_costs_what_it_costs_without() {
    let price = |model: &str| look_up("https://API.openai.com:443/v1", ANY, model).price;
    assert!(price("gpt-4o").is_some());
    assert_eq!(price("gpt-4o-2024-08-06"), price("gpt-4o"));
    assert_ne!(price("gpt-4o-2024-05-13"), price("gpt-4o"));
    assert_eq!(price("gpt-4o-2030-13"), None);
    assert_eq!(price("gpt-4o-audio-preview"), None);
    let claude = look_up("https://api.anthropic.com/v1", ANY, "claude-sonnet-4-20250514").price;
    assert_eq!(claude.unwrap().standard.rates.input, 3_000_000);
}

#[test]
fn a_model_is_as_fast_as_the_file_says_or_else_the_catalogue() {
    let pace = |rows: &str| look_up("https://api.groq.com/openai/v1", rows, "openai/gpt-oss-120b").tokens_per_second;
    assert_eq!(pace(ANY), Some(500));
    assert_eq!(pace("    models: { openai/gpt-oss-120b: { tokens_per_second: 7 } }\n"), Some(7));
    assert_eq!(look_up("https://api.groq.com/openai/v1", ANY, "unheard-of").tokens_per_second, None);
}

#[test]
fn the_file_is_asked_before_the_catalogue() {
    let unlisted = look_up("https://a.b/v1", ANY, "gpt-4o");
    assert_eq!(unlisted.price, None);
    assert_eq!(unlisted.context, None);
    assert_eq!(unlisted.max_output, None);
    let named = look_up("https://a.b/v1", "    catalogue: openai\n    models: '*'\n", "gpt-4o");
    assert_eq!(named.context, Some(128_000));
    let own = "    models: { gpt-4o: { price: { input: 1, output: 2 }, max_output: 5 } }\n";
    let own = look_up("https://api.openai.com/v1", own, "gpt-4o");
    assert_eq!(own.context, Some(128_000));
    assert_eq!(own.max_output, Some(5));
    assert_eq!(own.facts.word(Field::Encoding), Some("o200k"));
    let usage = Usage { uncached_input: 1, output: 1, ..Usage::default() };
    assert_eq!(own.price.unwrap().cost(&usage, None), Some(3000));
    let later = "    models: { gpt-4o: { price: [{ from: 2030-01-01, input: 1, output: 2 }] } }\n";
    assert_eq!(
        look_up("https://api.openai.com/v1", later, "gpt-4o").price,
        look_up("https://api.openai.com/v1", ANY, "gpt-4o").price
    );
    let ended = "    models: { gpt-4o: { price: [{ from: 2026-01-01, unknown: true }] } }\n";
    assert_eq!(look_up("https://api.openai.com/v1", ended, "gpt-4o").price, None);
    let none = look_up("https://api.openai.com/v1", "    catalogue: none\n    models: '*'\n", "gpt-4o");
    assert_eq!(none.price, None);
    assert_eq!(none.context, None);
    assert_eq!(none.max_output, None);
    assert_eq!(none.limit_fields, [""; 0]);
    let variant = "    models: { o3-mini<high>: {} }\n";
    assert!(look_up("https://api.openai.com/v1", variant, "o3-mini<high>").price.is_some());
}

#[test]
fn what_the_gateway_answers_itself_is_free() {
    let config = Config::read("providers: { demo: { adapter: echo, models: { echo: {} } } }", KINDS).unwrap();
    let target = routing::resolve_target(&config, "demo/echo").unwrap();
    let price = ModelCard::of(target.provider, target.model, &target.upstream, NOON).price.unwrap();
    assert_eq!(price.cost(&Usage { uncached_input: 5, output: u64::MAX, ..Usage::default() }, None), Some(0));
    assert_eq!(
        price.bound(PromptBound { searches: 0, tokens: u64::MAX, ..ALL_KINDS }, None).unwrap().cost(u64::MAX),
        0
    );
}

/// Counts of which several still make a count; most are small, as in life.
fn tokens() -> impl Strategy<Value = u64> {
    prop_oneof![0..2000_u64, 0..2_000_000_u64, 0..u64::MAX / 4]
}

fn usage() -> impl Strategy<Value = Usage> {
    let text = (tokens(), tokens(), tokens(), tokens(), tokens(), tokens()).prop_map(
        |(fresh, cache_read, cache_write, for_an_hour, output, reasoning)| Usage {
            uncached_input: fresh,
            cache_read,
            cache_write,
            cache_write_1h: for_an_hour,
            output,
            reasoning,
            ..Usage::default()
        },
    );
    let media = (tokens(), tokens(), tokens(), tokens(), 0..=ALL_KINDS.searches);
    (text, media).prop_map(|(text, (audio_input, cached_audio, audio_output, image_output, searches))| Usage {
        audio_input,
        cached_audio,
        audio_output,
        image_output,
        searches,
        ..text
    })
}

/// A prompt of which nothing is ruled out.
const ALL_KINDS: PromptBound = PromptBound { tokens: 0, cached_for_hour: true, has_audio: true, searches: 10 };

fn media_rates() -> impl Strategy<Value = Option<&'static MediaRates>> {
    let rate = || 0..100_000_000_u64;
    let rates = (rate(), rate(), rate(), rate()).prop_map(|(audio_input, cached_audio, audio_output, image_output)| {
        &*Box::leak(Box::new(MediaRates { audio_input, cached_audio, audio_output, image_output }))
    });
    proptest::option::of(rates)
}

fn rates() -> impl Strategy<Value = Rates> {
    let rate = || prop_oneof![0..3000_u64, 0..100_000_000_u64];
    let rates = (rate(), rate(), rate(), rate(), rate(), media_rates());
    rates.prop_map(|(input, cached_input, cache_write, cache_write_1h, output, media)| Rates {
        input,
        cached_input,
        cache_write,
        cache_write_1h,
        output,
        reasoning: output,
        media,
    })
}

fn dearer_media(media: &MediaRates, more: &MediaRates) -> &'static MediaRates {
    Box::leak(Box::new(MediaRates {
        audio_input: media.audio_input + more.audio_input,
        cached_audio: media.cached_audio + more.cached_audio,
        audio_output: media.audio_output + more.audio_output,
        image_output: media.image_output + more.image_output,
    }))
}

/// A tariff whose long prompts cost no less than short ones.
fn tariff() -> impl Strategy<Value = TierRates> {
    (rates(), proptest::option::of((tokens(), rates()))).prop_map(|(rates, long)| TierRates {
        rates,
        long: long.map(|(above, more)| {
            let dearer = Rates {
                input: rates.input + more.input,
                cached_input: rates.cached_input + more.cached_input,
                cache_write: rates.cache_write + more.cache_write,
                cache_write_1h: rates.cache_write_1h + more.cache_write_1h,
                output: rates.output + more.output,
                reasoning: rates.reasoning + more.reasoning,
                media: rates.media.map(|media| dearer_media(media, &more.media())),
            };
            &*Box::leak(Box::new(LongContextRates { above, rates: dearer }))
        }),
    })
}

fn price() -> impl Strategy<Value = ModelPrice> {
    (tariff(), tariff(), tariff(), 0..1000_u64).prop_map(|(standard, flex, priority, per_request)| ModelPrice {
        per_search: Some(per_request * 7),
        standard,
        tiers: Box::leak(Box::new([("flex", flex), ("priority", priority)])),
        per_request,
    })
}

fn tier() -> impl Strategy<Value = Option<&'static str>> {
    prop_oneof![Just(None), Just(Some("default")), Just(Some("flex")), Just(Some("priority"))]
}

fn bound(price: &ModelPrice, input: u64, output: u64, kept_long: bool, tier: Option<&str>) -> u64 {
    let prompt = PromptBound { tokens: input, cached_for_hour: kept_long, ..ALL_KINDS };
    price.bound(prompt, tier).unwrap().cost(output)
}

proptest! {
    #[test]
    fn no_exchange_costs_more_than_its_bound(price in price(), usage in usage(), tier in tier(), reasoning in 0..100_000_000_u64) {
        prop_assert!(price.cost(&usage, tier).unwrap() <= bound(&price, usage.prompt(), usage.output, true, tier));
        let mut own = price;
        own.standard.rates.reasoning = reasoning;
        prop_assert!(own.cost(&usage, tier).unwrap() <= bound(&own, usage.prompt(), usage.output, true, tier));
    }

    #[test]
    fn a_bound_grows_with_its_tokens(price in price(), input in tokens(), output in tokens(), more in tokens()) {
        prop_assert!(bound(&price, input, output, false, None) <= bound(&price, input + more, output, false, None));
        prop_assert!(bound(&price, input, output, true, None) <= bound(&price, input, output + more, true, None));
    }

    #[test]
    fn no_token_makes_an_exchange_cheaper(price in price(), usage in usage(), tier in tier(), more in tokens(), kind in 0..5) {
        let usage = Usage { cache_write_1h: usage.cache_write_1h.min(usage.cache_write), ..usage };
        let mut larger = usage;
        match kind {
            0 => larger.uncached_input += more,
            1 => larger.cache_read += more,
            2 => larger.cache_write += more,
            3 => (larger.cache_write, larger.cache_write_1h) = (usage.cache_write + more, usage.cache_write_1h + more),
            _ => larger.output += more,
        }
        // A longer prompt may turn long, which costs no less.
        prop_assert!(price.cost(&usage, tier) <= price.cost(&larger, tier));
    }

    #[test]
    fn money_never_drifts(price in price(), usages in proptest::collection::vec((0..5000_u64, 0..5000_u64), 0..200)) {
        // Rates in whole nano-dollars: nothing is rounded, and a ledger is the sum of all tokens.
        let whole = |rate: u64| rate / 1000 * 1000;
        let rates = Rates { input: whole(price.standard.rates.input), output: whole(price.standard.rates.output), ..Rates::default() };
        let rates = Rates { reasoning: rates.output, ..rates };
        let price = ModelPrice { standard: TierRates { rates, long: None }, ..price };
        let each = usages.iter().map(|(fresh, output)| Usage { uncached_input: *fresh, output: *output, ..Usage::default() });
        let ledger: u64 = each.map(|usage| price.cost(&usage, None).unwrap()).sum();
        let (input, output) = usages.iter().fold((0, 0), |sum, usage| (sum.0 + usage.0, sum.1 + usage.1));
        let expected = (input * rates.input + output * rates.output) / 1000 + price.per_request * usages.len() as u64;
        prop_assert_eq!(ledger, expected);
    }

    #[test]
    fn rounding_is_half_a_nano_dollar_at_most(price in price(), fresh in 0..1_000_000_u64) {
        let price = ModelPrice { standard: TierRates { long: None, ..price.standard }, per_request: 0, ..price };
        let cost = price.cost(&Usage { uncached_input: fresh, ..Usage::default() }, None).unwrap();
        prop_assert!((cost * 1000).abs_diff(fresh * price.standard.rates.input) <= 500);
    }

    #[test]
    fn a_prompt_is_the_sum_of_its_parts(prompt in tokens(), hits in tokens(), writes in tokens(), output in tokens(), reasoning in tokens()) {
        for usage in [
            json!({"prompt_tokens": prompt, "completion_tokens": output, "prompt_tokens_details": {"cached_tokens": hits, "cache_write_tokens": writes},
                   "completion_tokens_details": {"reasoning_tokens": reasoning}}),
            json!({"prompt_tokens": prompt, "completion_tokens": output, "prompt_cache_hit_tokens": hits, "prompt_cache_miss_tokens": writes}),
        ] {
            let body = json!({"choices": [], "usage": usage}).to_string();
            let read = summary::of_completion(body.as_bytes()).unwrap().usage.unwrap();
            prop_assert_eq!(read.prompt(), prompt);
            prop_assert_eq!(read.uncached_input + read.cache_read + read.cache_write, prompt);
            prop_assert_eq!(read.output, output);
        }
    }
}

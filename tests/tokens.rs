//! Tokens: every count is the oracle's, whatever the text; `/v1/tokenize` adds what a chat's format adds.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may insist")]

mod support;

use std::collections::HashSet;
use std::sync::LazyLock;

use llm_bridge::formats::{bounds, tally};
use llm_bridge::tokens::{Counter, Encoding, MAX_PIECE, Vocabulary};
use llm_bridge::wire::json::Document;
use proptest::prelude::*;
use serde_json::{Value, json};
use support::{Got, World, ask, bridge};
use tiktoken_rs::CoreBPE;

static O200K: LazyLock<(CoreBPE, Vocabulary)> =
    LazyLock::new(|| pair(Encoding::O200k, tiktoken_rs::o200k_base().unwrap(), 199_998));
static CL100K: LazyLock<(CoreBPE, Vocabulary)> =
    LazyLock::new(|| pair(Encoding::Cl100k, tiktoken_rs::cl100k_base().unwrap(), 100_256));

fn pair(encoding: Encoding, oracle: CoreBPE, tokens: u32) -> (CoreBPE, Vocabulary) {
    let packed = (0..tokens).flat_map(|rank| {
        let token = oracle.decode_bytes(&[rank]).unwrap();
        std::iter::once(u8::try_from(token.len()).unwrap()).chain(token)
    });
    let vocabulary = Vocabulary::read(encoding, packed.collect()).unwrap();
    (oracle, vocabulary)
}

/// Counts a text with both encodings, and demands that the oracle says the same.
#[track_caller]
fn agree(text: &str) -> [u64; 2] {
    [&*O200K, &*CL100K].map(|(oracle, vocabulary)| {
        let expected = oracle.encode(text, &HashSet::new()).unwrap().0.len() as u64;
        assert_eq!(vocabulary.count(text), expected, "{:?}: {text:?}", vocabulary.encoding());
        expected
    })
}

#[test]
fn counts_are_the_oracles() {
    assert_eq!(agree("hello world"), [2, 2]);
    assert_eq!(agree(""), [0, 0]);
    for text in [
        "The quick brown fox jumps over the lazy dog.",
        "你好，世界！今天天气怎么样？",
        "日本語とEnglishを混ぜたTextです。",
        "안녕하세요 세계",
        "Привет, мир! ПРИВЕТ",
        "नमस्ते दुनिया",
        "مرحبا بالعالم",
        "👩‍👩‍👧‍👦🏳️‍🌈 emoji 🤖!!",
        "fn main() {\n\tprintln!(\"{}\", x);\n}\n\n\n",
        "<|endoftext|> and <|im_start|>",
        "I'm you're WE'VE he'LL 'd 'ſ 'store",
        "   leading",
        "trailing   ",
        "\n \n\t \r\n x",
        " \u{a0}\u{3000}x",
        "1234567890 ½ Ⅷ ٣٤٥",
        "HTTPServer2XMLparser",
        "漢ABC漢abcABC",
        "\u{301}\u{301}ABC \u{301}abc",
        "a/b//c/\n/",
        "ǅ ǅabc ABCǅ",
        "\0\u{1}\u{7f}\u{feff}\u{fffd}",
    ] {
        agree(text);
    }
}

#[test]
fn every_character_is_cut_as_the_oracle_cuts_it() {
    let all: Vec<char> = (0..=0x1ffff).filter_map(char::from_u32).collect();
    for around in [("", ""), (" ", "aB")] {
        for some in all.chunks(2_048) {
            let text: String = some
                .iter()
                .flat_map(|c| [around.0, "\n", around.1].map(str::to_owned).into_iter().chain([c.to_string()]))
                .collect();
            agree(&text);
        }
    }
}

#[test]
fn long_runs_are_counted_and_take_no_time() {
    for text in ["a", " ", "A", "漢A", "\n", "🤖", "1", "\u{301}", "'", "ab "] {
        agree(&text.repeat(3_000));
        let long = text.repeat(100_000);
        let tokens = O200K.1.count(&long);
        assert!(tokens > 0 && tokens <= long.len() as u64);
        let mut counter = Counter::new(&O200K.1, &long);
        let mut steps = 1;
        while counter.step(MAX_PIECE) {
            steps += 1;
        }
        assert!(counter.tokens() == tokens && steps >= long.len() / (2 * MAX_PIECE), "{steps} steps");
    }
}

fn any_text() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        "[a-zA-Z]{1,12}",
        "[ \\t\\r\\n\u{a0}\u{3000}]{1,4}",
        "[0-9½٣Ⅷ]{1,5}",
        "[!-/:-@{-~/]{1,4}",
        "['’](s|S|ſ|t|re|LL|Ve|m|d|x)",
        "[漢字かなカナ가나ʰ]{1,4}",
        "[ǅǈÉéßÀ\u{301}\u{93f}]{1,3}",
        "[🤖👩\u{200d}️]{1,3}",
        Just("<|endoftext|>".to_owned()),
        "\\PC{0,6}",
        any::<String>(),
    ];
    proptest::collection::vec(word, 0..12).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text_is_counted_as_the_oracle_counts_it(text in any_text()) {
        let counts = agree(&text);
        prop_assert!(counts.iter().all(|count| *count <= text.len() as u64));
    }

    #[test]
    fn a_count_may_rest_anywhere(text in any_text(), step in 1_usize..20) {
        let mut counter = Counter::new(&CL100K.1, &text);
        while counter.step(step) {}
        prop_assert_eq!(counter.tokens(), CL100K.1.count(&text));
    }

    #[test]
    fn no_count_exceeds_the_bound(texts in proptest::collection::vec((any_text(), any::<bool>()), 0..6), tool in any_text()) {
        let message = |(text, plain): &(String, bool)| match plain {
            true => json!({"role": "user", "content": text}),
            false => json!({"role": text, "name": text, "content": [{"type": "text", "text": text}, {"type": "image_url"}]}),
        };
        let messages: Vec<Value> = texts.iter().map(message).collect();
        let body = json!({"model": "m", "messages": messages, "tools": [{"function": tool}]}).to_string();
        let document = Document::read(body.as_bytes()).unwrap();
        let tally = tally::chat(&document).unwrap();
        let count: u64 = tally.besides + tally.texts.iter().map(|text| O200K.1.count(text)).sum::<u64>();
        prop_assert!(count <= bounds::most_tokens(&document));
    }

    #[test]
    fn no_vocabulary_file_makes_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600), text in any_text()) {
        if let Some(vocabulary) = Vocabulary::read(Encoding::O200k, bytes) {
            vocabulary.count(&text);
        }
    }
}

const CONFIG: &str = "providers:\n  openai: { base_url: 'http://x/v1', models: '*' }\n  other: { base_url: 'http://x/v1', models: { m: {} } }\n";

fn tokenize(body: &Value) -> Got {
    let world = World { vocabularies: vec![&O200K.1, &CL100K.1], ..World::default() };
    let bridge = bridge(CONFIG, &[("ACCESS_API_KEYS", "k")]);
    ask(&bridge, &world, "POST /v1/tokenize", &[("authorization", "Bearer k")], &body.to_string())
}

/// The messages, and the counts, of the well-known example of how to count them.
#[test]
fn a_chat_has_the_tokens_that_providers_charge() {
    let named = |name: &str, content: &str| json!({"role": "system", "name": name, "content": content});
    let messages = json!([
        {"role": "system", "content": "You are a helpful, pattern-following assistant that translates corporate jargon into plain English."},
        named("example_user", "New synergies will help drive top-line growth."),
        named("example_assistant", "Things working well together will increase revenue."),
        named("example_user", "Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage."),
        named("example_assistant", "Let's talk later when we're less busy about how to do better."),
        {"role": "user", "content": "This late pivot means we don't have time to boil the ocean for the client deliverable."},
    ]);
    for (model, encoding, tokens) in
        [("gpt-4o", "o200k_base", 124), ("gpt-4-0613", "cl100k_base", 129), ("gpt-3.5-turbo", "cl100k_base", 129)]
    {
        let got = tokenize(&json!({"model": model, "messages": messages}));
        let expected = json!({"object": "token_count", "model": model, "encoding": encoding, "tokens": tokens, "estimated": false});
        assert_eq!(got.status, 200);
        assert_eq!(got.json(), expected);
    }
}

#[test]
fn texts_are_counted_bare() {
    let one = tokenize(&json!({"model": "openai/gpt-4o", "input": "hello world"})).json();
    assert_eq!(one["tokens"], 2);
    assert_eq!(&one["per_input"], &Value::Null);
    assert_eq!(one["estimated"], false);
    let many = tokenize(&json!({"model": "other/m", "input": ["hello world", "", "你好"], "messages": null})).json();
    assert_eq!(many["tokens"], 3);
    assert_eq!(many["per_input"], json!([2, 0, 1]));
    assert_eq!(many["estimated"], true);
}

#[test]
fn a_question_has_to_be_whole_and_its_model_known() {
    assert_eq!(tokenize(&json!({"model": "other/n", "input": "x"})).code(), "model_not_found");
    assert_eq!(tokenize(&json!({"model": "m"})).code(), "missing_required_parameter");
    let bridge = bridge(CONFIG, &[("ACCESS_API_KEYS", "k")]);
    let bare = |headers: &[(&str, &str)]| {
        let got = ask(&bridge, &World::default(), "POST /tokenize", headers, r#"{"model":"gpt-4o","input":"x"}"#);
        (got.status, got.code())
    };
    let long = json!({"model": "gpt-4o", "input": "x".repeat(30_000_000)});
    assert_eq!(tokenize(&long).code(), "request_too_large");
    assert_eq!(bare(&[]), (401, "invalid_api_key".to_owned()));
    assert_eq!(bare(&[("x-api-key", "k")]), (503, "tokenizer_unavailable".to_owned()));
}

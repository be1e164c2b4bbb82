//! What examples cannot show: any JSON keeps the bytes that are not ours, any cutting of a stream is the same
//! stream, no bytes panic.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may insist")]

use llm_bridge::config::Params;
use llm_bridge::error::{Error, Statement};
use llm_bridge::formats::PROVIDER_FORMATS;
use llm_bridge::formats::anthropic::operations::COUNT_TOKENS;
use llm_bridge::formats::openai::operations::EMBEDDING;
use llm_bridge::formats::openai::tap::ChatTap;
use llm_bridge::formats::openai::{CLIENT, errors, summary};
use llm_bridge::formats::operation::{Operation, RequestParts};
use llm_bridge::formats::statement::StatedHeaders;
use llm_bridge::formats::tally;
use llm_bridge::formats::tap::{StreamTap as _, TapOptions, finish_tapped};
use llm_bridge::formats::{CLIENT_FORMATS, WriteTarget};
use llm_bridge::gateway::{Failure, FailureStage};
use llm_bridge::policy::auth::AccessKeys;
use llm_bridge::policy::failure::FailedCall;
use llm_bridge::policy::seam::{Joint, Seam, anchor};
use llm_bridge::provider::params;
use llm_bridge::wire::json::Document;
use llm_bridge::wire::sse::{Block, SseReader};
use proptest::prelude::*;
use serde_json::Value;

/// JSON texts with all the freedom that writers have: white space, escapes, number formats, nesting.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        "-?(0|[1-9][0-9]{0,18})(\\.[0-9]{1,9})?([eE][+-]?[0-9]{1,2})?",
        string(),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            (proptest::collection::vec(inner.clone(), 0..5), space())
                .prop_map(|(items, space)| format!("[{space}{}{space}]", items.join(&format!("{space},")))),
            object(inner),
        ]
    })
}

fn space() -> impl Strategy<Value = String> {
    "[ \t\r\n]{0,2}"
}

fn string() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop_oneof![
            Just("\\u00e9".to_owned()),
            Just("\\\"".to_owned()),
            Just("\\\\".to_owned()),
            Just("\\ud83d\\ude00".to_owned()),
            "[a-z{}\\[\\]:,é漢😀 ]{1,3}"
        ],
        0..6,
    )
    .prop_map(|parts| format!("\"{}\"", parts.concat()))
}

fn object(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    (proptest::collection::vec((string(), value), 0..5), space(), space()).prop_map(|(members, a, b)| {
        let members: Vec<String> = members.iter().map(|(key, value)| format!("{key}{b}:{a}{value}")).collect();
        format!("{{{a}{}{b}}}", members.join(&format!("{b},{a}")))
    })
}

proptest! {
    #[test]
    fn an_object_that_is_only_read_keeps_every_byte(text in object(json())) {
        let document = Document::read(text.as_bytes()).unwrap();
        prop_assert_eq!(document.render().to_vec(), text.into_bytes());
    }

    #[test]
    fn a_new_value_changes_its_own_bytes_alone(before in object(json()), after in object(json()), space in space()) {
        let head = before.trim_end().strip_suffix('}').unwrap();
        let comma = if head.trim_end().ends_with('{') { "" } else { "," };
        let tail = after.trim_start().strip_prefix('{').unwrap();
        let joint = if tail.trim_start().starts_with('}') { "" } else { "," };
        let with = |model: &str| format!("{head}{comma}\"model\"{space}:{space}{model}{space}{joint}{tail}");
        let text = with("\"a\"");
        let mut document = Document::read(text.as_bytes()).unwrap();
        document.set("model", "\"b\"");
        let expected = with("\"b\"");
        prop_assert_eq!(document.render().to_vec(), expected.into_bytes());
    }

    #[test]
    fn edits_leave_json_that_means_what_they_say(text in object(json()), ops in proptest::collection::vec((0u8..4, 0usize..6, 0usize..6), 0..6)) {
        let names = ["a", "b", "model", "x", "é", "{"];
        let mut document = Document::read(text.as_bytes()).unwrap();
        let mut model: serde_json::Map<String, Value> = serde_json::from_str(&text).unwrap();
        for (op, from, to) in ops {
            match op {
                0 => { document.set(names[from], "[1]"); model.insert(names[from].into(), serde_json::json!([1])); }
                1 => { document.remove(names[from]); model.remove(names[from]); }
                2 => {
                    document.rename(names[from], names[to]);
                    if let Some(value) = (from != to).then(|| model.remove(names[from])).flatten() {
                        model.insert(names[to].into(), value);
                    }
                }
                _ => {}
            }
        }
        let rendered: Value = serde_json::from_slice(&document.render()).unwrap();
        prop_assert_eq!(rendered, Value::Object(model));
    }

    #[test]
    fn parameters_apply_in_their_order(client in proptest::collection::hash_map("[abc]", 0i64..9, 0..4), old in "[abc]", new in "[abcd]", gone in "[abcd]") {
        let body = serde_json::to_string(&client).unwrap();
        let params = Params {
            update: vec![("a".into(), "100".into())],
            add: vec![("b".into(), "200".into())],
            rename: vec![(old.clone(), new.clone())],
            delete: vec![gone.clone()],
        };
        let mut document = Document::read(body.as_bytes()).unwrap();
        params::apply(&mut document, &params);
        let mut expected = client;
        expected.insert("a".into(), 100);
        expected.entry("b".into()).or_insert(200);
        if let Some(value) = (old != new).then(|| expected.remove(&old)).flatten() {
            expected.insert(new, value);
        }
        expected.remove(&gone);
        let rendered: std::collections::HashMap<String, i64> = serde_json::from_slice(&document.render()).unwrap();
        prop_assert_eq!(rendered, expected);
    }

    #[test]
    fn any_cutting_of_a_stream_gives_the_same_events(stream in stream(), cuts in proptest::collection::vec(0usize..4000, 0..12)) {
        prop_assert_eq!(events(&pieces(&stream, &cuts)), events(&[&stream]));
    }

    #[test]
    fn any_cutting_of_a_stream_is_tapped_the_same(stream in stream(), cuts in proptest::collection::vec(0usize..4000, 0..12)) {
        prop_assert_eq!(tapped(&pieces(&stream, &cuts)), tapped(&[&stream]));
    }

    #[test]
    fn any_cutting_of_a_checked_stream_gives_the_client_the_same_bytes(stream in stream(), cuts in proptest::collection::vec(0usize..4000, 0..12)) {
        prop_assert_eq!(checked(&pieces(&stream, &cuts)), checked(&[&stream]));
    }

    #[test]
    fn a_checked_stream_holds_only_sound_events_and_one_done(stream in stream()) {
        let passed = checked(&[&stream]);
        let events = events(&[passed.as_bytes()]);
        let (done, before) = events.split_last().unwrap();
        prop_assert_eq!(done.as_slice(), b"[DONE]");
        prop_assert!(before.iter().all(|event| serde_json::from_slice::<Value>(event).is_ok()), "{}", passed);
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), status in 0u16..1000) {
        let _ = summary::of_completion(&bytes);
        let _ = errors::read(status, &bytes);
        refusals(status, &bytes);
        tapped(&[&bytes]);
        endpoints(&bytes);
        let _ = AccessKeys::read(&String::from_utf8_lossy(&bytes)).authenticate(Some("x"));
    }

    #[test]
    fn no_json_panics(text in json(), status in 0u16..1000) {
        let _ = summary::of_completion(text.as_bytes());
        let _ = errors::read(status, text.as_bytes());
        ["error", "message", "retry_after", "details"].iter().for_each(|name| refusals(status, format!("{{\"{name}\":{text}}}").as_bytes()));
        endpoints(text.as_bytes());
        let field = |name: &str| format!("{{\"model\":\"m\",\"{name}\":{text},\"n\":3}}");
        ["prompt", "input", "messages"].iter().for_each(|name| endpoints(field(name).as_bytes()));
        tapped(&[format!("data: {text}\n\n").as_bytes()]);
    }
}

/// A refusal in each format, with these bytes as its body and in its headers: however long it asks to wait,
/// the header that says so is a number.
fn refusals(status: u16, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for headers in [StatedHeaders::of(|_| Some(text.clone().into_owned())), StatedHeaders::default()] {
        let passed_on = headers.passed_on();
        assert!(passed_on.iter().all(|(_, value)| value.len() <= 29 && value.is_ascii()), "{passed_on:?}");
        let mut error = headers.add_to(Error::upstream(status, "x", "").stating(Statement::default()));
        for format in PROVIDER_FORMATS {
            let call = FailedCall { host: Some("openrouter"), now: 1_795_780_800_000 };
            let failure = Failure::of_call(error, FailureStage::AwaitingHead, call);
            let told = failure.error.headers().iter().filter(|(name, _)| *name == "retry-after");
            assert!(told.clone().all(|(_, value)| value.parse::<u64>().is_ok()), "{:?}", failure.error);
            error = (format.refusal)(status, bytes);
        }
    }
}

/// What a call is written for.
const CALL_TARGET: WriteTarget<'static> =
    WriteTarget { model: "m", max_output: None, limit_field: None, facts: &llm_bridge::catalogue::Facts::UNKNOWN };

/// All that reads requests and responses by the tables of operations and calls.
fn endpoints(bytes: &[u8]) {
    for operation in CLIENT_FORMATS.iter().flat_map(|client| client.operations) {
        let _ = operation
            .read(RequestParts { path_name: "m", body: bytes })
            .map(|envelope| operation.read_conversation(&envelope.document).is_ok());
        let _ = (operation.summarize)(bytes).check();
    }
    let parts = |body| RequestParts { path_name: "m", body };
    let questions: [(&'static Operation, &[u8]); 2] = [
        (&EMBEDDING, br#"{"model":"m","input":"a","encoding_format":"base64"}"#),
        (&COUNT_TOKENS, br#"{"model":"m","messages":[{"role":"user","content":"a"}]}"#),
    ];
    for (operation, question) in questions {
        for call in PROVIDER_FORMATS.iter().filter_map(|provider| provider.call(operation.kind)) {
            let written = (call.write)(&operation.read(parts(question)).unwrap(), CALL_TARGET).unwrap();
            let _ = (written.read)(bytes, 0);
            let _ = operation.read(parts(bytes)).map(|envelope| (call.write)(&envelope, CALL_TARGET).is_ok());
        }
    }
    let Ok(document) = Document::read(bytes) else { return };
    let _ = tally::prompt(&document);
    for operation in CLIENT_FORMATS.iter().flat_map(|client| client.operations) {
        let _ = operation.read_conversation(&document).is_ok();
    }
}

/// Event streams in all their spellings, with garbage in between.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let end = prop_oneof![Just("\n"), Just("\r\n"), Just("\r")];
    let line = prop_oneof![
        Just("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"é漢😀\"}}]}".to_owned()),
        Just("data:{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}".to_owned()),
        Just("data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}".to_owned()),
        Just("data: {\"error\":{\"message\":\"x\"}}".to_owned()),
        Just("data: [DONE]".to_owned()),
        Just(": comment".to_owned()),
        Just("event: x".to_owned()),
        Just(String::new()),
        Just(String::new()),
        "[ -~]{0,12}",
    ];
    proptest::collection::vec((line, end), 0..24)
        .prop_map(|lines| lines.into_iter().flat_map(|(line, end)| [line.into_bytes(), end.into()].concat()).collect())
}

fn pieces<'b>(bytes: &'b [u8], cuts: &[usize]) -> Vec<&'b [u8]> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    at.extend([0, bytes.len()]);
    at.sort_unstable();
    at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

fn events(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut events = Vec::new();
    let mut each = |block: Block<'_>| events.extend(block.data.map(<[u8]>::to_vec));
    let mut reader = SseReader::default();
    pieces.iter().for_each(|piece| reader.push(piece, &mut each));
    reader.finish(&mut each);
    events
}

fn tapped(pieces: &[&[u8]]) -> String {
    let (mut tap, mut tail) = (ChatTap::new(TapOptions { text: true, ..TapOptions::default() }), Vec::new());
    pieces.iter().for_each(|piece| drop(tap.push(piece)));
    finish_tapped(&mut tap, CLIENT.end_passthrough, &cut(), &mut tail);
    let heard = tap.summary();
    let error = heard.error.as_ref().map(ToString::to_string);
    format!(
        "{:?} {:?} {:?} {:?} {} {error:?}",
        String::from_utf8_lossy(&tail),
        heard.usage,
        heard.text,
        heard.malformed,
        heard.is_complete()
    )
}

fn cut() -> Error {
    Error::upstream(502, "stream_truncated", "cut")
}

/// All that a client gets of a stream that is checked.
fn checked(pieces: &[&[u8]]) -> String {
    let mut tap = ChatTap::new(TapOptions { checked: true, hides_usage: true, ..TapOptions::default() });
    let mut got = Vec::new();
    pieces.iter().for_each(|piece| got.extend_from_slice(&tap.push(piece)));
    finish_tapped(&mut tap, CLIENT.end_passthrough, &cut(), &mut got);
    String::from_utf8_lossy(&got).into_owned()
}

/// Text that repeats itself a lot, and text that does not.
fn prose() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ab ]{0,80}",
        "([a-z]{1,7}[ ,.\n]){0,30}",
        "(ha |ho | \\| ---|漢字😀|é\n){0,30}",
        "[A-Za-z0-9 é漢😀\n]{0,200}",
        "([a-zA-Z]{1,9} ){300,600}",
    ]
}

/// A place between two characters.
fn place(text: &str, at: usize) -> usize {
    let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    places[at % places.len()]
}

/// What follows the text that was sent, if the two join, and how much of the continuation was cut.
fn joined(mut seam: Seam, continuation: &str, cuts: &[usize]) -> Option<String> {
    let mut pieces = Vec::new();
    let mut cuts: Vec<usize> = cuts.iter().map(|at| place(continuation, *at)).chain([0, continuation.len()]).collect();
    cuts.sort_unstable();
    cuts.windows(2).for_each(|pair| pieces.push(&continuation[pair[0]..pair[1]]));
    for (index, piece) in pieces.iter().enumerate() {
        match seam.push(piece) {
            Joint::Held => {}
            Joint::Joined(text) => return Some(text + &pieces[index + 1..].concat()),
            Joint::Broken => return None,
        }
    }
    match seam.finish() {
        Joint::Joined(text) => Some(text),
        Joint::Held | Joint::Broken => None,
    }
}

proptest! {
    #[test]
    fn a_joined_text_is_the_whole_text(text in prose(), cut in any::<usize>(), back in 8usize..60, cuts in proptest::collection::vec(any::<usize>(), 0..6)) {
        let cut = place(&text, cut);
        let sent = &text[..cut];
        let start = place(sent, sent.chars().count().saturating_sub(back));
        // What repeats less than it was asked to shows nothing.
        if (start == 0 || sent[start..].trim_start().chars().count() >= 8)
            && let Some(rest) = joined(Seam::to_repeat(sent.to_owned()), &text[start..], &cuts) {
            prop_assert_eq!(format!("{sent}{rest}"), text.clone());
        }
        let given = sent.trim_end().len();
        if let Some(rest) = joined(Seam::to_go_on(sent.to_owned(), given), &text[given..], &cuts) {
            prop_assert_eq!(format!("{sent}{rest}"), text.clone());
        }
    }

    #[test]
    fn a_text_of_many_words_joins_wherever_it_is_cut(words in proptest::collection::vec("[a-z]{2,7}", 20..80), cut in any::<usize>(), cuts in proptest::collection::vec(any::<usize>(), 0..6)) {
        let words: Vec<String> = words.iter().enumerate().map(|(n, word)| format!("{n}{word}")).collect();
        let text = words.join(" ");
        let cut = place(&text, cut);
        let sent = &text[..cut];
        let again = anchor(sent);
        let continuation = format!("{again}{}", &text[cut..]);
        let rest = joined(Seam::to_repeat(sent.to_owned()), &continuation, &cuts);
        prop_assert!(rest.is_some() || again.is_empty(), "{} | {}", sent, &text[cut..]);
        prop_assert_eq!(rest.unwrap_or(text[cut..].to_owned()), &text[cut..]);
        let given = sent.trim_end().len();
        if sent.chars().count() >= 8 {
            let rest = joined(Seam::to_go_on(sent.to_owned(), given), &text[given..], &cuts);
            prop_assert_eq!(rest.as_deref(), Some(&text[cut..]));
        }
    }

    #[test]
    fn any_other_text_loses_only_what_it_repeats(sent in prose(), other in prose(), cuts in proptest::collection::vec(any::<usize>(), 0..6)) {
        if let Some(rest) = joined(Seam::to_repeat(sent.clone()), &other, &cuts) {
            let other = other.trim_start();
            prop_assert!(other.ends_with(&rest));
            let repeated = &other[..other.len() - rest.len()];
            prop_assert!(sent.ends_with(repeated));
            prop_assert!(repeated.chars().count() >= 8 || sent.trim_start() == repeated);
        }
        let given = sent.trim_end().len();
        if let Some(rest) = joined(Seam::to_go_on(sent.clone(), given), &other, &cuts) {
            let repeated = &other[..other.len() - rest.len()];
            prop_assert!(other.ends_with(&rest));
            prop_assert!(repeated == &sent[given..] || repeated == sent);
        }
    }

    #[test]
    fn a_seam_depends_on_no_cutting(sent in prose(), other in prose(), cuts in proptest::collection::vec(any::<usize>(), 0..8)) {
        let given = sent.trim_end().len();
        for seam in [Seam::to_repeat(sent.clone()), Seam::to_go_on(sent.clone(), given)] {
            prop_assert_eq!(joined(seam.clone(), &other, &cuts), joined(seam, &other, &[]));
        }
    }
}

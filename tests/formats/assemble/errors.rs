//! Streams that give no response: with the provider's error, with an event that cannot be read, broken off,
//! empty, or too long.

use llm_bridge::error::Error;
use llm_bridge::formats::{AssembleOptions, Assembler};
use serde_json::json;

use super::{MAX_BYTES, assemble, format, sse};

const CHAT: &[&str] = &[
    r#"{"id":"c","choices":[{"index":0,"delta":{"role":"assistant","content":"a"}}]}"#,
    r#"{"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
    r#"{"id":"c","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#,
    "[DONE]",
];

const MESSAGE: &[&str] = &[
    r#"{"type":"message_start","message":{"id":"m","content":[],"usage":{"input_tokens":3,"output_tokens":1}}}"#,
    r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}"#,
    r#"{"type":"content_block_stop","index":0}"#,
    r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}"#,
    r#"{"type":"message_stop"}"#,
];

const GEMINI: &[&str] = &[
    r#"{"candidates":[{"content":{"parts":[{"text":"a"}],"role":"model"},"index":0}]}"#,
    r#"{"candidates":[{"content":{"parts":[{"text":"b"}],"role":"model"},"finishReason":"STOP","index":0}]}"#,
];

const TOY: &[&str] =
    &[r#"{"model":"m"}"#, r#"{"says":"a"}"#, r#"{"stop":"end"}"#, r#"{"trailer":{"read":3,"wrote":2}}"#];

/// Each format with a stream, and with an error of the provider as an event.
const STREAMS: &[(&str, &[&str], &str, u16)] = &[
    ("openai", CHAT, r#"{"error":{"message":"Busy","type":"overloaded","code":503}}"#, 503),
    ("anthropic", MESSAGE, r#"{"type":"error","error":{"type":"overloaded_error","message":"Busy"}}"#, 529),
    ("gemini", GEMINI, r#"{"error":{"code":503,"message":"Busy","status":"UNAVAILABLE"}}"#, 503),
    ("toy", TOY, r#"{"fault":{"kind":"busy","text":"Busy"}}"#, 529),
];

/// The stream with these events.
fn stream(name: &str, data: &[&str]) -> Vec<u8> {
    if name == "toy" { data.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect() } else { sse(data) }
}

/// The stream with an event put in at a place.
fn with_event(name: &str, data: &[&str], at: usize, event: &str) -> Vec<u8> {
    let mut data = data.to_vec();
    data.insert(at, event);
    stream(name, &data)
}

fn refused(name: &str, stream: &[u8]) -> Error {
    let Err(error) = assemble(name, [stream]) else { panic!("{name}: a response") };
    for size in [1, 7] {
        let Err(again) = assemble(name, stream.chunks(size)) else { panic!("{name}: a response of pieces of {size}") };
        assert_eq!((again.status(), again.message()), (error.status(), error.message()), "{name}");
    }
    error
}

/// Whether a chat's choice has finished: such a chat is complete, whatever is missing after it.
pub(super) fn has_finished(format: &str, stream: &[u8]) -> bool {
    let text = String::from_utf8_lossy(stream);
    let is_whole = |data: &&str| serde_json::from_str::<serde_json::Value>(data).is_ok();
    let mut events = text.lines().filter_map(|line| line.strip_prefix("data:")).filter(is_whole);
    format == "openai" && events.any(|data| data.contains(r#""finish_reason":""#))
}

#[test]
fn a_complete_stream_is_a_response_and_a_shorter_one_is_not() {
    for (name, data, ..) in STREAMS {
        assemble(name, [stream(name, data).as_slice()]).unwrap_or_else(|error| panic!("{name}: {error}"));
        for cut in 0..data.len() {
            let cut_stream = stream(name, &data[..cut]);
            if has_finished(name, &cut_stream) {
                continue;
            }
            let error = refused(name, &cut_stream);
            assert_eq!((error.status(), error.code()), (502, Some("stream_truncated")), "{name} without event {cut}");
        }
        let whole = stream(name, data);
        let last = whole.trim_ascii_end().len();
        assemble(name, [&whole[..last]]).unwrap_or_else(|error| panic!("{name} without its last line end: {error}"));
        for cut in (0..last).step_by(3).filter(|cut| !has_finished(name, &whole[..*cut])) {
            refused(name, &whole[..cut]);
        }
    }
}

#[test]
fn the_providers_error_is_the_streams() {
    for (name, data, event, status) in STREAMS {
        for at in 0..data.len() {
            let error = refused(name, &with_event(name, data, at, event));
            assert_eq!((error.status(), error.message()), (*status, "Busy"), "{name} before event {at}");
        }
    }
}

#[test]
fn an_event_that_cannot_be_read_makes_the_response_unreadable() {
    for (name, data, ..) in STREAMS {
        let events = ["{oops", "[1]", "7"].into_iter();
        for (at, event) in events.flat_map(|event| (0..data.len()).map(move |at| (at, event))) {
            let error = refused(name, &with_event(name, data, at, event));
            assert_eq!(error.code(), Some("upstream_invalid_response"), "{name}: {event} before event {at}");
        }
        assert_eq!(refused(name, &stream(name, &["{\"says\":\"\u{fffd}"])).status(), 502, "{name}");
    }
    let strange = [
        ("openai", r#"{"choices":[1]}"#),
        ("openai", r#"{"choices":7}"#),
        ("anthropic", r#"{"type":"content_block_delta","index":7,"delta":{"type":"text_delta","text":"lost"}}"#),
        ("anthropic", r#"{"type":"message_start"}"#),
        ("anthropic", r#"{"type":"content_block_start","index":0}"#),
        ("gemini", r#"{"candidates":[7]}"#),
    ];
    for (name, event) in strange {
        let data = STREAMS.iter().find(|row| row.0 == name).unwrap().1;
        assert_eq!(
            refused(name, &with_event(name, data, 1, event)).code(),
            Some("upstream_invalid_response"),
            "{event}"
        );
    }
}

#[test]
fn a_stream_that_says_nothing_is_no_response() {
    assert_eq!(refused("openai", &sse(&["[DONE]"])).code(), Some("upstream_invalid_response"));
    assert_eq!(refused("anthropic", &sse(&MESSAGE[4..])).code(), Some("upstream_invalid_response"));
    for (name, ..) in STREAMS {
        assert_eq!(refused(name, b"").code(), Some("stream_truncated"), "{name}");
        assert_eq!(refused(name, b"\n\n\n").code(), Some("stream_truncated"), "{name}");
    }
    let blocked = r#"{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":3}}"#;
    assert_eq!(refused("gemini", &sse(&[blocked])).code(), Some("content_filter"));
}

#[test]
fn a_bare_error_in_the_middle_of_a_stream_is_the_providers() {
    let bare = [
        sse(&GEMINI[..1]),
        json!({ "error": { "code": 500, "message": "Gone" } }).to_string().into_bytes(),
        b"\n\n".to_vec(),
    ];
    assert_eq!(refused("gemini", &bare.concat()).message(), "Gone");
}

#[test]
fn a_response_is_no_longer_than_allowed() {
    for (name, data, ..) in STREAMS {
        let whole = stream(name, data);
        let length = assemble(name, [whole.as_slice()]).unwrap().len();
        let within = |max_bytes| {
            let mut assembler = Assembler::new(format(name), AssembleOptions { max_bytes, choices: 1 }).unwrap();
            assembler.push(&whole).and_then(|()| assembler.finish())
        };
        assert_eq!(within(length).unwrap().len(), length, "{name}");
        assert_eq!(within(length - 1).unwrap_err().code(), Some("answer_too_large"), "{name}");
    }
}

#[test]
fn a_response_that_grows_too_long_is_noticed_before_its_end() {
    let text = "x".repeat(1000);
    let pieces: &[(&str, &[&str], String)] = &[
        ("openai", &CHAT[..1], json!({ "choices": [{ "index": 0, "delta": { "content": text } }] }).to_string()),
        (
            "openai",
            &CHAT[..1],
            json!({ "choices": [{ "index": 0, "logprobs": { "content": [{ "token": text }] } }] }).to_string(),
        ),
        (
            "anthropic",
            &MESSAGE[..2],
            json!({ "type": "content_block_delta", "index": 0, "delta": { "partial_json": text } }).to_string(),
        ),
        (
            "gemini",
            &GEMINI[..1],
            json!({ "candidates": [{ "content": { "parts": [{ "functionCall": { "name": text } }] } }] }).to_string(),
        ),
        ("toy", &TOY[..1], json!({ "says": text }).to_string()),
    ];
    for (name, begun, piece) in pieces {
        let mut assembler = Assembler::new(format(name), AssembleOptions { max_bytes: MAX_BYTES, choices: 1 }).unwrap();
        assembler.push(&stream(name, begun)).unwrap();
        let piece = stream(name, &[piece]);
        let pushed = (0..2 * MAX_BYTES / 1000).position(|_| assembler.push(&piece).is_err()).expect(name);
        assert!(pushed * 1000 > MAX_BYTES / 2 && pushed * 1000 < MAX_BYTES * 3 / 2, "{name}: {pushed}");
        assert_eq!(assembler.push(&piece).unwrap_err().code(), Some("answer_too_large"), "{name}");
        assert_eq!(assembler.finish().unwrap_err().code(), Some("answer_too_large"), "{name}");
    }
}

#[test]
fn many_small_values_are_too_much() {
    let tokens = vec!["{}"; 20_000].join(",");
    let chunk = sse(&[&format!(r#"{{"choices":[{{"index":0,"delta":{{}},"logprobs":{{"content":[{tokens}]}}}}]}}"#)]);
    let options = AssembleOptions { max_bytes: 32 << 20, choices: 1 };
    let mut assembler = Assembler::new(format("openai"), options).unwrap();
    let pushed = (0..100).position(|_| assembler.push(&chunk).is_err()).unwrap();
    assert!((8..20).contains(&pushed), "{pushed}");
}

#[test]
fn the_summary_knows_what_a_failed_stream_took() {
    let mut assembler =
        Assembler::new(format("anthropic"), AssembleOptions { max_bytes: MAX_BYTES, choices: 1 }).unwrap();
    assembler.push(&sse(&MESSAGE[..1])).unwrap();
    assert!(!assembler.summary().has_content);
    assembler.push(&sse(&MESSAGE[1..3])).unwrap();
    assert!(assembler.summary().has_content);
    assembler.push(&sse(&[STREAMS[1].2])).unwrap_err();
    assembler.push(&sse(&MESSAGE[3..])).unwrap_err();
    let usage = assembler.summary().usage.unwrap();
    assert_eq!((usage.prompt(), usage.output), (3, 1));
    assert_eq!(assembler.finish().unwrap_err().message(), "Busy");
}

#[test]
fn fewer_choices_than_asked_for_are_no_response_unless_the_stream_ends() {
    let finish = |choices, data: &[&str]| {
        let mut assembler =
            Assembler::new(format("openai"), AssembleOptions { max_bytes: MAX_BYTES, choices }).unwrap();
        assembler.push(&sse(data)).and_then(|()| assembler.finish()).is_ok()
    };
    assert!(finish(2, CHAT) && !finish(2, &CHAT[..3]));
}

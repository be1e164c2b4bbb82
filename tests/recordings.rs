//! Real providers' answers, where a folder of recordings is at hand (`RECORDINGS_DIR`): read whole and in
//! pieces, with the usage that they state.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may insist")]

#[path = "support/recordings.rs"]
mod recorded;

use llm_bridge::canonical::Usage;
use llm_bridge::error::Error;
use llm_bridge::formats::anthropic::operations::COUNT_TOKENS;
use llm_bridge::formats::openai::operations::EMBEDDING;
use llm_bridge::formats::openai::tap::ChatTap;
use llm_bridge::formats::openai::{errors, summary};
use llm_bridge::formats::operation::{OperationKind, RequestParts};
use llm_bridge::formats::summary::ResponseSummary;
use llm_bridge::formats::tap::{StreamTap as _, TapOptions, finish_tapped};
use llm_bridge::formats::{CHAT, PROVIDER_FORMATS, WriteTarget};
use recorded::{Recording, recordings};
use serde_json::Value;

fn is_stream(recording: &Recording) -> bool {
    recording.about["ct"].as_str().is_some_and(|kind| kind.starts_with("text/event-stream"))
}

/// The last usage that a body states, found without our code.
fn stated(body: &[u8]) -> Option<(u64, u64)> {
    let text = String::from_utf8_lossy(body);
    let documents = text.lines().filter_map(|line| line.strip_prefix("data:")).chain([text.as_ref()]);
    let usage = |value: Value| {
        let usage = if value["usage"].is_object() { &value["usage"] } else { &value["x_groq"]["usage"] };
        Some((usage["prompt_tokens"].as_u64()?, usage["completion_tokens"].as_u64()?))
    };
    documents.filter_map(|text| usage(serde_json::from_str(text.trim()).ok()?)).next_back()
}

fn listen(pieces: &[&[u8]]) -> (ResponseSummary, Vec<u8>) {
    let (mut tap, mut tail) = (ChatTap::new(TapOptions { text: true, ..TapOptions::default() }), Vec::new());
    pieces.iter().for_each(|piece| drop(tap.push(piece)));
    finish_tapped(&mut tap, CHAT.end_passthrough, &Error::upstream(502, "stream_truncated", "cut"), &mut tail);
    (tap.summary().clone(), tail)
}

#[test]
fn streams_are_tapped_to_their_end_however_they_are_cut() {
    for Recording { name, body, about } in recordings("openai-chat").into_iter().filter(is_stream) {
        let (heard, tail) = listen(&[&body]);
        assert_eq!(heard.malformed, 0, "{name}");
        if about["status"] == 200 {
            assert!(heard.is_complete() || heard.error.is_some(), "{name}");
            assert_usage(&name, heard.usage, stated(&body));
            assert!(!heard.is_complete() || heard.partial_usage().is_none(), "{name}: tokens after the last usage");
        }
        for size in [1, 7, 1000] {
            let (cut, cut_tail) = listen(&body.chunks(size).collect::<Vec<_>>());
            assert_eq!(cut_tail, tail.clone(), "{name} in pieces of {size}");
            assert_eq!(cut.usage, heard.usage, "{name} in pieces of {size}");
            assert_eq!(cut.text, heard.text.clone(), "{name} in pieces of {size}");
        }
        for cut in 0..body.len().min(500) {
            let (head, rest) = body.split_at(cut);
            assert_eq!(listen(&[head, rest]).1, tail, "{name} cut at {cut}");
        }
    }
}

#[test]
fn whole_answers_state_their_usage() {
    for Recording { name, body, about } in
        recordings("openai-chat").into_iter().filter(|recording| !is_stream(recording))
    {
        let status = u16::try_from(about["status"].as_u64().unwrap()).unwrap();
        if status != 200 {
            let error = errors::read(status, &body);
            assert!(!error.message().is_empty(), "{name}");
            continue;
        }
        let facts = summary::of_completion(&body).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_usage(&name, facts.usage, stated(&body));
    }
}

fn assert_usage(name: &str, ours: Option<Usage>, stated: Option<(u64, u64)>) {
    let ours = ours.map(|usage| (usage.prompt(), usage.output, usage.reasoning));
    match (ours, stated) {
        // Reasoning that is counted beside the completion belongs into it.
        (Some((prompt, output, reasoning)), Some(stated)) => {
            assert!(
                (prompt, output) == stated || (prompt, output - reasoning) == stated,
                "{name}: {ours:?} {stated:?}"
            );
        }
        (ours, stated) => assert_eq!(ours.is_some(), stated.is_some(), "{name}"),
    }
}

#[test]
fn embeddings_are_billed_as_they_state() {
    for Recording { name, body, about } in recordings("openai-embeddings") {
        assert_eq!(about["status"], 200, "{name}");
        let facts = (EMBEDDING.summarize)(&body);
        facts.check().unwrap_or_else(|error| panic!("{name}: {error}"));
        let told: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(facts.usage.map(|usage| usage.total()), told["usage"]["prompt_tokens"].as_u64(), "{name}");
        assert_eq!(facts.model.as_deref(), told["model"].as_str(), "{name}");
    }
}

#[test]
fn counts_are_read() {
    let question = br#"{"model":"m","messages":[{"role":"user","content":"a"}]}"#;
    let target =
        WriteTarget { model: "m", max_output: None, limit_field: None, facts: &llm_bridge::catalogue::Facts::UNKNOWN };
    for provider in PROVIDER_FORMATS {
        let Some(call) = provider.call(OperationKind::Count) else { continue };
        if provider.kind.name == "responses" {
            continue; // Of its counts there is no recording.
        }
        for Recording { name, body, .. } in recordings(&format!("{}-count-tokens", provider.kind.name)) {
            let recorded: Value = serde_json::from_slice(&body).unwrap();
            let stated = recorded["input_tokens"].as_u64().or(recorded["totalTokens"].as_u64()).unwrap();
            let written =
                (call.write)(&COUNT_TOKENS.read(RequestParts { path_name: "", body: question }).unwrap(), target)
                    .unwrap();
            let response = (written.read)(&body, 0).unwrap();
            let expected = format!("{{\"input_tokens\":{stated}}}");
            assert_eq!(String::from_utf8(response.body).unwrap(), expected, "{name}");
        }
    }
}

//! Recorded streams, assembled, against what the streams say and against recorded whole responses.

use std::collections::BTreeSet;

use serde_json::Value;

use super::errors::has_finished;
use super::{Said, assemble};
use crate::recorded::{Recording, recordings};

/// The formats, and their names among the recordings.
const FORMATS: &[(&str, &str)] =
    &[("openai", "openai-chat"), ("anthropic", "anthropic-messages"), ("gemini", "gemini")];

/// The recordings of successful responses, streamed or whole.
fn responses(api: &str, streamed: bool) -> Vec<Recording> {
    let is_stream = |it: &Recording| it.about["ct"].as_str().is_some_and(|kind| kind.starts_with("text/event-stream"));
    recordings(api).into_iter().filter(|it| it.about["status"] == 200 && is_stream(it) == streamed).collect()
}

/// The prefixes of a stream that end after an event and lack at least one. Of long streams, some are left out.
fn prefixes(body: &[u8]) -> Vec<&[u8]> {
    let text = std::str::from_utf8(body).unwrap();
    let ends = text.match_indices("\n\n").chain(text.match_indices("\r\n\r\n")).map(|(at, end)| at + end.len());
    let has_data = |line: &str| line.strip_prefix("data:").is_some_and(|data| !data.trim().is_empty());
    let ends: Vec<usize> = ends.filter(|end| text[*end..].lines().any(has_data)).collect();
    let count = ends.len();
    let is_tried = |at: usize| at < 5 || at + 25 > count || at.is_multiple_of(count / 20 + 1);
    ends.into_iter().enumerate().filter(|(at, _)| is_tried(*at)).map(|(_, end)| &body[..end]).collect()
}

#[test]
fn an_assembled_response_says_what_its_stream_says() {
    for (format, api) in FORMATS {
        for Recording { name, body, .. } in responses(api, true) {
            let document = assemble(format, [body.as_slice()]).unwrap_or_else(|error| panic!("{name}: {error}"));
            let (mut streamed, mut whole) = (Said::streamed(format, &body), Said::whole(format, &document).unwrap());
            // No arguments mean an empty object.
            let calls = streamed.calls.values_mut().chain(whole.calls.values_mut());
            calls.filter(|call| call.2 == "{}").for_each(|call| call.2.clear());
            assert_eq!(whole, streamed, "{name}");
            assert!(whole.ended && whole.failed.is_none() && !whole.finish.is_empty(), "{name}");
            for size in [1, 7, 1000] {
                let again = assemble(format, body.chunks(size)).unwrap();
                assert!(again == document, "{name} in pieces of {size}");
            }
        }
    }
}

#[test]
fn a_stream_without_its_last_events_is_no_response() {
    for (format, api) in FORMATS {
        for Recording { name, body, .. } in responses(api, true) {
            for prefix in prefixes(&body).into_iter().filter(|prefix| !has_finished(format, prefix)) {
                let error = assemble(format, [prefix]).expect_err(&name);
                let code = error.code().unwrap();
                assert!(["stream_truncated", "upstream_invalid_response"].contains(&code), "{name}: {error}");
            }
        }
    }
}

/// The paths of all members. Items of a list share one.
fn paths(value: &Value, at: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => members.iter().for_each(|(key, value)| {
            let path = format!("{at}.{key}");
            paths(value, &path, found);
            found.insert(path);
        }),
        Value::Array(items) => items.iter().for_each(|item| paths(item, at, found)),
        _ => {}
    }
}

/// Members of whole responses that no stream of the host has.
const ONLY_WHOLE: &[&str] = &[
    ".choices.message.annotations",
    ".choices.message.refusal",
    // Of newer responses than the stream was recorded from.
    ".service_tier",
    ".usage_breakdown",
    ".stop_details",
    ".usage.inference_geo",
    ".usageMetadata.serviceTier",
    // Depends on the host that OpenRouter chose.
    ".system_fingerprint",
    ".choices.logprobs",
    ".usage.completion_tokens_details.audio_tokens",
    ".usage.prompt_tokens_details.cache_write_tokens",
];

/// Members of assembled responses that no recorded whole response of the model has.
const ONLY_STREAMED: &[&str] = &[
    ".choices.message.channel",
    ".service_tier",
    ".usage.completion_tokens_details.audio_tokens",
    ".usage.prompt_tokens_details.cache_write_tokens",
    ".usage.server_tool_use_details",
    ".usage.server_tool_use_details.web_search_requests",
];

/// Whether a member depends on what the model says, or on its tools.
fn is_said(path: &str) -> bool {
    [
        ".choices.message.tool_calls",
        ".choices.message.reasoning",
        ".content.",
        ".container",
        ".candidates.content.parts.",
    ]
    .iter()
    .any(|said| path.starts_with(said))
}

#[test]
fn assembled_and_whole_responses_of_a_model_have_the_same_members() {
    let mut pairs = 0;
    for (format, api) in FORMATS {
        let wholes = responses(api, false);
        for Recording { name, about, body } in responses(api, true) {
            let members = |document: &[u8]| {
                let mut found = BTreeSet::new();
                paths(&serde_json::from_slice(document).unwrap(), "", &mut found);
                found.retain(|path| !is_said(path));
                found
            };
            let ours = members(&assemble(format, [body.as_slice()]).unwrap());
            let is_pair = |it: &&Recording| ["provider", "model"].iter().all(|key| it.about[key] == about[key]);
            let theirs: Vec<_> = wholes.iter().filter(is_pair).map(|it| members(&it.body)).collect();
            let is_unknown = |path: &&String| !theirs.iter().any(|whole| whole.contains(*path));
            let is_lost = |path: &&String| !ours.contains(*path) && theirs.iter().all(|whole| whole.contains(*path));
            let lost = theirs.iter().flatten().filter(is_lost).filter(|path| !ONLY_WHOLE.contains(&path.as_str()));
            assert_eq!(lost.collect::<Vec<_>>(), Vec::<&String>::new(), "{name} lost");
            let new = ours.iter().filter(is_unknown).filter(|path| !ONLY_STREAMED.contains(&path.as_str()));
            assert_eq!(
                new.filter(|_| !theirs.is_empty()).collect::<Vec<_>>(),
                Vec::<&String>::new(),
                "{name} has more"
            );
            pairs += usize::from(!theirs.is_empty());
        }
    }
    assert!(pairs == 0 || pairs > 20, "{pairs} pairs");
}

//! Recorded responses and embeddings, with the usage that they state.

use llm_bridge::canonical::ResponseEvent;
use llm_bridge::formats::WriteTarget;
use llm_bridge::formats::gemini::PROVIDER;
use llm_bridge::formats::openai::operations::EMBEDDING;
use llm_bridge::formats::operation::{OperationKind, RequestParts};
use serde_json::{Value, json};

use super::{stream, whole};
use crate::recorded::{Recording, recordings};

/// The prompt and total counts that a body states last, found without the gateway's code.
fn stated(body: &[u8]) -> Option<(u64, u64)> {
    let text = String::from_utf8_lossy(body);
    let documents = text.lines().filter_map(|line| line.strip_prefix("data:")).chain([text.as_ref()]);
    let usage = |value: Value| {
        let usage = &value["usageMetadata"];
        let tools = usage["toolUsePromptTokenCount"].as_u64().unwrap_or(0);
        Some((usage["promptTokenCount"].as_u64()? + tools, usage["totalTokenCount"].as_u64()?))
    };
    documents.filter_map(|text| usage(serde_json::from_str(text.trim()).ok()?)).next_back()
}

#[test]
fn recordings_are_read_to_their_end_with_the_usage_that_they_state() {
    for Recording { name, about, body } in recordings("gemini") {
        let status = u16::try_from(about["status"].as_u64().unwrap()).unwrap();
        if status != 200 {
            let error = (PROVIDER.refusal)(status, &body);
            assert!(error.status() == status && error.message().len() > 30, "{name}: {error}");
            continue;
        }
        let mut usage = None;
        let mut note = |event: ResponseEvent<'_>| {
            if let ResponseEvent::Usage(told) = event {
                usage = Some((told.prompt(), told.total()));
            }
        };
        let is_stream = about["stream"] == true;
        let events = if is_stream {
            let mut decode = (PROVIDER.stream)();
            decode.push(&body, &mut note);
            let (events, malformed) = stream([body.as_slice()]);
            assert_eq!(malformed, 0, "{name}");
            for size in [1, 7, 1000] {
                assert_eq!(stream(body.chunks(size)), (events.clone(), 0), "{name} in pieces of {size}");
            }
            events
        } else {
            let told = (PROVIDER.whole)(&body, &mut note);
            whole(&body).unwrap_or_else(|error| {
                assert_eq!((error.code(), told.is_err()), (Some("content_filter"), true), "{name}: {error}");
                vec!["End".to_owned()]
            })
        };
        assert_eq!(events.last().map(String::as_str), Some("End"), "{name}");
        assert_eq!(usage, stated(&body), "{name}");
    }
}

#[test]
fn recorded_embeddings_are_read_with_the_usage_that_they_state() {
    for Recording { name, about, body } in recordings("gemini-embed") {
        if about["status"] != 200 {
            assert_eq!((PROVIDER.refusal)(404, &body).code(), Some("NOT_FOUND"), "{name}");
            continue;
        }
        let count = about["request"]["requests"].as_array().map_or(1, Vec::len);
        let written = |base64| {
            let format = if base64 { "base64" } else { "float" };
            let question = json!({ "model": "m", "input": vec!["a"; count], "encoding_format": format }).to_string();
            let target = WriteTarget {
                model: "m",
                max_output: None,
                limit_field: None,
                facts: &llm_bridge::catalogue::Facts::UNKNOWN,
            };
            let call = PROVIDER.call(OperationKind::Embed).unwrap();
            let question = RequestParts { path_name: "", body: question.as_bytes() };
            let written = (call.write)(&EMBEDDING.read(question).unwrap(), target).unwrap();
            let response = (written.read)(&body, 0).unwrap();
            (response.body, response.usage)
        };
        let told: Value = serde_json::from_slice(&body).unwrap();
        let (floats, usage) = written(false);
        assert_eq!(usage.map(|usage| usage.prompt()), told["usageMetadata"]["promptTokenCount"].as_u64(), "{name}");
        let floats: Value = serde_json::from_slice(&floats).unwrap();
        assert_eq!(floats["data"][0]["embedding"], told["embeddings"][0]["values"], "{name}");
        assert!(!written(true).0.is_empty(), "{name}");
    }
}

//! Hostile bytes, and the order of blocks however a provider mixes them.

use llm_bridge::canonical::{Raw, ResponseEvent};
use llm_bridge::catalogue;
use llm_bridge::formats::WriteTarget;
use llm_bridge::formats::anthropic::{CLIENT, PROVIDER};
use llm_bridge::formats::fit;
use llm_bridge::wire::json::Document;
use proptest::prelude::*;
use serde_json::Value;

use super::{encoded, head, streamed, told, whole};

/// Bytes that resemble a stream.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        Just("data: ".to_owned()),
        Just("\n\n".to_owned()),
        Just("{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"input\":{\"a\":1}}}".to_owned()),
        Just("{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":7}}".to_owned()),
        Just("{\"type\":\"content_block_start\",\"content_block\":{\"type\":\"thinking\",\"thinking\":[],\"signature\":{}}}".to_owned()),
        Just("{\"type\":\"content_block_stop\"}".to_owned()),
        Just("{\"type\":\"message_start\",\"message\":[null]}".to_owned()),
        Just("{\"type\":\"error\",\"error\":null}".to_owned()),
        "[\\{\\}\\[\\]\",:a-z0-9\\\\]{0,6}",
    ];
    proptest::collection::vec(word, 0..12).prop_map(|words| words.concat().into_bytes())
}

proptest! {
    #[test]
    fn no_bytes_of_a_provider_panic(bytes in prop_oneof![noise(), proptest::collection::vec(any::<u8>(), 0..200)]) {
        let (events, _) = streamed([bytes.as_slice()]);
        prop_assert_eq!(format!("{:?}", streamed(bytes.chunks(1)).0), format!("{events:?}"));
        let stream = encoded(&events);
        prop_assert_eq!(streamed([stream.as_slice()]).1, 0);
        (CLIENT.whole)(&head(), &events);
        whole(&bytes).ok();
        (PROVIDER.refusal)(400, &bytes);
    }

    #[test]
    fn no_body_of_a_client_panics(content in "[\\{\\}\\[\\]\",:a-z0-9 ]{0,40}", kind in "(text|image|document|tool_use|tool_result|thinking)") {
        let body = format!(r#"{{"max_tokens":1,"messages":[{{"role":"user","content":[{{"type":"{kind}","source":{content},"text":{content}}}]}}],"tools":{content}}}"#);
        if let Ok(document) = Document::read(body.as_bytes())
            && let Ok(request) = CLIENT.read(&document)
        {
            fit::write(&PROVIDER, &mut request.clone(), WriteTarget { model: "claude-opus-4-6", max_output: None, limit_field: None, facts: &catalogue::family("claude-opus-4-6") }, b"secret").ok();
        }
    }

    #[test]
    fn blocks_are_in_strict_order_and_whole_however_a_provider_mixes_them(steps in proptest::collection::vec((0..5_u8, 0..3_usize), 0..60)) {
        const JSON: &str = r#"{"a":"}\\\"{","b":[{}]}"#;
        let mut begun: Vec<(usize, usize)> = Vec::new();
        let (mut events, mut texts, mut thoughts) = (Vec::new(), 0, 0);
        let piece = |call: usize, from: usize, to: usize| {
            let call = u32::try_from(call).unwrap();
            ResponseEvent::Arguments { choice: 0, call, json: Raw::quoted(&JSON[from..to]) }
        };
        for (kind, call) in steps {
            match kind {
                0 => { texts += 1; events.push(ResponseEvent::Text { choice: 0, text: Raw::quoted("x") }); }
                1 => { thoughts += 1; events.push(ResponseEvent::Thinking { choice: 0, text: Raw::quoted("y") }); }
                _ => match begun.iter_mut().find(|(known, _)| *known == call) {
                    Some((_, at)) if *at < JSON.len() => { events.push(piece(call, *at, *at + 1)); *at += 1; }
                    Some(_) => {}
                    None => {
                        let number = u32::try_from(call).unwrap();
                        events.push(ResponseEvent::Call { choice: 0, call: number, id: format!("t{call}").into(), name: "f".into() });
                        begun.push((call, 0));
                    }
                },
            }
        }
        events.extend(begun.iter().filter(|(_, at)| *at < JSON.len()).map(|(call, at)| piece(*call, *at, JSON.len())));
        let stream = encoded(&events);
        let (mut open, mut next) = (None, 0);
        for line in String::from_utf8(stream.clone()).unwrap().lines().filter_map(|line| line.strip_prefix("data: ")) {
            let step: Value = serde_json::from_str(line).unwrap();
            match step["type"].as_str().unwrap() {
                "content_block_start" => { prop_assert_eq!((open, step["index"].as_u64()), (None, Some(next))); open = Some(next); next += 1; }
                "content_block_delta" => prop_assert_eq!(open, step["index"].as_u64()),
                "content_block_stop" => prop_assert_eq!(open.take(), step["index"].as_u64()),
                _ => prop_assert_eq!(open, None),
            }
        }
        let (read, malformed) = streamed([stream.as_slice()]);
        prop_assert_eq!(malformed, 0);
        let told = |head: &str| told(read.clone()).into_iter().filter_map(|line| Some(line.strip_prefix(head)?.to_owned())).collect::<Vec<_>>();
        prop_assert_eq!(told("text ").concat().len(), texts);
        prop_assert_eq!(told("thinking ").concat().len(), thoughts);
        let arguments: Vec<_> = (0..begun.len()).map(|call| told(&format!("arguments {call} ")).concat()).collect();
        prop_assert_eq!(arguments, vec![JSON.to_owned(); begun.len()]);
    }
}

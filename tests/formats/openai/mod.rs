//! Translation through the canonical form and back: whole or streamed, at any cut, with the variations of all
//! providers.

mod any;
mod recorded;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use llm_bridge::canonical::{FinishReason, Raw, ResponseEvent, Usage};
use llm_bridge::catalogue;
use llm_bridge::error::Error;
use llm_bridge::formats::fit;
use llm_bridge::formats::openai::{CLIENT, PROVIDER};
use llm_bridge::formats::{ResponseHead, WriteTarget};
use llm_bridge::wire::json::Document;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

use self::any::{answer, odd, request};

/// An event as a line that can be compared.
fn line(event: &ResponseEvent<'_>) -> String {
    format!("{event:?}")
}

/// The events of a stream in pieces, and the number of malformed ones.
fn decoded(pieces: &[&[u8]]) -> (Vec<String>, u32) {
    let mut told = Vec::new();
    let mut each = |event: ResponseEvent<'_>| told.push(line(&event));
    let mut decode = (PROVIDER.stream)();
    pieces.iter().for_each(|piece| decode.push(piece, &mut each));
    decode.finish(&mut each);
    (told, decode.malformed())
}

/// The content of a whole response, with the pieces of a text joined.
#[derive(Debug, Default, PartialEq)]
struct Told {
    texts: BTreeMap<u32, String>,
    thoughts: BTreeMap<u32, String>,
    calls: BTreeMap<(u32, u32), (String, String, String)>,
    finish: BTreeMap<u32, String>,
    usage: Option<Usage>,
    ended: bool,
    failed: bool,
}

impl Told {
    fn take(&mut self, event: &ResponseEvent<'_>) {
        match event {
            ResponseEvent::Text { choice, text } => {
                self.texts.entry(*choice).or_default().push_str(&text.text().unwrap_or_default())
            }
            ResponseEvent::Thinking { choice, text } => {
                self.thoughts.entry(*choice).or_default().push_str(&text.text().unwrap_or_default());
            }
            ResponseEvent::Call { choice, call, id, name } => {
                self.calls.insert((*choice, *call), (id.to_string(), name.to_string(), String::new()));
            }
            ResponseEvent::Arguments { choice, call, json } => {
                self.calls.get_mut(&(*choice, *call)).unwrap().2.push_str(&json.text().unwrap_or_default());
            }
            ResponseEvent::Finish { choice, reason } => drop(self.finish.insert(*choice, format!("{reason:?}"))),
            ResponseEvent::Usage(usage) => self.usage = Some(*usage),
            ResponseEvent::End => self.ended = true,
            ResponseEvent::Failed(_) => self.failed = true,
            _ => {}
        }
    }

    fn streamed(bytes: &[u8]) -> Self {
        let mut told = Self::default();
        let mut decode = (PROVIDER.stream)();
        decode.push(bytes, &mut |event| told.take(&event));
        decode.finish(&mut |event| told.take(&event));
        told
    }

    fn whole(bytes: &[u8]) -> Result<Self, Error> {
        let mut told = Self::default();
        (PROVIDER.whole)(bytes, &mut |event| told.take(&event))?;
        Ok(told)
    }

    fn of(events: &[ResponseEvent<'_>]) -> Self {
        let mut told = Self::default();
        events.iter().for_each(|event| told.take(event));
        // No arguments mean an empty object.
        told.calls.values_mut().filter(|call| call.2.is_empty()).for_each(|call| call.2.push_str("{}"));
        told
    }
}

fn head() -> ResponseHead {
    ResponseHead { random: 7, created: 1, model: "m".into(), include_usage: true, ..ResponseHead::default() }
}

fn encoded(events: &[ResponseEvent<'_>], failure: Option<&Error>) -> Vec<u8> {
    let (mut encode, mut out) = ((CLIENT.stream)(head()), Vec::new());
    events.iter().for_each(|event| encode.event(event, &mut out));
    encode.finish(failure, &mut out);
    out
}

proptest! {
    #[test]
    fn a_request_survives_the_way_there_and_back(request in request()) {
        let written = fit::write(&PROVIDER, &mut request.clone(), WriteTarget { model: "m", max_output: None, limit_field: None, facts: &catalogue::family("m") }, b"secret").unwrap();
        prop_assert!(written.dropped.is_empty(), "{:?}", written.dropped);
        let document = Document::read(&written.body).unwrap();
        prop_assert_eq!(CLIENT.read(&document).unwrap(), request);
    }

    #[test]
    fn an_answer_survives_the_way_there_and_back(events in answer()) {
        let expected = Told::of(&events);
        let stream = encoded(&events, None);
        prop_assert_eq!(&Told::streamed(&stream), &expected);
        prop_assert_eq!(&Told::whole(&(CLIENT.whole)(&head(), &events)).unwrap(), &expected);
    }

    #[test]
    fn a_stream_is_the_same_wherever_it_is_cut(events in answer()) {
        let stream = encoded(&events, None);
        let expected = decoded(&[&stream]);
        prop_assert_eq!(expected.1, 0);
        prop_assert_eq!(&decoded(&stream.chunks(1).collect::<Vec<_>>()), &expected);
        for cut in (0..stream.len()).step_by(17) {
            let (before, after) = stream.split_at(cut);
            prop_assert_eq!(&decoded(&[before, after]), &expected);
        }
    }

    #[test]
    fn no_bytes_panic(bytes in vec(any::<u8>(), 0..300)) {
        decoded(&[&bytes]);
        let _ = Told::whole(&bytes);
    }

    #[test]
    fn no_odd_answer_panics(pieces in vec(odd(), 0..6)) {
        let body = pieces.join(",");
        let stream = format!("data: {{{body}}}\n\ndata: {{\"choices\":[{{{body}}}]}}\n\ndata: {{\"choices\":[{{\"delta\":{{{body}}}}}]}}\n\n");
        decoded(&[stream.as_bytes()]);
        let _ = Told::whole(format!("{{\"choices\":[{{\"message\":{{{body}}}}}]}}").as_bytes());
        if let Ok(document) = Document::read(format!("{{{body},\"messages\":[{{\"role\":\"user\",{body}}}]}}").as_bytes()) {
            let _ = CLIENT.read(&document);
        }
    }
}

#[test]
fn every_byte_is_a_place_to_cut() {
    let call = ResponseEvent::Call { choice: 0, call: 0, id: "c".into(), name: "f".into() };
    let events = [
        ResponseEvent::Start { id: Some("a".into()), model: None },
        ResponseEvent::Thinking { choice: 0, text: Raw::quoted("é漢") },
        ResponseEvent::Text { choice: 0, text: Raw::quoted("😀\r\n") },
        call,
        ResponseEvent::Arguments { choice: 0, call: 0, json: Raw::quoted("{\"a\":\"é\"}") },
        ResponseEvent::Finish { choice: 0, reason: FinishReason::Calls },
        ResponseEvent::Usage(Usage { uncached_input: 3, output: 2, ..Usage::default() }),
        ResponseEvent::End,
    ];
    let stream = encoded(&events, None);
    let expected = decoded(&[&stream]);
    for cut in 0..stream.len() {
        let (before, after) = stream.split_at(cut);
        assert_eq!(decoded(&[before, after]), expected, "cut at {cut}");
    }
}

#[test]
fn a_failure_is_read_as_one() {
    let failure = Error::upstream(502, "stream_truncated", "cut");
    let told = Told::streamed(&encoded(&[ResponseEvent::Text { choice: 0, text: Raw::quoted("a") }], Some(&failure)));
    assert!(told.failed && !told.ended);
}

#[test]
fn golden_requests_are_written_as_they_should_be() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/openai");
    let mut seen = 0;
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        seen += 1;
        let golden: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let client = golden["client"].to_string();
        let document = Document::read(client.as_bytes()).unwrap();
        let request = CLIENT.read(&document).unwrap_or_else(|error| panic!("{name}: {error}"));
        let written = fit::write(
            &PROVIDER,
            &mut request.clone(),
            WriteTarget { model: "m", max_output: None, limit_field: None, facts: &catalogue::family("m") },
            b"secret",
        )
        .unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&written.body).unwrap(), golden["upstream"], "{name}");
        let mut dropped: Vec<&str> = written.dropped.iter().map(AsRef::as_ref).collect();
        let mut expected: Vec<&str> =
            golden["dropped"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        dropped.sort_unstable();
        expected.sort_unstable();
        assert_eq!(dropped, expected, "{name}");
    }
    assert!(seen >= 4);
}

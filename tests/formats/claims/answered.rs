//! Claims about responses: a provider's response, whole and streamed, and what its client gets; streams are
//! cut at every byte.

use std::collections::BTreeMap;

use llm_bridge::canonical::{ResponseEvent, Usage};
use llm_bridge::error::Error;
use llm_bridge::formats::{self, ClientFormat, ProviderFormat, ResponseHead};
use serde_json::{Value, json};

use super::{CLIENTS, Cell, Documents, Sent, pair, table, through};
use crate::support::{Got, Script};

/// The meaning of a response, independent of cuts and of the order of its parts.
#[derive(Debug, Default, PartialEq)]
struct Meaning {
    model: String,
    texts: BTreeMap<u32, String>,
    thoughts: BTreeMap<u32, String>,
    /// Of each call its id, its tool's name and its arguments.
    calls: BTreeMap<(u32, u32), (String, String, String)>,
    logprobs: BTreeMap<u32, Vec<Value>>,
    finish: BTreeMap<u32, String>,
    usage: Option<Usage>,
    tier: Option<String>,
    failed: Option<String>,
    ended: bool,
}

impl Meaning {
    fn take(&mut self, event: &ResponseEvent<'_>) {
        match event {
            ResponseEvent::Start { model, .. } => self.model = model.as_deref().unwrap_or(&self.model).to_owned(),
            ResponseEvent::Text { choice, text } => {
                self.texts.entry(*choice).or_default().push_str(&text.text().unwrap())
            }
            ResponseEvent::Thinking { choice, text } => {
                self.thoughts.entry(*choice).or_default().push_str(&text.text().unwrap());
            }
            ResponseEvent::Call { choice, call, id, name } => {
                self.calls.insert((*choice, *call), (id.to_string(), name.to_string(), String::new()));
            }
            ResponseEvent::Arguments { choice, call, json } => {
                self.calls.get_mut(&(*choice, *call)).unwrap().2.push_str(&json.text().unwrap());
            }
            ResponseEvent::Logprobs { choice, logprobs } => {
                let told: Value = serde_json::from_str(logprobs.get()).unwrap();
                self.logprobs.entry(*choice).or_default().extend(told["content"].as_array().unwrap().clone());
            }
            ResponseEvent::Finish { choice, reason } => drop(self.finish.insert(*choice, format!("{reason:?}"))),
            ResponseEvent::Usage(usage) => self.usage = Some(*usage),
            ResponseEvent::Tier(tier) => self.tier = Some(tier.to_string()),
            ResponseEvent::Failed(error) => self.failed = Some(error.message().to_owned()),
            ResponseEvent::End => self.ended = true,
            ResponseEvent::ReasoningState { .. } => {}
        }
    }

    fn finished(mut self) -> Self {
        for (_, _, arguments) in self.calls.values_mut() {
            // No arguments mean an empty object.
            let text = if arguments.is_empty() { "{}" } else { arguments.as_str() };
            *arguments = serde_json::from_str(text).map_or_else(|_| text.to_owned(), |json: Value| json.to_string());
        }
        // After an error, the rest of the head and the end do not matter.
        if self.failed.is_some() {
            (self.model, self.usage, self.ended) = (String::new(), None, false);
        }
        self
    }

    fn whole(format: &ProviderFormat, body: &[u8]) -> Self {
        let mut meaning = Self::default();
        if let Err(error) = (format.whole)(body, &mut |event| meaning.take(&event)) {
            meaning.failed = Some(error.message().to_owned());
        }
        meaning.finished()
    }

    fn streamed(format: &ProviderFormat, bytes: &[u8]) -> Self {
        let (mut meaning, mut decode) = (Self::default(), (format.stream)());
        decode.push(bytes, &mut |event| meaning.take(&event));
        decode.finish(&mut |event| meaning.take(&event));
        assert_eq!(decode.malformed(), 0);
        meaning.finished()
    }
}

/// A stream as its provider frames it. Items of the documents are chunks, comments or other texts.
pub(crate) fn framed(upstream: &str, chunks: &[Value]) -> String {
    let frame = |chunk: &Value| match (upstream, chunk) {
        (_, Value::String(comment)) if comment.starts_with(':') => format!("{comment}\n\n"),
        (_, Value::String(word)) => format!("data: {word}\n\n"),
        ("anthropic", chunk) => format!("event: {}\ndata: {chunk}\n\n", chunk["type"].as_str().unwrap()),
        ("gemini", chunk) => format!("data: {chunk}\r\n\r\n"),
        _ => format!("data: {chunk}\n\n"),
    };
    chunks.iter().map(frame).collect()
}

/// The events of a stream, for reading. Streams of the Messages API give each event's type twice.
pub(crate) fn events(client: &str, stream: &str) -> Vec<Value> {
    let blocks = stream.split("\n\n").filter(|block| !block.is_empty());
    let event = |block: &str| {
        let data = block.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
        let data = serde_json::from_str(data).unwrap_or_else(|_| json!(data));
        if matches!(client, "anthropic" | "responses") {
            assert_eq!(block.lines().next().unwrap(), format!("event: {}", data["type"].as_str().unwrap()));
        }
        data
    };
    blocks.map(event).collect()
}

/// Makes random ids the same in every run; other ids stay.
fn settled(text: &str) -> String {
    let mut settled = text.to_owned();
    for start in ["msg_", "chatcmpl-"] {
        let mut from = 0;
        while let Some(at) = settled[from..].find(start).map(|at| from + at + start.len()) {
            from = at;
            let drawn =
                settled[at..].len() >= 32 && settled[at..at + 32].bytes().all(|digit| digit.is_ascii_hexdigit());
            if drawn {
                settled.replace_range(at..at + 32, "drawn");
            }
        }
    }
    settled
}

/// Translates a stream, in pieces, as the gateway does.
pub(crate) fn translated<'b>(
    upstream: &ProviderFormat,
    client: &ClientFormat,
    model: &str,
    pieces: impl IntoIterator<Item = &'b [u8]>,
) -> String {
    let head = ResponseHead {
        random: u128::MAX,
        created: 0,
        model: model.to_owned(),
        include_usage: true,
        ..ResponseHead::default()
    };
    let (mut decode, mut encode, mut out) = ((upstream.stream)(), (client.stream)(head), Vec::new());
    let (mut failed, mut open) = (false, BTreeMap::new());
    let mut each = |event: ResponseEvent<'_>| {
        if failed {
            return;
        }
        failed = matches!(event, ResponseEvent::Failed(_));
        match &event {
            ResponseEvent::Text { choice, .. }
            | ResponseEvent::Thinking { choice, .. }
            | ResponseEvent::Call { choice, .. } => {
                open.entry(*choice).or_insert(true);
            }
            ResponseEvent::Finish { choice, .. } => drop(open.insert(*choice, false)),
            _ => {}
        }
        encode.event(&event, &mut out);
    };
    pieces.into_iter().for_each(|piece| decode.push(piece, &mut each));
    decode.finish(&mut each);
    if !failed {
        let broken = Error::upstream(502, "stream_truncated", "The provider's answer broke off before its end.");
        let whole = !open.is_empty() && open.values().all(|open| !open);
        encode.finish(Some(&broken).filter(|_| !whole), &mut out);
    }
    settled(&String::from_utf8(out).unwrap())
}

fn question(client: &str, upstream: &str, model: &str, stream: bool) -> Vec<u8> {
    let mut body = json!({ "model": format!("{upstream}/{model}"), "messages": [{ "role": "user", "content": "Hello" }], "stream": stream });
    if client == "anthropic" {
        body["max_tokens"] = json!(2000);
    } else if stream {
        body["stream_options"] = json!({ "include_usage": true });
    }
    body.to_string().into_bytes()
}

/// A provider's response through the gateway.
fn answered(documents: &Documents, client: &str, upstream: &str, stream: bool, script: Script) -> Got {
    let body = question(client, upstream, documents.model(upstream), stream);
    through(documents, &Sent { client, headers: &[], body: &body }, upstream, script).0
}

fn leaked(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

fn json_of(got: &Got) -> Value {
    serde_json::from_str(&settled(&got.body)).unwrap_or_else(|_| panic!("{}", got.body))
}

/// Checks a whole response: what the client gets, and whether its meaning is kept.
fn whole(documents: &Documents, client: &str, upstream: &str, answer: &Value) -> (Value, bool) {
    let said = answer.to_string();
    let meant = Meaning::whole(formats::provider_format(upstream).unwrap(), said.as_bytes());
    let got = answered(documents, client, upstream, false, Script::json(200, leaked(said)));
    let told = json!({ "status": got.status, "body": json_of(&got) });
    if got.status != 200 {
        return (told, meant.failed == Some(words(client, &got)));
    }
    (told, meant == Meaning::whole(formats::provider_format(client).unwrap(), got.body.as_bytes()))
}

/// The error message that a client got.
fn words(client: &str, got: &Got) -> String {
    (formats::provider_format(client).unwrap().refusal)(got.status, got.body.as_bytes()).message().to_owned()
}

/// Checks a streamed response, cut at every byte.
fn streamed(
    documents: &Documents,
    client: &ClientFormat,
    upstream: &str,
    chunks: &[Value],
    what: &str,
) -> (Value, bool) {
    let (format, model) = (formats::provider_format(upstream).unwrap(), documents.model(upstream));
    let said = framed(upstream, chunks);
    let meant = Meaning::streamed(format, said.as_bytes());
    let got = answered(documents, client.name, upstream, true, Script::stream(vec![Ok(leaked(said.clone()))]));
    let asked = format!("{upstream}/{model}");
    let uncut = translated(format, client, &asked, [said.as_bytes()]);
    for cut in 0..said.len() {
        let (head, tail) = said.as_bytes().split_at(cut);
        assert_eq!(translated(format, client, &asked, [head, tail]), uncut, "{what}: cut at {cut}");
    }
    assert_eq!(translated(format, client, &asked, said.as_bytes().chunks(1)), uncut, "{what}: byte by byte");
    if got.status != 200 {
        let told = json!({ "status": got.status, "body": json_of(&got) });
        return (told, meant.failed == Some(words(client.name, &got)));
    }
    assert_eq!(settled(&got.body), uncut, "{what}: the gateway says something else than its formats");
    let heard = Meaning::streamed(formats::provider_format(client.name).unwrap(), got.body.as_bytes());
    (json!({ "status": 200, "events": events(client.name, &uncut) }), meant == heard)
}

/// Checks an error response: whether its status and message arrive.
fn refused(documents: &Documents, client: &str, upstream: &str, refusal: &Value) -> (Value, bool) {
    let status = u16::try_from(refusal["status"].as_u64().unwrap()).unwrap();
    let meant = (formats::provider_format(upstream).unwrap().refusal)(status, refusal["body"].to_string().as_bytes());
    let got = answered(documents, client, upstream, true, Script::json(status, leaked(refusal["body"].to_string())));
    let same = (meant.status(), meant.message()) == (got.status, words(client, &got).as_str());
    (json!({ "status": got.status, "body": json_of(&got) }), same)
}

#[test]
fn every_claim_of_an_answer_is_true() {
    for row in table().answered {
        let mut documents = Documents::read("answered", &row.documents);
        for upstream in formats::PROVIDER_FORMATS.iter().map(|upstream| upstream.kind.name) {
            for (client, _) in CLIENTS.iter().filter(|(client, _)| client.name != upstream) {
                let (claimed, has) =
                    (row.of(client.name).contains_key(upstream), documents.given[upstream].is_object());
                assert_eq!(claimed, has, "{}: a word of {upstream}'s format for {}", row.feature, client.name);
            }
        }
        for (client, _) in CLIENTS {
            for (upstream, cell) in row.of(client.name) {
                let what = format!("{}: {}", row.documents, pair(client.name, upstream));
                let given = documents.given[upstream].clone();
                let (mut told, mut same) = (json!({}), true);
                if given["whole"].is_object() {
                    let (written, means) = whole(&documents, client.name, upstream, &given["whole"]);
                    told["whole"] = written;
                    same &= means;
                }
                if let Some(chunks) = given["stream"].as_array() {
                    let (written, means) = streamed(&documents, client, upstream, chunks, &what);
                    told["stream"] = written;
                    same &= means;
                }
                if given["refusal"].is_object() {
                    let (written, means) = refused(&documents, client.name, upstream, &given["refusal"]);
                    told["refusal"] = written;
                    same &= means;
                }
                match cell {
                    Cell::Carried => assert!(same, "{what}: it does not mean the same\n{told:#}"),
                    Cell::Changed(_) => {}
                    Cell::Lost(_) => assert!(!same, "{what}: nothing is lost"),
                    other => panic!("{what}: no answer is {other:?}"),
                }
                documents.compare(&pair(client.name, upstream), told);
            }
        }
        documents.close();
    }
}

#[test]
fn whole_and_streamed_the_documents_mean_the_same() {
    for row in table().answered {
        let documents = Documents::read("answered", &row.documents);
        for format in formats::PROVIDER_FORMATS {
            let given = &documents.given[format.kind.name];
            if let (true, Some(chunks)) = (given["whole"].is_object(), given["stream"].as_array()) {
                let mut streamed = Meaning::streamed(format, framed(format.kind.name, chunks).as_bytes());
                if streamed.failed.is_some() {
                    // Content before the failure reaches clients of streams only.
                    streamed.texts.clear();
                }
                let whole = Meaning::whole(format, given["whole"].to_string().as_bytes());
                assert_eq!(streamed, whole, "{}: {}", row.documents, format.kind.name);
            }
        }
    }
}

#[test]
fn between_equals_an_answer_stays_as_it_was_written() {
    for row in table().answered {
        let documents = Documents::read("answered", &row.documents);
        for (client, _) in CLIENTS {
            let given = &documents.given[client.name];
            let meant =
                Meaning::whole(formats::provider_format(client.name).unwrap(), given["whole"].to_string().as_bytes());
            if given["whole"].is_object() && meant.failed.is_none() {
                let said = given["whole"].to_string();
                let got =
                    answered(&documents, client.name, client.name, false, Script::json(200, leaked(said.clone())));
                assert_eq!((got.status, got.body), (200, said), "{}: {}", row.documents, client.name);
            }
            if given["refusal"].is_object() {
                let (_, same) = refused(&documents, client.name, client.name, &given["refusal"]);
                assert!(same, "{}: {}", row.documents, client.name);
            }
            if let Some(chunks) = given["stream"].as_array() {
                let said = framed(client.name, chunks);
                let script = Script::stream(vec![Ok(leaked(said.clone()))]);
                let got = answered(&documents, client.name, client.name, true, script);
                // A stream that broke off says so after its last byte.
                assert!(got.status != 200 || got.body.starts_with(&said), "{}: {}", row.documents, client.name);
            }
        }
    }
}

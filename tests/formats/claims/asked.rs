//! Claims about requests: a client's request, and what its provider gets.

use llm_bridge::canonical::{Part, Turn, UniqueNames};
use llm_bridge::wire::json::Document;
use serde_json::{Value, json};

use super::clients::{Asked, CLIENTS, Client, client as client_of};
use super::{Cell, Documents, pair, table, through};
use crate::shipped_formats;
use crate::support::Script;

/// Any valid response of a provider.
fn answer(upstream: &str) -> Script {
    Script::json(
        200,
        match upstream {
            "openai" => {
                r#"{"id":"c","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"ok"},"finish_reason":"stop"}]}"#
            }
            "anthropic" => {
                r#"{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"ok"}],"stop_reason":"end_turn","usage":{}}"#
            }
            "responses" => {
                r#"{"id":"resp_1","object":"response","status":"completed","model":"m","output":[{"type":"message","role":"assistant","content":[{"type":"output_text","text":"ok"}]}]}"#
            }
            _ => r#"{"candidates":[{"content":{"parts":[{"text":"ok"}]},"finishReason":"STOP"}]}"#,
        },
    )
}

/// What paths of streams hold.
const STREAMED: &str = ":stream";

/// The request of these documents.
fn sent(documents: &Documents, client: &Client, upstream: &str) -> Asked {
    let given = &documents.given[client.format.name];
    // Some clients ask for streams by their path.
    let stream = given["stream"].as_bool().unwrap_or(false);
    client.asks(&given["with"], &format!("{upstream}/{}", documents.model(upstream)), stream)
}

/// What a provider got.
struct Received {
    path: String,
    body: Vec<u8>,
    /// The fields that were dropped.
    names: Vec<String>,
}

impl Received {
    fn of(documents: &Documents, asked: &Asked, upstream: &str) -> Self {
        let (got, world) = through(documents, asked, &[], upstream, answer(upstream));
        assert_eq!(got.status, 200, "{} to {upstream}: {}", asked.line, got.body);
        let call = world.call();
        let path = call.url.strip_prefix(&format!("https://{upstream}.example/v1")).unwrap().to_owned();
        let told = got.header("x-llm-bridge-dropped").map(|names| names.split(", ").map(str::to_owned).collect());
        Self { path, body: call.body.to_vec(), names: told.unwrap_or_default() }
    }

    /// Its path and its body.
    fn told(&self) -> (String, Value) {
        (self.path.clone(), serde_json::from_slice(&self.body).unwrap())
    }
}

/// Checks that a request is refused by the name of this field, and returns the refusal.
fn refused(documents: &Documents, asked: &Asked, upstream: &str, field: &str) -> Value {
    let (got, world) = through(documents, asked, &[], upstream, answer(upstream));
    assert_eq!((got.status, world.calls.borrow().len()), (400, 0), "{}: {}", asked.line, got.body);
    assert!(got.body.contains(field), "{field}: {}", got.body);
    json!({ "status": got.status, "body": got.json() })
}

/// Reads what a provider got as a client's request in the provider's format: it must be the same request.
fn means_the_same(documents: &Documents, client: &Client, upstream: &str, got: &Received, what: &str) {
    let asked = sent(documents, client, upstream);
    let (asked_body, got_body) = (Document::read(&asked.body).unwrap(), Document::read(&got.body).unwrap());
    let mut meant = client.format.read(&asked_body).unwrap();
    let mut heard = client_of(upstream).format.read(&got_body).unwrap();
    // Where the path says that a response is streamed, the body does not.
    meant.stream |= asked.line.contains(STREAMED);
    heard.stream |= got.path.contains(STREAMED);
    // Some formats require a limit where others do not.
    heard.max_tokens = meant.max_tokens.and(heard.max_tokens);
    // Most formats ask for thoughts whether or not the client shows them; chats have no word for it.
    heard.shows_thinking &= meant.shows_thinking;
    meant.shows_thinking &= upstream != "openai";
    if documents.given["rows"].is_object() {
        // The operator's edits.
        heard.unmapped_fields = UniqueNames::default();
    }
    for turns in [&mut meant.turns, &mut heard.turns] {
        *turns = std::mem::take(turns).into_iter().flat_map(apart).collect();
    }
    assert_eq!(heard, meant, "{what}: it does not mean the same");
}

/// Results of tools, each as a turn of its own: formats differ in where they stand.
fn apart(turn: Turn<'_>) -> Vec<Turn<'_>> {
    let mut turns: Vec<Turn<'_>> = Vec::new();
    for part in turn.parts {
        let is_result = matches!(part, Part::Result { .. });
        match turns.last_mut() {
            Some(last) if !is_result && !matches!(last.parts.last(), Some(Part::Result { .. })) => {
                last.parts.push(part)
            }
            _ => turns.push(Turn { role: turn.role, parts: vec![part] }),
        }
    }
    turns
}

#[test]
fn every_claim_of_a_request_is_true() {
    for row in table().asked {
        let mut documents = Documents::read("asked", &row.documents);
        for client in CLIENTS.iter().map(|client| client.format) {
            let has = documents.given[client.name].is_object();
            assert_eq!(has, !row.of(client.name).is_empty(), "{}: a word of {}'s format", row.feature, client.name);
            let missing = shipped_formats().map(|upstream| upstream.kind.name);
            // Edits of the operator's row reach the provider.
            let rows = documents.given["rows"].as_object();
            let meant = |name: &&str| has && *name != client.name && rows.is_none_or(|rows| rows.contains_key(*name));
            for upstream in missing.filter(meant) {
                assert!(row.of(client.name).contains_key(upstream), "{}: no claim about {upstream}", row.feature);
            }
        }
        for (name, upstream, cell) in row.claims() {
            let (what, client) = (format!("{}: {}", row.documents, pair(name, upstream)), client_of(name));
            let asked = sent(&documents, client, upstream);
            if let Cell::Refused(field) = cell {
                documents.compare(&pair(name, upstream), refused(&documents, &asked, upstream, field));
                continue;
            }
            let with = Received::of(&documents, &asked, upstream);
            let without = Some(&documents.given[name]["without"]).filter(|without| without.is_object()).cloned();
            let model = format!("{upstream}/{}", documents.model(upstream));
            let base = client.asks(&without.unwrap_or_else(client.plain), &model, false);
            let base = Received::of(&documents.unedited(), &base, upstream);
            assert_eq!(with.names, cell.names(), "{what}");
            match cell {
                Cell::Carried | Cell::Changed(_) | Cell::Named { .. } => {
                    assert_ne!(with.told(), base.told(), "{what}: it is not sent");
                }
                Cell::Dropped(_) | Cell::Needless(_) => assert_eq!(with.told(), base.told(), "{what}: it is sent"),
                Cell::Lost(_) | Cell::Refused(_) => panic!("{what}: what is left out of a request is named"),
            }
            if matches!(cell, Cell::Carried) {
                means_the_same(&documents, client, upstream, &with, &what);
            }
            let (path, body) = with.told();
            documents.compare(&pair(name, upstream), json!({ "dropped": with.names, "path": path, "body": body }));
        }
        documents.close();
    }
}

#[test]
fn who_is_strict_is_refused_what_would_be_dropped_and_nothing_else() {
    for row in table().asked {
        let documents = Documents::read("asked", &row.documents);
        for (name, upstream, cell) in row.claims() {
            let asked = sent(&documents, client_of(name), upstream);
            let strict = [("x-llm-bridge-strict", "true")];
            let (got, world) = through(&documents, &asked, &strict, upstream, answer(upstream));
            let what = format!("{}: {}", row.documents, pair(name, upstream));
            let passes = cell.names().is_empty() && !matches!(cell, Cell::Refused(_));
            let expected = if passes { (200, 1) } else { (400, 0) };
            assert_eq!((got.status, world.calls.borrow().len()), expected, "{what}: {}", got.body);
            cell.names().iter().for_each(|name| assert!(got.body.contains(name.as_str()), "{what}: {}", got.body));
        }
    }
}

#[test]
fn between_equals_a_request_stays_as_it_was_written() {
    for row in table().asked {
        let documents = Documents::read("asked", &row.documents);
        for client in CLIENTS.iter().filter(|client| documents.given[client.format.name].is_object()) {
            let name = client.format.name;
            if row.of(name).contains_key(name) {
                continue;
            }
            let (asked, model) = (sent(&documents, client, name), documents.model(name));
            let (got, world) = through(&documents, &asked, &[], name, answer(name));
            assert_eq!((got.status, got.header("x-llm-bridge-dropped")), (200, None), "{}: {}", row.feature, got.body);
            let given = &documents.given[name]["with"];
            let expected = client.unchanged(given, asked.body, &format!("{name}/{model}"), model);
            assert_eq!(String::from_utf8(world.call().body.to_vec()).unwrap(), expected, "{}", row.feature);
        }
    }
}

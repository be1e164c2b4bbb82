//! Claims about requests: a client's request, and what its provider gets.

use llm_bridge::wire::json::Document;
use serde_json::{Value, json};

use super::{CLIENTS, Cell, Documents, Sent, pair, table, through};
use crate::shipped_formats;
use crate::support::Script;

/// The shortest request of each format.
fn plain(client: &str) -> Value {
    let messages = json!([{ "role": "user", "content": "Hello" }]);
    if client == "openai" {
        json!({ "messages": messages })
    } else {
        json!({ "max_tokens": 2000, "messages": messages })
    }
}

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
            _ => r#"{"candidates":[{"content":{"parts":[{"text":"ok"}]},"finishReason":"STOP"}]}"#,
        },
    )
}

/// A document as its client sends it, for this model. The model stands first, so that the rest stays as it
/// was written.
fn sent(document: &Value, upstream: &str, model: &str) -> Vec<u8> {
    let text = document.to_string();
    format!("{{\"model\":\"{upstream}/{model}\",{}", text.strip_prefix('{').unwrap()).into_bytes()
}

/// What a provider got: path and body, and the fields that were dropped.
fn received(documents: &Documents, client: &str, upstream: &str, document: &Value) -> (Value, Vec<String>, Vec<u8>) {
    let body = sent(document, upstream, documents.model(upstream));
    let (got, world) = through(documents, &Sent { client, headers: &[], body: &body }, upstream, answer(upstream));
    assert_eq!(got.status, 200, "{client} to {upstream}: {}", got.body);
    let call = world.call();
    let path = call.url.strip_prefix(&format!("https://{upstream}.example/v1")).unwrap();
    let told = got.header("x-llm-bridge-dropped").map(|names| names.split(", ").map(str::to_owned).collect());
    let body: Value = serde_json::from_slice(&call.body).unwrap();
    (json!({ "path": path, "body": body }), told.unwrap_or_default(), call.body.to_vec())
}

/// Reads what a provider got as a client's request, where clients speak its format too: it must be the same
/// request.
fn means_the_same(client: &str, upstream: &str, sent: &Value, got: &[u8], what: &str) {
    let format = |name: &str| CLIENTS.iter().map(|(client, _)| client).find(|client| client.name == name);
    let Some(provider) = format(upstream) else { return };
    let sent = sent.to_string();
    let (sent, got) = (Document::read(sent.as_bytes()).unwrap(), Document::read(got).unwrap());
    let meant = format(client).unwrap().read(&sent).unwrap();
    let mut heard = provider.read(&got).unwrap();
    // Some formats require a limit where others do not.
    heard.max_tokens = meant.max_tokens.and(heard.max_tokens);
    assert_eq!(heard, meant, "{what}: it does not mean the same");
}

#[test]
fn every_claim_of_a_request_is_true() {
    for row in table().asked {
        let mut documents = Documents::read("asked", &row.documents);
        for (client, _) in CLIENTS {
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
        for (client, upstream, cell) in row.claims() {
            let what = format!("{}: {}", row.documents, pair(client, upstream));
            let given = &documents.given[client];
            let (with, names, body) = received(&documents, client, upstream, &given["with"]);
            let without = if given["without"].is_object() { given["without"].clone() } else { plain(client) };
            let (base, _, _) = received(&documents.unedited(), client, upstream, &without);
            assert_eq!(names, cell.names(), "{what}");
            match cell {
                Cell::Carried | Cell::Changed(_) | Cell::Named { .. } => {
                    assert_ne!(with, base, "{what}: it is not sent")
                }
                Cell::Dropped(_) | Cell::Needless(_) => assert_eq!(with, base, "{what}: it is sent"),
                Cell::Lost(_) => panic!("{what}: what is left out of a request is named"),
            }
            if matches!(cell, Cell::Carried) {
                means_the_same(client, upstream, &given["with"], &body, &what);
            }
            let told = json!({ "dropped": names, "path": with["path"], "body": with["body"] });
            documents.compare(&pair(client, upstream), told);
        }
        documents.close();
    }
}

#[test]
fn who_is_strict_is_refused_what_would_be_dropped_and_nothing_else() {
    for row in table().asked {
        let documents = Documents::read("asked", &row.documents);
        for (client, upstream, cell) in row.claims() {
            let body = sent(&documents.given[client]["with"], upstream, documents.model(upstream));
            let strict = [("x-llm-bridge-strict", "true")];
            let (got, world) =
                through(&documents, &Sent { client, headers: &strict, body: &body }, upstream, answer(upstream));
            let what = format!("{}: {}", row.documents, pair(client, upstream));
            let expected = if cell.names().is_empty() { (200, 1) } else { (400, 0) };
            assert_eq!((got.status, world.calls.borrow().len()), expected, "{what}: {}", got.body);
            cell.names().iter().for_each(|name| assert!(got.body.contains(name.as_str()), "{what}: {}", got.body));
        }
    }
}

#[test]
fn between_equals_a_request_stays_as_it_was_written() {
    for row in table().asked {
        let documents = Documents::read("asked", &row.documents);
        for (client, _) in CLIENTS.iter().filter(|(client, _)| documents.given[client.name].is_object()) {
            let model = documents.model(client.name);
            let with = &documents.given[client.name]["with"];
            let body = sent(with, client.name, model);
            let request = Sent { client: client.name, headers: &[], body: &body };
            let (got, world) = through(&documents, &request, client.name, answer(client.name));
            assert_eq!((got.status, got.header("x-llm-bridge-dropped")), (200, None), "{}: {}", row.feature, got.body);
            let expected = String::from_utf8(body).unwrap().replacen(&format!("{}/{model}", client.name), model, 1);
            assert_eq!(String::from_utf8(world.call().body.to_vec()).unwrap(), expected, "{}", row.feature);
        }
    }
}

//! Claims about responses: a provider's response, whole and streamed, and what its client gets; streams are
//! cut at every byte.

use llm_bridge::formats::{self, ResponseHead};
use llm_bridge::wire::json::Document;
use serde_json::{Value, json};

use super::clients::{Asked, CLIENTS, Client};
use super::meaning::Meaning;
use super::streams::{check_cuts, encoded, events, framed, settled};
use super::{Cell, Documents, pair, table, through};
use crate::support::{Got, Script};

/// A provider's response through the gateway.
fn answered(documents: &Documents, client: &Client, upstream: &str, stream: bool, script: Script) -> Got {
    through(documents, &question(documents, client, upstream, stream), &[], upstream, script).0
}

/// The request to which these documents are responses.
fn question(documents: &Documents, client: &Client, upstream: &str, stream: bool) -> Asked {
    let document = client.question(stream, &documents.given["asked"][client.format.name]);
    client.asks(&document, &format!("{upstream}/{}", documents.model(upstream)), stream)
}

fn leaked(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

fn json_of(got: &Got) -> Value {
    serde_json::from_str(&settled(&got.body)).unwrap_or_else(|_| panic!("{}", got.body))
}

/// Checks a whole response: what the client gets, and whether its meaning is kept.
fn whole(documents: &Documents, client: &Client, upstream: &str, answer: &Value) -> (Value, bool) {
    let said = answer.to_string();
    let meant = Meaning::whole(formats::provider_format(upstream).unwrap(), said.as_bytes());
    let got = answered(documents, client, upstream, false, Script::json(200, leaked(said)));
    let told = json!({ "status": got.status, "body": json_of(&got) });
    if got.status != 200 {
        return (told, meant.failed == Some(words(client, &got)));
    }
    (told, meant == Meaning::whole(client.provider(), got.body.as_bytes()))
}

/// The error message that a client got.
fn words(client: &Client, got: &Got) -> String {
    (client.provider().refusal)(got.status, got.body.as_bytes()).message().to_owned()
}

/// Checks a streamed response, whole and byte by byte.
fn streamed(documents: &Documents, client: &Client, upstream: &str, chunks: &[Value], what: &str) -> (Value, bool) {
    let (format, model) = (formats::provider_format(upstream).unwrap(), documents.model(upstream));
    let said = framed(upstream, chunks);
    let meant = Meaning::streamed(format, said.as_bytes());
    let got = answered(documents, client, upstream, true, Script::stream(vec![Ok(leaked(said.clone()))]));
    let asked = question(documents, client, upstream, true).body;
    let asked = Document::read(&asked).unwrap();
    let head = ResponseHead {
        random: u128::MAX,
        created: 0,
        completed: Some(0),
        model: format!("{upstream}/{model}"),
        include_usage: true,
        repeated: (client.format.repeat)(&asked),
        ..ResponseHead::default()
    };
    let carries = (client.format.carries_state)(&asked);
    let uncut = encoded(format, client.format, head.clone(), carries, [said.as_bytes()]);
    assert_eq!(encoded(format, client.format, head, carries, said.as_bytes().chunks(1)), uncut, "{what}: byte by byte");
    if got.status != 200 {
        let told = json!({ "status": got.status, "body": json_of(&got) });
        return (told, meant.failed == Some(words(client, &got)));
    }
    assert_eq!(settled(&got.body), uncut, "{what}: the gateway says something else than its formats");
    let heard = Meaning::streamed(client.provider(), got.body.as_bytes());
    let told = events(client.format.name, &uncut);
    if documents.given["malformed"].is_null() {
        (client.grammar)(&told);
    }
    (json!({ "status": 200, "events": told }), meant == heard)
}

/// Checks an error response: whether its status and message arrive.
fn refused(documents: &Documents, client: &Client, upstream: &str, refusal: &Value) -> (Value, bool) {
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
            for client in CLIENTS.iter().map(|client| client.format).filter(|client| client.name != upstream) {
                let (claimed, has) =
                    (row.of(client.name).contains_key(upstream), documents.given[upstream].is_object());
                assert_eq!(claimed, has, "{}: a word of {upstream}'s format for {}", row.feature, client.name);
            }
        }
        for client in CLIENTS {
            let name = client.format.name;
            for (upstream, cell) in row.of(name) {
                let what = format!("{}: {}", row.documents, pair(name, upstream));
                let given = documents.given[upstream].clone();
                let (mut told, mut same) = (json!({}), true);
                if given["whole"].is_object() {
                    let (written, means) = whole(&documents, client, upstream, &given["whole"]);
                    told["whole"] = written;
                    same &= means;
                }
                if let Some(chunks) = given["stream"].as_array() {
                    let (written, means) = streamed(&documents, client, upstream, chunks, &what);
                    told["stream"] = written;
                    same &= means;
                }
                if given["refusal"].is_object() {
                    let (written, means) = refused(&documents, client, upstream, &given["refusal"]);
                    told["refusal"] = written;
                    same &= means;
                }
                match cell {
                    Cell::Carried => assert!(same, "{what}: it does not mean the same\n{told:#}"),
                    Cell::Changed(_) => {}
                    Cell::Lost(_) => assert!(!same, "{what}: nothing is lost"),
                    other => panic!("{what}: no answer is {other:?}"),
                }
                documents.compare(&pair(name, upstream), told);
            }
        }
        documents.close();
    }
}

#[test]
fn a_providers_stream_means_the_same_wherever_it_is_cut() {
    for row in table().answered {
        let documents = Documents::read("answered", &row.documents);
        for format in formats::PROVIDER_FORMATS {
            if let Some(chunks) = documents.given[format.kind.name]["stream"].as_array() {
                let said = framed(format.kind.name, chunks);
                check_cuts(format, &said, &format!("{}: {}", row.documents, format.kind.name));
            }
        }
    }
}

#[test]
fn whole_and_streamed_the_documents_mean_the_same() {
    for row in table().answered {
        let documents = Documents::read("answered", &row.documents);
        for format in formats::PROVIDER_FORMATS {
            let given = &documents.given[format.kind.name];
            if let (true, Some(chunks)) = (given["whole"].is_object(), given["stream"].as_array()) {
                let said = framed(format.kind.name, chunks);
                let mut streamed = Meaning::streamed(format, said.as_bytes());
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
        for client in CLIENTS {
            let name = client.format.name;
            let given = &documents.given[name];
            let meant = Meaning::whole(client.provider(), given["whole"].to_string().as_bytes());
            if given["whole"].is_object() && meant.failed.is_none() {
                let said = given["whole"].to_string();
                let got = answered(&documents, client, name, false, Script::json(200, leaked(said.clone())));
                assert_eq!((got.status, got.body), (200, said), "{}: {name}", row.documents);
            }
            if given["refusal"].is_object() {
                let (_, same) = refused(&documents, client, name, &given["refusal"]);
                assert!(same, "{}: {name}", row.documents);
            }
            if let Some(chunks) = given["stream"].as_array() {
                let said = framed(name, chunks);
                let script = Script::stream(vec![Ok(leaked(said.clone()))]);
                let got = answered(&documents, client, name, true, script);
                // A stream that broke off says so after its last byte.
                assert!(got.status != 200 || got.body.starts_with(&said), "{}: {name}", row.documents);
            }
        }
    }
}

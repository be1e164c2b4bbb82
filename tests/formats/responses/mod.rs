//! The Responses API.

mod answers;
pub(crate) mod grammar;
mod provider;
mod requests;
mod state;

use llm_bridge::canonical::ResponseEvent;
use llm_bridge::error::Error;
use llm_bridge::formats::{self, RESPONSES, ResponseHead};
use llm_bridge::wire::json::Document;
use serde_json::{Value, json};

use crate::claims::events;

/// The head of the response to a request with these members.
fn head(members: &Value) -> ResponseHead {
    let mut body = json!({ "model": "m", "input": "Hello" });
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    let body = body.to_string();
    let repeated = (RESPONSES.repeat)(&Document::read(body.as_bytes()).unwrap());
    ResponseHead { random: 7, created: 1_700_000_000, model: "m".to_owned(), repeated, ..ResponseHead::default() }
}

/// The events of a provider's stream.
fn decoded(provider: &str, stream: &str) -> Vec<ResponseEvent<'static>> {
    let mut decoder = (formats::provider_format(provider).unwrap().stream)();
    let mut all = Vec::new();
    decoder.push(stream.as_bytes(), &mut |event| all.push(event.owned()));
    decoder.finish(&mut |event| all.push(event.owned()));
    all
}

/// The events that a client gets for these, and for an end with this failure. They obey the grammar.
fn told(head: ResponseHead, said: &[ResponseEvent<'_>], failure: Option<&Error>) -> Vec<Value> {
    let (mut encoder, mut out) = ((RESPONSES.stream)(head), Vec::new());
    said.iter().for_each(|event| encoder.event(event, &mut out));
    encoder.finish(failure, &mut out);
    let told = events(RESPONSES.name, &String::from_utf8(out).unwrap());
    grammar::check(&told);
    told
}

/// The whole response that a client gets for these events.
fn whole(head: &ResponseHead, said: &[ResponseEvent<'_>]) -> Value {
    serde_json::from_slice(&(RESPONSES.whole)(head, said)).unwrap()
}

/// The response in the last event.
fn last(told: &[Value]) -> &Value {
    &told.last().unwrap()["response"]
}

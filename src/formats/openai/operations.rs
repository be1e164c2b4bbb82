//! The operations of OpenAI's format.
//! Source: the OpenAI API reference, "Chat", "Embeddings", "Completions" (legacy).

use serde::Deserialize;

use super::{embed, embedding_form, request, summary, wire};
use crate::error::Result;
use crate::formats::body::{MODELS, missing, read_delivery, read_document, read_models, require_array, wrong_type};
use crate::formats::bounds::{MESSAGES_FIELDS, lenient_count};
use crate::formats::operation::{
    Delivery, ModelRef, Operation, OperationKind, RequestEnvelope, RequestParts, ResponseOptions,
};
use crate::formats::prompt_wire::each;
use crate::formats::summary::ResponseSummary;
use crate::wire::json::Document;

/// `POST /chat/completions`.
pub static CHAT: Operation = Operation {
    name: "chats",
    method: "POST",
    path: wire::ENDPOINT,
    kind: OperationKind::Generate,
    question_field: "messages",
    unique_fields: MESSAGES_FIELDS,
    reader: read_chat,
    conversation: Some(request::read),
    write_count: None,
    streams: true,
    stream_path: None,
    allows_zero_limit: |_| false,
    embeddings: None,
    reform: None,
    summarize: |body| summary::of_completion(body).unwrap_or_else(ResponseSummary::failed),
};

/// `POST /completions`: the legacy API, which continues a text.
pub static COMPLETION: Operation = Operation {
    name: "legacy completions",
    method: "POST",
    path: "/completions",
    kind: OperationKind::Generate,
    question_field: "prompt",
    unique_fields: &[
        "model",
        MODELS,
        "prompt",
        "stream",
        "stream_options",
        "max_tokens",
        "n",
        "best_of",
        "echo",
        "service_tier",
    ],
    reader: read_completion,
    conversation: None,
    // This is how clients request the log probabilities of the prompt's own tokens.
    write_count: None,
    streams: true,
    stream_path: None,
    allows_zero_limit: |document| document.value("echo") == Some("true"),
    embeddings: None,
    reform: None,
    summarize: |body| summary::of_completion(body).unwrap_or_else(ResponseSummary::failed),
};

/// `POST /embeddings`.
pub static EMBEDDING: Operation = Operation {
    name: "embeddings",
    method: "POST",
    path: embed::PATH,
    kind: OperationKind::Embed,
    question_field: "input",
    unique_fields: &["model", MODELS, "input", "encoding_format", "dimensions"],
    reader: read_embedding,
    conversation: None,
    write_count: None,
    streams: false,
    stream_path: None,
    allows_zero_limit: |_| false,
    embeddings: Some(&embed::CLIENT),
    reform: Some(embedding_form::REFORM),
    summarize: |body| summary::of_embeddings(body).unwrap_or_else(ResponseSummary::failed),
};

fn read_chat<'b>(operation: &'static Operation, request: RequestParts<'_, 'b>) -> Result<RequestEnvelope<'b>> {
    let document = read_document(request.body, operation.unique_fields)?;
    let models = read_models(&document)?;
    require_array(&document, operation.question_field)?;
    generated(operation, document, models, 1)
}

fn read_completion<'b>(operation: &'static Operation, request: RequestParts<'_, 'b>) -> Result<RequestEnvelope<'b>> {
    let document = read_document(request.body, operation.unique_fields)?;
    let models = read_models(&document)?;
    let prompt = document.value(operation.question_field).filter(|raw| *raw != "null");
    let questions = prompt.map_or(Ok(1), |raw| questions(operation.question_field, raw))?;
    generated(operation, document, models, questions)
}

fn read_embedding<'b>(operation: &'static Operation, request: RequestParts<'_, 'b>) -> Result<RequestEnvelope<'b>> {
    let document = read_document(request.body, operation.unique_fields)?;
    let (model, fallbacks) = read_models(&document)?;
    let input = document.value(operation.question_field).filter(|raw| *raw != "null");
    let questions = questions(operation.question_field, input.ok_or_else(|| missing(operation.question_field))?)?;
    let options = ResponseOptions { choices: questions, ..ResponseOptions::DEFAULT };
    Ok(RequestEnvelope { operation, model, fallbacks, delivery: Delivery::Whole, options, questions, document })
}

/// The envelope of a request whose response is generated.
fn generated<'a>(
    operation: &'static Operation,
    document: Document<'a>,
    (model, fallbacks): (ModelRef, Vec<String>),
    questions: u64,
) -> Result<RequestEnvelope<'a>> {
    let delivery = read_delivery(&document)?;
    let (include_usage, include_cost) = stream_options(&document);
    let choices = document.value("n").and_then(lenient_count).unwrap_or(1).saturating_mul(questions);
    let options = ResponseOptions { include_usage, include_cost, choices };
    Ok(RequestEnvelope { operation, model, fallbacks, delivery, options, questions, document })
}

/// Whether the client requests the usage, if it says so, and whether it requests the cost. The cost includes
/// the usage.
fn stream_options(document: &Document<'_>) -> (Option<bool>, bool) {
    #[derive(Deserialize)]
    struct Options {
        include_usage: Option<bool>,
        include_cost: Option<bool>,
    }
    let options = document.value("stream_options").and_then(|raw| serde_json::from_str::<Options>(raw).ok());
    let (usage, cost) =
        options.map_or((None, false), |options| (options.include_usage, options.include_cost.unwrap_or(false)));
    (usage.or(cost.then_some(true)), cost)
}

/// The number of prompts in a text, a list of texts, a list of tokens or a list of such lists. A list of
/// tokens is one prompt.
///
/// # Errors
/// 400 if it is none of these.
fn questions(field: &'static str, raw: &str) -> Result<u64> {
    match raw.as_bytes().first() {
        Some(b'"') => Ok(1),
        Some(b'[') => {
            let mut several = 0;
            let _ = each(raw, |item| {
                several += u64::from(item.starts_with(['"', '[']));
                Some(())
            });
            Ok(several.max(1))
        }
        _ => Err(wrong_type(field, "a string or an array")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_body<'a>(operation: &'static Operation, body: &'a [u8]) -> Result<RequestEnvelope<'a>> {
        operation.read(RequestParts { path_name: "", body })
    }

    fn refused(body: &str, operation: &'static Operation) -> (u16, String, Option<String>) {
        let error = read_body(operation, body.as_bytes()).err().expect("refused");
        (error.status(), error.code().unwrap().to_owned(), error.param().map(str::to_owned))
    }

    #[test]
    fn a_request_that_cannot_be_served_is_refused_with_its_field() {
        let refused = |body| refused(body, &CHAT);
        let named = |code: &str, param: &str| (400, code.to_owned(), Some(param.to_owned()));
        assert_eq!(refused("{"), (400, "invalid_json".into(), None));
        assert_eq!(refused("[]"), (400, "invalid_body".into(), None));
        assert_eq!(refused("{}"), named("missing_required_parameter", "model"));
        assert_eq!(refused(r#"{"model":""}"#), named("missing_required_parameter", "model"));
        assert_eq!(refused(r#"{"model":7,"messages":[]}"#), named("invalid_type", "model"));
        assert_eq!(refused(r#"{"model":"m"}"#), named("missing_required_parameter", "messages"));
        assert_eq!(refused(r#"{"model":"m","messages":"hi"}"#), named("invalid_type", "messages"));
        assert_eq!(refused(r#"{"model":"m","messages":[],"stream":"false"}"#), named("invalid_type", "stream"));
        assert_eq!(refused(r#"{"model":"m","messages":[],"model":"n"}"#), named("duplicate_key", "model"));
        assert_eq!(refused(r#"{"model":"m","messages":[],"n":1,"n":9}"#), named("duplicate_key", "n"));
    }

    #[test]
    fn models_name_those_that_are_tried_after_the_first() {
        let read = |body: &'static str| {
            let envelope = read_body(&EMBEDDING, body.as_bytes()).map_err(|error| error.code().unwrap().to_owned())?;
            Ok::<_, String>([vec![envelope.model.name], envelope.fallbacks].concat().join(" "))
        };
        assert_eq!(read(r#"{"model":"a","models":["b","c"],"input":""}"#).unwrap(), "a b c");
        assert_eq!(read(r#"{"models":["b","c"],"input":""}"#).unwrap(), "b c");
        assert_eq!(read(r#"{"model":null,"models":["b"],"input":""}"#).unwrap(), "b");
        assert_eq!(read(r#"{"model":"a","models":["b","c","d","e"],"input":""}"#).unwrap(), "a b c d e");
        for empty in [r#"{"model":"a","models":[],"input":""}"#, r#"{"model":"a","models":null,"input":""}"#] {
            assert_eq!(read(empty).unwrap(), "a");
        }
        assert_eq!(read(r#"{"models":[],"input":""}"#), Err("missing_required_parameter".into()));
        assert_eq!(read(r#"{"model":"a","models":"b","input":""}"#), Err("invalid_type".into()));
        assert_eq!(read(r#"{"model":"a","models":[7],"input":""}"#), Err("invalid_type".into()));
        assert_eq!(read(r#"{"model":"a","models":[""],"input":""}"#), Err("invalid_value".into()));
        assert_eq!(read(r#"{"model":"a","models":["1","2","3","4","5"],"input":""}"#), Err("invalid_value".into()));
        assert_eq!(read(r#"{"model":"a","models":["b"],"models":["c"],"input":""}"#), Err("duplicate_key".into()));
    }

    #[test]
    fn a_limit_of_zero_is_allowed_with_an_echo_only() {
        let allows = |operation: &Operation, body: &str| {
            (operation.allows_zero_limit)(&Document::read(body.as_bytes()).unwrap())
        };
        assert!(allows(&COMPLETION, r#"{"max_tokens":0,"echo":true}"#));
        assert!(!allows(&COMPLETION, r#"{"max_tokens":0}"#));
        assert!(!allows(&COMPLETION, r#"{"echo":"true"}"#));
        assert!(!allows(&CHAT, r#"{"max_tokens":0,"echo":true}"#));
    }

    #[test]
    fn the_choices_of_all_questions_are_counted() {
        let read = |body: &'static str, operation: &'static Operation| {
            let envelope = read_body(operation, body.as_bytes()).unwrap();
            (envelope.questions, envelope.options.choices, envelope.delivery)
        };
        let several = r#"{"model":"m","prompt":["a","b"],"n":2,"best_of":5,"stream":true}"#;
        assert_eq!(read(several, &COMPLETION), (2, 4, Delivery::Stream));
        assert_eq!(read(r#"{"model":"m","prompt":"a","n":3}"#, &COMPLETION), (1, 3, Delivery::Whole));
        assert_eq!(read(r#"{"model":"m","messages":[],"n":"2"}"#, &CHAT), (1, 2, Delivery::Whole));
        assert_eq!(read(r#"{"model":"m","input":["a","b"],"stream":7}"#, &EMBEDDING), (2, 2, Delivery::Whole));
    }

    #[test]
    fn a_list_of_tokens_is_one_question() {
        let count = |operation: &'static Operation, value: &str| {
            let body = format!(r#"{{"model":"m","{}":{value}}}"#, operation.question_field);
            read_body(operation, body.as_bytes())
                .map(|envelope| envelope.questions)
                .map_err(|error| error.code().unwrap().to_owned())
        };
        for (value, questions) in
            [("\"a\"", 1), (r#"["a","b","c"]"#, 3), ("[1,2,3]", 1), ("[[1,2],[3]]", 2), ("[]", 1), ("[\"a\"]", 1)]
        {
            assert_eq!(count(&EMBEDDING, value), Ok(questions), "{value}");
            assert_eq!(count(&COMPLETION, value), Ok(questions), "{value}");
        }
        assert_eq!(count(&CHAT, "[{},{}]"), Ok(1));
        assert_eq!(count(&COMPLETION, "null"), Ok(1));
        assert_eq!(count(&EMBEDDING, "null"), Err("missing_required_parameter".into()));
        for value in ["7", "{}", "true"] {
            assert_eq!(count(&EMBEDDING, value), Err("invalid_type".into()), "{value}");
        }
        assert_eq!(count(&CHAT, "\"a\""), Err("invalid_type".into()));
    }
}

//! The operations of the Gemini API.
//! Source: <https://ai.google.dev/api/generate-content>, <https://ai.google.dev/api/tokens>,
//! <https://ai.google.dev/api/embeddings>.

use serde_json::value::RawValue;

use super::{count, embed, request, response, rules};
use crate::error::Result;
use crate::formats::body::{missing, read_document, wrong_type};
use crate::formats::operation::{
    Delivery, ModelPlace, ModelRef, Operation, OperationKind, RequestEnvelope, RequestParts, ResponseOptions,
};
use crate::formats::summary::ResponseSummary;
use crate::wire::json::Document;
use crate::wire::list;

/// The path of a stream of events.
const STREAMED: &str = "/models/{model...}:streamGenerateContent?alt=sse";

/// `POST /models/MODEL:generateContent`.
pub static GENERATE: Operation = Operation {
    name: "contents",
    method: "POST",
    path: "/models/{model...}:generateContent",
    kind: OperationKind::Generate,
    question_field: "contents",
    unique_fields: rules::FIELDS,
    reader: |operation, parts| read(operation, parts, Delivery::Whole),
    conversation: Some(request::read),
    write_count: None,
    streams: true,
    stream_path: Some(STREAMED),
    allows_zero_limit: |_| false,
    embeddings: None,
    reform: None,
    summarize: |body| ResponseSummary::of_events(|each| response::read(body, each)),
};

/// `POST /models/MODEL:streamGenerateContent`.
pub static STREAM: Operation = Operation {
    path: STREAMED,
    reader: |operation, parts| read(operation, parts, Delivery::Stream),
    conversation: Some(request::read_streamed),
    ..GENERATE
};

/// `POST /models/MODEL:streamGenerateContent` without `alt=sse`: the response is one array of chunks. Providers are
/// asked for events.
pub static ARRAY: Operation = Operation {
    path: "/models/{model...}:streamGenerateContent",
    reader: |_, parts| read(&STREAM, parts, Delivery::Stream),
    ..STREAM
};

/// `POST /models/MODEL:embedContent`.
pub static EMBED: Operation = Operation {
    name: "embeddings",
    path: "/models/{model...}:embedContent",
    kind: OperationKind::Embed,
    question_field: "content",
    unique_fields: rules::EMBED_FIELDS,
    reader: read_embedding,
    conversation: None,
    streams: false,
    stream_path: None,
    embeddings: Some(&embed::SINGLE),
    summarize: |body| embed::summarize(body).unwrap_or_else(ResponseSummary::failed),
    ..GENERATE
};

/// `POST /models/MODEL:batchEmbedContents`.
pub static EMBED_BATCH: Operation = Operation {
    path: "/models/{model...}:batchEmbedContents",
    question_field: "requests",
    embeddings: Some(&embed::BATCH),
    ..EMBED
};

/// `POST /models/MODEL:countTokens`.
pub static COUNT_TOKENS: Operation = Operation {
    name: "token counts",
    path: "/models/{model...}:countTokens",
    kind: OperationKind::Count,
    reader: read_count,
    streams: false,
    stream_path: None,
    conversation: Some(request::read_counted),
    write_count: Some(count::write_response),
    summarize: |body| count::read(body).map_or_else(ResponseSummary::failed, |_| ResponseSummary::default()),
    ..GENERATE
};

fn read<'b>(
    operation: &'static Operation,
    parts: RequestParts<'_, 'b>,
    delivery: Delivery,
) -> Result<RequestEnvelope<'b>> {
    let document = read_document(parts.body, operation.unique_fields)?;
    rules::check_names(&document)?;
    require_contents(&document, operation.question_field)?;
    let options = ResponseOptions { choices: rules::candidates(&document), ..ResponseOptions::DEFAULT };
    Ok(RequestEnvelope {
        operation,
        model: model(parts)?,
        fallbacks: Vec::new(),
        delivery,
        options,
        questions: 1,
        document,
    })
}

fn read_embedding<'b>(operation: &'static Operation, parts: RequestParts<'_, 'b>) -> Result<RequestEnvelope<'b>> {
    let document = read_document(parts.body, operation.unique_fields)?;
    let question = document.value(operation.question_field).filter(|raw| *raw != "null");
    let question = question.ok_or_else(|| missing(operation.question_field))?;
    let mut questions: u64 = 0;
    if operation.question_field == EMBED_BATCH.question_field {
        let count = list::each(question, |_: &RawValue| {
            questions = questions.saturating_add(1);
            true
        });
        count.map_err(|_| wrong_type(operation.question_field, "an array"))?;
    }
    let questions = questions.max(1);
    let options = ResponseOptions { choices: questions, ..ResponseOptions::DEFAULT };
    let model = model(parts)?;
    Ok(RequestEnvelope {
        operation,
        model,
        fallbacks: Vec::new(),
        delivery: Delivery::Whole,
        options,
        questions,
        document,
    })
}

fn read_count<'b>(operation: &'static Operation, parts: RequestParts<'_, 'b>) -> Result<RequestEnvelope<'b>> {
    let document = read_document(parts.body, operation.unique_fields)?;
    rules::check_names(&document)?;
    let counts_request = ["generateContentRequest", "generate_content_request"];
    if !counts_request.iter().any(|name| document.value(name).is_some()) {
        require_contents(&document, operation.question_field)?;
    }
    Ok(RequestEnvelope {
        operation,
        model: model(parts)?,
        fallbacks: Vec::new(),
        delivery: Delivery::Whole,
        options: ResponseOptions::DEFAULT,
        questions: 1,
        document,
    })
}

fn model(parts: RequestParts<'_, '_>) -> Result<ModelRef> {
    if parts.path_name.is_empty() {
        return Err(missing("model"));
    }
    Ok(ModelRef { name: parts.path_name.to_owned(), place: ModelPlace::Path })
}

/// Proves that there are contents: a list, or a single one in its place.
fn require_contents(document: &Document<'_>, field: &'static str) -> Result<()> {
    let raw = document.value(field).filter(|raw| *raw != "null").ok_or_else(|| missing(field))?;
    if raw.starts_with(['[', '{']) { Ok(()) } else { Err(wrong_type(field, "an array")) }
}

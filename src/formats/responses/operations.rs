//! The operations of the Responses API.
//! Source: the OpenAI API reference, "Create a model response", "Get input token counts", "Compact a response".

use super::wire::api::ENDPOINT;
use super::{count, request, response};
use crate::error::Result;
use crate::formats::body::{MODELS, missing, read_delivery, read_document, read_models, wrong_type};
use crate::formats::operation::{Operation, OperationKind, RequestEnvelope, RequestParts, ResponseOptions};
use crate::formats::summary::ResponseSummary;

const FIELDS: &[&str] =
    &["model", MODELS, "input", "instructions", "stream", "tools", "max_output_tokens", "service_tier"];

/// `POST /responses`.
pub static RESPONSES: Operation = Operation {
    name: "responses",
    method: "POST",
    path: ENDPOINT,
    kind: OperationKind::Generate,
    question_field: "input",
    unique_fields: FIELDS,
    reader: read,
    conversation: Some(request::read),
    write_count: None,
    streams: true,
    stream_path: None,
    allows_zero_limit: |_| false,
    embeddings: None,
    reform: None,
    summarize: |body| ResponseSummary::of_events(|each| response::read(body, each)),
};

/// `POST /responses/input_tokens`.
pub static INPUT_TOKENS: Operation = Operation {
    name: "token counts",
    path: count::ENDPOINT,
    kind: OperationKind::Count,
    write_count: Some(count::write_response),
    streams: false,
    stream_path: None,
    summarize: |body| count::read(body).map_or_else(ResponseSummary::failed, |_| ResponseSummary::default()),
    ..RESPONSES
};

/// `POST /responses/compact`: shortens a conversation. Only the provider that wrote its encrypted items can read them.
pub static COMPACT: Operation =
    Operation { name: "compactions", path: "/responses/compact", conversation: None, streams: false, ..RESPONSES };

fn read<'b>(operation: &'static Operation, request: RequestParts<'_, 'b>) -> Result<RequestEnvelope<'b>> {
    let document = read_document(request.body, operation.unique_fields)?;
    let (model, fallbacks) = read_models(&document)?;
    let input = document.value(operation.question_field).filter(|raw| *raw != "null");
    if !input.ok_or_else(|| missing(operation.question_field))?.starts_with(['"', '[']) {
        return Err(wrong_type(operation.question_field, "a string or an array of items"));
    }
    request::refuse_stored(&document)?;
    let delivery = read_delivery(&document)?;
    Ok(RequestEnvelope {
        operation,
        model,
        fallbacks,
        delivery,
        options: ResponseOptions::DEFAULT,
        questions: 1,
        document,
    })
}

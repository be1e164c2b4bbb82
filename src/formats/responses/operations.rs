//! The operation of the Responses API.
//! Source: the OpenAI API reference, "Create a model response".

use super::request;
use super::wire::api::ENDPOINT;
use crate::error::{Error, Result};
use crate::formats::body::{MODELS, missing, read_delivery, read_document, read_models, wrong_type};
use crate::formats::operation::{Operation, OperationKind, RequestEnvelope, RequestParts, ResponseOptions};
use crate::formats::summary::ResponseSummary;

/// `POST /responses`.
pub static RESPONSES: Operation = Operation {
    name: "responses",
    method: "POST",
    path: ENDPOINT,
    kind: OperationKind::Generate,
    question_field: "input",
    unique_fields: &["model", MODELS, "input", "instructions", "stream", "tools", "max_output_tokens", "service_tier"],
    reader: read,
    conversation: Some(request::read),
    write_count: None,
    allows_zero_limit: |_| false,
    summarize: |_| {
        let message = "The provider's format is not read here.";
        ResponseSummary::failed(Error::upstream(502, "upstream_invalid_response", message))
    },
};

fn read<'b>(operation: &'static Operation, request: RequestParts<'_, 'b>) -> Result<RequestEnvelope<'b>> {
    let document = read_document(request.body, operation.unique_fields)?;
    let (model, fallbacks) = read_models(&document)?;
    let input = document.value(operation.question_field).filter(|raw| *raw != "null");
    if !input.ok_or_else(|| missing(operation.question_field))?.starts_with(['"', '[']) {
        return Err(wrong_type(operation.question_field, "a string or an array of items"));
    }
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

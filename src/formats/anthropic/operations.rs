//! The operations of the Messages API.
//! Source: <https://docs.anthropic.com/en/api/messages>,
//! <https://docs.anthropic.com/en/api/messages-count-tokens>.

use super::wire::api::ENDPOINT;
use super::{count, request, response};
use crate::error::Result;
use crate::formats::body::{read_delivery, read_document, read_models, require_array};
use crate::formats::bounds::MESSAGES_FIELDS;
use crate::formats::operation::{Operation, OperationKind, RequestEnvelope, RequestParts, ResponseOptions};
use crate::formats::summary::ResponseSummary;

/// `POST /messages`.
pub static MESSAGES: Operation = Operation {
    name: "messages",
    method: "POST",
    path: ENDPOINT,
    kind: OperationKind::Generate,
    question_field: "messages",
    unique_fields: MESSAGES_FIELDS,
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

/// `POST /messages/count_tokens`.
pub static COUNT_TOKENS: Operation = Operation {
    name: "token counts",
    method: "POST",
    path: count::ENDPOINT,
    kind: OperationKind::Count,
    question_field: "messages",
    unique_fields: MESSAGES_FIELDS,
    reader: read,
    conversation: Some(request::read_prompt),
    write_count: Some(count::write_response),
    streams: false,
    stream_path: None,
    allows_zero_limit: |_| false,
    embeddings: None,
    reform: None,
    summarize: |body| count::read(body).map_or_else(ResponseSummary::failed, |_| ResponseSummary::default()),
};

fn read<'b>(operation: &'static Operation, request: RequestParts<'_, 'b>) -> Result<RequestEnvelope<'b>> {
    let document = read_document(request.body, operation.unique_fields)?;
    let (model, fallbacks) = read_models(&document)?;
    require_array(&document, operation.question_field)?;
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

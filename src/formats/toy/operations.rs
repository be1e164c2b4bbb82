//! The format's only operation.

use super::wire::PATH;
use super::{request, response};
use crate::error::Result;
use crate::formats::body::{missing, read_document, require_array, wrong_type};
use crate::formats::operation::{
    Delivery, ModelPlace, ModelRef, Operation, OperationKind, RequestEnvelope, RequestParts, ResponseOptions,
};
use crate::formats::summary::ResponseSummary;

/// `POST /toy/MODEL:continue`.
pub(super) static GENERATE: Operation = Operation {
    name: "dialogues",
    method: "POST",
    path: PATH,
    kind: OperationKind::Generate,
    question_field: "dialogue",
    unique_fields: &["dialogue", "budget", "live"],
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

fn read<'b>(operation: &'static Operation, request: RequestParts<'_, 'b>) -> Result<RequestEnvelope<'b>> {
    let document = read_document(request.body, operation.unique_fields)?;
    if request.path_name.is_empty() {
        return Err(missing("model"));
    }
    require_array(&document, operation.question_field)?;
    let delivery = match document.value("live") {
        None | Some("null" | "false") => Delivery::Whole,
        Some("true") => Delivery::Stream,
        Some(_) => return Err(wrong_type("live", "true or false")),
    };
    Ok(RequestEnvelope {
        operation,
        model: ModelRef { name: request.path_name.to_owned(), place: ModelPlace::Path },
        fallbacks: Vec::new(),
        delivery,
        options: ResponseOptions::DEFAULT,
        questions: 1,
        document,
    })
}

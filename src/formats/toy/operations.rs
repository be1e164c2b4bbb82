//! The format's only operation.

use super::wire::PATH;
use super::{request, response};
use crate::error::Result;
use crate::formats::envelope::{
    Delivery, ModelPlace, RequestEnvelope, RequestParts, ResponseOptions, missing, read_document, require_array,
    wrong_type,
};
use crate::formats::operation::{Operation, OperationKind};
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
    allows_zero_limit: |_| false,
    summarize: |body| ResponseSummary::of_events(|each| response::read(body, each)),
};

fn read<'a>(operation: &'static Operation, request: RequestParts<'a>) -> Result<RequestEnvelope<'a>> {
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
        model: request.path_name.to_owned(),
        model_place: ModelPlace::Path,
        delivery,
        options: ResponseOptions::DEFAULT,
        questions: 1,
        document,
    })
}

//! Readers of request bodies and of the fields that formats share.

use super::operation::{Delivery, ModelPlace, ModelRef};
use crate::error::{Error, Result};
use crate::wire::json::{Document, DocumentError, MAX_MEMBERS};

/// Reads a body in which none of these keys occurs twice.
///
/// # Errors
/// 400 with the position of a fault, or the key that occurs twice.
pub fn read_document<'a>(body: &'a [u8], unique: &[&'static str]) -> Result<Document<'a>> {
    let document = Document::read(body).map_err(invalid_body)?;
    if let Some(key) = document.repeated(unique) {
        let message = format!("`{key}` stands in the body more than once.");
        return Err(Error::caller(400, "duplicate_key", message).at(key));
    }
    Ok(document)
}

/// The error for a body that is not a JSON object.
pub fn invalid_body(flaw: DocumentError) -> Error {
    match flaw {
        DocumentError::Syntax { line, column, reason } => {
            let message = format!("The body is not valid JSON: {reason} (line {line}, column {column}).");
            Error::caller(400, "invalid_json", message)
        }
        DocumentError::NotAnObject => Error::caller(400, "invalid_body", "The body must be a JSON object."),
        DocumentError::TooManyMembers => {
            let message = format!("The body must be an object with at most {MAX_MEMBERS} members.");
            Error::caller(400, "invalid_body", message)
        }
    }
}

/// The field in which most formats name the model.
const MODEL: &str = "model";

/// Reads the model's name in the field `model`.
pub(super) fn read_model(document: &Document<'_>) -> Result<ModelRef> {
    let raw = document.value(MODEL).filter(|raw| *raw != "null").ok_or_else(|| missing(MODEL))?;
    let name: String = serde_json::from_str(raw).map_err(|_| wrong_type(MODEL, "a string"))?;
    if name.is_empty() { Err(missing(MODEL)) } else { Ok(ModelRef { name, place: ModelPlace::Body(MODEL) }) }
}

/// Whether the response is to be streamed.
pub(super) fn read_delivery(document: &Document<'_>) -> Result<Delivery> {
    match document.value("stream") {
        None | Some("null" | "false") => Ok(Delivery::Whole),
        Some("true") => Ok(Delivery::Stream),
        Some(_) => Err(wrong_type("stream", "true or false")),
    }
}

/// Proves that a field is there, and an array.
pub(super) fn require_array(document: &Document<'_>, field: &'static str) -> Result<()> {
    let raw = document.value(field).filter(|raw| *raw != "null").ok_or_else(|| missing(field))?;
    if raw.starts_with('[') { Ok(()) } else { Err(wrong_type(field, "an array")) }
}

/// The error for a field that is required and missing.
pub(super) fn missing(field: &'static str) -> Error {
    Error::caller(400, "missing_required_parameter", format!("`{field}` is required.")).at(field)
}

/// The error for a field of the wrong type.
pub(super) fn wrong_type(field: &'static str, expected: &str) -> Error {
    Error::caller(400, "invalid_type", format!("`{field}` must be {expected}.")).at(field)
}

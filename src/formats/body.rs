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

/// The field with which OpenRouter's clients name several models, in the order in which they are to be tried:
/// <https://openrouter.ai/docs/guides/routing/model-fallbacks>.
pub const MODELS: &str = "models";

/// The most models in that field.
const MAX_MODELS: usize = 4;

/// Reads the model's name, and the names of the models that are to be tried after it: those in `models`,
/// which also names the first one if `model` is missing.
pub(super) fn read_models(document: &Document<'_>) -> Result<(ModelRef, Vec<String>)> {
    let Some(raw) = document.value(MODELS).filter(|raw| *raw != "null") else {
        return Ok((read_model(document)?, Vec::new()));
    };
    let mut names: Vec<String> = serde_json::from_str(raw).map_err(|_| wrong_type(MODELS, "an array of strings"))?;
    if names.len() > MAX_MODELS {
        let message = format!("`{MODELS}` has {} names; at most {MAX_MODELS} are allowed.", names.len());
        return Err(Error::caller(400, "invalid_value", message).at(MODELS));
    }
    if names.iter().any(String::is_empty) {
        return Err(Error::caller(400, "invalid_value", format!("A name in `{MODELS}` is empty.")).at(MODELS));
    }
    let is_named = document.value(MODEL).is_some_and(|raw| raw != "null");
    if is_named || names.is_empty() {
        return Ok((read_model(document)?, names));
    }
    let name = names.remove(0);
    Ok((ModelRef { name, place: ModelPlace::Body(MODEL) }, names))
}

/// Reads the model's name in the field `model`.
pub(super) fn read_model(document: &Document<'_>) -> Result<ModelRef> {
    let raw = document.value(MODEL).filter(|raw| *raw != "null").ok_or_else(|| missing(MODEL))?;
    let name: String = serde_json::from_str(raw).map_err(|_| wrong_type(MODEL, "a string"))?;
    // People paste names with blanks around them.
    let name = if name.trim().len() == name.len() { name } else { name.trim().to_owned() };
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

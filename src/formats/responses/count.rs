//! Token counts of prompts, as providers give them and as clients ask for them.
//! Source: the OpenAI API reference, "Get input token counts".

use super::errors::read_in_success;
use super::request;
use super::wire::fields::Fields;
use crate::canonical::ModelRequest;
use crate::error::{Error, Result};
use crate::formats::call::{self, WrittenCall};
use crate::formats::operation::RequestEnvelope;
use crate::formats::written_request::{WriteTarget, WrittenRequest};
use crate::wire::json::{Document, parse_integer};

/// Path of the endpoint below the API's root.
pub(super) const ENDPOINT: &str = "/responses/input_tokens";

/// Fields of a request that are no part of its prompt.
pub(super) const NOT_COUNTED: &[&str] =
    &["stream", "store", "include", "max_output_tokens", "temperature", "top_p", "top_logprobs", "user"];

/// Writes a count for a client of another format.
///
/// # Errors
/// As for a response.
pub(super) fn write_call(envelope: &RequestEnvelope<'_>, target: WriteTarget<'_>) -> Result<WrittenCall> {
    call::count(envelope, target, write, read)
}

fn write(request: &ModelRequest<'_>, target: WriteTarget<'_>) -> Result<WrittenRequest> {
    let written = request::write(request, target)?;
    let mut document = Document::read(&written.body)
        .map_err(|_| Error::caller(400, "invalid_body", "The request cannot be written as a token count request."))?;
    NOT_COUNTED.iter().for_each(|field| document.remove(field));
    let body = document.render().into_owned();
    Ok(WrittenRequest { path: ENDPOINT.to_owned(), body, ..written })
}

/// Reads the provider's count, in tokens.
///
/// # Errors
/// 502 if the body holds no count, or reports an error.
pub(super) fn read(body: &[u8]) -> Result<u64> {
    let text = std::str::from_utf8(body).unwrap_or_default();
    let invalid = || {
        let message = "The provider answered with a success status, but its body holds no token count.";
        Error::upstream(502, "upstream_invalid_response", message)
    };
    let mut fields = Fields::read(text, &"").map_err(|_| invalid())?;
    if fields.has("error") {
        return Err(read_in_success(body));
    }
    fields.take("input_tokens").and_then(|raw| parse_integer(raw.get())).ok_or_else(invalid)
}

/// Writes the response to a client's count request.
pub(super) fn write_response(tokens: u64) -> Vec<u8> {
    format!("{{\"object\":\"response.input_tokens\",\"input_tokens\":{tokens}}}").into_bytes()
}

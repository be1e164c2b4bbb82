//! Token counts of prompts, as providers give them and as clients ask for them.
//! Source: <https://docs.anthropic.com/en/api/messages-count-tokens>, and recorded traffic.

use serde::{Deserialize, Serialize};

use super::errors::{is_error, read_in_success};
use super::request;
use super::wire::json::object;
use crate::canonical::ModelRequest;
use crate::error::{Error, Result};
use crate::formats::call::{self, WrittenCall};
use crate::formats::operation::RequestEnvelope;
use crate::formats::written_request::{WriteTarget, WrittenRequest};
use crate::wire::json::Document;

/// Path of the endpoint below the API's root.
pub(super) const ENDPOINT: &str = "/messages/count_tokens";

/// Fields of a message request that the count endpoint refuses.
const NOT_COUNTED: &[&str] = &["max_tokens", "stream", "stop_sequences", "temperature", "top_p", "top_k", "metadata"];

#[derive(Deserialize, Serialize)]
struct CountBody {
    input_tokens: u64,
}

/// Writes a count for a client of another format.
///
/// # Errors
/// As for a message request.
pub(super) fn write_call(envelope: &RequestEnvelope<'_>, target: WriteTarget<'_>) -> Result<WrittenCall> {
    call::count(envelope, target, write, read)
}

/// Writes a count request: a message request without the fields that are not part of its prompt.
///
/// # Errors
/// As for a message request.
fn write(request: &ModelRequest<'_>, target: WriteTarget<'_>) -> Result<WrittenRequest> {
    let mut written = request::write(request, target)?;
    let mut document = Document::read(&written.body)
        .map_err(|_| Error::caller(400, "invalid_body", "The request cannot be written as a token count request."))?;
    NOT_COUNTED.iter().for_each(|field| document.remove(field));
    let body = document.render().into_owned();
    written.body = body;
    ENDPOINT.clone_into(&mut written.path);
    Ok(written)
}

/// Reads the provider's count, in tokens.
///
/// # Errors
/// 502 if the body holds no count, or reports an error.
pub(super) fn read(body: &[u8]) -> Result<u64> {
    if is_error(body) {
        return Err(read_in_success(body));
    }
    let message = "The provider answered with a success status, but its body holds no token count.";
    let count = object::<CountBody>(body).map(|count| count.input_tokens);
    count.ok_or_else(|| Error::upstream(502, "upstream_invalid_response", message))
}

/// Writes the response to a client's count request.
pub(super) fn write_response(input_tokens: u64) -> Vec<u8> {
    serde_json::to_vec(&CountBody { input_tokens }).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Facts;

    #[test]
    fn a_count_request_holds_the_prompt_alone() {
        let body = br#"{"model":"m","max_tokens":9,"stream":true,"temperature":0.5,"stop_sequences":["x"],"metadata":{"user_id":"u"},
            "system":"Be brief.","messages":[{"role":"user","content":"Hi"}],"tools":[{"name":"f","input_schema":{"type":"object"}}]}"#;
        let document = Document::read(body).unwrap();
        let request = request::read_prompt(&document).unwrap();
        let written =
            write(&request, WriteTarget { model: "c", max_output: None, limit_field: None, facts: &Facts::UNKNOWN })
                .unwrap();
        let sent: serde_json::Value = serde_json::from_slice(&written.body).unwrap();
        let mut fields: Vec<&str> = sent.as_object().unwrap().keys().map(String::as_str).collect();
        fields.sort();
        assert_eq!((fields, written.path.as_str()), (vec!["messages", "model", "system", "tools"], ENDPOINT));
        assert!(written.headers.contains(&("anthropic-version", "2023-06-01".to_owned())));
    }

    #[test]
    fn a_body_without_a_count_is_an_error() {
        assert_eq!(read(br#"{"input_tokens": 1581}"#).unwrap(), 1581);
        for body in ["", "[7]", "{}", r#"{"input_tokens":-1}"#, r#"{"input_tokens":"7"}"#] {
            assert_eq!(read(body.as_bytes()).unwrap_err().status(), 502, "{body}");
        }
        let error = br#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
        assert_eq!(read(error).unwrap_err().status(), 529);
        assert_eq!(write_response(7), br#"{"input_tokens":7}"#);
    }
}

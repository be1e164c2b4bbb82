//! Token counts of prompts, as providers give them and as clients ask for them: `countTokens`.
//! Source: <https://ai.google.dev/api/tokens>, and recorded traffic.

use serde::{Deserialize, Serialize};

use super::errors::{invalid, read_in_success};
use super::request::{self, full_name, resource};
use crate::canonical::{ModelRequest, Raw};
use crate::error::{Error, Result};
use crate::formats::call::{self, WrittenCall};
use crate::formats::operation::RequestEnvelope;
use crate::formats::written_request::{WriteTarget, WrittenRequest};
use crate::wire::json::{Document, quote};

/// The response of `countTokens`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CountResponse<'a> {
    #[serde(borrow)]
    error: Option<Raw<'a>>,
    total_tokens: Option<u64>,
}

/// Writes a count for a client of another format.
///
/// # Errors
/// As for a generate request.
pub(super) fn write_call(envelope: &RequestEnvelope<'_>, target: WriteTarget<'_>) -> Result<WrittenCall> {
    call::count(envelope, target, write, read)
}

/// Writes a count request: system instruction, contents and tools as they would be sent.
///
/// # Errors
/// As for a generate request.
fn write(request: &ModelRequest<'_>, target: WriteTarget<'_>) -> Result<WrittenRequest> {
    let mut written = request::write(request, target)?;
    let mut document = Document::read(&written.body).map_err(|_| {
        Error::caller(400, "invalid_request", "The request cannot be written as a token count request.")
    })?;
    document.set("model", quote(&full_name(target.model)));
    let generate_request = document.render().into_owned();
    written.body = [b"{\"generateContentRequest\":".as_slice(), &generate_request, b"}"].concat();
    written.path = format!("/{}:countTokens", resource(target.model));
    Ok(written)
}

/// Reads the provider's count, in tokens.
///
/// # Errors
/// 502 if the body holds no count; the error's own status if it reports one.
pub(super) fn read(body: &[u8]) -> Result<u64> {
    let is_object = body.trim_ascii_start().starts_with(b"{");
    let response = serde_json::from_slice::<CountResponse<'_>>(body).ok().filter(|_| is_object);
    let response = response.ok_or_else(|| invalid("The provider's response holds no token count."))?;
    match response.error {
        Some(error) => Err(read_in_success(&error)),
        None => response.total_tokens.ok_or_else(|| invalid("The provider's response holds no token count.")),
    }
}

/// The response to a client.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenCount {
    total_tokens: u64,
}

/// Writes the response to a client's count request.
pub(super) fn write_response(total_tokens: u64) -> Vec<u8> {
    serde_json::to_vec(&WrittenCount { total_tokens }).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canonical::{Part, Role, Turn};
    use crate::catalogue::Facts;

    #[test]
    fn the_whole_request_is_counted() {
        let turn = |role, text| Turn { role, parts: vec![Part::Text { text: Raw::quoted(text), cache: None }] };
        let turns = vec![turn(Role::System, "Be brief."), turn(Role::User, "Hi")];
        let written = write(
            &ModelRequest { turns, ..ModelRequest::default() },
            WriteTarget { model: "g", max_output: None, limit_field: None, facts: &Facts::UNKNOWN },
        )
        .unwrap();
        let sent: serde_json::Value = serde_json::from_slice(&written.body).unwrap();
        let generate_request = &sent["generateContentRequest"];
        assert_eq!((written.path.as_str(), &generate_request["model"]), ("/models/g:countTokens", &"models/g".into()));
        assert_eq!(generate_request["systemInstruction"]["parts"][0]["text"], "Be brief.");
        assert_eq!(generate_request["contents"][0]["parts"][0]["text"], "Hi");
    }

    #[test]
    fn a_body_without_a_count_is_an_error() {
        let body = br#"{"promptTokensDetails":[{"modality":"TEXT","tokenCount":12}],"totalTokens":12}"#;
        assert_eq!(read(body).unwrap(), 12);
        for body in ["", "[]", "{}", r#"{"totalTokens":"x"}"#, r#"{"error":{"message":"no"},"totalTokens":1}"#] {
            assert_eq!(read(body.as_bytes()).unwrap_err().status(), 502, "{body}");
        }
    }
}

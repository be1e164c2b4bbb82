//! Counts of a prompt's tokens: `countTokens`. It counts nothing itself.
//! Source: <https://ai.google.dev/api/tokens>, and recorded traffic.

use serde::Deserialize;

use super::errors::{invalid, reported};
use super::request::{self, full_name, resource};
use crate::canonical::{ModelRequest, Raw};
use crate::error::{Error, Result};
use crate::formats::{WriteTarget, WrittenRequest};
use crate::wire::json::{Document, quote};

/// What Gemini answers.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    #[serde(borrow)]
    error: Option<Raw<'a>>,
    total_tokens: Option<u64>,
}

/// Writes a question for a count: of instructions, turns and tools, as they would be sent.
///
/// # Errors
/// As for an answer.
pub(super) fn write(request: &ModelRequest<'_>, aim: WriteTarget<'_>) -> Result<WrittenRequest> {
    let mut written = request::write(request, aim)?;
    let mut document = Document::read(&written.body).map_err(|_| {
        Error::caller(400, "invalid_request", "The request cannot be written as a question for a count.")
    })?;
    document.set("model", quote(&full_name(aim.model)));
    let asked = document.render().into_owned();
    written.body = [b"{\"generateContentRequest\":".as_slice(), &asked, b"}"].concat();
    written.path = format!("/{}:countTokens", resource(aim.model));
    Ok(written)
}

/// Reads the answer.
///
/// # Errors
/// 502 if it is none.
pub(super) fn read(body: &[u8]) -> Result<u64> {
    let is_object = body.trim_ascii_start().starts_with(b"{");
    let answer = serde_json::from_slice::<Answer<'_>>(body).ok().filter(|_| is_object);
    let answer = answer.ok_or_else(|| invalid("The provider answered with a body that holds no count."))?;
    match answer.error {
        Some(error) => Err(reported(&error)),
        None => answer.total_tokens.ok_or_else(|| invalid("The provider answered with a body that holds no count.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canonical::{Part, Role, Turn};

    #[test]
    fn the_whole_request_is_counted() {
        let said = |role, text| Turn { role, parts: vec![Part::Text { text: Raw::quoted(text), cache: None }] };
        let turns = vec![said(Role::System, "Be brief."), said(Role::User, "Hi")];
        let written = write(
            &ModelRequest { turns, ..ModelRequest::default() },
            WriteTarget { model: "g", max_output: None, limit_field: None },
        )
        .unwrap();
        let sent: serde_json::Value = serde_json::from_slice(&written.body).unwrap();
        let asked = &sent["generateContentRequest"];
        assert_eq!((written.path.as_str(), &asked["model"]), ("/models/g:countTokens", &"models/g".into()));
        assert_eq!(asked["systemInstruction"]["parts"][0]["text"], "Be brief.");
        assert_eq!(asked["contents"][0]["parts"][0]["text"], "Hi");
    }

    #[test]
    fn a_body_without_a_count_is_an_error() {
        let told = br#"{"promptTokensDetails":[{"modality":"TEXT","tokenCount":12}],"totalTokens":12}"#;
        assert_eq!(read(told).unwrap(), 12);
        for body in ["", "[]", "{}", r#"{"totalTokens":"x"}"#, r#"{"error":{"message":"no"},"totalTokens":1}"#] {
            assert_eq!(read(body.as_bytes()).unwrap_err().status(), 502, "{body}");
        }
    }
}

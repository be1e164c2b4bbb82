//! The provider's side: what its refusals and whole answers mean.

use std::borrow::Cow;

use serde_json::Value;
use serde_json::value::RawValue;

use super::wire::{Answer, Choice, Vectors, is_error, is_object, total, usage, words};
use crate::error::{Error, Result};
use crate::formats::refusals::{Words, instead};
use crate::formats::summary::ResponseSummary;
use crate::formats::tier::ServedTier;
use crate::wire::dense::tree;

/// The path of the endpoint below the API's root.
pub const ENDPOINT: &str = "/chat/completions";

/// Reads a whole response that came with a status of success. Where it has usage but no content, that is the summary's
/// error.
///
/// # Errors
/// 502 if it is no response, or an error in spite of its status.
pub fn reply(body: &[u8]) -> Result<ResponseSummary> {
    let answer = serde_json::from_slice::<Answer<'_>>(body).ok().filter(|_| is_object(body));
    let Some(answer) = answer else {
        return Err(if is_error(body) { in_spite(body) } else { invalid("a body that is not a chat completion") });
    };
    if answer.error.is_some() {
        return Err(in_spite(body));
    }
    let Some(choices) = &answer.choices else {
        return Err(invalid("a body that has no choices"));
    };
    let (usage, mut countable) = (usage(answer.usage, answer.x_groq), Vec::new());
    if usage.is_none() {
        choices.iter().for_each(|choice| choice.note(&mut countable));
    }
    let is_empty = choices.iter().all(Choice::is_hollow);
    Ok(ResponseSummary {
        length: choices.iter().map(Choice::length).sum(),
        countable,
        usage,
        model: answer.model(),
        tier: tier(answer.service_tier, answer.usage),
        error: is_empty.then(no_content),
        ..ResponseSummary::default()
    })
}

fn tier(tier: Option<&RawValue>, usage: Option<&RawValue>) -> Option<String> {
    words(tier, usage).and_then(|words| ServedTier::default().take(&words).map(str::to_owned))
}

/// Reads a whole answer with vectors.
///
/// # Errors
/// As [`reply`].
pub fn vectors(body: &[u8]) -> Result<ResponseSummary> {
    let answer = serde_json::from_slice::<Vectors<'_>>(body).ok().filter(|_| is_object(body));
    let Some(answer) = answer else {
        return Err(if is_error(body) { in_spite(body) } else { invalid("a body that is no list of embeddings") });
    };
    if answer.error.is_some() {
        return Err(in_spite(body));
    }
    let Some(list) = answer.data.and_then(|data| data.get().strip_prefix('[')) else {
        return Err(invalid("a body that holds no embeddings"));
    };
    let is_empty = list.trim_start().starts_with(']');
    let model = answer.model.map(Cow::into_owned);
    let tier = tier(answer.service_tier, answer.usage);
    let error = is_empty.then(no_content);
    Ok(ResponseSummary { usage: total(answer.usage), model, tier, error, ..ResponseSummary::default() })
}

fn no_content() -> Error {
    invalid("a body that holds no answer")
}

/// A success that is no answer, but something else.
pub(super) fn invalid(what: &str) -> Error {
    let message = format!("The provider answered with a status of success, but with {what}.");
    Error::upstream(502, "upstream_invalid_response", message)
}

/// What a provider's refusal means for the caller: its own words where it gave any, in the right status.
/// `status` is the provider's; a body longer than this module cares for may have been cut.
pub fn refusal(status: u16, body: &[u8]) -> Error {
    let said = Said::read(body);
    if let Some(error) = instead(status, said.words()) {
        return error;
    }
    let message = said.message.unwrap_or_else(|| format!("The provider answered with status {status}."));
    Error::upstream(status, "upstream_error", message).worded(said.kind, said.code, said.param)
}

/// What an error within an answer means, whose status was one of success: it has the status that its code names, if it is a number.
pub fn in_spite(body: &[u8]) -> Error {
    let code = Said::read(body).code.and_then(|code| code.parse().ok());
    refusal(code.filter(|code| (400..600).contains(code)).unwrap_or(502), body)
}

/// A provider's words, wherever it puts them.
#[derive(Default)]
struct Said {
    message: Option<String>,
    kind: Option<String>,
    code: Option<String>,
    param: Option<String>,
    /// They stood in JSON.
    structured: bool,
}

impl Said {
    fn read(body: &[u8]) -> Self {
        let Some(value) = tree(body) else { return Self::plain(body) };
        // Gemini wraps the object in a list.
        let value = value.get(0).unwrap_or(&value);
        // Workers AI has a list of errors.
        let listed = value.get("errors").and_then(|errors| errors.get(0));
        let error = value.get("error").or(listed).filter(|error| !error.is_null()).unwrap_or(value);
        if let Some(text) = error.as_str() {
            return Self { message: Some(text.to_owned()), structured: true, ..Self::default() };
        }
        let kind = word(error, "type").or_else(|| word(error, "status"));
        let (code, param) = (word(error, "code"), word(error, "param"));
        Self { message: message(error), kind, code, param, structured: true }
    }

    /// A short line of text is worth passing on; a page is not.
    fn plain(body: &[u8]) -> Self {
        let text = std::str::from_utf8(body).map(str::trim).unwrap_or_default();
        let line = !text.is_empty() && text.len() <= 300 && !text.contains(['<', '\n', '{']);
        Self { message: line.then(|| text.to_owned()), ..Self::default() }
    }

    fn words(&self) -> Words<'_> {
        let message = self.message.as_deref().filter(|_| self.structured);
        Words { code: self.code.as_deref(), kind: self.kind.as_deref(), message }
    }
}

/// What a person should read of an error.
fn message(error: &Value) -> Option<String> {
    let own = ["message", "detail", "msg", "Message"].iter().find_map(|key| word(error, key));
    // OpenRouter passes on what another provider said.
    let raw = error.pointer("/metadata/raw").and_then(Value::as_str).filter(|raw| !raw.is_empty());
    match (own, raw) {
        (Some(own), Some(raw)) if !own.contains(raw) => Some(format!("{own}: {raw}")),
        (own, raw) => own.or_else(|| raw.map(str::to_owned)).or_else(|| details(error)),
    }
}

/// FastAPI's list of what is wrong with the request's fields: the first of it.
fn details(error: &Value) -> Option<String> {
    let first = error.get("detail")?.get(0)?;
    let place = first.get("loc").and_then(Value::as_array).into_iter().flatten();
    let place: Vec<String> = place.map(|step| step.as_str().map_or_else(|| step.to_string(), str::to_owned)).collect();
    let words = word(first, "msg")?;
    Some(if place.is_empty() { words } else { format!("{}: {words}", place.join(".")) })
}

fn word(value: &Value, key: &str) -> Option<String> {
    match value.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canonical::Usage;

    fn told(status: u16, body: &str) -> (u16, String, Option<String>, String) {
        let error = refusal(status, body.as_bytes());
        let code = error.code().map(str::to_owned);
        (error.status(), error.kind().to_owned(), code, error.message().to_owned())
    }

    #[test]
    fn a_refusal_keeps_its_status_and_words() {
        let body = r#"{"error":{"message":"Too long","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#;
        let expected = (400, "invalid_request_error".into(), Some("context_length_exceeded".into()), "Too long".into());
        assert_eq!(told(400, body), expected);
        assert_eq!(told(429, r#"{"error":"slow down"}"#).3, "slow down");
        assert_eq!(
            told(429, r#"[{"error":{"code":429,"message":"Quota","status":"RESOURCE_EXHAUSTED"}}]"#).2.unwrap(),
            "429"
        );
        assert_eq!(told(422, r#"{"detail":"bad"}"#).3, "bad");
        assert_eq!(told(500, "<html>nginx at http://10.0.0.1</html>").3, "The provider answered with status 500.");
        assert_eq!(told(503, "overloaded").3, "overloaded");
        assert_eq!(told(500, "").1, "upstream_error");
    }

    #[test]
    fn refused_credentials_are_not_the_callers() {
        for (status, body) in
            [(401, "{}"), (403, "{}"), (400, r#"[{"error":{"message":"API key not valid. Please"}}]"#)]
        {
            assert_eq!(told(status, body).2.as_deref(), Some("upstream_credentials_refused"));
            assert_eq!(told(status, body).0, 502);
        }
    }

    #[test]
    fn a_status_that_is_no_answer_is_not_passed_on() {
        for status in [0, 101, 302, 304, 600, 999] {
            assert_eq!(told(status, "{}").0, 502, "{status}");
        }
    }

    #[test]
    fn success_with_an_error_inside_is_an_error() {
        let error = reply(br#"{"error":{"message":"no","code":429}}"#).unwrap_err();
        assert_eq!((error.status(), error.message()), (429, "no"));
        for code in ["200", "\"rate_limit\"", "null", "1e9", "401"] {
            let error = reply(format!(r#"{{"error":{{"message":"no","code":{code}}}}}"#).as_bytes()).unwrap_err();
            assert_eq!(error.status(), 502, "{code}");
        }
        let odd = reply(br#"{"error":{"message":"no"},"choices":"none"}"#).unwrap_err();
        assert_eq!(odd.message(), "no");
        assert!(reply(b"<html>").is_err());
        assert!(reply(b"[null,null,null,null,[]]").is_err());
        assert!(reply(b"{}").is_err());
        assert!(reply(br#"{"choices":[{"message":{"content":null}}],"error":null}"#).unwrap().check().is_ok());
        for hollow in [r#"{"choices":[],"usage":{"prompt_tokens":3}}"#, r#"{"choices":[{}]}"#] {
            let facts = reply(hollow.as_bytes()).unwrap();
            assert_eq!(facts.check().unwrap_err().status(), 502, "{hollow}");
        }
    }

    #[test]
    fn vectors_are_told_from_what_is_none() {
        let told = |body: &str| vectors(body.as_bytes());
        let facts = told(
            r#"{"object":"list","data":[{"embedding":[1.0]}],"model":"e","usage":{"prompt_tokens":7,"total_tokens":9}}"#,
        );
        let facts = facts.unwrap();
        assert_eq!(facts.usage, Some(Usage { uncached_input: 7, ..Usage::default() }));
        assert_eq!((facts.model.as_deref(), facts.length), (Some("e"), 0));
        assert_eq!(
            told(r#"{"data":[],"usage":{"total_tokens":3}}"#).unwrap().usage.map(|usage| usage.total()),
            Some(3)
        );
        assert_eq!(told(r#"{"data":[]}"#).unwrap().usage, None);
        for body in ["", "[]", "{}", "<html>", r#"{"data":7}"#, r#"{"data":null}"#, r#"{"choices":[]}"#] {
            assert_eq!(told(body).unwrap_err().status(), 502, "{body}");
        }
        assert_eq!(told(r#"{"error":{"message":"no"},"data":[]}"#).unwrap_err().message(), "no");
    }
}

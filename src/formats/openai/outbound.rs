//! The provider's side: what its whole responses mean.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::errors;
use super::wire::{Answer, Choice, Vectors, is_error, is_object, total, usage, words};
use crate::error::{Error, Result};
use crate::formats::summary::ResponseSummary;
use crate::formats::tier::ServedTier;

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
        return Err(if is_error(body) {
            errors::read_in_success(body)
        } else {
            errors::invalid("a body that is not a chat completion")
        });
    };
    if answer.error.is_some() {
        return Err(errors::read_in_success(body));
    }
    let Some(choices) = &answer.choices else {
        return Err(errors::invalid("a body that has no choices"));
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
        return Err(if is_error(body) {
            errors::read_in_success(body)
        } else {
            errors::invalid("a body that is no list of embeddings")
        });
    };
    if answer.error.is_some() {
        return Err(errors::read_in_success(body));
    }
    let Some(list) = answer.data.and_then(|data| data.get().strip_prefix('[')) else {
        return Err(errors::invalid("a body that holds no embeddings"));
    };
    let is_empty = list.trim_start().starts_with(']');
    let model = answer.model.map(Cow::into_owned);
    let tier = tier(answer.service_tier, answer.usage);
    let error = is_empty.then(no_content);
    Ok(ResponseSummary { usage: total(answer.usage), model, tier, error, ..ResponseSummary::default() })
}

fn no_content() -> Error {
    errors::invalid("a body that holds no answer")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canonical::Usage;

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

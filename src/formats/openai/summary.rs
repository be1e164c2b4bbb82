//! Summaries of complete responses that pass to a client of the same format.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::errors;
use super::wire::{
    EmbeddingsResponse, TappedChoice, TappedResponse, is_error, is_object, read_prompt_usage, read_usage, served_fields,
};
use crate::error::{Error, Result};
use crate::formats::summary::ResponseSummary;
use crate::formats::tier::ServedTier;

/// Summarizes a chat completion or legacy completion that came with a success status. If it has no content,
/// the summary holds an error beside the usage.
///
/// # Errors
/// 502 if the body violates the format; the error's own status if it reports one.
pub fn of_completion(body: &[u8]) -> Result<ResponseSummary> {
    let response = serde_json::from_slice::<TappedResponse<'_>>(body).ok().filter(|_| is_object(body));
    let Some(response) = response else {
        return Err(if is_error(body) {
            errors::read_in_success(body)
        } else {
            errors::invalid("a body that is not a chat completion")
        });
    };
    if response.error.is_some() {
        return Err(errors::read_in_success(body));
    }
    let Some(choices) = &response.choices else {
        return Err(errors::without_choices(body));
    };
    let (usage, mut countable) = (read_usage(response.usage, response.x_groq), Vec::new());
    if usage.is_none() {
        choices.iter().for_each(|choice| choice.append_countable(&mut countable));
    }
    let has_output = choices.iter().any(TappedChoice::has_output);
    // A choice that failed before it had anything (OpenRouter).
    if let Some(error) = choices.iter().find_map(|choice| choice.error).filter(|_| !has_output) {
        return Err(errors::read_in_success(error.get().as_bytes()));
    }
    let is_empty = choices.iter().all(TappedChoice::is_empty);
    Ok(ResponseSummary {
        length: choices.iter().map(TappedChoice::length).sum(),
        countable,
        usage,
        model: response.model(),
        has_output,
        finish: choices.iter().find_map(TappedChoice::finish),
        tier: tier(response.service_tier, response.usage),
        error: is_empty.then(no_content),
        ..ResponseSummary::default()
    })
}

fn tier(tier: Option<&RawValue>, usage: Option<&RawValue>) -> Option<String> {
    served_fields(tier, usage).and_then(|words| ServedTier::default().take(&words).map(str::to_owned))
}

/// Summarizes an embeddings response.
///
/// # Errors
/// As [`of_completion`].
pub fn of_embeddings(body: &[u8]) -> Result<ResponseSummary> {
    let response = serde_json::from_slice::<EmbeddingsResponse<'_>>(body).ok().filter(|_| is_object(body));
    let Some(response) = response else {
        return Err(if is_error(body) {
            errors::read_in_success(body)
        } else {
            errors::invalid("a body that is no list of embeddings")
        });
    };
    if response.error.is_some() {
        return Err(errors::read_in_success(body));
    }
    let Some(list) = response.data.and_then(|data| data.get().strip_prefix('[')) else {
        return Err(errors::invalid("a body that holds no embeddings"));
    };
    let is_empty = list.trim_start().starts_with(']');
    let model = response.model.map(Cow::into_owned);
    let tier = tier(response.service_tier, response.usage);
    let error = is_empty.then(no_content);
    Ok(ResponseSummary { usage: read_prompt_usage(response.usage), model, tier, error, ..ResponseSummary::default() })
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
        let error = of_completion(br#"{"error":{"message":"no","code":429}}"#).unwrap_err();
        assert_eq!((error.status(), error.message()), (429, "no"));
        for code in ["200", "\"rate_limit\"", "null", "1e9", "401"] {
            let error =
                of_completion(format!(r#"{{"error":{{"message":"no","code":{code}}}}}"#).as_bytes()).unwrap_err();
            assert_eq!(error.status(), 502, "{code}");
        }
        let odd = of_completion(br#"{"error":{"message":"no"},"choices":"none"}"#).unwrap_err();
        assert_eq!(odd.message(), "no");
        assert!(of_completion(b"<html>").is_err());
        assert!(of_completion(b"[null,null,null,null,[]]").is_err());
        assert!(of_completion(b"{}").is_err());
        assert!(of_completion(br#"{"choices":[{"message":{"content":null}}],"error":null}"#).unwrap().check().is_ok());
        for hollow in [r#"{"choices":[],"usage":{"prompt_tokens":3}}"#, r#"{"choices":[{}]}"#] {
            let found = of_completion(hollow.as_bytes()).unwrap();
            assert_eq!(found.check().unwrap_err().status(), 502, "{hollow}");
        }
    }

    #[test]
    fn embeddings_are_distinguished_from_other_bodies() {
        let summary = |body: &str| of_embeddings(body.as_bytes());
        let found = summary(
            r#"{"object":"list","data":[{"embedding":[1.0]}],"model":"e","usage":{"prompt_tokens":7,"total_tokens":9}}"#,
        );
        let found = found.unwrap();
        assert_eq!(found.usage, Some(Usage { uncached_input: 7, ..Usage::default() }));
        assert_eq!((found.model.as_deref(), found.length), (Some("e"), 0));
        assert_eq!(
            summary(r#"{"data":[],"usage":{"total_tokens":3}}"#).unwrap().usage.map(|usage| usage.total()),
            Some(3)
        );
        assert_eq!(summary(r#"{"data":[]}"#).unwrap().usage, None);
        for body in ["", "[]", "{}", "<html>", r#"{"data":7}"#, r#"{"data":null}"#, r#"{"choices":[]}"#] {
            assert_eq!(summary(body).unwrap_err().status(), 502, "{body}");
        }
        assert_eq!(summary(r#"{"error":{"message":"no"},"data":[]}"#).unwrap_err().message(), "no");
    }
}

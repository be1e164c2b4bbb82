//! Translates log probabilities into OpenAI's form, which events have, and back.
//! Source: <https://ai.google.dev/api/generate-content#LogprobsResult>.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::canonical::Raw;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogprobsResult<'a> {
    #[serde(borrow, default)]
    chosen_candidates: Vec<TokenLogprob<'a>>,
    /// One item for each chosen token.
    #[serde(borrow, default)]
    top_candidates: Vec<TopCandidates<'a>>,
}

#[derive(Deserialize)]
struct TopCandidates<'a> {
    #[serde(borrow, default)]
    candidates: Vec<TokenLogprob<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TokenLogprob<'a> {
    #[serde(borrow, default)]
    token: Cow<'a, str>,
    /// A JSON number; omitted where it is 0.
    #[serde(borrow)]
    log_probability: Option<Raw<'a>>,
}

#[derive(Serialize)]
struct ChoiceLogprobs<'a> {
    content: Vec<ChosenLogprob<'a>>,
    /// Gemini has no log probabilities of refusals.
    refusal: Option<()>,
}

#[derive(Serialize)]
struct ChosenLogprob<'a> {
    #[serde(flatten)]
    token: WrittenLogprob<'a>,
    top_logprobs: Vec<WrittenLogprob<'a>>,
}

#[derive(Serialize)]
struct WrittenLogprob<'a> {
    token: &'a str,
    logprob: Raw<'a>,
    bytes: &'a [u8],
}

impl<'a> From<&'a TokenLogprob<'a>> for WrittenLogprob<'a> {
    fn from(token: &'a TokenLogprob<'a>) -> Self {
        let logprob = token.log_probability.clone().unwrap_or_else(|| Raw::of(&0));
        Self { token: &token.token, logprob, bytes: token.token.as_bytes() }
    }
}

/// Log probabilities in OpenAI's form; `None` if there are none or they cannot be read.
pub(crate) fn translate(raw: &Raw<'_>) -> Option<Raw<'static>> {
    let result: LogprobsResult<'_> = serde_json::from_str(raw.get())
        .ok()
        .filter(|result: &LogprobsResult<'_>| !result.chosen_candidates.is_empty())?;
    let content = result.chosen_candidates.iter().enumerate().map(|(at, token)| {
        let top = result.top_candidates.get(at).map(|top| top.candidates.as_slice()).unwrap_or_default();
        ChosenLogprob { token: token.into(), top_logprobs: top.iter().map(WrittenLogprob::from).collect() }
    });
    Some(Raw::of(&ChoiceLogprobs { content: content.collect(), refusal: None }))
}

/// Log probabilities of OpenAI's form, as far as they are read.
#[derive(Deserialize, Serialize)]
struct EventLogprobs<'a> {
    #[serde(borrow, default)]
    content: Vec<Raw<'a>>,
}

#[derive(Deserialize)]
struct EventLogprob<'a> {
    #[serde(borrow, default)]
    token: Cow<'a, str>,
    #[serde(borrow)]
    logprob: Option<Raw<'a>>,
    #[serde(borrow, default)]
    top_logprobs: Vec<EventLogprob<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RestoredLogprobs<'a> {
    top_candidates: Vec<RestoredAlternatives<'a>>,
    chosen_candidates: Vec<RestoredLogprob<'a>>,
}

#[derive(Serialize)]
struct RestoredAlternatives<'a> {
    candidates: Vec<RestoredLogprob<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RestoredLogprob<'a> {
    token: &'a str,
    log_probability: Raw<'a>,
}

impl<'a> From<&'a EventLogprob<'a>> for RestoredLogprob<'a> {
    fn from(event: &'a EventLogprob<'a>) -> Self {
        let log_probability = event.logprob.clone().unwrap_or_else(|| Raw::of(&0));
        Self { token: &event.token, log_probability }
    }
}

/// Log probabilities in Gemini's form; `None` if there are none or they cannot be read.
pub(crate) fn restore(raw: &Raw<'_>) -> Option<Raw<'static>> {
    let events: EventLogprobs<'_> = serde_json::from_str(raw.get()).ok()?;
    let tokens: Vec<EventLogprob<'_>> =
        events.content.iter().map(|token| serde_json::from_str(token.get()).ok()).collect::<Option<_>>()?;
    let has_alternatives = tokens.iter().any(|token| !token.top_logprobs.is_empty());
    let restored = RestoredLogprobs {
        top_candidates: tokens
            .iter()
            .filter(|_| has_alternatives)
            .map(|token| RestoredAlternatives {
                candidates: token.top_logprobs.iter().map(RestoredLogprob::from).collect(),
            })
            .collect(),
        chosen_candidates: tokens.iter().map(RestoredLogprob::from).collect(),
    };
    (!tokens.is_empty()).then(|| Raw::of(&restored))
}

/// Two pieces of log probabilities as one.
pub(crate) fn join(before: Option<Raw<'static>>, more: &Raw<'_>) -> Option<Raw<'static>> {
    let Some(before) = before else { return Some(more.owned()) };
    let mut all: EventLogprobs<'_> = serde_json::from_str(before.get()).ok()?;
    all.content.extend(serde_json::from_str::<EventLogprobs<'_>>(more.get()).ok()?.content);
    Some(Raw::of(&all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_probabilities_keep_their_digits() {
        let json = r#"{"chosenCandidates":[{"logProbability":-1.0489701e-05,"token":"é","tokenId":9259},{"token":"!"}],
            "topCandidates":[{"candidates":[{"logProbability":-11.782881,"token":"\""}]}]}"#;
        let expected = concat!(
            r#"{"content":[{"token":"é","logprob":-1.0489701e-05,"bytes":[195,169],"top_logprobs":[{"token":"\"","logprob":-11.782881,"bytes":[34]}]},"#,
            r#"{"token":"!","logprob":0,"bytes":[33],"top_logprobs":[]}],"refusal":null}"#
        );
        assert_eq!(translate(&Raw::parse(json).unwrap()).unwrap().get(), expected);
        assert_eq!(translate(&restore(&Raw::parse(expected).unwrap()).unwrap()).unwrap().get(), expected);
        assert_eq!(translate(&Raw::parse("{}").unwrap()), None);
        assert_eq!(translate(&Raw::parse("[7]").unwrap()), None);
    }
}

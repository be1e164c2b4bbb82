//! Gemini's log probabilities as OpenAI writes them. It knows nothing else of an answer.
//! Source: <https://ai.google.dev/api/generate-content#LogprobsResult>.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::canonical::Raw;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    #[serde(borrow, default)]
    chosen_candidates: Vec<Token<'a>>,
    /// One for each that was chosen.
    #[serde(borrow, default)]
    top_candidates: Vec<Top<'a>>,
}

#[derive(Deserialize)]
struct Top<'a> {
    #[serde(borrow, default)]
    candidates: Vec<Token<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Token<'a> {
    #[serde(borrow, default)]
    token: Cow<'a, str>,
    /// A JSON number; left out where it is 0.
    #[serde(borrow)]
    log_probability: Option<Raw<'a>>,
}

#[derive(Serialize)]
struct Written<'a> {
    content: Vec<Chosen<'a>>,
    /// Gemini tells none of what it declines to say.
    refusal: Option<()>,
}

#[derive(Serialize)]
struct Chosen<'a> {
    #[serde(flatten)]
    token: OneOf<'a>,
    top_logprobs: Vec<OneOf<'a>>,
}

#[derive(Serialize)]
struct OneOf<'a> {
    token: &'a str,
    logprob: Raw<'a>,
    bytes: &'a [u8],
}

impl<'a> From<&'a Token<'a>> for OneOf<'a> {
    fn from(token: &'a Token<'a>) -> Self {
        let logprob = token.log_probability.clone().unwrap_or_else(|| Raw::of(&0));
        Self { token: &token.token, logprob, bytes: token.token.as_bytes() }
    }
}

/// In OpenAI's form; nothing if they cannot be read, or are none.
pub(crate) fn translate(raw: &Raw<'_>) -> Option<Raw<'static>> {
    let told: Told<'_> =
        serde_json::from_str(raw.get()).ok().filter(|told: &Told<'_>| !told.chosen_candidates.is_empty())?;
    let content = told.chosen_candidates.iter().enumerate().map(|(at, token)| {
        let top = told.top_candidates.get(at).map(|top| top.candidates.as_slice()).unwrap_or_default();
        Chosen { token: token.into(), top_logprobs: top.iter().map(OneOf::from).collect() }
    });
    Some(Raw::of(&Written { content: content.collect(), refusal: None }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_probabilities_keep_their_digits() {
        let told = r#"{"chosenCandidates":[{"logProbability":-1.0489701e-05,"token":"é","tokenId":9259},{"token":"!"}],
            "topCandidates":[{"candidates":[{"logProbability":-11.782881,"token":"\""}]}]}"#;
        let expected = concat!(
            r#"{"content":[{"token":"é","logprob":-1.0489701e-05,"bytes":[195,169],"top_logprobs":[{"token":"\"","logprob":-11.782881,"bytes":[34]}]},"#,
            r#"{"token":"!","logprob":0,"bytes":[33],"top_logprobs":[]}],"refusal":null}"#
        );
        assert_eq!(translate(&Raw::parse(told).unwrap()).unwrap().get(), expected);
        assert_eq!(translate(&Raw::parse("{}").unwrap()), None);
        assert_eq!(translate(&Raw::parse("[7]").unwrap()), None);
    }
}

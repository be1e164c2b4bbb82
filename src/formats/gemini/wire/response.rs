//! The JSON of Gemini's answers, typed only where it is touched; what is really sent decides, not the reference.
//! Source: <https://ai.google.dev/api/generate-content#generatecontentresponse>.

use std::borrow::Cow;

use serde::Deserialize;

use crate::canonical::{ABSURD, Raw, Usage, read_count};
use crate::wire::list::Few;

/// A whole answer, or one chunk of a streamed one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Chunk<'a> {
    #[serde(borrow)]
    pub(crate) error: Option<Raw<'a>>,
    #[serde(borrow)]
    pub(crate) response_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) model_version: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) candidates: Option<Few<Candidate<'a>, 64>>,
    #[serde(borrow)]
    pub(crate) prompt_feedback: Option<Feedback<'a>>,
    #[serde(borrow)]
    pub(crate) usage_metadata: Option<Raw<'a>>,
}

/// Whether, and why, the question was blocked.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Feedback<'a> {
    #[serde(borrow)]
    pub(crate) block_reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) block_reason_message: Option<Cow<'a, str>>,
}

/// One of the answers.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Candidate<'a> {
    /// It is left out where there is but one.
    pub(crate) index: Option<u32>,
    #[serde(borrow)]
    pub(crate) content: Option<Content<'a>>,
    #[serde(borrow)]
    pub(crate) finish_reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) finish_message: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) logprobs_result: Option<Raw<'a>>,
}

/// What is said; it may have no parts at all.
#[derive(Deserialize)]
pub(crate) struct Content<'a> {
    #[serde(borrow)]
    pub(crate) parts: Option<Few<Part<'a>, 2_048>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Part<'a> {
    /// A JSON string.
    #[serde(borrow)]
    pub(crate) text: Option<Raw<'a>>,
    /// The text is what the model thinks.
    pub(crate) thought: Option<bool>,
    /// A JSON string.
    #[serde(borrow)]
    pub(crate) thought_signature: Option<Raw<'a>>,
    #[serde(borrow)]
    pub(crate) function_call: Option<FunctionCall<'a>>,
    #[serde(borrow)]
    pub(crate) executable_code: Option<Code<'a>>,
    #[serde(borrow)]
    pub(crate) code_execution_result: Option<Outcome<'a>>,
    #[serde(borrow)]
    pub(crate) inline_data: Option<Blob<'a>>,
}

#[derive(Deserialize)]
pub(crate) struct FunctionCall<'a> {
    #[serde(borrow)]
    pub(crate) id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) name: Option<Cow<'a, str>>,
    /// A JSON object.
    #[serde(borrow)]
    pub(crate) args: Option<Raw<'a>>,
}

/// Code that Gemini runs itself.
#[derive(Deserialize)]
pub(crate) struct Code<'a> {
    #[serde(borrow)]
    pub(crate) language: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) code: Option<Cow<'a, str>>,
}

/// What came of it.
#[derive(Deserialize)]
pub(crate) struct Outcome<'a> {
    #[serde(borrow)]
    pub(crate) output: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Blob<'a> {
    #[serde(borrow)]
    pub(crate) mime_type: Option<Cow<'a, str>>,
    /// In base64.
    #[serde(borrow)]
    pub(crate) data: Option<Cow<'a, str>>,
}

/// How the request was served, as it stands beside the tokens: by Gemini's API, or by Vertex AI
/// (<https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/GenerateContentResponse#TrafficType>).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Served<'a> {
    #[serde(borrow)]
    service_tier: Option<Raw<'a>>,
    #[serde(borrow)]
    traffic_type: Option<Raw<'a>>,
}

impl Served<'_> {
    /// The tier's word, as the API takes it in requests; nothing if none is told.
    pub(crate) fn tier(&self) -> Option<String> {
        let told = self.service_tier.as_ref().or(self.traffic_type.as_ref())?.text()?.to_ascii_lowercase();
        let word = ["service_tier_", "on_demand_"]
            .iter()
            .fold(told.as_str(), |word, start| word.strip_prefix(start).unwrap_or(word));
        Some(word.to_owned()).filter(|word| !word.is_empty() && !word.ends_with("unspecified"))
    }
}

/// Tokens (<https://ai.google.dev/api/generate-content#UsageMetadata>).
#[derive(Deserialize, Clone, Copy, Default)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Metadata {
    #[serde(deserialize_with = "read_count")]
    prompt_token_count: Option<u64>,
    /// Part of the prompt.
    #[serde(deserialize_with = "read_count")]
    cached_content_token_count: Option<u64>,
    /// Beside the prompt.
    #[serde(deserialize_with = "read_count")]
    tool_use_prompt_token_count: Option<u64>,
    #[serde(deserialize_with = "read_count")]
    candidates_token_count: Option<u64>,
    /// Beside the candidates.
    #[serde(deserialize_with = "read_count")]
    thoughts_token_count: Option<u64>,
    #[serde(deserialize_with = "read_count")]
    total_token_count: Option<u64>,
}

impl Metadata {
    /// This, with what it leaves out as it was told before: the counts of the prompt, or those of the answer. A total is of its own time.
    pub(crate) fn after(self, before: Self) -> Self {
        let prompt = if self.prompt_token_count.is_some() { self } else { before };
        let tells_answer = self.candidates_token_count.or(self.thoughts_token_count).is_some();
        let answer = if tells_answer { self } else { before };
        Self {
            prompt_token_count: prompt.prompt_token_count,
            cached_content_token_count: prompt.cached_content_token_count,
            tool_use_prompt_token_count: self.tool_use_prompt_token_count.or(prompt.tool_use_prompt_token_count),
            candidates_token_count: answer.candidates_token_count,
            thoughts_token_count: answer.thoughts_token_count,
            total_token_count: self.total_token_count,
        }
    }

    /// The same, counted as everywhere; nothing if no tokens are told.
    pub(crate) fn usage(self) -> Option<Usage> {
        self.prompt_token_count.or(self.candidates_token_count).or(self.total_token_count)?;
        let told = |count: Option<u64>| count.unwrap_or(0);
        let prompt = told(self.prompt_token_count).saturating_add(told(self.tool_use_prompt_token_count));
        let cached = self.cached_content_token_count.filter(|count| *count != ABSURD);
        let cache_read = told(cached).min(prompt);
        let (said, thought) = (told(self.candidates_token_count), told(self.thoughts_token_count));
        let beside = prompt.saturating_add(said).saturating_add(thought);
        let (output, reasoning) = match self.total_token_count {
            // The total shows that thoughts were counted among the candidates.
            Some(total) if total < beside && total == prompt.saturating_add(said) => (said, thought.min(said)),
            // It shows tokens that were not named: thoughts.
            Some(total) => {
                let thought = thought.saturating_add(total.saturating_sub(beside));
                (said.saturating_add(thought), thought)
            }
            None => (said.saturating_add(thought), thought),
        };
        Some(Usage { uncached_input: prompt - cache_read, cache_read, output, reasoning, ..Usage::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Usage> {
        serde_json::from_str::<Metadata>(text).unwrap().usage()
    }

    #[test]
    fn pain_7_cached_tokens_are_part_of_the_prompt_and_thoughts_are_part_of_the_output() {
        let all = r#"{"promptTokenCount":100,"cachedContentTokenCount":64,"toolUsePromptTokenCount":10,
            "candidatesTokenCount":20,"thoughtsTokenCount":5,"totalTokenCount":135,"trafficType":"ON_DEMAND"}"#;
        assert_eq!(
            read(all),
            Some(Usage { uncached_input: 46, cache_read: 64, output: 25, reasoning: 5, ..Usage::default() })
        );
        let within = r#"{"promptTokenCount":10,"candidatesTokenCount":20,"thoughtsTokenCount":5,"totalTokenCount":30}"#;
        assert_eq!(read(within), Some(Usage { uncached_input: 10, output: 20, reasoning: 5, ..Usage::default() }));
        let unnamed = r#"{"promptTokenCount":10,"candidatesTokenCount":20,"totalTokenCount":130}"#;
        assert_eq!(read(unnamed), Some(Usage { uncached_input: 10, output: 120, reasoning: 100, ..Usage::default() }));
        let early = r#"{"promptTokenCount":15,"totalTokenCount":15}"#;
        assert_eq!(read(early), Some(Usage { uncached_input: 15, ..Usage::default() }));
        assert_eq!(read(r#"{"trafficType":"ON_DEMAND"}"#), None);
    }
}

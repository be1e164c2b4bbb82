//! The JSON of the Gemini API's responses, typed only where it is read, as providers really send it.
//! Source: <https://ai.google.dev/api/generate-content#generatecontentresponse>.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::canonical::{IMPOSSIBLE_COUNT, Raw, Usage, read_count};
use crate::wire::list::{self, BoundedList};

/// A whole response, or one chunk of a stream.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ResponseChunk<'a> {
    #[serde(borrow)]
    pub(crate) error: Option<Raw<'a>>,
    #[serde(borrow)]
    pub(crate) response_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) model_version: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) candidates: Option<BoundedList<CandidateFields<'a>, 64>>,
    #[serde(borrow)]
    pub(crate) prompt_feedback: Option<PromptFeedback<'a>>,
    #[serde(borrow)]
    pub(crate) usage_metadata: Option<Raw<'a>>,
}

/// Whether and why the prompt was blocked.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PromptFeedback<'a> {
    #[serde(borrow)]
    pub(crate) block_reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) block_reason_message: Option<Cow<'a, str>>,
}

/// One choice.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CandidateFields<'a> {
    /// Omitted where there is only one.
    pub(crate) index: Option<u32>,
    #[serde(borrow)]
    pub(crate) content: Option<CandidateContent<'a>>,
    #[serde(borrow)]
    pub(crate) finish_reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) finish_message: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) logprobs_result: Option<Raw<'a>>,
}

/// May have no parts at all.
#[derive(Deserialize)]
pub(crate) struct CandidateContent<'a> {
    #[serde(borrow)]
    pub(crate) parts: Option<BoundedList<ResponsePart<'a>, 2_048>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ResponsePart<'a> {
    /// A JSON string.
    #[serde(borrow)]
    pub(crate) text: Option<Raw<'a>>,
    /// Whether the text is thinking.
    pub(crate) thought: Option<bool>,
    /// A JSON string.
    #[serde(borrow)]
    pub(crate) thought_signature: Option<Raw<'a>>,
    #[serde(borrow)]
    pub(crate) function_call: Option<FunctionCallFields<'a>>,
    #[serde(borrow)]
    pub(crate) executable_code: Option<ExecutableCode<'a>>,
    #[serde(borrow)]
    pub(crate) code_execution_result: Option<CodeOutput<'a>>,
    #[serde(borrow)]
    pub(crate) inline_data: Option<InlineDataFields<'a>>,
}

#[derive(Deserialize)]
pub(crate) struct FunctionCallFields<'a> {
    #[serde(borrow)]
    pub(crate) id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) name: Option<Cow<'a, str>>,
    /// A JSON object.
    #[serde(borrow)]
    pub(crate) args: Option<Raw<'a>>,
}

/// Code that ran on Google's servers.
#[derive(Deserialize)]
pub(crate) struct ExecutableCode<'a> {
    #[serde(borrow)]
    pub(crate) language: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) code: Option<Cow<'a, str>>,
}

/// The output of that code.
#[derive(Deserialize)]
pub(crate) struct CodeOutput<'a> {
    #[serde(borrow)]
    pub(crate) output: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InlineDataFields<'a> {
    #[serde(borrow)]
    pub(crate) mime_type: Option<Cow<'a, str>>,
    /// In base64.
    #[serde(borrow)]
    pub(crate) data: Option<Cow<'a, str>>,
}

/// How the request was served, reported beside the token counts: by the Gemini API, or by Vertex AI
/// (<https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/GenerateContentResponse#TrafficType>).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ServiceFields<'a> {
    #[serde(borrow)]
    service_tier: Option<Raw<'a>>,
    #[serde(borrow)]
    traffic_type: Option<Raw<'a>>,
}

impl ServiceFields<'_> {
    /// The tier in the API's word for requests; `None` if none is reported.
    pub(crate) fn tier(&self) -> Option<String> {
        let reported = self.service_tier.as_ref().or(self.traffic_type.as_ref())?.text()?.to_ascii_lowercase();
        let word = ["service_tier_", "on_demand_"]
            .iter()
            .fold(reported.as_str(), |word, start| word.strip_prefix(start).unwrap_or(word));
        Some(word.to_owned()).filter(|word| !word.is_empty() && !word.ends_with("unspecified"))
    }
}

/// Token counts (<https://ai.google.dev/api/generate-content#UsageMetadata>).
#[derive(Deserialize, Clone, Copy, Default)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct UsageMetadata {
    #[serde(deserialize_with = "read_count")]
    prompt_token_count: Option<u64>,
    /// Included in the prompt count.
    #[serde(deserialize_with = "read_count")]
    cached_content_token_count: Option<u64>,
    /// Not included in the prompt count.
    #[serde(deserialize_with = "read_count")]
    tool_use_prompt_token_count: Option<u64>,
    #[serde(deserialize_with = "read_count")]
    candidates_token_count: Option<u64>,
    /// Not included in the candidates count.
    #[serde(deserialize_with = "read_count")]
    thoughts_token_count: Option<u64>,
    #[serde(deserialize_with = "read_count")]
    total_token_count: Option<u64>,
    /// The prompt by kinds, cached or not.
    #[serde(deserialize_with = "read_modalities")]
    prompt_tokens_details: ModalityCounts,
    #[serde(deserialize_with = "read_modalities")]
    cache_tokens_details: ModalityCounts,
    #[serde(deserialize_with = "read_modalities")]
    candidates_tokens_details: ModalityCounts,
}

/// Tokens by kind, as far as a kind has a price of its own
/// (<https://ai.google.dev/api/generate-content#ModalityTokenCount>).
#[derive(Clone, Copy, Default)]
struct ModalityCounts {
    audio: u64,
    image: u64,
}

/// The tokens of one kind.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ModalityCount<'a> {
    #[serde(borrow)]
    modality: Option<Cow<'a, str>>,
    #[serde(default, deserialize_with = "read_count")]
    token_count: Option<u64>,
}

/// Reads a list of [`ModalityCount`]; other values are none.
fn read_modalities<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ModalityCounts, D::Error> {
    let raw = <&RawValue>::deserialize(deserializer)?;
    let mut counts = ModalityCounts::default();
    let mut add = |item: &RawValue| {
        let Ok(item) = serde_json::from_str::<ModalityCount<'_>>(item.get()) else { return };
        let tokens = item.token_count.filter(|tokens| *tokens != IMPOSSIBLE_COUNT).unwrap_or(0);
        let sum = match item.modality.as_deref() {
            Some("AUDIO") => &mut counts.audio,
            Some("IMAGE") => &mut counts.image,
            _ => return,
        };
        *sum = sum.saturating_add(tokens);
    };
    let _ = list::each(raw.get(), |item| {
        add(item);
        true
    });
    Ok(counts)
}

impl UsageMetadata {
    /// Fills in what this report omits from an earlier one: the counts of the prompt, or those of the
    /// response. The total is never carried over.
    pub(crate) fn after(self, before: Self) -> Self {
        let prompt = if self.prompt_token_count.is_some() { self } else { before };
        let has_output = self.candidates_token_count.or(self.thoughts_token_count).is_some();
        let output = if has_output { self } else { before };
        Self {
            prompt_token_count: prompt.prompt_token_count,
            cached_content_token_count: prompt.cached_content_token_count,
            tool_use_prompt_token_count: self.tool_use_prompt_token_count.or(prompt.tool_use_prompt_token_count),
            candidates_token_count: output.candidates_token_count,
            thoughts_token_count: output.thoughts_token_count,
            total_token_count: self.total_token_count,
            prompt_tokens_details: prompt.prompt_tokens_details,
            cache_tokens_details: prompt.cache_tokens_details,
            candidates_tokens_details: output.candidates_tokens_details,
        }
    }

    /// The counts in the canonical form; `None` if there are none.
    pub(crate) fn usage(self) -> Option<Usage> {
        self.prompt_token_count.or(self.candidates_token_count).or(self.total_token_count)?;
        let or_zero = |count: Option<u64>| count.unwrap_or(0);
        let prompt = or_zero(self.prompt_token_count).saturating_add(or_zero(self.tool_use_prompt_token_count));
        let cached = self.cached_content_token_count.filter(|count| *count != IMPOSSIBLE_COUNT);
        let cache_read = or_zero(cached).min(prompt);
        let (candidates, thought) = (or_zero(self.candidates_token_count), or_zero(self.thoughts_token_count));
        let sum = prompt.saturating_add(candidates).saturating_add(thought);
        let (output, reasoning) = match self.total_token_count {
            // The total shows that thinking was counted among the candidates.
            Some(total) if total < sum && total == prompt.saturating_add(candidates) => {
                (candidates, thought.min(candidates))
            }
            // The total shows tokens that no count names: thinking.
            Some(total) => {
                let thought = thought.saturating_add(total.saturating_sub(sum));
                (candidates.saturating_add(thought), thought)
            }
            None => (candidates.saturating_add(thought), thought),
        };
        let uncached_input = prompt - cache_read;
        let heard = self.prompt_tokens_details.audio;
        let cached_audio = self.cache_tokens_details.audio.min(cache_read).min(heard);
        Some(Usage {
            uncached_input,
            cache_read,
            output,
            reasoning,
            audio_input: (heard - cached_audio).min(uncached_input),
            cached_audio,
            audio_output: self.candidates_tokens_details.audio.min(output),
            image_output: self.candidates_tokens_details.image.min(output),
            ..Usage::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Usage> {
        serde_json::from_str::<UsageMetadata>(text).unwrap().usage()
    }

    #[test]
    fn cached_tokens_are_part_of_the_prompt_and_thinking_is_part_of_the_output() {
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

    #[test]
    fn audio_and_images_are_told_apart_by_their_kind() {
        let by_kind = r#"{"promptTokenCount":1000,"cachedContentTokenCount":400,"candidatesTokenCount":1300,
            "promptTokensDetails":[{"modality":"TEXT","tokenCount":100},{"modality":"AUDIO","tokenCount":900}],
            "cacheTokensDetails":[{"modality":"AUDIO","tokenCount":400}],
            "candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":1290},{"modality":"TEXT","tokenCount":10}]}"#;
        let usage = Usage {
            uncached_input: 600,
            cache_read: 400,
            output: 1300,
            audio_input: 500,
            cached_audio: 400,
            image_output: 1290,
            ..Usage::default()
        };
        assert_eq!(read(by_kind), Some(usage));
        let odd = r#"{"promptTokenCount":10,"promptTokensDetails":[7,{"modality":"AUDIO","tokenCount":-1},
            {"modality":"AUDIO","tokenCount":99}],"cacheTokensDetails":"none"}"#;
        assert_eq!(read(odd), Some(Usage { uncached_input: 10, audio_input: 10, ..Usage::default() }));
    }
}

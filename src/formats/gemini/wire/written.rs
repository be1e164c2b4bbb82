//! The JSON of responses for clients.
//! Source: <https://ai.google.dev/api/generate-content#generatecontentresponse>.

use serde::Serialize;

use crate::canonical::{Raw, Usage};

/// A whole response, or one chunk of a stream.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WrittenResponse<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) candidates: Vec<WrittenCandidate<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) usage_metadata: Option<WrittenUsage<'a>>,
    pub(crate) model_version: &'a str,
    pub(crate) response_id: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WrittenCandidate<'a> {
    pub(crate) content: WrittenContent<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) finish_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) finish_message: Option<String>,
    pub(crate) index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) logprobs_result: Option<Raw<'a>>,
}

#[derive(Serialize)]
pub(crate) struct WrittenContent<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) parts: Vec<WrittenPart<'a>>,
    pub(crate) role: &'static str,
}

#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum WrittenPart<'a> {
    Text {
        text: Raw<'a>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        thought: bool,
    },
    #[serde(rename_all = "camelCase")]
    Call {
        function_call: WrittenCall<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        thought_signature: Option<&'a str>,
    },
    /// A signature that came after its part was written, beside an empty text.
    #[serde(rename_all = "camelCase")]
    Signature { text: &'static str, thought_signature: &'a str },
}

#[derive(Serialize)]
pub(crate) struct WrittenCall<'a> {
    pub(crate) id: &'a str,
    pub(crate) name: &'a str,
    pub(crate) args: Raw<'static>,
}

/// Counts of 0 are left out, but for the sums.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WrittenUsage<'a> {
    prompt_token_count: u64,
    candidates_token_count: u64,
    total_token_count: u64,
    #[serde(skip_serializing_if = "is_zero")]
    cached_content_token_count: u64,
    #[serde(skip_serializing_if = "is_zero")]
    thoughts_token_count: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    prompt_tokens_details: Vec<WrittenModality>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cache_tokens_details: Vec<WrittenModality>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    candidates_tokens_details: Vec<WrittenModality>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenModality {
    modality: &'static str,
    token_count: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl<'a> WrittenUsage<'a> {
    /// Thinking is counted beside the candidates here, and within the output of [`Usage`].
    pub(crate) fn new(usage: &Usage, tier: Option<&'a str>) -> Self {
        let candidates = usage.output.saturating_sub(usage.reasoning);
        let heard = usage.audio_input.saturating_add(usage.cached_audio);
        Self {
            prompt_token_count: usage.prompt(),
            candidates_token_count: candidates,
            total_token_count: usage.total(),
            cached_content_token_count: usage.cache_read,
            thoughts_token_count: usage.reasoning,
            prompt_tokens_details: by_kind(usage.prompt(), heard, 0),
            cache_tokens_details: by_kind(usage.cache_read, usage.cached_audio, 0),
            candidates_tokens_details: by_kind(candidates, usage.audio_output, usage.image_output),
            service_tier: tier,
        }
    }
}

/// Tokens by kind, unless all of them are text.
fn by_kind(all: u64, audio: u64, image: u64) -> Vec<WrittenModality> {
    let text = all.saturating_sub(audio).saturating_sub(image);
    let kinds = [("TEXT", text), ("AUDIO", audio), ("IMAGE", image)];
    let kinds = kinds.into_iter().filter(|(_, count)| *count > 0 && audio.saturating_add(image) > 0);
    kinds.map(|(modality, token_count)| WrittenModality { modality, token_count }).collect()
}

//! The JSON of Chat Completions responses, typed only where it is read, as providers really send it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::canonical::{FinishReason, IMPOSSIBLE_COUNT, Raw, Usage, count, dollars};
use crate::formats::tier::ServedFields;
use crate::wire::dense::{member_at, parse_tree};
use crate::wire::list::BoundedList;

/// The most choices, content parts or calls that are read of a response.
pub(crate) const MAX_ITEMS: usize = 4_096;

/// An error for a client.
#[derive(Serialize)]
pub(crate) struct ErrorBody<'a> {
    pub(crate) error: ErrorFields<'a>,
}

#[derive(Serialize)]
pub(crate) struct ErrorFields<'a> {
    pub(crate) message: &'a str,
    #[serde(rename = "type")]
    pub(crate) kind: &'a str,
    pub(crate) param: Option<&'a str>,
    pub(crate) code: Option<&'a str>,
}

/// A whole response, or a chunk of a stream, of a provider.
#[derive(Deserialize)]
pub(crate) struct TappedResponse<'a> {
    #[serde(borrow, default, deserialize_with = "reported")]
    pub(crate) error: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) usage: Option<&'a RawValue>,
    /// Groq reports the usage of a stream here.
    #[serde(borrow)]
    pub(crate) x_groq: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) model: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) service_tier: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) choices: Option<BoundedList<TappedChoice<'a>, MAX_ITEMS>>,
}

/// The members of a chunk that tell something even where they are strings.
pub(crate) const READ_MEMBERS: [&str; 5] = ["error", "usage", "model", "service_tier", "choices"];

impl TappedResponse<'_> {
    /// The model that the provider reports, unless it is empty or not a string.
    pub(crate) fn model(&self) -> Option<String> {
        self.model.and_then(|raw| serde_json::from_str(raw.get()).ok()).filter(|model: &String| !model.is_empty())
    }
}

/// A whole embeddings response.
#[derive(Deserialize)]
pub(crate) struct EmbeddingsResponse<'a> {
    #[serde(borrow)]
    pub(crate) error: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) usage: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) model: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) service_tier: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) data: Option<&'a RawValue>,
}

/// The bytes around the text in a delta, `{"content":""}`, and in a message.
const DELTA_OVERHEAD: usize = 14;
const MESSAGE_OVERHEAD: usize = 50;

/// Whether JSON is an object. Serde alone would also read a list as the fields of a struct, in their order.
pub(crate) fn is_object(data: &[u8]) -> bool {
    data.trim_ascii_start().starts_with(b"{")
}

/// Reads the member of an error, unless it says that there is none.
fn reported<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    Option::deserialize(deserializer).map(|raw| raw.filter(|raw: &&RawValue| says_error(raw)))
}

/// Whether the member of an error says that there is one. Some hosts write an empty one beside each response.
pub(crate) fn says_error(raw: &RawValue) -> bool {
    !matches!(raw.get(), "null" | "\"\"" | "{}" | "[]" | "false" | "0")
}

/// The error in a body.
#[derive(Deserialize)]
struct ErrorField<'a> {
    #[serde(borrow, default, deserialize_with = "reported")]
    error: Option<&'a RawValue>,
}

/// Whether a body reports an error, whatever else it holds.
pub(crate) fn is_error(data: &[u8]) -> bool {
    is_object(data) && serde_json::from_slice::<ErrorField<'_>>(data).is_ok_and(|body| body.error.is_some())
}

#[derive(Deserialize)]
pub(crate) struct TappedChoice<'a> {
    /// Some hosts send `null`, a float or a string.
    #[serde(borrow)]
    index: Option<&'a RawValue>,
    #[serde(borrow)]
    finish_reason: Option<&'a RawValue>,
    /// The error of this choice (OpenRouter).
    #[serde(borrow, default, deserialize_with = "reported")]
    pub(crate) error: Option<&'a RawValue>,
    /// In chunks.
    #[serde(borrow)]
    pub(crate) delta: Option<&'a RawValue>,
    /// In whole responses.
    #[serde(borrow)]
    pub(crate) message: Option<&'a RawValue>,
    /// In legacy completions, whole or streamed.
    #[serde(borrow)]
    pub(crate) text: Option<&'a RawValue>,
    /// Of a stream (Moonshot).
    #[serde(borrow)]
    pub(crate) usage: Option<&'a RawValue>,
}

/// The number of a choice; 0 if it is missing or not a number.
pub(crate) fn choice_number(index: Option<&RawValue>) -> u64 {
    let raw = index.map_or("0", |raw| raw.get().trim_matches('"'));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float cast saturates")]
    raw.parse().unwrap_or_else(|_| raw.parse::<f64>().unwrap_or(0.0) as u64)
}

/// The most text that is kept of a response to count its tokens, in bytes.
const MAX_KEPT_TEXT: usize = 32 << 10;

/// A longer message holds something for the client, in bytes.
const MAX_HOLLOW: usize = 512;

/// Whether a delta, or a message, holds more than a role and empty values.
pub(crate) fn has_values(delta: &str) -> bool {
    let members: Result<BTreeMap<Cow<'_, str>, &RawValue>, _> = serde_json::from_str(delta);
    members.is_ok_and(|members| members.iter().any(|(key, value)| has_value(key, value.get())))
}

/// Whether a member of a delta, or a message, is more than a role or an empty value.
pub(crate) fn has_value(key: &str, value: &str) -> bool {
    key != "role" && !matches!(value, "null" | "\"\"" | "[]" | "{}")
}

/// The approximate length of a delta's text, in bytes.
pub(crate) fn delta_length(delta: &[u8]) -> u64 {
    delta.len().saturating_sub(DELTA_OVERHEAD) as u64
}

/// Appends a delta, or a message, as JSON on a line of its own, if it has a text and there is room.
pub(crate) fn append_countable(content: &[u8], words: &mut Vec<u8>) {
    if content.len() > DELTA_OVERHEAD && words.len() + content.len() < MAX_KEPT_TEXT {
        // JSON may have line breaks between its tokens.
        words.extend(content.iter().map(|byte| if *byte == b'\n' { b' ' } else { *byte }));
        words.push(b'\n');
    }
}

impl TappedChoice<'_> {
    /// The choice's index; 0 if it is missing or not a number.
    pub(crate) fn number(&self) -> u64 {
        choice_number(self.index)
    }

    /// Whether it has a finish reason.
    pub(crate) fn has_finished(&self) -> bool {
        self.finish_reason.is_some_and(|raw| raw.get().starts_with('"') && raw.get() != "\"\"")
    }

    /// Why it ended, if it has. What is neither a usual end nor a filter counts as a cut.
    pub(crate) fn finish(&self) -> Option<FinishReason> {
        let reason = self.finish_reason.filter(|_| self.has_finished())?;
        Some(match reason.get() {
            "\"stop\"" => FinishReason::Stop,
            "\"content_filter\"" => FinishReason::Filtered,
            _ => FinishReason::Length,
        })
    }

    /// Whether there is something for the client in a whole response. Long messages are not searched for it.
    pub(crate) fn has_output(&self) -> bool {
        let has_message = |message: &RawValue| message.get().len() > MAX_HOLLOW || has_values(message.get());
        self.message.is_some_and(has_message) || self.legacy_text().is_some()
    }

    /// Whether it holds no response: neither content, even empty, nor a finish reason.
    pub(crate) fn is_empty(&self) -> bool {
        self.delta.or(self.message).or(self.text).is_none() && !self.has_finished()
    }

    /// Appends its content as JSON on a line of its own, if there is room.
    pub(crate) fn append_countable(&self, words: &mut Vec<u8>) {
        if let Some(text) = self.legacy_text().filter(|text| words.len() + text.len() < MAX_KEPT_TEXT) {
            words.extend([b"{\"content\":", text.as_bytes(), b"}\n"].concat());
        }
        if let Some(content) = self.delta.or(self.message) {
            append_countable(content.get().as_bytes(), words);
        }
    }

    /// The approximate length of its content, in bytes.
    pub(crate) fn length(&self) -> u64 {
        if let Some(text) = self.legacy_text() {
            return text.len().saturating_sub(2) as u64;
        }
        let content = self.delta.map(|delta| delta_length(delta.get().as_bytes()));
        content
            .or_else(|| self.message.map(|message| message.get().len().saturating_sub(MESSAGE_OVERHEAD) as u64))
            .unwrap_or(0)
    }

    /// The text of a legacy completion, as JSON, unless it is empty.
    pub(crate) fn legacy_text(&self) -> Option<&str> {
        let text = self.text.filter(|_| self.delta.is_none() && self.message.is_none());
        text.map(RawValue::get).filter(|text| text.starts_with('"') && *text != "\"\"")
    }
}

/// The text of a delta, for the log.
#[derive(Deserialize)]
pub(crate) struct DeltaText<'a> {
    #[serde(borrow)]
    pub(crate) content: Option<Cow<'a, str>>,
}

/// The service fields of a response: at its top level or, with some hosts, in `usage`. `None` if it has none.
pub(crate) fn served_fields<'a>(tier: Option<&'a RawValue>, usage: Option<&'a RawValue>) -> Option<ServedFields<'a>> {
    let usage = usage.map(RawValue::get).filter(|usage| usage.starts_with('{'));
    tier.map(RawValue::get).or(usage)?;
    let in_usage: ServedFields<'_> = usage.and_then(|usage| serde_json::from_str(usage).ok()).unwrap_or_default();
    Some(ServedFields { service_tier: tier.map(Raw::from).or(in_usage.service_tier), ..in_usage })
}

/// Reads the usage in any provider's form; `None` if it is missing or null.
pub(crate) fn read_usage(raw: Option<&RawValue>, x_groq: Option<&RawValue>) -> Option<Usage> {
    let own = raw.and_then(|raw| usage_from(&parse_tree(raw.get().as_bytes())?));
    own.or_else(|| {
        let nested = parse_tree(x_groq?.get().as_bytes())?;
        usage_from(nested.get("usage")?)
    })
}

/// Reads the value of `usage` alone.
pub(crate) fn read_usage_json(raw: &str) -> Option<Usage> {
    let raw: &RawValue = serde_json::from_str(raw).ok()?;
    read_usage(Some(raw), None).or_else(|| read_prompt_usage(Some(raw)))
}

/// Reads the usage of a response that has only prompt tokens; some hosts report only `total_tokens`.
pub(crate) fn read_prompt_usage(raw: Option<&RawValue>) -> Option<Usage> {
    let usage = parse_tree(raw?.get().as_bytes())?;
    let tokens = ["prompt_tokens", "total_tokens"].iter().find_map(|name| number(&usage, &[name]));
    tokens.map(|uncached_input| Usage { uncached_input, ..Usage::default() })
}

fn usage_from(usage: &Value) -> Option<Usage> {
    let completion = number(usage, &["completion_tokens"]).unwrap_or(0);
    let reasoning = part(usage, &["completion_tokens_details", "reasoning_tokens"]).unwrap_or(0);
    let PromptTokens { prompt, cache_read, cache_write } = prompt_tokens(usage, completion, reasoning)?;
    // xAI does not include reasoning in the completion, and Gemini does not name it; the total shows it.
    let unnamed = number(usage, &["total_tokens"]).unwrap_or(0).saturating_sub(prompt.saturating_add(completion));
    let (output, reasoning) = (completion.saturating_add(unnamed), reasoning.max(unnamed));
    let uncached_input = prompt - cache_read - cache_write;
    let zero_or = |path: &[&str]| part(usage, path).unwrap_or(0);
    Some(Usage {
        uncached_input,
        cache_read,
        cache_write,
        output,
        reasoning,
        audio_input: zero_or(&["prompt_tokens_details", "audio_tokens"]).min(uncached_input),
        audio_output: zero_or(&["completion_tokens_details", "audio_tokens"]).min(output),
        image_output: zero_or(&["completion_tokens_details", "image_tokens"]).min(output),
        searches: zero_or(&["server_tool_use", "web_search_requests"]),
        reported_cost: reported_cost(usage),
        has_detailed_cost: has_detailed_cost(usage),
        ..Usage::default()
    })
}

/// The tokens of a prompt.
struct PromptTokens {
    /// All of them.
    prompt: u64,
    /// Those of them that were read from the cache.
    cache_read: u64,
    /// Those of them that were written to the cache.
    cache_write: u64,
}

/// Reads the tokens of a prompt. `prompt_tokens` includes those of the cache. Some hosts report these beside
/// it, as Anthropic does: the total shows that, or that there are more of them than of the prompt.
fn prompt_tokens(usage: &Value, completion: u64, reasoning: u64) -> Option<PromptTokens> {
    let mut prompt = number(usage, &["prompt_tokens"])?;
    let first = |paths: &[&[&str]]| paths.iter().find_map(|path| part(usage, path));
    let own = first(&[&["prompt_tokens_details", "cached_tokens"], &["prompt_cache_hit_tokens"], &["cached_tokens"]]);
    let read = own.or_else(|| part(usage, &["cache_read_input_tokens"])).unwrap_or(0);
    let write =
        first(&[&["prompt_tokens_details", "cache_write_tokens"], &["cache_creation_input_tokens"]]).unwrap_or(0);
    let cached = read.saturating_add(write);
    let total = number(usage, &["total_tokens"]);
    let unnamed = total.map(|total| total.saturating_sub(prompt.saturating_add(completion)));
    let explains = |tokens: u64| unnamed == Some(tokens);
    let total_shows = cached != reasoning && (explains(cached) || explains(cached.saturating_add(reasoning)));
    let is_more = cached > prompt && (own.is_none() || total.is_some());
    if cached > 0 && (is_more || total_shows) {
        prompt = prompt.saturating_add(cached);
    }
    let cache_read = read.min(prompt);
    Some(PromptTokens { prompt, cache_read, cache_write: write.min(prompt - cache_read) })
}

/// What the provider says it charges, in nano-dollars: OpenRouter, other gateways, Perplexity (`total_cost`).
/// With the operator's own key at OpenRouter, what that key is charged comes on top.
fn reported_cost(usage: &Value) -> Option<u64> {
    let cost = usage.get("cost")?;
    let cost = dollars(cost.get("total_cost").unwrap_or(cost))?;
    let is_own_key = usage.get("is_byok").and_then(Value::as_bool) == Some(true);
    let upstream = member_at(usage, &["cost_details", "upstream_inference_cost"]).filter(|_| is_own_key);
    Some(cost.saturating_add(upstream.and_then(dollars).unwrap_or(0)))
}

/// Whether the cost has the form that OpenRouter documents: with `cost_details` beside it. Its credits are
/// dollars (<https://openrouter.ai/docs/use-cases/usage-accounting>).
fn has_detailed_cost(usage: &Value) -> bool {
    usage.get("cost_details").is_some_and(Value::is_object)
}

fn number(value: &Value, path: &[&str]) -> Option<u64> {
    let found = member_at(value, path)?;
    // Some hosts write counts as strings.
    count(found).or_else(|| found.as_str()?.parse().ok())
}

/// A count that is part of another; `None` if it is implausible.
fn part(value: &Value, path: &[&str]) -> Option<u64> {
    number(value, path).filter(|number| *number != IMPOSSIBLE_COUNT)
}

/// The usage for a client.
#[derive(Serialize)]
pub(crate) struct WrittenUsage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: WrittenPromptDetails,
    completion_tokens_details: WrittenCompletionDetails,
    /// Only `true`: the provider reported no usage.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    estimated: bool,
}

#[derive(Serialize)]
struct WrittenPromptDetails {
    cached_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_write_tokens: Option<u64>,
}

#[derive(Serialize)]
struct WrittenCompletionDetails {
    reasoning_tokens: u64,
}

impl From<Usage> for WrittenUsage {
    fn from(usage: Usage) -> Self {
        Self {
            prompt_tokens: usage.prompt(),
            completion_tokens: usage.output,
            total_tokens: usage.total(),
            prompt_tokens_details: WrittenPromptDetails {
                cached_tokens: usage.cache_read,
                cache_write_tokens: Some(usage.cache_write).filter(|tokens| *tokens > 0),
            },
            completion_tokens_details: WrittenCompletionDetails { reasoning_tokens: usage.reasoning },
            estimated: usage.is_estimated,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Usage> {
        usage_from(&serde_json::from_str(text).unwrap())
    }

    #[test]
    fn cached_tokens_beside_the_prompt_are_added_to_it() {
        let beside = Usage { uncached_input: 10, cache_read: 1_000, cache_write: 50, output: 3, ..Usage::default() };
        let as_anthropic = r#"{"prompt_tokens":10,"completion_tokens":3,"total_tokens":13,
            "cache_read_input_tokens":1000,"cache_creation_input_tokens":50}"#;
        assert_eq!(read(as_anthropic), Some(beside), "more than the prompt");
        let by_total = r#"{"prompt_tokens":1000,"completion_tokens":3,"total_tokens":1403,
            "prompt_tokens_details":{"cached_tokens":400}}"#;
        assert_eq!(
            read(by_total),
            Some(Usage { uncached_input: 1_000, cache_read: 400, output: 3, ..Usage::default() })
        );
        let with_reasoning = r#"{"prompt_tokens":1000,"completion_tokens":3,"total_tokens":1409,
            "prompt_tokens_details":{"cached_tokens":400},"completion_tokens_details":{"reasoning_tokens":6}}"#;
        let usage = Usage { uncached_input: 1_000, cache_read: 400, output: 9, reasoning: 6, ..Usage::default() };
        assert_eq!(read(with_reasoning), Some(usage));
        let within =
            r#"{"prompt_tokens":1000,"completion_tokens":3,"total_tokens":1003,"cache_read_input_tokens":400}"#;
        assert_eq!(read(within), Some(Usage { uncached_input: 600, cache_read: 400, output: 3, ..Usage::default() }));
    }

    #[test]
    fn media_searches_and_the_providers_charge_are_read() {
        let spoken = r#"{"prompt_tokens":100,"completion_tokens":30,"total_tokens":130,"cost":0.0123,
            "prompt_tokens_details":{"audio_tokens":40},"completion_tokens_details":{"audio_tokens":20,"image_tokens":5},
            "server_tool_use":{"web_search_requests":2}}"#;
        let usage = Usage {
            uncached_input: 100,
            output: 30,
            audio_input: 40,
            audio_output: 20,
            image_output: 5,
            searches: 2,
            reported_cost: Some(12_300_000),
            ..Usage::default()
        };
        assert_eq!(read(spoken), Some(usage));
        let cost = |more: &str| read(&format!(r#"{{"prompt_tokens":1,{more}}}"#)).unwrap().reported_cost;
        let own_key = r#""cost":0.001,"is_byok":true,"cost_details":{"upstream_inference_cost":0.02}"#;
        assert_eq!(cost(own_key), Some(21_000_000));
        assert_eq!(cost(&own_key.replace("true", "false")), Some(1_000_000));
        assert_eq!(cost(r#""cost":{"input_tokens_cost":0.1,"total_cost":0.3}"#), Some(300_000_000));
        assert_eq!([cost(r#""cost":null"#), cost(r#""cost":-1"#), cost(r#""cost":{}"#)], [None; 3]);
    }

    #[test]
    fn usage_in_every_spelling() {
        let openai = r#"{"prompt_tokens":100,"completion_tokens":30,"total_tokens":130,
            "prompt_tokens_details":{"cached_tokens":64,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":20}}"#;
        assert_eq!(
            read(openai),
            Some(Usage { uncached_input: 36, cache_read: 64, output: 30, reasoning: 20, ..Usage::default() })
        );
        let deepseek = r#"{"prompt_tokens":10,"completion_tokens":3,"total_tokens":13,"prompt_cache_hit_tokens":4,"prompt_cache_miss_tokens":6}"#;
        assert_eq!(read(deepseek), Some(Usage { uncached_input: 6, cache_read: 4, output: 3, ..Usage::default() }));
        let beside = r#"{"prompt_tokens":10,"completion_tokens":3,"total_tokens":113,"completion_tokens_details":{"reasoning_tokens":100}}"#;
        assert_eq!(read(beside), Some(Usage { uncached_input: 10, output: 103, reasoning: 100, ..Usage::default() }));
        let unnamed = r#"{"prompt_tokens":10,"completion_tokens":3,"total_tokens":113}"#;
        assert_eq!(read(unnamed), read(beside));
        let short = r#"{"prompt_tokens":10,"completion_tokens":3,"total_tokens":1}"#;
        assert_eq!(read(short), Some(Usage { uncached_input: 10, output: 3, ..Usage::default() }));
        let nulls = r#"{"prompt_tokens":10,"completion_tokens":null,"prompt_tokens_details":null}"#;
        assert_eq!(read(nulls), Some(Usage { uncached_input: 10, ..Usage::default() }));
        assert_eq!(read("null"), None);
        assert_eq!(read("{}"), None);
        let impossible = r#"{"prompt_tokens":10,"prompt_tokens_details":{"cached_tokens":18446744073709551615}}"#;
        assert_eq!(read(impossible), Some(Usage { uncached_input: 10, ..Usage::default() }));
        assert_eq!(
            read(r#"{"prompt_tokens":1e400}"#.replace("1e400", "-5").as_str()).map(|usage| usage.uncached_input),
            Some(IMPOSSIBLE_COUNT)
        );
    }
}

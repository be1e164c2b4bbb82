//! The JSON of Chat Completions, typed only where it is touched; what providers really send decides, not the published schema.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::canonical::{ABSURD, Raw, Usage, count};
use crate::formats::tier::Words;
use crate::wire::dense::tree;
use crate::wire::list::Few;

/// The most choices of an answer that are read, parts of one of them, and calls.
pub(crate) const MOST: usize = 4_096;

/// An error as it goes to a client.
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

/// A whole answer or one chunk of a streamed one, as it comes from a provider.
#[derive(Deserialize)]
pub(crate) struct Answer<'a> {
    #[serde(borrow)]
    pub(crate) error: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) usage: Option<&'a RawValue>,
    /// Groq: usage of a stream.
    #[serde(borrow)]
    pub(crate) x_groq: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) model: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) service_tier: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) choices: Option<Few<Choice<'a>, MOST>>,
}

impl Answer<'_> {
    /// The model that the provider says it used, if it is a name.
    pub(crate) fn model(&self) -> Option<String> {
        self.model.and_then(|raw| serde_json::from_str(raw.get()).ok()).filter(|model: &String| !model.is_empty())
    }
}

/// A whole answer with vectors.
#[derive(Deserialize)]
pub(crate) struct Vectors<'a> {
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

/// What stands around the text of a delta, `{"content":""}`, and of a message, in bytes.
const DELTA: usize = 14;
const MESSAGE: usize = 50;

/// Whether JSON, if it is any, is an object: a list would pass for the members of a struct, in their order.
pub(crate) fn is_object(data: &[u8]) -> bool {
    data.trim_ascii_start().starts_with(b"{")
}

/// The error in what is otherwise no answer.
#[derive(Deserialize)]
struct Failure<'a> {
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// Whether some JSON reports an error, whatever else it holds.
pub(crate) fn is_error(data: &[u8]) -> bool {
    is_object(data) && serde_json::from_slice::<Failure<'_>>(data).is_ok_and(|failure| failure.error.is_some())
}

#[derive(Deserialize)]
pub(crate) struct Choice<'a> {
    /// Some hosts send `null`, a float or a text.
    #[serde(borrow)]
    index: Option<&'a RawValue>,
    #[serde(borrow)]
    finish_reason: Option<&'a RawValue>,
    /// OpenRouter: why this choice failed.
    #[serde(borrow)]
    pub(crate) error: Option<&'a RawValue>,
    /// Of a chunk.
    #[serde(borrow)]
    pub(crate) delta: Option<&'a RawValue>,
    /// Of a whole answer.
    #[serde(borrow)]
    pub(crate) message: Option<&'a RawValue>,
    /// Of a completion that is no chat's, whole or a chunk.
    #[serde(borrow)]
    pub(crate) text: Option<&'a RawValue>,
}

/// So much of an answer is kept for its tokens to be counted, in bytes.
const WORDS: usize = 32 << 10;

impl Choice<'_> {
    /// Its number; what is none counts as the first.
    pub(crate) fn number(&self) -> u64 {
        let raw = self.index.map_or("0", |raw| raw.get().trim_matches('"'));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float cast saturates")]
        raw.parse().unwrap_or_else(|_| raw.parse::<f64>().unwrap_or(0.0) as u64)
    }

    /// Whether it gives its reason to finish.
    pub(crate) fn has_finished(&self) -> bool {
        self.finish_reason.is_some_and(|raw| raw.get().starts_with('"') && raw.get() != "\"\"")
    }

    /// Whether it is no answer: neither something said, be it empty, nor a reason to finish.
    pub(crate) fn is_hollow(&self) -> bool {
        self.delta.or(self.message).or(self.text).is_none() && !self.has_finished()
    }

    /// Keeps what it says, as JSON on a line of its own, if there is room.
    pub(crate) fn note(&self, words: &mut Vec<u8>) {
        if let Some(text) = self.plain().filter(|text| words.len() + text.len() < WORDS) {
            words.extend([b"{\"content\":", text.as_bytes(), b"}\n"].concat());
        }
        let said = self.delta.or(self.message).map(|raw| raw.get().as_bytes()).filter(|said| said.len() > DELTA);
        if let Some(said) = said.filter(|said| words.len() + said.len() < WORDS) {
            // Between its words, JSON may break lines.
            words.extend(said.iter().map(|byte| if *byte == b'\n' { b' ' } else { *byte }));
            words.push(b'\n');
        }
    }

    /// How much it says, in bytes: roughly, for estimates.
    pub(crate) fn length(&self) -> u64 {
        if let Some(text) = self.plain() {
            return text.len().saturating_sub(2) as u64;
        }
        let said = self.delta.map(|delta| delta.get().len().saturating_sub(DELTA));
        said.or_else(|| self.message.map(|message| message.get().len().saturating_sub(MESSAGE))).unwrap_or(0) as u64
    }

    /// The text of a completion that is no chat's, as JSON, if it says anything.
    pub(crate) fn plain(&self) -> Option<&str> {
        let text = self.text.filter(|_| self.delta.is_none() && self.message.is_none());
        text.map(RawValue::get).filter(|text| text.starts_with('"') && *text != "\"\"")
    }
}

/// The text of a delta, for operators who want answers in their log.
#[derive(Deserialize)]
pub(crate) struct Delta<'a> {
    #[serde(borrow)]
    pub(crate) content: Option<Cow<'a, str>>,
}

/// What an answer says of how it was made: at its top level, or, as some hosts do, beside its tokens. `None` if it says nothing.
pub(crate) fn words<'a>(tier: Option<&'a RawValue>, usage: Option<&'a RawValue>) -> Option<Words<'a>> {
    let usage = usage.map(RawValue::get).filter(|usage| usage.starts_with('{'));
    tier.map(RawValue::get).or(usage)?;
    let beside: Words<'_> = usage.and_then(|usage| serde_json::from_str(usage).ok()).unwrap_or_default();
    Some(Words { service_tier: tier.map(Raw::from).or(beside.service_tier), ..beside })
}

/// Usage in any of the spellings that providers have for it; nothing if it is not there, or null.
pub(crate) fn usage(raw: Option<&RawValue>, x_groq: Option<&RawValue>) -> Option<Usage> {
    let own = raw.and_then(|raw| read_usage(&tree(raw.get().as_bytes())?));
    own.or_else(|| {
        let nested = tree(x_groq?.get().as_bytes())?;
        read_usage(nested.get("usage")?)
    })
}

/// The value of `usage` alone.
pub(crate) fn told(raw: &str) -> Option<Usage> {
    let raw: &RawValue = serde_json::from_str(raw).ok()?;
    usage(Some(raw), None).or_else(|| total(Some(raw)))
}

/// All tokens of an answer that is not told in tokens: those of its prompt. Some hosts tell nothing else.
pub(crate) fn total(raw: Option<&RawValue>) -> Option<Usage> {
    let usage = tree(raw?.get().as_bytes())?;
    let tokens = ["/prompt_tokens", "/total_tokens"].iter().find_map(|path| number(&usage, path));
    tokens.map(|fresh| Usage { uncached_input: fresh, ..Usage::default() })
}

fn read_usage(usage: &Value) -> Option<Usage> {
    let prompt = number(usage, "/prompt_tokens")?;
    let cache_read = ["/prompt_tokens_details/cached_tokens", "/prompt_cache_hit_tokens", "/cached_tokens"];
    let cache_read = cache_read.iter().find_map(|path| part(usage, path)).unwrap_or(0).min(prompt);
    let cache_write = part(usage, "/prompt_tokens_details/cache_write_tokens").unwrap_or(0).min(prompt - cache_read);
    let reasoning = part(usage, "/completion_tokens_details/reasoning_tokens").unwrap_or(0);
    let completion = number(usage, "/completion_tokens").unwrap_or(0);
    // xAI counts reasoning beside the completion, and Gemini does not even name it; the total tells.
    let beside = number(usage, "/total_tokens").unwrap_or(0).saturating_sub(prompt.saturating_add(completion));
    let (output, reasoning) = (completion.saturating_add(beside), reasoning.max(beside));
    let fresh = prompt - cache_read - cache_write;
    Some(Usage { uncached_input: fresh, cache_read, cache_write, output, reasoning, ..Usage::default() })
}

fn number(value: &Value, path: &str) -> Option<u64> {
    count(value.pointer(path)?)
}

/// A part of a count; one that cannot be is none.
fn part(value: &Value, path: &str) -> Option<u64> {
    number(value, path).filter(|number| *number != ABSURD)
}

/// Usage as it goes to a client.
#[derive(Serialize)]
pub(crate) struct OutUsage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: OutPromptDetails,
    completion_tokens_details: OutCompletionDetails,
}

#[derive(Serialize)]
struct OutPromptDetails {
    cached_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_write_tokens: Option<u64>,
}

#[derive(Serialize)]
struct OutCompletionDetails {
    reasoning_tokens: u64,
}

impl From<Usage> for OutUsage {
    fn from(usage: Usage) -> Self {
        Self {
            prompt_tokens: usage.prompt(),
            completion_tokens: usage.output,
            total_tokens: usage.total(),
            prompt_tokens_details: OutPromptDetails {
                cached_tokens: usage.cache_read,
                cache_write_tokens: Some(usage.cache_write).filter(|tokens| *tokens > 0),
            },
            completion_tokens_details: OutCompletionDetails { reasoning_tokens: usage.reasoning },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Usage> {
        read_usage(&serde_json::from_str(text).unwrap())
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
        assert_eq!(
            read(r#"{"prompt_tokens":1e400}"#.replace("1e400", "-5").as_str()).map(|usage| usage.uncached_input),
            Some(ABSURD)
        );
    }
}

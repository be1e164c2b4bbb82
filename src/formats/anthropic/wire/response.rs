//! The JSON of the Messages API as providers send it, typed only where it is read.

use std::borrow::Cow;

use serde::Deserialize;

use crate::canonical::{Raw, Usage, read_count};
use crate::wire::list::BoundedList;

/// A whole message, or the one in `message_start`.
#[derive(Deserialize)]
pub(crate) struct MessageFields<'a> {
    #[serde(borrow)]
    pub(crate) id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) model: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) content: Option<BoundedList<Raw<'a>, 10_000>>,
    #[serde(borrow)]
    pub(crate) stop_reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) usage: Option<Raw<'a>>,
}

/// An event of a stream. Which fields are present depends on its type.
#[derive(Deserialize)]
pub(crate) struct EventFields<'a> {
    #[serde(borrow, rename = "type")]
    pub(crate) kind: Cow<'a, str>,
    #[serde(default)]
    pub(crate) index: u64,
    #[serde(borrow)]
    pub(crate) message: Option<Raw<'a>>,
    #[serde(borrow)]
    pub(crate) content_block: Option<Raw<'a>>,
    #[serde(borrow)]
    pub(crate) delta: Option<Raw<'a>>,
    #[serde(borrow)]
    pub(crate) usage: Option<Raw<'a>>,
}

/// A block, a delta of one, or the delta of the message at its end.
#[derive(Deserialize)]
pub(crate) struct BlockFields<'a> {
    #[serde(borrow, default, rename = "type")]
    pub(crate) kind: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) text: Option<Raw<'a>>,
    #[serde(borrow)]
    pub(crate) thinking: Option<Raw<'a>>,
    #[serde(borrow)]
    pub(crate) signature: Option<Raw<'a>>,
    #[serde(borrow)]
    pub(crate) id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) input: Option<Raw<'a>>,
    #[serde(borrow)]
    pub(crate) partial_json: Option<Raw<'a>>,
    #[serde(borrow)]
    pub(crate) stop_reason: Option<Cow<'a, str>>,
}

/// Token counts so far. A missing field keeps its value.
#[derive(Deserialize)]
pub(crate) struct UsageFields {
    #[serde(default, deserialize_with = "read_count")]
    pub(crate) input_tokens: Option<u64>,
    #[serde(default, deserialize_with = "read_count")]
    pub(crate) cache_read_input_tokens: Option<u64>,
    /// All tokens written to the cache.
    #[serde(default, deserialize_with = "read_count")]
    pub(crate) cache_creation_input_tokens: Option<u64>,
    /// The same by time to live.
    pub(crate) cache_creation: Option<CacheCreationFields>,
    #[serde(default, deserialize_with = "read_count")]
    pub(crate) output_tokens: Option<u64>,
    pub(crate) output_tokens_details: Option<OutputDetailFields>,
}

/// Tokens written to the cache, by time to live.
/// Source: <https://platform.claude.com/docs/en/build-with-claude/prompt-caching>, "1-hour cache duration".
#[derive(Deserialize)]
pub(crate) struct CacheCreationFields {
    #[serde(default, deserialize_with = "read_count")]
    pub(crate) ephemeral_5m_input_tokens: Option<u64>,
    #[serde(default, deserialize_with = "read_count")]
    pub(crate) ephemeral_1h_input_tokens: Option<u64>,
}

impl CacheCreationFields {
    /// The sum, if either is given.
    fn sum(&self) -> Option<u64> {
        let (five_minutes, one_hour) = (self.ephemeral_5m_input_tokens, self.ephemeral_1h_input_tokens);
        five_minutes.or(one_hour).map(|_| five_minutes.unwrap_or(0).saturating_add(one_hour.unwrap_or(0)))
    }
}

/// How the output tokens were spent.
#[derive(Deserialize)]
pub(crate) struct OutputDetailFields {
    #[serde(default, deserialize_with = "read_count")]
    pub(crate) thinking_tokens: Option<u64>,
}

impl UsageFields {
    /// Overwrites the counts that are given here: the last report of each counts.
    pub(crate) fn update(&self, usage: &mut Usage) {
        let creation = self.cache_creation.as_ref();
        let cache_write = self.cache_creation_input_tokens.or(creation.and_then(CacheCreationFields::sum));
        let fields = [
            (&mut usage.uncached_input, self.input_tokens),
            (&mut usage.cache_read, self.cache_read_input_tokens),
            (&mut usage.cache_write, cache_write),
            (&mut usage.cache_write_1h, creation.and_then(|creation| creation.ephemeral_1h_input_tokens)),
            (&mut usage.output, self.output_tokens),
            (&mut usage.reasoning, self.output_tokens_details.as_ref().and_then(|details| details.thinking_tokens)),
        ];
        for (field, reported) in fields {
            *field = reported.unwrap_or(*field);
        }
        // Keep the part no larger than the whole, whichever was corrected last.
        usage.cache_write_1h = usage.cache_write_1h.min(usage.cache_write);
    }
}

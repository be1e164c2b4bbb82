//! The JSON of the Messages API that providers send, typed only where it is read: a whole message, stream events, usage.

use std::borrow::Cow;

use serde::Deserialize;

use crate::canonical::{Raw, Usage, read_count};
use crate::wire::list::Few;

/// A whole answer, or what `message_start` says of one.
#[derive(Deserialize)]
pub(crate) struct Answer<'a> {
    #[serde(borrow)]
    pub(crate) id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) model: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) content: Option<Few<Raw<'a>, 10_000>>,
    #[serde(borrow)]
    pub(crate) stop_reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) usage: Option<Raw<'a>>,
}

/// One event of a streamed answer; which fields are there depends on its type.
#[derive(Deserialize)]
pub(crate) struct Step<'a> {
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

/// A block of an answer, or a piece of one, or the end of the answer.
#[derive(Deserialize)]
pub(crate) struct Said<'a> {
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

/// The tokens so far. A field that is missing says nothing new.
#[derive(Deserialize)]
pub(crate) struct Tokens {
    #[serde(default, deserialize_with = "read_count")]
    pub(crate) input_tokens: Option<u64>,
    #[serde(default, deserialize_with = "read_count")]
    pub(crate) cache_read_input_tokens: Option<u64>,
    /// All that was written to the cache.
    #[serde(default, deserialize_with = "read_count")]
    pub(crate) cache_creation_input_tokens: Option<u64>,
    /// The same by the time for which it is kept.
    pub(crate) cache_creation: Option<Creation>,
    #[serde(default, deserialize_with = "read_count")]
    pub(crate) output_tokens: Option<u64>,
    pub(crate) output_tokens_details: Option<Details>,
}

/// What was written to the cache, by the time for which it is kept.
/// Source: <https://platform.claude.com/docs/en/build-with-claude/prompt-caching>, "1-hour cache duration".
#[derive(Deserialize)]
pub(crate) struct Creation {
    #[serde(default, deserialize_with = "read_count")]
    pub(crate) ephemeral_5m_input_tokens: Option<u64>,
    #[serde(default, deserialize_with = "read_count")]
    pub(crate) ephemeral_1h_input_tokens: Option<u64>,
}

impl Creation {
    /// All of it, if something is told.
    fn sum(&self) -> Option<u64> {
        let (short, hour) = (self.ephemeral_5m_input_tokens, self.ephemeral_1h_input_tokens);
        short.or(hour).map(|_| short.unwrap_or(0).saturating_add(hour.unwrap_or(0)))
    }
}

/// What the tokens of the answer were for.
#[derive(Deserialize)]
pub(crate) struct Details {
    #[serde(default, deserialize_with = "read_count")]
    pub(crate) thinking_tokens: Option<u64>,
}

impl Tokens {
    /// Takes over what is said here; the last word on each number counts.
    pub(crate) fn update(&self, usage: &mut Usage) {
        let creation = self.cache_creation.as_ref();
        let cache_write = self.cache_creation_input_tokens.or(creation.and_then(Creation::sum));
        let fields = [
            (&mut usage.uncached_input, self.input_tokens),
            (&mut usage.cache_read, self.cache_read_input_tokens),
            (&mut usage.cache_write, cache_write),
            (&mut usage.cache_write_1h, creation.and_then(|creation| creation.ephemeral_1h_input_tokens)),
            (&mut usage.output, self.output_tokens),
            (&mut usage.reasoning, self.output_tokens_details.as_ref().and_then(|details| details.thinking_tokens)),
        ];
        for (field, said) in fields {
            *field = said.unwrap_or(*field);
        }
        // A part is no more than the whole, whichever was corrected last.
        usage.cache_write_1h = usage.cache_write_1h.min(usage.cache_write);
    }
}

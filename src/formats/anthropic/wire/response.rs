//! The JSON of the Messages API as providers send it, typed only where it is read.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;

use crate::canonical::{Raw, Usage, count, dollars, read_count};
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
    /// Empty if it is missing.
    #[serde(borrow, default, rename = "type")]
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
    /// Uses of tools that run on Anthropic's servers. A search costs something apart from its tokens.
    pub(crate) server_tool_use: Option<Value>,
    /// What each step took, where there were several.
    pub(crate) iterations: Option<Value>,
    /// What a host of this format says it charges, in dollars.
    pub(crate) cost: Option<Value>,
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
    fn update(&self, usage: &mut Usage) {
        let creation = self.cache_creation.as_ref();
        let cache_write = self.cache_creation_input_tokens.or(creation.and_then(CacheCreationFields::sum));
        let searches = self.server_tool_use.as_ref().and_then(|uses| count(uses.get("web_search_requests")?));
        let fields = [
            (&mut usage.uncached_input, self.input_tokens),
            (&mut usage.cache_read, self.cache_read_input_tokens),
            (&mut usage.cache_write, cache_write),
            (&mut usage.cache_write_1h, creation.and_then(|creation| creation.ephemeral_1h_input_tokens)),
            (&mut usage.output, self.output_tokens),
            (&mut usage.reasoning, self.output_tokens_details.as_ref().and_then(|details| details.thinking_tokens)),
            (&mut usage.searches, searches),
        ];
        for (field, reported) in fields {
            *field = reported.unwrap_or(*field);
        }
        usage.reported_cost = self.cost.as_ref().and_then(dollars).or(usage.reported_cost);
        // Keep the part no larger than the whole, whichever was corrected last.
        usage.cache_write_1h = usage.cache_write_1h.min(usage.cache_write);
    }
}

/// The steps of a response, as their `type` names them.
/// Source: <https://platform.claude.com/docs/en/build-with-claude/compaction>, "Understanding usage".
const MESSAGE_STEP: &str = "message";
/// A summary of the conversation, which the counts beside the list of steps do not include.
const COMPACTION_STEP: &str = "compaction";

/// What has been reported of a response's usage.
#[derive(Default)]
pub(crate) struct ReportedUsage {
    message: Usage,
    /// The tokens of summaries that the provider made of the conversation.
    compaction: Usage,
}

impl ReportedUsage {
    /// Takes a report.
    pub(crate) fn take(&mut self, fields: &UsageFields) {
        fields.update(&mut self.message);
        let Some(steps) = fields.iterations.as_ref().and_then(Value::as_array) else { return };
        self.compaction = Usage::default();
        for step in steps {
            match step.get("type").and_then(Value::as_str) {
                Some(COMPACTION_STEP) => self.add_compaction(step),
                Some(MESSAGE_STEP) | None => {}
                // An advisor is another model, at its own price.
                Some(_) => self.message.has_other_model = true,
            }
        }
    }

    fn add_compaction(&mut self, step: &Value) {
        let Ok(fields) = UsageFields::deserialize(step) else { return };
        let mut usage = Usage::default();
        fields.update(&mut usage);
        self.compaction = self.compaction.with_tokens_of(&usage);
    }

    /// What was used in all.
    pub(crate) fn total(&self) -> Usage {
        self.message.with_tokens_of(&self.compaction)
    }
}

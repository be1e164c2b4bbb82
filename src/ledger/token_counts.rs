//! Tokens of one request, or of many, by kind.

use serde::{Deserialize, Serialize};

use crate::canonical::Usage;

/// Tokens by kind. The stored name of `uncached_input` is `fresh`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenCounts {
    /// Prompt tokens that were not cached.
    #[serde(rename = "fresh")]
    pub uncached_input: u64,
    /// Prompt tokens read from the provider's cache.
    pub cache_read: u64,
    /// Prompt tokens written to the provider's cache.
    pub cache_write: u64,
    /// The part of `cache_write` that is cached for an hour. Missing in older data.
    #[serde(default)]
    pub cache_write_1h: u64,
    /// Output tokens, reasoning included.
    pub output: u64,
    /// The part of `output` that is reasoning.
    pub reasoning: u64,
}

impl From<Usage> for TokenCounts {
    fn from(usage: Usage) -> Self {
        let Usage { uncached_input, cache_read, cache_write, cache_write_1h, output, reasoning, .. } = usage;
        Self { uncached_input, cache_read, cache_write, cache_write_1h, output, reasoning }
    }
}

impl TokenCounts {
    /// All tokens.
    pub fn sum(&self) -> u64 {
        [self.cache_read, self.cache_write, self.output].into_iter().fold(self.uncached_input, u64::saturating_add)
    }

    /// Adds other counts.
    pub fn add(&mut self, more: &Self) {
        self.uncached_input = self.uncached_input.saturating_add(more.uncached_input);
        self.cache_read = self.cache_read.saturating_add(more.cache_read);
        self.cache_write = self.cache_write.saturating_add(more.cache_write);
        self.cache_write_1h = self.cache_write_1h.saturating_add(more.cache_write_1h);
        self.output = self.output.saturating_add(more.output);
        self.reasoning = self.reasoning.saturating_add(more.reasoning);
    }

    pub(super) fn subtract(&mut self, less: &Self) {
        self.uncached_input = self.uncached_input.saturating_sub(less.uncached_input);
        self.cache_read = self.cache_read.saturating_sub(less.cache_read);
        self.cache_write = self.cache_write.saturating_sub(less.cache_write);
        self.cache_write_1h = self.cache_write_1h.saturating_sub(less.cache_write_1h);
        self.output = self.output.saturating_sub(less.output);
        self.reasoning = self.reasoning.saturating_sub(less.reasoning);
    }
}

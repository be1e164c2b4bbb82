//! Token counts in receipts and usage reports.

use serde::Serialize;

use crate::ledger::TokenCounts;

/// Token counts as JSON. `prompt` is the sum of `fresh`, `cache_read` and `cache_write`.
#[derive(Serialize)]
pub struct TokenView {
    prompt: u64,
    #[serde(rename = "fresh")]
    uncached_input: u64,
    cache_read: u64,
    cache_write: u64,
    cache_write_1h: u64,
    completion: u64,
    reasoning: u64,
}

impl From<&TokenCounts> for TokenView {
    fn from(tokens: &TokenCounts) -> Self {
        let TokenCounts { uncached_input, cache_read, cache_write, cache_write_1h, output, reasoning } = *tokens;
        let prompt = uncached_input.saturating_add(cache_read).saturating_add(cache_write);
        Self { prompt, uncached_input, cache_read, cache_write, cache_write_1h, completion: output, reasoning }
    }
}

impl TokenView {
    /// The names of the columns in a CSV file.
    pub const COLUMNS: [&str; 7] = [
        "prompt_tokens",
        "fresh_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
        "cache_write_1h_tokens",
        "completion_tokens",
        "reasoning_tokens",
    ];

    /// The cells of these columns.
    pub fn cells(&self) -> [String; 7] {
        [
            self.prompt,
            self.uncached_input,
            self.cache_read,
            self.cache_write,
            self.cache_write_1h,
            self.completion,
            self.reasoning,
        ]
        .map(|count| count.to_string())
    }
}

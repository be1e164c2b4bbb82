//! What is known of a model: its price, its size, and how it is asked.

use crate::config::{Nanos, Rates};

/// What is known of a model's price and size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModelCard {
    /// What it costs; nothing if nobody said, for a price is never guessed.
    pub price: Option<ModelPrice>,
    /// The most that it takes, prompt and answer together, in tokens.
    pub context: Option<u64>,
    /// The longest answer that it gives, in tokens.
    pub max_output: Option<u64>,
    /// How its text is cut into tokens.
    pub encoding: Option<CardEncoding>,
    /// The names of the answer's limit that the provider honours, the one to set first; none if nobody said.
    pub limit_fields: &'static [&'static str],
    /// Whether it thinks before it answers, which its limit has to leave room for.
    pub thinks: bool,
    /// The tokens that it may make in a second, if somebody said.
    pub tokens_per_second: Option<u64>,
}

/// A way to cut text into tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardEncoding {
    /// The one with 200,000 tokens.
    O200k,
    /// The one with 100,000 tokens.
    Cl100k,
}

/// What a model costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModelPrice {
    /// Where the provider names no tier, or its usual one.
    pub standard: TierRates,
    /// By the word with which the provider says how it served a request.
    pub tiers: &'static [(&'static str, TierRates)],
    /// For each request, besides its tokens.
    pub per_request: Nanos,
}

/// What the tokens of one tier cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TierRates {
    /// As a rule.
    pub rates: Rates,
    /// With a long prompt.
    pub long: Option<&'static LongContextRates>,
}

/// What all tokens of a request cost whose prompt is long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongContextRates {
    /// A prompt is long if it has more tokens than this.
    pub above: u64,
    /// The rates of the whole request.
    pub rates: Rates,
}

//! What is known of a model: price, sizes, encoding, and the fields that limit its output.

use crate::config::{Nanos, Rates};

/// What is known of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModelCard {
    /// Its price; none if unknown, since a price is never guessed.
    pub price: Option<ModelPrice>,
    /// The context window, prompt and output together, in tokens.
    pub context: Option<u64>,
    /// The longest output, in tokens.
    pub max_output: Option<u64>,
    /// The encoding of its tokens.
    pub encoding: Option<CardEncoding>,
    /// The output-limit fields that the provider honours, the one to set first; empty if unknown.
    pub limit_fields: &'static [&'static str],
    /// Whether it reasons before it answers, which an output limit has to leave room for.
    pub thinks: bool,
    /// The tokens that it can produce in a second, if known.
    pub tokens_per_second: Option<u64>,
}

/// An encoding of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardEncoding {
    /// 200,000 tokens.
    O200k,
    /// 100,000 tokens.
    Cl100k,
}

/// The price of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModelPrice {
    /// The rates of the standard tier, and of responses that name no tier.
    pub standard: TierRates,
    /// The rates of other tiers, by the name that the provider reports.
    pub tiers: &'static [(&'static str, TierRates)],
    /// Per request, in nano-dollars, in addition to tokens.
    pub per_request: Nanos,
}

/// The rates of one service tier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TierRates {
    /// The usual rates.
    pub rates: Rates,
    /// The rates of requests with a long prompt.
    pub long: Option<&'static LongContextRates>,
}

/// The rates of a request with a long prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongContextRates {
    /// A prompt is long if it has more tokens than this.
    pub above: u64,
    /// The rates of all tokens of the request.
    pub rates: Rates,
}

//! What an operator writes about money: a model's own price, and which price list counts for a provider. It knows no list's rows, and no sums.

use super::units::Nanos;
use super::yaml::{Node, Table};

/// What a token costs, in pico-dollars (dollars per million tokens × 1,000,000), each kind resolved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// A prompt token that is read anew.
    pub input: u64,
    /// One read from the provider's cache.
    pub cached_input: u64,
    /// One written to it.
    pub cache_write: u64,
    /// One written to it for an hour.
    pub cache_write_1h: u64,
    /// A token of the answer.
    pub output: u64,
    /// A token of the answer that was reasoning.
    pub reasoning: u64,
}

/// The price in a model's row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConfiguredPrice {
    /// For each token.
    pub rates: Rates,
    /// For each request, besides.
    pub per_request: Nanos,
}

/// Which price list counts for a provider's models that have no price of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Catalogue {
    /// The one that has the provider's host, if any.
    ByHost,
    /// This one, of [`CATALOGUES`].
    Named(&'static str),
    /// None.
    Nothing,
}

/// The names of the price lists that the gateway was built with.
pub const CATALOGUES: &[&str] = include!(concat!(env!("OUT_DIR"), "/catalogue_names.rs"));

/// Dollars per million tokens have so many decimals at most, and dollars per request so many.
const RATE_PLACES: i32 = 6;
const REQUEST_PLACES: i32 = 9;

/// What may stand in a price.
const KEYS: &[&str] = &["input", "cached_input", "cache_write", "cache_write_1h", "output", "reasoning", "per_request"];

impl Catalogue {
    pub(super) fn read(provider: &Table<'_>) -> Self {
        let named = CATALOGUES.iter().map(|name| (*name, Self::Named(name)));
        let choices: Vec<(&str, Self)> = named.chain([("none", Self::Nothing)]).collect();
        provider.at("catalogue").and_then(|node| node.choice(&choices)).unwrap_or(Self::ByHost)
    }
}

impl ConfiguredPrice {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let table = node.table(KEYS)?;
        let rate = |key: &str| table.at(key).and_then(|node| node.dollars(RATE_PLACES));
        let needed = |key: &str| {
            if table.at(key).is_none() {
                node.fault(format!("`{key}` is missing: dollars per million tokens"));
            }
            rate(key)
        };
        let (input, output) = (needed("input"), needed("output"));
        let (cached_input, reasoning) = (rate("cached_input"), rate("reasoning"));
        let (cache_write, cache_write_1h) = (rate("cache_write"), rate("cache_write_1h"));
        let per_request = table.at("per_request").and_then(|node| node.dollars(REQUEST_PLACES)).unwrap_or(0);
        let (input, output) = (input?, output?);
        let rates = Rates {
            input,
            cached_input: cached_input.unwrap_or(input),
            cache_write: cache_write.unwrap_or(input),
            cache_write_1h: cache_write_1h.or(cache_write).unwrap_or(input),
            output,
            reasoning: reasoning.unwrap_or(output),
        };
        Some(Self { rates, per_request })
    }
}

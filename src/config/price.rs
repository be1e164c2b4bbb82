//! Prices in the configuration file: the price of a model, and the host in the catalogue for a provider.

use super::address::Address;
use super::units::Nanos;
use super::yaml::{Node, Table};
use crate::catalogue::price::Rates;
use crate::catalogue::{self, Host};

/// `price` in a model's row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConfiguredPrice {
    /// Per token.
    pub rates: Rates,
    /// Per request, in addition to tokens.
    pub per_request: Nanos,
}

/// `catalogue` in a provider's row: the host of the catalogue that applies to it.
#[derive(Clone, Copy, Debug)]
pub enum Catalogue {
    /// The host with the provider's address, if there is one.
    ByHost,
    /// This host.
    Named(&'static Host),
    /// No host.
    Nothing,
}

/// The most decimals of dollars per million tokens.
const RATE_PLACES: i32 = 6;
/// The most decimals of dollars per request.
const REQUEST_PLACES: i32 = 9;

const KEYS: &[&str] = &["input", "cached_input", "cache_write", "cache_write_1h", "output", "reasoning", "per_request"];

impl Catalogue {
    pub(super) fn read(provider: &Table<'_>) -> Self {
        let named = catalogue::hosts().iter().map(|host| (host.name, Self::Named(host)));
        let choices: Vec<(&str, Self)> = named.chain([("none", Self::Nothing)]).collect();
        provider.at("catalogue").and_then(|node| node.choice(&choices)).unwrap_or(Self::ByHost)
    }
}

impl Catalogue {
    /// The host, for a provider at this address.
    pub(super) fn host(self, address: Option<&Address>) -> Option<&'static Host> {
        match self {
            Self::ByHost => address.and_then(|address| catalogue::host_at(address.host(), address.path())),
            Self::Named(host) => Some(host),
            Self::Nothing => None,
        }
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

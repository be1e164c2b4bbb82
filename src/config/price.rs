//! Prices in the configuration file: the price of a model, and the host in the catalogue for a provider.

use super::address::Address;
use super::yaml::{Node, Table};
use crate::catalogue::price::{DatedPrice, Hours, LongContextRates, ModelPrice, Rates, TierRates};
use crate::catalogue::{self, Host, calendar};

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

pub(super) const RATE_KEYS: &[&str] =
    &["input", "cached_input", "cache_write", "cache_write_1h", "output", "reasoning"];
/// The keys of an entry of a list, beside those of a price.
const ENTRY_KEYS: &[&str] = &["from", "hours", "weekdays_only", "unknown"];
/// The keys of a price, beside those of its rates.
const PRICE_KEYS: &[&str] = &["per_request", "long", "tiers"];

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

/// Reads `price` in a model's row: one price, or a list of prices with the time in which each holds.
pub(super) fn read(node: &Node<'_>) -> Vec<DatedPrice> {
    if node.is_list() {
        node.list().unwrap_or_default().iter().filter_map(entry).collect()
    } else {
        let price = node.table(&[RATE_KEYS, PRICE_KEYS].concat()).and_then(|table| model_price(&table));
        price.map(|price| DatedPrice { from: 0, hours: None, price: Some(price) }).into_iter().collect()
    }
}

/// An entry of a list of prices.
fn entry(node: &Node<'_>) -> Option<DatedPrice> {
    let table = node.table(&[ENTRY_KEYS, RATE_KEYS, PRICE_KEYS].concat())?;
    let from = table.at("from").map_or(Some(0), |node| day(&node));
    let weekdays_only = table.at("weekdays_only").and_then(|node| node.flag()).unwrap_or(false);
    let hours = table.at("hours").map_or(Some(None), |node| hours(&node, weekdays_only).map(Some));
    let is_unknown = table.at("unknown").and_then(|node| node.flag()).unwrap_or(false);
    let price = if is_unknown { None } else { Some(model_price(&table)?) };
    Some(DatedPrice { from: from?, hours: hours?, price })
}

fn day(node: &Node<'_>) -> Option<u64> {
    let midnight = calendar::midnight(&node.text()?);
    if midnight.is_none() {
        node.fault("expected a day, such as 2026-12-01");
    }
    midnight
}

fn hours(node: &Node<'_>, weekdays_only: bool) -> Option<Hours> {
    let mut of_day = 0;
    for span in node.list()? {
        match calendar::hours(&span.text()?) {
            Some(hours) => of_day |= hours,
            None => span.fault("expected a span of whole hours (UTC), such as 01-04"),
        }
    }
    Some(Hours { of_day, weekdays_only })
}

/// A price, whose keys have been checked.
fn model_price(table: &Table<'_>) -> Option<ModelPrice> {
    let standard = tier_rates(table);
    let tiers = table.at("tiers").and_then(|node| tiers(&node)).unwrap_or_default();
    let per_request = table.at("per_request").and_then(|node| node.dollars(REQUEST_PLACES)).unwrap_or(0);
    Some(ModelPrice { standard: standard?, tiers, per_request, per_search: None })
}

fn tiers(node: &Node<'_>) -> Option<&'static [(&'static str, TierRates)]> {
    let tier = |(name, node): (String, Node<'_>)| {
        let table = node.table(&[RATE_KEYS, &["long"]].concat())?;
        Some((&*name.leak(), tier_rates(&table)?))
    };
    let tiers: Vec<_> = node.entries()?.into_iter().filter_map(tier).collect();
    // Prices are copied into every request, so they refer to what lives as long as the isolate. An isolate
    // reads its configuration once.
    Some(&*tiers.leak())
}

/// The rates of a tier, whose keys have been checked.
fn tier_rates(table: &Table<'_>) -> Option<TierRates> {
    let rates = rates(table);
    let long = table.at("long").and_then(|node| long(&node));
    Some(TierRates { rates: rates?, long })
}

fn long(node: &Node<'_>) -> Option<&'static LongContextRates> {
    let table = node.table(&[RATE_KEYS, &["above"]].concat())?;
    let rates = rates(&table);
    let Some(above) = table.at("above") else {
        node.fault("`above` is missing: the tokens of the longest prompt at the usual rates");
        return None;
    };
    Some(&*Box::leak(Box::new(LongContextRates { above: above.count(1)?, rates: rates? })))
}

/// A kind of token without a rate of its own costs what the kind it belongs to costs.
fn rates(table: &Table<'_>) -> Option<Rates> {
    let rate = |key: &str| table.at(key).and_then(|node| node.dollars(RATE_PLACES));
    let needed = |key: &str| {
        if table.at(key).is_none() {
            table.node().fault(format!("`{key}` is missing: dollars per million tokens"));
        }
        rate(key)
    };
    let (input, output) = (needed("input"), needed("output"));
    let (cached_input, reasoning) = (rate("cached_input"), rate("reasoning"));
    let (cache_write, cache_write_1h) = (rate("cache_write"), rate("cache_write_1h"));
    let (input, output) = (input?, output?);
    Some(Rates {
        input,
        cached_input: cached_input.unwrap_or(input),
        cache_write: cache_write.unwrap_or(input),
        cache_write_1h: cache_write_1h.or(cache_write).unwrap_or(input),
        output,
        reasoning: reasoning.unwrap_or(output),
        media: None,
    })
}

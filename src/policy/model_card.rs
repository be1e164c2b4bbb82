//! What is known of a model at a provider: the catalogue's facts, where the operator's configuration says nothing else.

use crate::catalogue::field::Field;
use crate::catalogue::price::{ModelPrice, TierRates};
use crate::catalogue::{self, Facts, price};
use crate::config::{Catalogue, ConfiguredPrice, Millis, Model, Provider};

/// What is known of a model at a provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModelCard {
    /// Its price; none if unknown, since a price is never guessed.
    pub price: Option<ModelPrice>,
    /// The context window, prompt and output together, in tokens.
    pub context: Option<u64>,
    /// The longest output, in tokens.
    pub max_output: Option<u64>,
    /// The output-limit fields that the provider honours, the one to set first; empty if unknown.
    pub limit_fields: &'static [&'static str],
    /// Whether it reasons before it responds, which an output limit has to leave room for.
    pub thinks: bool,
    /// The tokens that it can produce in a second, if known.
    pub tokens_per_second: Option<u64>,
    /// All facts of the catalogue.
    pub facts: Facts,
}

impl ModelCard {
    /// The card of a model as its provider names it, `upstream`, with the price that holds at `now`. A provider without an
    /// address costs nothing: the gateway answers itself.
    pub fn of(provider: &Provider, model: &Model, upstream: &str, now: Millis) -> Self {
        let listed = catalogue::resolve(provider.adapter, provider.host, upstream);
        let is_own = provider.address.is_none() && matches!(provider.catalogue, Catalogue::ByHost);
        let listed_price = if is_own { Some(ModelPrice::default()) } else { price::at(listed.prices, now) };
        let facts = listed.facts;
        Self {
            price: model.price.map(flat).or(listed_price),
            context: model.context.or(facts.count(Field::Context)),
            max_output: model.max_output.or(facts.count(Field::MaxOutput)),
            limit_fields: facts.names(Field::LimitFields),
            thinks: facts.flag(Field::Thinks),
            tokens_per_second: model.tokens_per_second.or(facts.count(Field::TokensPerSecond)),
            facts,
        }
    }
}

/// A price without tiers, the same for prompts of any length.
fn flat(fee: ConfiguredPrice) -> ModelPrice {
    ModelPrice { standard: TierRates { rates: fee.rates, long: None }, tiers: &[], per_request: fee.per_request }
}

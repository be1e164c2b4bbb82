//! The known facts about a model at a provider: those of the configuration, else those of the catalogue.

use crate::catalogue::field::{Field, Fit, Value};
use crate::catalogue::price::ModelPrice;
use crate::catalogue::{self, Fact, Facts, Resolved, price};
use crate::config::{Catalogue, FitScope, Millis, Model, Provider, StreamUsage};

/// What `stream_usage: leave` says of a provider.
const NO_STREAM_OPTIONS: &[Fact] = &[Fact { field: Field::StreamOptions, value: Value::Fit(Fit::Drop) }];

/// Which reports of its own charges by a provider count, where no price is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CountedReports {
    /// None.
    #[default]
    Nothing,
    /// Those in a form whose documentation states the currency ([`Usage::has_detailed_cost`]).
    ///
    /// [`Usage::has_detailed_cost`]: crate::canonical::Usage::has_detailed_cost
    Detailed,
    /// All.
    All,
}

/// The known facts about a model at a provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModelCard {
    /// The price. `None` if unknown, because a price is never guessed.
    pub price: Option<ModelPrice>,
    /// The context window, prompt and output together, in tokens.
    pub context: Option<u64>,
    /// The longest output, in tokens.
    pub max_output: Option<u64>,
    /// The output-limit fields that the provider honours, the one to set first; empty if unknown.
    pub limit_fields: &'static [&'static str],
    /// Whether it reasons before it responds. Reasoning counts towards an output limit.
    pub thinks: bool,
    /// The tokens that it can produce in a second, if known.
    pub tokens_per_second: Option<u64>,
    /// The provider's own reports of its charges that count where no price is known.
    pub counted_reports: CountedReports,
    /// All facts of the catalogue.
    pub facts: Facts,
}

impl ModelCard {
    /// The card of the model that its provider calls `upstream`, with the price at the time `now`. A provider
    /// without an address is free, because the gateway writes its responses itself.
    pub fn of(provider: &Provider, model: &Model, upstream: &str, now: Millis) -> Self {
        let listed = catalogue::resolve(provider.adapter, provider.host, upstream);
        Self::with_learned(provider, model, listed, now, &[])
    }

    /// The card of a model, with what the catalogue lists of it, and with facts that the provider's refusals
    /// have taught. They precede those of the catalogue, but not the operator's.
    pub fn with_learned(provider: &Provider, model: &Model, listed: Resolved, now: Millis, learned: &[Fact]) -> Self {
        let is_own = provider.address.is_none() && matches!(provider.catalogue, Catalogue::ByHost);
        let listed_price = if is_own { Some(ModelPrice::default()) } else { price::at(listed.prices, now) };
        let mut facts = listed.facts;
        if provider.fit == FitScope::Never {
            facts.forget_fits();
        }
        facts.overlay(learned);
        facts.overlay(&provider.facts);
        facts.overlay(&model.facts);
        if provider.streaming.usage == StreamUsage::Leave {
            facts.overlay(NO_STREAM_OPTIONS);
        }
        let per_search = facts.count(Field::SearchFee);
        let price = price::entry_at(&model.prices, now).map_or(listed_price, |entry| entry.price);
        Self {
            price: price.map(|price| ModelPrice { per_search, ..price }),
            context: facts.count(Field::Context),
            max_output: facts.count(Field::MaxOutput),
            limit_fields: facts.names(Field::LimitFields),
            thinks: facts.flag(Field::Thinks),
            tokens_per_second: facts.count(Field::TokensPerSecond),
            counted_reports: match facts.word(Field::ReportsCost) {
                Some("usd") => CountedReports::All,
                Some("usd_if_detailed") => CountedReports::Detailed,
                _ => CountedReports::Nothing,
            },
            facts,
        }
    }
}

//! What operators see of providers and models: all that are configured, whether they can be called and why
//! not, and where prices come from.

use super::Bridge;
use super::models::list_body;
use crate::catalogue::{self, Evidence, Source};
use crate::config::{KeySource, Millis, Provider};
use crate::formats;
use crate::policy::model_card::ModelCard;
use crate::policy::routing;
use crate::provider::ProviderAccount;
use crate::telemetry::{AttemptSummary, BillLine};

/// All providers and models.
#[derive(Debug)]
pub struct ModelOverview<'b> {
    /// The provider of names without a provider.
    pub default_provider: &'b str,
    /// The providers, in the order of the configuration.
    pub providers: Vec<ProviderOverview<'b>>,
    /// The list of all models, as callers get it with `?all=true`.
    pub models: Vec<u8>,
    /// Where the present prices of listed models come from, by the models' names.
    pub price_sources: Vec<(String, PriceSource)>,
}

/// One provider.
#[derive(Debug)]
pub struct ProviderOverview<'b> {
    /// Its name.
    pub name: &'b str,
    /// Its wire format.
    pub format: &'static str,
    /// The name of its host; `None` if the gateway writes the responses itself.
    pub host: Option<&'b str>,
    /// The variables of its keys, in their order. Empty if it needs none.
    pub key_variables: Vec<&'b str>,
    /// How many keys it is called with.
    pub keys: usize,
    /// The variable that has to be set before it can be called.
    pub missing: Option<&'b str>,
    /// Whether it is called through a proxy.
    pub is_proxied: bool,
}

/// Where a price comes from.
#[derive(Debug)]
pub struct PriceSource {
    /// The row, in words.
    pub origin: String,
    /// Where the row was read; `None` for the operator's.
    pub source: Option<&'static Source>,
}

impl PriceSource {
    /// Whether the provider's own document states it; `None` for the operator's.
    pub fn is_documented(&self) -> Option<bool> {
        self.source.map(|source| source.evidence == Evidence::Documented)
    }
}

/// All providers and models at the time `now`.
pub fn overview(bridge: &Bridge, now: Millis) -> ModelOverview<'_> {
    let config = &bridge.config;
    let default = config.providers.get(config.default_provider);
    ModelOverview {
        default_provider: default.map_or("", |provider| &provider.name),
        providers: config.providers.iter().enumerate().map(|row| of_provider(bridge, row)).collect(),
        models: list_body(bridge, formats::CHAT, true, now),
        price_sources: config.providers.iter().flat_map(|provider| price_sources(provider, now)).collect(),
    }
}

fn of_provider<'b>(bridge: &'b Bridge, (index, provider): (usize, &'b Provider)) -> ProviderOverview<'b> {
    let account = bridge.account(index);
    let key_variables = match &provider.key {
        KeySource::Keyless => Vec::new(),
        KeySource::Secrets { variables, .. } => variables.iter().map(|variable| variable.name.as_str()).collect(),
    };
    ProviderOverview {
        name: &provider.name,
        format: provider.adapter,
        host: provider.address.as_ref().map(|address| address.host()),
        key_variables,
        keys: account.keys().len(),
        missing: if let ProviderAccount::Missing(name) = account { Some(name) } else { None },
        is_proxied: bridge.proxy(index).is_some(),
    }
}

/// Where the prices come from that an attempt was billed by. `None` if it has no bill, or if the gateway now
/// knows other prices for the time of the attempt.
pub fn source_of_bill(bridge: &Bridge, attempt: &AttemptSummary) -> Option<PriceSource> {
    let AttemptSummary { provider, model, started, bill, .. } = attempt;
    let provider = bridge.config.provider(provider).filter(|_| !bill.is_empty())?;
    let listed = provider.models.iter().find(|row| row.upstream == *model);
    let row = listed.or_else(|| provider.pattern(model))?;
    let price = ModelCard::of(provider, row, model, *started).price?;
    if !bill.iter().all(|BillLine(kind, _, rate)| price.has_rate(kind, *rate)) {
        return None;
    }
    let found = catalogue::price_row(provider.adapter, provider.host, model, &row.prices, *started)?;
    Some(PriceSource { origin: found.origin.to_string(), source: found.source })
}

fn price_sources(provider: &Provider, now: Millis) -> impl Iterator<Item = (String, PriceSource)> {
    provider.models.iter().filter_map(move |model| {
        let row = catalogue::price_row(provider.adapter, provider.host, &model.upstream, &model.prices, now)?;
        let source = PriceSource { origin: row.origin.to_string(), source: row.source };
        Some((routing::id(provider, model), source))
    })
}

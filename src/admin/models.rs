//! The providers and models of the configuration, as operators see them: all, with the reason why one cannot
//! be called, and the sources of prices.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

use super::json_response::json;
use crate::gateway::{Bridge, Platform, PriceSource, ProviderOverview, Response, overview};

#[derive(Serialize)]
struct ModelsView<'b> {
    object: &'static str,
    default_provider: &'b str,
    providers: Vec<ProviderView<'b>>,
    /// The list as callers get it.
    models: Box<RawValue>,
    price_sources: BTreeMap<String, SourceView>,
}

#[derive(Serialize)]
struct ProviderView<'b> {
    name: &'b str,
    format: &'static str,
    host: Option<&'b str>,
    key_variables: Vec<&'b str>,
    keys: usize,
    missing: Option<&'b str>,
    is_proxied: bool,
}

/// Where a price comes from.
#[derive(Serialize)]
pub struct SourceView {
    origin: String,
    name: Option<&'static str>,
    date: Option<&'static str>,
    is_documented: Option<bool>,
}

/// Lists all providers and models.
pub fn list<P: Platform>(bridge: &Bridge, platform: &P) -> Response<P> {
    let found = overview(bridge, platform.now());
    // The gateway has written it, so it is JSON.
    let models = String::from_utf8(found.models).ok().and_then(|text| RawValue::from_string(text).ok());
    json(
        200,
        &ModelsView {
            object: "models",
            default_provider: found.default_provider,
            providers: found.providers.into_iter().map(provider).collect(),
            models: models.unwrap_or_default(),
            price_sources: found.price_sources.into_iter().map(|(model, found)| (model, source(&found))).collect(),
        },
    )
}

fn provider(found: ProviderOverview<'_>) -> ProviderView<'_> {
    let ProviderOverview { name, format, host, key_variables, keys, missing, is_proxied } = found;
    ProviderView { name, format, host, key_variables, keys, missing, is_proxied }
}

/// The source as JSON.
pub fn source(found: &PriceSource) -> SourceView {
    SourceView {
        origin: found.origin.clone(),
        name: found.source.map(|source| source.name),
        date: found.source.map(|source| source.date),
        is_documented: found.is_documented(),
    }
}

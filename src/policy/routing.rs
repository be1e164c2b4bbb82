//! Resolves a model's name to the provider and the row that serve it.

use std::borrow::Cow;

use crate::config::{Config, Model, Provider, near, without_hint};
use crate::error::{Error, Result};

/// The provider and model that serve a request.
#[derive(Clone, Debug)]
pub struct Target<'c> {
    /// The index of the provider in the configuration.
    pub index: usize,
    /// The provider.
    pub provider: &'c Provider,
    /// The row of the model.
    pub model: &'c Model,
    /// The name that the provider uses for the model.
    pub upstream: Cow<'c, str>,
}

/// The most characters of an unknown name that are compared and shown.
const MAX_SHOWN_NAME: usize = 120;

/// Resolves a model's name: `provider/model`, or a model of the default provider.
///
/// # Errors
/// 404 `model_not_found`, with the most similar known names.
pub fn resolve<'c>(config: &'c Config, name: &str) -> Result<Target<'c>> {
    let (index, model) = split(config, name);
    let found = config
        .providers
        .get(index)
        .and_then(|provider| find(provider, model).map(|(row, upstream)| (provider, row, upstream)));
    let (provider, model, upstream) = found.ok_or_else(|| unknown(config, name))?;
    Ok(Target { index, provider, model, upstream })
}

/// The index of the provider that a name belongs to, and the name without the provider's prefix.
fn split<'n>(config: &Config, name: &'n str) -> (usize, &'n str) {
    let prefixed = name.split_once('/').and_then(|(prefix, model)| {
        let index = config.providers.iter().position(|provider| provider.name == prefix)?;
        Some((index, model))
    });
    prefixed.unwrap_or((config.default_provider, name))
}

fn find<'c>(provider: &'c Provider, name: &str) -> Option<(&'c Model, Cow<'c, str>)> {
    if let Some(model) = provider.model(name) {
        return Some((model, Cow::Borrowed(&model.upstream)));
    }
    // A variant has to be listed, even where any model is allowed.
    if name.is_empty() || without_hint(name).is_some() {
        return None;
    }
    provider.pattern(name).map(|row| (row, Cow::Owned(name.to_owned())))
}

fn unknown(config: &Config, name: &str) -> Error {
    let shown: String = name.chars().take(MAX_SHOWN_NAME).collect();
    let (_, model) = split(config, &shown);
    let mut near: Vec<(f64, String)> = config
        .providers
        .iter()
        .flat_map(|provider| provider.models.iter().map(move |row| (provider, row)))
        .map(|(provider, row)| {
            let id = id(provider, row);
            (near::score(&shown, &id).max(near::score(model, &row.name)), id)
        })
        .filter(|(score, _)| *score > near::NEAR)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    let near: Vec<String> = near.into_iter().take(3).map(|(_, id)| format!("`{id}`")).collect();
    let hint = if near.is_empty() { String::new() } else { format!(" Did you mean {}?", near.join(", ")) };
    let message = format!("The model `{shown}` is not known here.{hint} GET /v1/models lists what can be called.");
    Error::caller(404, "model_not_found", message).at("model")
}

/// The full name of a model: `provider/model`.
pub fn id(provider: &Provider, model: &Model) -> String {
    format!("{}/{}", provider.name, model.name)
}

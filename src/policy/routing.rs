//! Resolves a model's name to the providers and rows that serve it.

use std::borrow::Cow;

use crate::config::{Clocks, Config, Millis, Model, OnContentFilter, Provider, Strategy, When, near, without_hint};
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
    /// The time limits of an attempt: those of the row, or of the route.
    pub clocks: Clocks,
    /// The key that is used, an index among the provider's.
    pub key: usize,
}

/// The targets that can serve a request, and the rules of its plan. A plain model is a route of one
/// candidate.
#[derive(Clone, Debug)]
pub struct Route<'c> {
    /// The name of the configured route; `None` for a plain model, and for an order that the client brings.
    pub name: Option<&'c str>,
    /// How the order of the candidates is chosen.
    pub strategy: Strategy,
    /// The targets, in the order of the configuration or of the client; at least one.
    pub candidates: Vec<Candidate<'c>>,
    /// The most attempts for one request, if the configuration says; see [`Route::attempts`].
    pub max_attempts: Option<u32>,
    /// The time until the first content of an attempt, if the route is configured with one.
    pub first_token: Option<Millis>,
    /// The time between two chunks of an attempt's stream, if the route is configured with one.
    pub idle: Option<Millis>,
    /// What happens when a provider's content policy refuses the request.
    pub on_content_filter: OnContentFilter,
    /// Whether the plan stays with the target that it tries first, because the request refuses fallbacks.
    /// Another key of that target may still be tried.
    pub keeps_to_target: bool,
}

/// A target of a route.
#[derive(Clone, Debug)]
pub struct Candidate<'c> {
    /// The target.
    pub target: Target<'c>,
    /// Its share among the targets of a weighted route; 0 for a target that is only tried after others.
    pub weight: u32,
    /// The requests that it is tried for.
    pub when: When,
    /// The name by which the client asked for it: 0 for the first name of [`Route::of_names`], and so on.
    pub asked: usize,
}

/// The attempts of a route that is configured without a number.
const DEFAULT_ATTEMPTS: u32 = 3;
/// The time until the first content, and between two chunks, of a route with several targets whose
/// configuration says nothing.
const DEFAULT_SILENCE: Millis = 30_000;

impl<'c> Route<'c> {
    /// The route to one target.
    pub fn of_target(target: Target<'c>) -> Self {
        Self {
            name: None,
            strategy: Strategy::Priority,
            candidates: vec![Candidate { target, weight: 1, when: When::default(), asked: 0 }],
            max_attempts: None,
            first_token: None,
            idle: None,
            on_content_filter: OnContentFilter::Stop,
            keeps_to_target: false,
        }
    }

    /// The route of a client's own order: the candidates of the first name, then those of the second.
    ///
    /// # Errors
    /// As [`resolve`], for the first name that leads nowhere.
    pub fn of_names(config: &'c Config, names: &[&str]) -> Result<Self> {
        let mut names = names.iter().enumerate();
        let mut route = resolve(config, names.next().map_or("", |(_, name)| *name))?;
        for (asked, name) in names {
            let next = resolve(config, name)?.candidates.into_iter().map(|candidate| Candidate { asked, ..candidate });
            (route.name, route.strategy) = (None, Strategy::Priority);
            route.candidates.extend(next);
        }
        Ok(route)
    }

    /// The most attempts for one request: as configured; else 3 for several targets, and for one target a try
    /// for each of its `keys`, 3 at most.
    pub fn attempts(&self, keys: usize) -> u32 {
        let tries = if self.candidates.len() > 1 { DEFAULT_ATTEMPTS } else { u32::try_from(keys).unwrap_or(u32::MAX) };
        self.max_attempts.unwrap_or(tries.clamp(1, DEFAULT_ATTEMPTS))
    }

    /// The time limits of an attempt at one of the targets: those of the model's row, and the route's if they
    /// are shorter. A route with several targets has a limit for silence also if none is configured.
    pub fn clocks(&self, target: &Target<'_>) -> Clocks {
        let own = target.model.clocks;
        let default = if self.candidates.len() > 1 { Some(DEFAULT_SILENCE) } else { None };
        let limit = |of_model: Option<Millis>, of_route: Option<Millis>| {
            [of_model, of_route].into_iter().flatten().min().or(default)
        };
        Clocks { first_token: limit(own.first_token, self.first_token), idle: limit(own.idle, self.idle), ..own }
    }
}

/// The most characters of an unknown name that are compared and shown.
const MAX_SHOWN_NAME: usize = 120;

/// Resolves a model's name: `provider/model`, or a model of the default provider.
///
/// # Errors
/// 404 `model_not_found`, with the most similar known names.
pub fn resolve<'c>(config: &'c Config, name: &str) -> Result<Route<'c>> {
    let (index, model) = split(config, name);
    let found = config
        .providers
        .get(index)
        .and_then(|provider| find(provider, model).map(|(row, upstream)| (provider, row, upstream)));
    let (provider, model, upstream) = found.ok_or_else(|| unknown(config, name))?;
    Ok(Route::of_target(Target { index, provider, model, upstream, clocks: model.clocks, key: 0 }))
}

/// The first target of the route of a name.
///
/// # Errors
/// As [`resolve`].
pub fn resolve_target<'c>(config: &'c Config, name: &str) -> Result<Target<'c>> {
    let first = resolve(config, name)?.candidates.into_iter().next();
    first.map(|candidate| candidate.target).ok_or_else(|| unknown(config, name))
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

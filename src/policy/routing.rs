//! Resolves a model's name to the providers and rows that serve it.

use std::borrow::Cow;

use super::rendezvous::NodeId;
use crate::config::names::{self, NoMatch, find_row};
use crate::config::{
    Clocks, Config, EgressRule, Meaning, Millis, Model, ModelIndex, OnContentFilter, Provider, Recover, Region,
    RouteRow, RouteTarget, Sticky, Strategy, When, near,
};
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

impl<'c> Target<'c> {
    /// How its calls leave.
    pub fn egress(&self) -> &'c EgressRule {
        self.model.egress.as_ref().unwrap_or(&self.provider.egress)
    }

    /// The region from which its calls leave, or may leave.
    pub fn region(&self) -> Option<Region> {
        if let EgressRule::Region(rule) = self.egress() { Some(rule.region) } else { None }
    }

    /// What identifies it in every order of targets. A variant is a target of its own: what holds of a
    /// model that reasons hard does not hold of the same model when it reasons little.
    pub fn node(&self) -> NodeId {
        let (provider, upstream) = (self.provider.name.as_bytes(), self.upstream.as_bytes());
        match self.model.name.as_str() {
            name if name != self.upstream && !self.model.is_pattern() => {
                NodeId::of(&[provider, upstream, name.as_bytes()])
            }
            _ => NodeId::of(&[provider, upstream]),
        }
    }

    /// What identifies the model in whose cache a prompt is, which its variants share.
    pub fn cache(&self) -> NodeId {
        NodeId::of(&[self.provider.name.as_bytes(), self.upstream.as_bytes()])
    }

    /// Whether both are the same model of the same provider, with the same row.
    pub fn is(&self, other: &Target<'_>) -> bool {
        self.index == other.index && self.upstream == other.upstream && self.model.name == other.model.name
    }
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
    /// What keeps its target and key.
    pub sticky: Sticky,
    /// What follows when a stream fails after its content has begun.
    pub recover: Recover,
    /// The longest that a stream is held by [`Recover::Buffer`], if the route is configured with a limit.
    pub hold: Option<Millis>,
    /// What asks a model to go on from a text, if the route is configured with it.
    pub continue_with: Option<&'c str>,
    /// Whether the plan stays with the target that it tries first, because the request refuses fallbacks.
    /// Another key of that target may still be tried.
    pub keeps_to_target: bool,
    /// About how many tokens the prompt has, if [`Route::fit`] was told.
    pub input_tokens: Option<u64>,
    /// The field of the request for whose sake targets were left out ([`Route::bind`]).
    pub bound_by: Option<String>,
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
    /// Whether it is tried after all others, whatever the strategy: it is known to lack what the request
    /// wishes.
    pub is_late: bool,
    /// The name by which the client asked for it: 0 for the first name of [`Route::of_names`], and so on.
    pub asked: usize,
}

/// The attempts of a route that is configured without a number.
const DEFAULT_ATTEMPTS: u32 = 3;
/// The time until the first content, and between two chunks, of a route with several targets whose
/// configuration says nothing.
const DEFAULT_SILENCE: Millis = 30_000;
/// The same for a model that reasons before it responds: many send nothing meanwhile.
const DEFAULT_SILENCE_REASONING: Millis = 180_000;

impl<'c> Route<'c> {
    /// The route to one target.
    pub fn of_target(target: Target<'c>) -> Self {
        Self {
            name: None,
            strategy: Strategy::Priority,
            candidates: vec![Candidate { target, weight: 1, when: When::default(), is_late: false, asked: 0 }],
            max_attempts: None,
            first_token: None,
            idle: None,
            on_content_filter: OnContentFilter::Stop,
            sticky: Sticky::default(),
            recover: Recover::Off,
            hold: None,
            continue_with: None,
            keeps_to_target: false,
            input_tokens: None,
            bound_by: None,
        }
    }

    /// The configured route.
    fn of_row(config: &'c Config, row: &'c RouteRow) -> Self {
        let candidate = |listed: &'c RouteTarget| {
            let target = target(config, &listed.model)?;
            Some(Candidate { target, weight: listed.weight, when: listed.when, is_late: false, asked: 0 })
        };
        Self {
            name: Some(&row.name),
            strategy: row.strategy,
            candidates: row.targets.iter().filter_map(candidate).collect(),
            max_attempts: row.attempts,
            first_token: row.first_token,
            idle: row.idle,
            on_content_filter: row.on_content_filter,
            sticky: row.sticky,
            recover: row.recover,
            hold: row.hold,
            continue_with: row.continue_with.as_deref(),
            keeps_to_target: false,
            input_tokens: None,
            bound_by: None,
        }
    }

    /// The route of a client's own order: the candidates of the first name, then those of the second, and so
    /// on, each of them once. The limits are those of the first name's route.
    ///
    /// # Errors
    /// As [`resolve`], for the first name that leads nowhere.
    pub fn of_names(config: &'c Config, names: &[&str]) -> Result<Self> {
        let (first, rest) = names.split_first().unwrap_or((&"", &[]));
        let mut route = resolve(config, first)?;
        if !rest.is_empty() {
            route = Self { name: None, strategy: Strategy::Priority, ..route };
        }
        for (index, name) in rest.iter().enumerate() {
            for candidate in resolve(config, name)?.candidates {
                let is_same =
                    |other: &Candidate<'_>| other.target.is(&candidate.target) && other.when == candidate.when;
                if !route.candidates.iter().any(is_same) {
                    route.candidates.push(Candidate { asked: index + 1, ..candidate });
                }
            }
        }
        Ok(route)
    }

    /// The most attempts for one request: as configured; else 3 for several targets, also if others were left
    /// out, and for one target a try for each of its `keys`, 3 at most.
    pub fn attempts(&self, keys: usize) -> u32 {
        let is_route = self.candidates.len() > 1 || self.bound_by.is_some();
        let tries = if is_route { DEFAULT_ATTEMPTS } else { u32::try_from(keys).unwrap_or(u32::MAX) };
        self.max_attempts.unwrap_or(tries.clamp(1, DEFAULT_ATTEMPTS))
    }

    /// The time limits of an attempt at one of the targets: those of the model's row, and the route's if they
    /// are shorter. A route with several targets has a limit for silence also if none is configured.
    /// `reasons`: the model reasons before it responds.
    pub fn clocks(&self, target: &Target<'_>, reasons: bool) -> Clocks {
        let own = target.model.clocks;
        let silence = if reasons { DEFAULT_SILENCE_REASONING } else { DEFAULT_SILENCE };
        let default = if self.candidates.len() > 1 { Some(silence) } else { None };
        let limit = |of_model: Option<Millis>, of_route: Option<Millis>| {
            [of_model, of_route].into_iter().flatten().min().or(default)
        };
        Clocks { first_token: limit(own.first_token, self.first_token), idle: limit(own.idle, self.idle), ..own }
    }
}

/// The most characters of an unknown name that are compared and shown.
const MAX_SHOWN_NAME: usize = 120;

/// Resolves a model's name: an alias or a route, or else a model as [`find_row`] finds it.
///
/// # Errors
/// 404 `model_not_found`, with the most similar known names, or with the choices if several providers have
/// the model.
pub fn resolve<'c>(config: &'c Config, name: &str) -> Result<Route<'c>> {
    if let Some(row) = config.routes.iter().find(|route| route.name == name) {
        return Ok(Route::of_row(config, row));
    }
    if let Some(alias) = config.aliases.iter().find(|alias| alias.name == name) {
        let route = match &alias.meaning {
            Meaning::Model(model) => target(config, model).map(Route::of_target),
            Meaning::Route(index) => config.routes.get(*index).map(|row| Route::of_row(config, row)),
        };
        return route.ok_or_else(|| unknown(config, name));
    }
    let found = match find_row(&config.providers, config.default_provider, name) {
        Ok(found) => found,
        Err(NoMatch::Unknown) => return Err(unknown(config, name)),
        Err(NoMatch::Ambiguous(providers)) => return Err(ambiguous(config, &providers, name)),
    };
    let provider = config.providers.get(found.provider).zip(found.model(&config.providers, name));
    let (provider, (model, upstream)) = provider.ok_or_else(|| unknown(config, name))?;
    Ok(Route::of_target(Target { index: found.provider, provider, model, upstream, clocks: model.clocks, key: 0 }))
}

/// The first target of the route of a name.
///
/// # Errors
/// As [`resolve`].
pub fn resolve_target<'c>(config: &'c Config, name: &str) -> Result<Target<'c>> {
    let first = resolve(config, name)?.candidates.into_iter().next();
    first.map(|candidate| candidate.target).ok_or_else(|| unknown(config, name))
}

/// The error for a name whose route has no target.
pub fn no_target(name: &str) -> Error {
    let shown: String = name.chars().take(MAX_SHOWN_NAME).collect();
    Error::caller(404, "model_not_found", format!("The model `{shown}` has no target.")).at("model")
}

/// The target that the configuration names.
fn target<'c>(config: &'c Config, index: &'c ModelIndex) -> Option<Target<'c>> {
    let (provider, model) = config.row(index)?;
    Some(Target {
        index: index.provider,
        provider,
        model,
        upstream: Cow::Borrowed(&index.upstream),
        clocks: model.clocks,
        key: 0,
    })
}

fn unknown(config: &Config, name: &str) -> Error {
    let shown: String = name.chars().take(MAX_SHOWN_NAME).collect();
    let model = names::split(&config.providers, &shown).map_or(shown.as_str(), |(_, model)| model);
    let listed = config.providers.iter().flat_map(|provider| provider.models.iter().map(move |row| (provider, row)));
    let listed = listed.map(|(provider, row)| {
        let id = id(provider, row);
        (near::score(&shown, &id).max(near::score(model, &row.name)), id)
    });
    let own = config.routes.iter().map(|route| &route.name).chain(config.aliases.iter().map(|alias| &alias.name));
    let own = own.map(|name| (near::score(&shown, name), name.clone()));
    let mut near: Vec<(f64, String)> = listed.chain(own).filter(|(score, _)| *score > near::NEAR).collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    let near: Vec<String> = near.into_iter().take(3).map(|(_, id)| format!("`{id}`")).collect();
    let hint = if near.is_empty() { String::new() } else { format!(" Did you mean {}?", near.join(", ")) };
    let message = format!("The model `{shown}` is not known here.{hint} GET /v1/models lists what can be called.");
    Error::caller(404, "model_not_found", message).at("model")
}

fn ambiguous(config: &Config, providers: &[usize], name: &str) -> Error {
    let choices = names::full(&config.providers, providers, name).join(", ");
    let message = format!("Several providers have the model `{name}`. Name one of them: {choices}.");
    Error::caller(404, "model_not_found", message).at("model")
}

/// The full name of a model: `provider/model`.
pub fn id(provider: &Provider, model: &Model) -> String {
    format!("{}/{}", provider.name, model.name)
}

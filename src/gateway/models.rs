//! The list of models: those that can be called now, or all that are configured.

use std::rc::Rc;

use super::{AdmittedRequest, Body, Bridge, Platform, Response, admit, model_lists};
use crate::config::{Config, Millis, Model, Provider};
use crate::error::Result;
use crate::formats::{self, ClientFormat, ModelEntry, ModelFacts};
use crate::policy::model_card::ModelCard;
use crate::policy::routing;
use crate::provider::ProviderAccount;

/// Lists the models, for a caller whose account is valid.
///
/// # Errors
/// 401, 403 or 503 from the caller's account.
pub async fn list_models<P: Platform>(
    bridge: &Rc<Bridge>,
    platform: &P,
    admitted: &AdmittedRequest<'_, P>,
) -> Result<Response<P>> {
    admit::check(bridge, platform, &admitted.caller).await?;
    model_lists::refresh(bridge, platform).await;
    let all = admitted.request.query.split('&').any(|pair| matches!(pair, "all" | "all=true" | "all=1"));
    Ok(Response::json(200, Body::Bytes(list_body(bridge, admitted.client, all, platform.now()))))
}

/// Describes one model, for a caller whose account is valid.
///
/// # Errors
/// 401, 403 or 503 from the caller's account; 404 if no row serves this name.
pub async fn read_model<P: Platform>(
    bridge: &Bridge,
    platform: &P,
    admitted: &AdmittedRequest<'_, P>,
    name: &str,
) -> Result<Response<P>> {
    admit::check(bridge, platform, &admitted.caller).await?;
    Ok(Response::json(200, Body::Bytes(model_body(bridge, admitted.client, name, platform.now())?)))
}

/// The owner of routes and aliases.
const OWN: &str = "llm-bridge";

/// The body of the list: the models that can be called now, or all models, each with its availability. Routes
/// and aliases come first. Of a provider with patterns, those that it has listed itself follow its rows.
pub(super) fn list_body(bridge: &Bridge, client: &ClientFormat, all: bool, now: Millis) -> Vec<u8> {
    let mut models: Vec<ModelEntry<'_>> = own_names(&bridge.config)
        .filter_map(|name| own_entry(bridge, name, all, now).ok())
        .filter(|own| all || own.available != Some(false))
        .collect();
    for (index, (provider, account)) in bridge.config.providers.iter().zip(&bridge.accounts).enumerate() {
        if !all && matches!(account, ProviderAccount::Missing(_)) {
            continue;
        }
        let patterns = if all { provider.patterns.as_slice() } else { &[] };
        for model in provider.models.iter().chain(patterns) {
            let mut listed = entry(bridge, provider, account, model, all);
            // A pattern stands for many models, of which different facts are true.
            if !model.is_pattern() {
                listed.facts = facts(provider, model, &model.upstream, now);
            }
            models.push(listed);
        }
        for name in bridge.provider_models.of(index).iter().filter(|name| provider.model(name).is_none()) {
            let Some(row) = provider.pattern(name) else { continue };
            let id = format!("{}/{name}", provider.name);
            models.push(ModelEntry {
                id,
                facts: facts(provider, row, name, now),
                ..entry(bridge, provider, account, row, all)
            });
        }
    }
    (client.models)(&models)
}

/// The body that describes one model.
///
/// # Errors
/// 404 if no row serves this name.
fn model_body(bridge: &Bridge, client: &ClientFormat, name: &str, now: Millis) -> Result<Vec<u8>> {
    if let Some(name) = own_names(&bridge.config).find(|own| *own == name) {
        return Ok((client.model)(&own_entry(bridge, name, false, now)?));
    }
    let target = routing::resolve_target(&bridge.config, name)?;
    let account = bridge.account(target.index);
    let mut model =
        entry(bridge, target.provider, account, target.model, matches!(account, ProviderAccount::Missing(_)));
    model.facts = facts(target.provider, target.model, &target.upstream, now);
    if target.model.is_pattern() {
        model.id = format!("{}/{}", target.provider.name, target.upstream);
    }
    Ok((client.model)(&model))
}

/// The names of routes and aliases.
fn own_names(config: &Config) -> impl Iterator<Item = &str> {
    let routes = config.routes.iter().map(|route| route.name.as_str());
    routes.chain(config.aliases.iter().map(|alias| alias.name.as_str()))
}

/// Describes a route or an alias by what holds for all of its targets. `with_availability`: also if one of
/// them can be called.
///
/// # Errors
/// 404 for a name that is neither.
fn own_entry<'a>(bridge: &Bridge, name: &str, with_availability: bool, now: Millis) -> Result<ModelEntry<'a>> {
    let route = routing::resolve(&bridge.config, name)?;
    let targets = || route.candidates.iter().map(|candidate| &candidate.target);
    let missing: Option<Vec<String>> = targets().map(|target| missing(bridge.account(target.index))).collect();
    let described = targets().map(|target| facts(target.provider, target.model, &target.upstream, now));
    Ok(ModelEntry {
        id: name.to_owned(),
        created: bridge.opened / 1000,
        owned_by: OWN,
        available: (with_availability || missing.is_some()).then_some(missing.is_none()),
        unavailable_reason: missing.and_then(|all| all.into_iter().next()),
        facts: ModelFacts::least(described.collect()),
    })
}

fn facts(provider: &Provider, model: &Model, upstream: &str, now: Millis) -> ModelFacts {
    let price = ModelCard::of(provider, model, upstream, now).price;
    formats::describe(provider, model, upstream, price, now)
}

/// Why a provider cannot be called; `None` if it can.
fn missing(account: &ProviderAccount) -> Option<String> {
    match account {
        ProviderAccount::Missing(name) => Some(format!("{name} is not set")),
        ProviderAccount::Keyed(_) | ProviderAccount::Keyless => None,
    }
}

fn entry<'a>(
    bridge: &Bridge,
    provider: &'a Provider,
    account: &ProviderAccount,
    model: &Model,
    with_availability: bool,
) -> ModelEntry<'a> {
    let missing = missing(account);
    ModelEntry {
        id: routing::id(provider, model),
        created: bridge.opened / 1000,
        owned_by: &provider.name,
        available: with_availability.then_some(missing.is_none()),
        unavailable_reason: if with_availability { missing } else { None },
        facts: ModelFacts::default(),
    }
}
